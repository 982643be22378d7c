/*-------------------------------------------------------------------------
 *
 * caller.h
 *	  For whom something was looked up ahead.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_CALLER_H
#define CCR_CALLER_H

/* The settings of the session that a call goes by. */
#define CCR_GOES_BY_SERVER			1
#define CCR_GOES_BY_PATH			2
#define CCR_GOES_BY_PATH_IF_LOCAL	4	/* where the session names no server */
#define CCR_GOES_BY_ON_MISSING		8
#define CCR_GOES_BY_MONEY			16	/* lc_monetary */

/*
 * With which rights, and by which settings of the session.  What changes of the
 * rights is counted by each process for itself; but while several are at work
 * for a statement, who fetches has no turn.
 */
typedef struct CcrCaller
{
	Oid			roleid;
	int32		sec_context;
	uint32		terms;			/* CCR_GOES_BY_... */
	uint32		settings;		/* hash value of those, and of how often
								 * rights to servers had changed as the run
								 * began */
} CcrCaller;

/* What a lookup's own clauses and types leave to the session. */
extern uint32 ccr_caller_terms(Oid function);

/* As a call made now would have it that goes by these settings. */
extern void ccr_caller_get(CcrCaller *caller, uint32 terms);

extern bool ccr_caller_equal(const CcrCaller *a, const CcrCaller *b);

/*
 * A run of the executor begins, and ends with what was returned: it goes by the
 * rights that were there when it began.
 */
extern uint64 ccr_caller_begin_run(void);
extern void ccr_caller_end_run(uint64 before);

#endif							/* CCR_CALLER_H */
