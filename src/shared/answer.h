/*-------------------------------------------------------------------------
 *
 * answer.h
 *	  The bytes in which a collector hands results to a backend.
 *
 * An answer is a chain of blocks on the heap, one for each batch that served
 * some of a request's items.  A block holds entries, one for each of those
 * items.  An entry holds rows, an error, or a reference to a result that
 * several requests share because copies of it would be too large.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_ANSWER_H
#define CCR_ANSWER_H

#include "lib/stringinfo.h"
#include "shared/compat.h"
#include "utils/dsa.h"

/* Results of more bytes than this are shared, not copied. */
#define CCR_SHARE_BYTES		4096

#define CCR_ERROR_LENGTH	4096	/* bytes of each text of an error, at most */

/*
 * Who has written the texts of an error.  A text that does not come from
 * concresce itself may quote any value of the batch.
 */
typedef enum CcrAuthor
{
	CCR_TEXTS_FOREIGN,
	CCR_HINT_OURS,				/* only the hint is ours */
	CCR_TEXTS_OURS
} CcrAuthor;

/* An error to be raised in a backend; absent strings are NULL. */
typedef struct CcrError
{
	int			sqlstate;		/* as MAKE_SQLSTATE() packs it */
	CcrAuthor	author;			/* these three matter to the collector only */
	bool		unexecuted;		/* the statement itself was refused */
	bool		by_hand;		/* somebody cancelled or terminated what ran
								 * it */
	const char *message;
	const char *detail;
	const char *hint;
	const char *context;
} CcrError;

typedef enum CcrEntryKind
{
	CCR_ENTRY_ROWS,				/* data: rows of (int32 length, bytes) values,
								 * length -1: NULL */
	CCR_ENTRY_SHARED,			/* data: dsa_pointer to a CcrSharedRows */
	CCR_ENTRY_ERROR				/* data: a flattened CcrError; empty if the
								 * error is that of the entry before */
} CcrEntryKind;

typedef struct CcrEntry
{
	uint32		item;			/* index within the request */
	uint16		kind;			/* CcrEntryKind */
	uint16		ncolumns;
	uint32		nrows;
	uint32		length;			/* bytes of data */
	bool		binary;			/* values are in binary where their types
								 * allow it */
	char		data[FLEXIBLE_ARRAY_MEMBER];
} CcrEntry;

#define CCR_ENTRY_SIZE(length)	MAXALIGN(offsetof(CcrEntry, data) + (length))

typedef struct CcrAnswer
{
	dsa_pointer next;
	Size		size;			/* bytes of the whole block */
	uint32		nentries;
	char		entries[FLEXIBLE_ARRAY_MEMBER]; /* MAXALIGNed CcrEntry */
} CcrAnswer;

typedef struct CcrSharedRows
{
	pg_atomic_uint32 references;
	uint32		waiters;		/* that are charged with a part of it */
	Size		size;			/* bytes of the whole block */
	Size		length;			/* bytes of data */
	char		data[FLEXIBLE_ARRAY_MEMBER];
} CcrSharedRows;

/* What came of one item, before it is handed over. */
typedef struct CcrOutcome
{
	const CcrError *error;		/* NULL: there is no error, but rows */
	uint32		nrows;
	StringInfoData rows;		/* as in an entry; data is NULL if there are
								 * none */
	dsa_pointer shared;			/* the rows on the heap, if shared */
} CcrOutcome;

extern void ccr_error_flatten(StringInfo buf, const CcrError *error);

/*
 * Make an error of our own, in the current memory context.  detail and hint
 * may be NULL.
 */
extern CcrError *ccr_error_new(int sqlstate, const char *message,
							   const char *detail, const char *hint);
extern CcrError *ccr_error_copy(const CcrError *error);
extern CcrError *ccr_error_restore(const char *data, Size length);

/*
 * Return a text that is valid in the database's encoding: s itself, or a
 * changed copy.
 */
extern const char *ccr_error_legible(const char *s);

CCR_NORETURN extern void ccr_error_throw(const CcrError *error);

/*
 * If the rows are too large to be copied for each of several waiters, put them
 * on the heap once.  Call this before a draft is made of the outcome.  Each
 * answer that is written takes a reference; the outcome has one, too, until
 * ccr_outcome_let_go().
 */
extern void ccr_outcome_share(CcrOutcome *outcome, uint32 waiters);
extern void ccr_outcome_let_go(CcrOutcome *outcome);

/* A block of an answer that has been measured, but not allocated yet. */
typedef struct CcrAnswerDraft
{
	const uint32 *items;
	CcrOutcome *const *outcomes;
	int			n;
	int			ncolumns;
	bool		binary;
	struct CcrEntryDraft *entries;
	Size		size;			/* bytes of the block */
	Size		shared;			/* its part of shared rows */
} CcrAnswerDraft;

/*
 * A block with the outcomes of n items of a request.  ccr_answer_draft()
 * measures it.  ccr_answer_write() allocates and fills it, or returns
 * InvalidDsaPointer if the heap has no room.
 */
extern CcrAnswerDraft ccr_answer_draft(const uint32 *items,
									   CcrOutcome *const *outcomes, int n,
									   int ncolumns, bool binary);
extern dsa_pointer ccr_answer_write(const CcrAnswerDraft *draft);

/*
 * ccr_answer_block() is the address of a block, ccr_answer_first() its first
 * entry, ccr_entry_next() the entry after another one.
 */
extern CcrAnswer *ccr_answer_block(dsa_pointer block);

static inline CcrEntry *
ccr_answer_first(CcrAnswer *block)
{
	return (CcrEntry *) MAXALIGN(block->entries);
}

static inline CcrEntry *
ccr_entry_next(CcrEntry *entry)
{
	return (CcrEntry *) ((char *) entry + CCR_ENTRY_SIZE(entry->length));
}

/* The rows of an entry: in the entry itself, or shared. */
extern const char *ccr_entry_rows(const CcrEntry *entry, Size *length);

/* Free a chain, and release its references to shared rows. */
extern void ccr_answer_free(dsa_pointer chain);

#endif							/* CCR_ANSWER_H */
