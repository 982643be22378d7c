/*-------------------------------------------------------------------------
 *
 * answered.h
 *	  What a request brought, copied out of shared memory.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_ANSWERED_H
#define CCR_ANSWERED_H

#include "call/timeout.h"
#include "lookup/definition.h"
#include "shared/request.h"

typedef struct CcrAnswerCopy
{
	uint32		n;
	CcrEntry  **entries;		/* for each item, its rows or error; NULL: its
								 * request has no answer */
	Size		bytes;			/* that they take */
	CcrFailure	failure;		/* of the first request without an answer */
	CcrTimeout	timeout;		/* if it timed out; and */
	const char *waited_for;		/* what it waited for then */
	uint32		joined;			/* items that joined flights of others */
	int64		remote_us;		/* from departure to the end */
	CcrCounters *counters;
	int			on_missing;		/* CcrOnMissing, at the time of submission */
	uint32		layout;			/* CcrResult.layout, at that time */
} CcrAnswerCopy;

/*
 * Copy the answer of a request that is DONE.  answered->entries has room for
 * its items.
 */
extern void ccr_answered_copy(CcrAnswerCopy *answered, CcrRequest *request);

/*
 * Read one item's rows, handing each to receive().  Raises the item's error.
 */
typedef void (*CcrReceive) (void *arg, Datum value, bool isnull,
							const Datum *values, const bool *nulls);
extern void ccr_answered_read(CcrDefinition *definition, CcrResult *result,
							  const CcrAnswerCopy *answered, uint32 item,
							  CcrReceive receive, void *arg);

/*
 * Was this error raised for a call that failed?  Its SQLSTATE alone does not
 * tell, as it may be the same as that of a cancel of this session.
 */
extern bool ccr_answered_raised(const ErrorData *error);

/* Raise 57014; and 57000 or, if the outcome is not known, 08007. */
extern void ccr_answered_timed_out(const char *name, CcrTimeout timeout,
								   const char *waited_for);
extern void ccr_answered_collector_gone(const char *name, bool outcome_unknown);

#endif							/* CCR_ANSWERED_H */
