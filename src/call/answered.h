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
	CcrEntry  **entries;		/* by item; rows or an error, NULL: the
								 * request that it was in has no answer */
	CcrFailure	failure;		/* of the first request without one */
	CcrTimeout	timeout;		/* and what it waited for, if that is why */
	const char *waited_for;
	uint32		joined;			/* items that shared another's flight */
	int64		remote_us;		/* from departure to the end */
	CcrCounters *counters;
	int			on_missing;		/* CcrOnMissing, when it was submitted */
	uint32		layout;			/* of the result that it was submitted with */
} CcrAnswerCopy;

/* Copy the answer of a request that is done; of entries, there are its items. */
extern void ccr_answered_copy(CcrAnswerCopy *answered, CcrRequest *request);

/* Read one item's rows, handing each to receive(); raises its error. */
typedef void (*CcrReceive) (void *arg, Datum value, bool isnull,
							const Datum *values, const bool *nulls);
extern void ccr_answered_read(CcrDefinition *definition, CcrResult *result,
							  const CcrAnswerCopy *answered, uint32 item,
							  CcrReceive receive, void *arg);

/*
 * Was this error raised for a call that failed?  Its SQLSTATE may be that of an
 * interrupt of this session.
 */
extern bool ccr_answered_raised(const ErrorData *error);

/* Raise 57014, and 57000 or 08007. */
extern void ccr_answered_timed_out(const char *name, CcrTimeout timeout,
								   const char *waited_for);
extern void ccr_answered_collector_gone(const char *name, bool outcome_unknown);

#endif							/* CCR_ANSWERED_H */
