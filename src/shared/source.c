/*-------------------------------------------------------------------------
 *
 * source.c
 *	  Flattening, restoring and fingerprinting sources.
 *
 * A field of a source is named here once: in visit_reach() if it decides which
 * connections may be used, in visit_names() if it is no part of what a
 * fingerprint stands for, else in visit_meaning() or visit_query().
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/cryptohash.h"
#include "shared/bytes.h"
#include "shared/compat.h"
#include "shared/source.h"

static void
hash_bytes_into(CcrFingerprint *out, const char *data, Size length)
{
	pg_cryptohash_ctx *ctx = pg_cryptohash_create(PG_SHA256);

	if (ctx == NULL ||
		pg_cryptohash_init(ctx) < 0 ||
		pg_cryptohash_update(ctx, (const uint8 *) data, length) < 0 ||
		pg_cryptohash_final(ctx, out->bytes, CCR_FINGERPRINT_LEN) < 0)
	{
		pg_cryptohash_free(ctx);
		elog(ERROR, "could not compute a SHA-256 hash");
	}
	pg_cryptohash_free(ctx);
}

/* What decides which connections may be used. */
static void
visit_reach(CcrBytes *bytes, CcrSource *source)
{
	ccr_bytes_oid(bytes, &source->dbid);
	ccr_bytes_oid(bytes, &source->serverid);
	ccr_bytes_oid(bytes, &source->umid);
	ccr_bytes_oid(bytes, &source->roleid);
	ccr_bytes_bool(bytes, &source->password_required);
	ccr_bytes_count(bytes, &source->noptions, 2 * sizeof(int32));
	ccr_bytes_strings(bytes, &source->keywords, source->noptions);
	ccr_bytes_strings(bytes, &source->values, source->noptions);
}

static void
visit_query(CcrBytes *bytes, CcrSource *source)
{
	ccr_bytes_bool(bytes, &source->bulk);
	ccr_bytes_bool(bytes, &source->resend);
	ccr_bytes_bool(bytes, &source->returns_set);
	ccr_bytes_bool(bytes, &source->returns_void);
	ccr_bytes_bool(bytes, &source->composite);
	ccr_bytes_bool(bytes, &source->prepare);
	ccr_bytes_bool(bytes, &source->isolate_errors);
	ccr_bytes_bool(bytes, &source->undivided);
	ccr_bytes_string(bytes, &source->text_settings);
	ccr_bytes_bool(bytes, &source->text_args);
	ccr_bytes_string(bytes, &source->sql);
	ccr_bytes_string(bytes, &source->keyed_sql);
	for (int i = 0; i < 2; i++)
		for (int j = 0; j < 2; j++)
			ccr_bytes_string(bytes, &source->match_sql[i][j]);
	ccr_bytes_bool(bytes, &source->may_be_loose);
	ccr_bytes_string(bytes, &source->unequal);
	ccr_bytes_count(bytes, &source->nargs, 3 * sizeof(Oid));
	ccr_bytes_oids(bytes, &source->arg_elements, source->nargs);
	ccr_bytes_oids(bytes, &source->arg_arrays, source->nargs);
	ccr_bytes_oids(bytes, &source->key_types, source->nargs);
}

/* What a fingerprint stands for. */
static void
visit_meaning(CcrBytes *bytes, CcrSource *source)
{
	visit_reach(bytes, source);
	ccr_bytes_oid(bytes, &source->function);
	ccr_bytes_oid(bytes, &source->owner);
	ccr_bytes_string(bytes, &source->key);
	ccr_bytes_string(bytes, &source->server_name);
	ccr_bytes_string(bytes, &source->user);
	ccr_bytes_string(bytes, &source->search_path);
	ccr_bytes_count(bytes, &source->nsettings, sizeof(int32));
	ccr_bytes_strings(bytes, &source->settings, source->nsettings);
	visit_query(bytes, source);
	ccr_bytes_plain(bytes, &source->server_limits, sizeof(CcrLimits));
	ccr_bytes_plain(bytes, &source->own_limits, sizeof(CcrLimits));
	ccr_bytes_bool(bytes, &source->fail_fast);
	ccr_bytes_count(bytes, &source->ncolumns, sizeof(Oid) + 2 * sizeof(bool));
	ccr_bytes_oids(bytes, &source->column_types, source->ncolumns);
	ccr_bytes_bools(bytes, &source->column_enum, source->ncolumns);
	ccr_bytes_bools(bytes, &source->column_binary, source->ncolumns);
}

/* What sessions may know by other names, and is the same all the same. */
static void
visit_names(CcrBytes *bytes, CcrSource *source)
{
	ccr_bytes_string(bytes, &source->function_name);
	ccr_bytes_string(bytes, &source->hosts);
	ccr_bytes_string(bytes, &source->hostaddrs);
	ccr_bytes_string(bytes, &source->ports);
}

void
ccr_source_flatten(StringInfo buf, const CcrSource *source,
				   CcrFingerprint *fingerprint)
{
	CcrSource	visited = *source;
	CcrBytes	bytes = {.to = buf};

	visit_meaning(&bytes, &visited);
	hash_bytes_into(fingerprint, buf->data, buf->len);
	visit_names(&bytes, &visited);
}

CcrSource *
ccr_source_restore(const char *data, Size length)
{
	CcrSource  *source = palloc0(sizeof(CcrSource));
	CcrBytes	bytes = {.from = ccr_reader(data, length, "description of a source")};

	visit_meaning(&bytes, source);
	visit_names(&bytes, source);
	ccr_read_end(&bytes.from);
	return source;
}

void
ccr_source_pool_key(const CcrSource *source, CcrFingerprint *key)
{
	CcrSource	visited = *source;
	StringInfoData buf;
	CcrBytes	bytes = {.to = &buf};

	initStringInfo(&buf);
	visit_reach(&bytes, &visited);
	hash_bytes_into(key, buf.data, buf.len);
	explicit_bzero(buf.data, buf.len);
	pfree(buf.data);
}

CcrFingerprint
ccr_source_enqueued(const CcrFingerprint *fingerprint)
{
	CcrFingerprint result = *fingerprint;

	result.bytes[0] ^= 1;
	return result;
}
