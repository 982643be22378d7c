/*-------------------------------------------------------------------------
 *
 * answer.c
 *	  Building, reading and giving back answers.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "answer.h"
#include "mb/pg_wchar.h"
#include "shmem.h"

static void
flatten_string(StringInfo buf, const char *s)
{
	int32		length = s ? (int32) strlen(s) : -1;

	appendBinaryStringInfo(buf, (char *) &length, sizeof(length));
	if (s)
		appendBinaryStringInfo(buf, s, length + 1);
}

static const char *
restore_string(const char **p)
{
	int32		length;
	const char *s;

	memcpy(&length, *p, sizeof(length));
	*p += sizeof(length);
	if (length < 0)
		return NULL;
	s = *p;
	*p += length + 1;
	return s;
}

void
ccr_error_flatten(StringInfo buf, const CcrError *error)
{
	appendBinaryStringInfo(buf, (char *) &error->sqlstate,
						   sizeof(error->sqlstate));
	flatten_string(buf, error->message);
	flatten_string(buf, error->detail);
	flatten_string(buf, error->hint);
	flatten_string(buf, error->context);
}

/* A palloc'd copy, which the strings belong to. */
CcrError *
ccr_error_restore(const char *data, Size length)
{
	CcrError   *error = palloc(MAXALIGN(sizeof(CcrError)) + length);
	const char *p = (char *) error + MAXALIGN(sizeof(CcrError));

	memcpy(unconstify(char *, p), data, length);
	memcpy(&error->sqlstate, p, sizeof(error->sqlstate));
	p += sizeof(error->sqlstate);
	error->message = restore_string(&p);
	error->detail = restore_string(&p);
	error->hint = restore_string(&p);
	error->context = restore_string(&p);
	return error;
}

/* What is cut off within its last character keeps the others. */
const char *
ccr_error_legible(const char *s)
{
	int			length = s ? strlen(s) : 0;
	int			good;
	char	   *copy;

	if (length == 0)
		return s;
	good = pg_verify_mbstr_len(GetDatabaseEncoding(), s, length, true);
	if (good >= 0)
		return s;
	good = pg_encoding_verifymbstr(GetDatabaseEncoding(), s, length);
	if (length - good < pg_database_encoding_max_length())
		return pnstrdup(s, good);
	copy = pnstrdup(s, length);
	for (char *p = copy; *p; p++)
		if (IS_HIGHBIT_SET(*p))
			*p = '?';
	return copy;
}

/* The texts come from elsewhere, and are no format strings. */
void
ccr_error_throw(const CcrError *error)
{
	ereport(ERROR,
			(errcode(error->sqlstate),
			 errmsg_internal("%s", ccr_error_legible(error->message)),
			 error->detail ?
			 errdetail_internal("%s", ccr_error_legible(error->detail)) : 0,
			 error->hint ? errhint("%s", ccr_error_legible(error->hint)) : 0,
			 error->context ?
			 errcontext("%s", ccr_error_legible(error->context)) : 0));
}

dsa_pointer
ccr_rows_share(const char *data, Size length, uint32 references)
{
	Size		size = offsetof(CcrSharedRows, data) + length;
	dsa_pointer dp = ccr_heap_allocate(size);
	CcrSharedRows *rows;

	if (!DsaPointerIsValid(dp))
		return dp;
	rows = ccr_heap_address(dp);
	pg_atomic_init_u32(&rows->references, references);
	rows->size = size;
	rows->length = length;
	memcpy(rows->data, data, length);
	return dp;
}

void
ccr_rows_release(dsa_pointer dp)
{
	CcrSharedRows *rows = ccr_heap_address(dp);

	if (pg_atomic_sub_fetch_u32(&rows->references, 1) == 0)
		ccr_heap_free(dp, rows->size);
}

dsa_pointer
ccr_answer_allocate(Size size, uint32 nentries)
{
	dsa_pointer dp;
	CcrAnswer  *block;

	size += MAXALIGN(offsetof(CcrAnswer, entries));
	dp = ccr_heap_allocate(size);
	if (DsaPointerIsValid(dp))
	{
		block = ccr_heap_address(dp);
		block->next = InvalidDsaPointer;
		block->size = size;
		block->nentries = nentries;
	}
	return dp;
}

CcrAnswer *
ccr_answer_block(dsa_pointer block)
{
	return DsaPointerIsValid(block) ? ccr_heap_address(block) : NULL;
}

static dsa_pointer
shared_pointer(const CcrEntry *entry)
{
	dsa_pointer dp;

	Assert(entry->kind == CCR_ENTRY_SHARED);
	memcpy(&dp, entry->data, sizeof(dp));
	return dp;
}

const char *
ccr_entry_rows(const CcrEntry *entry, Size *length)
{
	if (entry->kind == CCR_ENTRY_SHARED)
	{
		CcrSharedRows *rows = ccr_heap_address(shared_pointer(entry));

		*length = rows->length;
		return rows->data;
	}
	Assert(entry->kind == CCR_ENTRY_ROWS);
	*length = entry->length;
	return entry->data;
}

void
ccr_answer_free(dsa_pointer chain)
{
	while (DsaPointerIsValid(chain))
	{
		CcrAnswer  *block = ccr_heap_address(chain);
		CcrEntry   *entry = ccr_answer_first(block);
		dsa_pointer next = block->next;

		for (uint32 i = 0; i < block->nentries; i++)
		{
			if (entry->kind == CCR_ENTRY_SHARED)
				ccr_rows_release(shared_pointer(entry));
			entry = ccr_entry_next(entry);
		}
		ccr_heap_free(chain, block->size);
		chain = next;
	}
}
