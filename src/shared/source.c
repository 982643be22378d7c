/*-------------------------------------------------------------------------
 *
 * source.c
 *	  Flattening, restoring and fingerprinting sources.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/cryptohash.h"
#include "shared/compat.h"
#include "shared/reader.h"
#include "shared/source.h"

static void
put_source_bytes(StringInfo buf, const void *data, Size length)
{
	appendBinaryStringInfo(buf, data, length);
}

static void
put_int(StringInfo buf, int32 n)
{
	put_source_bytes(buf, &n, sizeof(n));
}

static void
put_source_string(StringInfo buf, const char *s)
{
	put_int(buf, s ? (int32) strlen(s) : -1);
	if (s)
		put_source_bytes(buf, s, strlen(s) + 1);
}

static int32
get_int(CcrReader *reader)
{
	return ccr_read_int32(reader);
}

static void *
get_array(CcrReader *reader, int n, Size size)
{
	void	   *array = palloc(Max(n * size, 1));

	memcpy(array, ccr_read(reader, n * size), n * size);
	return array;
}

static char *
get_source_string(CcrReader *reader)
{
	const char *s = ccr_read_string(reader);

	return s ? pstrdup(s) : NULL;
}

static const char **
get_strings(CcrReader *reader, int n)
{
	const char **strings = palloc((n + 1) * sizeof(char *));

	for (int i = 0; i < n; i++)
		strings[i] = get_source_string(reader);
	return strings;
}

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
put_reach(StringInfo buf, const CcrSource *source)
{
	put_int(buf, source->dbid);
	put_int(buf, source->serverid);
	put_int(buf, source->umid);
	put_int(buf, source->roleid);
	put_int(buf, source->password_required);
	put_int(buf, source->noptions);
	for (int i = 0; i < source->noptions; i++)
	{
		put_source_string(buf, source->keywords[i]);
		put_source_string(buf, source->values[i]);
	}
}

static void
get_reach(CcrReader *reader, CcrSource *source)
{
	source->dbid = get_int(reader);
	source->serverid = get_int(reader);
	source->umid = get_int(reader);
	source->roleid = get_int(reader);
	source->password_required = get_int(reader);
	source->noptions = ccr_read_count(reader, 2 * sizeof(int32));
	source->keywords = palloc((source->noptions + 1) * sizeof(char *));
	source->values = palloc((source->noptions + 1) * sizeof(char *));
	for (int i = 0; i < source->noptions; i++)
	{
		source->keywords[i] = get_source_string(reader);
		source->values[i] = get_source_string(reader);
	}
}

void
ccr_source_flatten(StringInfo buf, const CcrSource *source,
				   CcrFingerprint *fingerprint)
{
	put_reach(buf, source);
	put_int(buf, source->function);
	put_int(buf, source->owner);
	put_source_string(buf, source->key);
	put_source_string(buf, source->server_name);
	put_source_string(buf, source->user);
	put_source_string(buf, source->search_path);
	put_int(buf, source->nsettings);
	for (int i = 0; i < source->nsettings; i++)
		put_source_string(buf, source->settings[i]);
	put_int(buf, source->bulk);
	put_int(buf, source->resend);
	put_int(buf, source->returns_set);
	put_int(buf, source->returns_void);
	put_int(buf, source->composite);
	put_int(buf, source->prepare);
	put_int(buf, source->isolate_errors);
	put_int(buf, source->undivided);
	put_source_string(buf, source->text_settings);
	put_int(buf, source->text_args);
	put_source_string(buf, source->sql);
	put_source_string(buf, source->keyed_sql);
	for (int i = 0; i < 2; i++)
		for (int j = 0; j < 2; j++)
			put_source_string(buf, source->match_sql[i][j]);
	put_int(buf, source->may_be_loose);
	put_source_string(buf, source->unequal);
	put_int(buf, source->nargs);
	put_source_bytes(buf, source->arg_elements, source->nargs * sizeof(Oid));
	put_source_bytes(buf, source->arg_arrays, source->nargs * sizeof(Oid));
	put_source_bytes(buf, source->key_types, source->nargs * sizeof(Oid));
	put_source_bytes(buf, &source->server_limits, sizeof(CcrLimits));
	put_source_bytes(buf, &source->own_limits, sizeof(CcrLimits));
	put_int(buf, source->fail_fast);
	put_int(buf, source->ncolumns);
	put_source_bytes(buf, source->column_types, source->ncolumns * sizeof(Oid));
	put_source_bytes(buf, source->column_enum, source->ncolumns * sizeof(bool));
	put_source_bytes(buf, source->column_binary, source->ncolumns * sizeof(bool));
	hash_bytes_into(fingerprint, buf->data, buf->len);

	/* what sessions may know by other names, and is the same all the same */
	put_source_string(buf, source->function_name);
	put_source_string(buf, source->hosts);
	put_source_string(buf, source->hostaddrs);
	put_source_string(buf, source->ports);
}

CcrSource *
ccr_source_restore(const char *data, Size length)
{
	CcrSource  *source = palloc0(sizeof(CcrSource));
	CcrReader	reader = ccr_reader(data, length, "description of a source");

	get_reach(&reader, source);
	source->function = get_int(&reader);
	source->owner = get_int(&reader);
	source->key = get_source_string(&reader);
	source->server_name = get_source_string(&reader);
	source->user = get_source_string(&reader);
	source->search_path = get_source_string(&reader);
	source->nsettings = ccr_read_count(&reader, sizeof(int32));
	source->settings = get_strings(&reader, source->nsettings);
	source->bulk = get_int(&reader);
	source->resend = get_int(&reader);
	source->returns_set = get_int(&reader);
	source->returns_void = get_int(&reader);
	source->composite = get_int(&reader);
	source->prepare = get_int(&reader);
	source->isolate_errors = get_int(&reader);
	source->undivided = get_int(&reader);
	source->text_settings = get_source_string(&reader);
	source->text_args = get_int(&reader);
	source->sql = get_source_string(&reader);
	source->keyed_sql = get_source_string(&reader);
	for (int i = 0; i < 2; i++)
		for (int j = 0; j < 2; j++)
			source->match_sql[i][j] = get_source_string(&reader);
	source->may_be_loose = get_int(&reader);
	source->unequal = get_source_string(&reader);
	source->nargs = ccr_read_count(&reader, 3 * sizeof(Oid));
	source->arg_elements = get_array(&reader, source->nargs, sizeof(Oid));
	source->arg_arrays = get_array(&reader, source->nargs, sizeof(Oid));
	source->key_types = get_array(&reader, source->nargs, sizeof(Oid));
	memcpy(&source->server_limits, ccr_read(&reader, sizeof(CcrLimits)), sizeof(CcrLimits));
	memcpy(&source->own_limits, ccr_read(&reader, sizeof(CcrLimits)), sizeof(CcrLimits));
	source->fail_fast = get_int(&reader);
	source->ncolumns = ccr_read_count(&reader, sizeof(Oid) + 2 * sizeof(bool));
	source->column_types = get_array(&reader, source->ncolumns, sizeof(Oid));
	source->column_enum = get_array(&reader, source->ncolumns, sizeof(bool));
	source->column_binary = get_array(&reader, source->ncolumns, sizeof(bool));
	source->function_name = get_source_string(&reader);
	source->hosts = get_source_string(&reader);
	source->hostaddrs = get_source_string(&reader);
	source->ports = get_source_string(&reader);
	ccr_read_end(&reader);
	return source;
}

void
ccr_source_pool_key(const CcrSource *source, CcrFingerprint *key)
{
	StringInfoData buf;

	initStringInfo(&buf);
	put_reach(&buf, source);
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
