/*-------------------------------------------------------------------------
 *
 * caller.h
 *	  For whom something was looked up ahead.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_CALLER_H
#define CCR_CALLER_H

/* Settings of the session that a call may depend on. */
#define CCR_GOES_BY_SERVER			1
#define CCR_GOES_BY_PATH			2
#define CCR_GOES_BY_PATH_IF_LOCAL	4	/* where the session names no server */
#define CCR_GOES_BY_ON_MISSING		8
#define CCR_GOES_BY_MONEY			16	/* lc_monetary */

/*
 * The rights, and the settings of the session, that a call is made with.  Each
 * process counts changes of rights for itself.  The counts of parallel workers
 * can be compared nevertheless: while they work for a statement, the session
 * cannot do anything else.
 */
typedef struct CcrCaller
{
	Oid			roleid;
	int32		sec_context;
	uint32		terms;			/* CCR_GOES_BY_... */
	uint32		settings;		/* hash of these settings, and of how often
								 * rights to servers had changed when the run
								 * of the executor began */
} CcrCaller;

/* The settings that a lookup depends on, given its own clauses and types. */
extern uint32 ccr_caller_terms(Oid function);

/* The caller of a call that is made now and depends on these settings. */
extern void ccr_caller_get(CcrCaller *caller, uint32 terms);

extern bool ccr_caller_equal(const CcrCaller *a, const CcrCaller *b);

/*
 * A run of the executor depends on the rights that there were when it began.
 * ccr_caller_begin_run() notes them, and returns what ccr_caller_end_run()
 * needs to go back to the run outside of it.
 */
extern uint64 ccr_caller_begin_run(void);
extern void ccr_caller_end_run(uint64 before);

#endif							/* CCR_CALLER_H */
