/*-------------------------------------------------------------------------
 *
 * answer.c
 *	  Building, reading and giving back answers.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "shared/answer.h"
#include "shared/bytes.h"
#include "shared/shmem.h"

void
ccr_error_flatten(StringInfo buf, const CcrError *error)
{
	ccr_put_int32(buf, error->sqlstate);
	ccr_put_string(buf, error->message);
	ccr_put_string(buf, error->detail);
	ccr_put_string(buf, error->hint);
	ccr_put_string(buf, error->context);
}

/* A palloc'd copy, which the strings belong to. */
static const char *
copied_text(const char *s)
{
	return s ? pstrdup(s) : NULL;
}

CcrError *
ccr_error_new(int sqlstate, const char *message, const char *detail, const char *hint)
{
	CcrError	error = {
		.sqlstate = sqlstate,
		.author = CCR_TEXTS_OURS,
		.message = message,
		.detail = detail,
		.hint = hint
	};

	return ccr_error_copy(&error);
}

CcrError *
ccr_error_copy(const CcrError *error)
{
	CcrError   *copy = palloc(sizeof(CcrError));

	*copy = *error;
	copy->message = copied_text(error->message);
	copy->detail = copied_text(error->detail);
	copy->hint = copied_text(error->hint);
	copy->context = copied_text(error->context);
	return copy;
}

CcrError *
ccr_error_restore(const char *data, Size length)
{
	CcrError   *error = palloc0(MAXALIGN(sizeof(CcrError)) + length);
	char	   *copy = (char *) error + MAXALIGN(sizeof(CcrError));
	CcrReader	reader = ccr_reader(copy, length, "error of a lookup");

	memcpy(copy, data, length);
	error->sqlstate = ccr_read_int32(&reader);
	error->message = ccr_read_string(&reader);
	error->detail = ccr_read_string(&reader);
	error->hint = ccr_read_string(&reader);
	error->context = ccr_read_string(&reader);
	if (error->message == NULL)
		ccr_read_failed(&reader);
	ccr_read_end(&reader);
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

static dsa_pointer
share_rows(const char *data, Size length, uint32 waiters)
{
	Size		size = offsetof(CcrSharedRows, data) + length;
	dsa_pointer dp = ccr_heap_allocate(size);
	CcrSharedRows *rows;

	if (!DsaPointerIsValid(dp))
		return dp;
	rows = ccr_heap_address(dp);
	pg_atomic_init_u32(&rows->references, 1);
	rows->waiters = waiters;
	rows->size = size;
	rows->length = length;
	memcpy(rows->data, data, length);
	return dp;
}

static void
refer_to_rows(dsa_pointer dp)
{
	CcrSharedRows *rows = ccr_heap_address(dp);

	pg_atomic_fetch_add_u32(&rows->references, 1);
}

static void
release_rows(dsa_pointer dp)
{
	CcrSharedRows *rows = ccr_heap_address(dp);

	/*
	 * a full barrier, and its own partner: whoever is last has it behind all
	 * others
	 */
	if (pg_atomic_sub_fetch_u32(&rows->references, 1) == 0)
		ccr_heap_free(dp, rows->size);
}

static dsa_pointer
allocate_block(Size size, uint32 nentries)
{
	dsa_pointer dp = ccr_heap_allocate(size);
	CcrAnswer  *block;

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

void
ccr_outcome_share(CcrOutcome *outcome, uint32 waiters)
{
	const StringInfoData *rows = &outcome->rows;

	outcome->shared = InvalidDsaPointer;
	if (outcome->error == NULL && waiters > 1 && rows->data &&
		rows->len > CCR_SHARE_BYTES)
		outcome->shared = share_rows(rows->data, rows->len, waiters);
}

void
ccr_outcome_let_go(CcrOutcome *outcome)
{
	if (DsaPointerIsValid(outcome->shared))
		release_rows(outcome->shared);
	outcome->shared = InvalidDsaPointer;
}

typedef struct CcrEntryDraft
{
	CcrEntryKind kind;
	const char *data;
	uint32		length;
} CcrEntryDraft;

static CcrEntryDraft
draft_entry(const CcrOutcome *outcome, const CcrError *previous)
{
	CcrEntryDraft draft = {CCR_ENTRY_ROWS, outcome->rows.data,
	outcome->rows.data ? outcome->rows.len : 0};
	StringInfoData buf;

	if (outcome->error)
	{
		draft.kind = CCR_ENTRY_ERROR;
		draft.length = 0;
		if (outcome->error != previous)
		{
			initStringInfo(&buf);
			ccr_error_flatten(&buf, outcome->error);
			draft.data = buf.data;
			draft.length = buf.len;
		}
	}
	else if (DsaPointerIsValid(outcome->shared))
	{
		draft.kind = CCR_ENTRY_SHARED;
		draft.data = (const char *) &outcome->shared;
		draft.length = sizeof(dsa_pointer);
	}
	return draft;
}

CcrAnswerDraft
ccr_answer_draft(const uint32 *items, CcrOutcome *const *outcomes, int n,
				 int ncolumns, bool binary)
{
	CcrAnswerDraft draft = {
		.items = items,
		.outcomes = outcomes,
		.n = n,
		.ncolumns = ncolumns,
		.binary = binary,
		.entries = palloc(n * sizeof(CcrEntryDraft)),
		.size = MAXALIGN(offsetof(CcrAnswer, entries))
	};

	for (int i = 0; i < n; i++)
	{
		const CcrError *previous = i > 0 ? outcomes[i - 1]->error : NULL;

		draft.entries[i] = draft_entry(outcomes[i], previous);
		draft.size += CCR_ENTRY_SIZE(draft.entries[i].length);
		if (draft.entries[i].kind == CCR_ENTRY_SHARED)
		{
			const CcrSharedRows *rows = ccr_heap_address(outcomes[i]->shared);

			draft.shared += rows->size / rows->waiters;
		}
	}
	return draft;
}

dsa_pointer
ccr_answer_write(const CcrAnswerDraft *draft)
{
	dsa_pointer block = allocate_block(draft->size, draft->n);
	CcrEntry   *entry;

	if (!DsaPointerIsValid(block))
		return block;
	entry = ccr_answer_first(ccr_answer_block(block));
	for (int i = 0; i < draft->n; i++)
	{
		const CcrEntryDraft *e = &draft->entries[i];

		entry->item = draft->items[i];
		entry->kind = e->kind;
		entry->ncolumns = draft->ncolumns;
		entry->nrows = draft->outcomes[i]->nrows;
		entry->length = e->length;
		entry->binary = draft->binary;
		if (e->length > 0)
			memcpy(entry->data, e->data, e->length);
		if (e->kind == CCR_ENTRY_SHARED)
			refer_to_rows(draft->outcomes[i]->shared);
		entry = ccr_entry_next(entry);
	}
	return block;
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
				release_rows(shared_pointer(entry));
			entry = ccr_entry_next(entry);
		}
		ccr_heap_free(chain, block->size);
		chain = next;
	}
}
