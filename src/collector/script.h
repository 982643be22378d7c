/*-------------------------------------------------------------------------
 *
 * script.h
 *	  What is sent over a connection in one pipeline, step by step.
 *
 * A far session is shared by all who may use it, so whatever is sent leaves it
 * as it was found:
 *
 *	not VOLATILE:	BEGIN READ ONLY; [settings;] body; ROLLBACK
 *	VOLATILE:		BEGIN; [settings;] body; [no timeout;] COMMIT; reset
 *	after an error:	ROLLBACK; reset
 *
 * each in one pipeline with one sync at its end.  An error skips all that is
 * left until the sync, ROLLBACK included, hence the third.  A pooler in
 * transaction mode is told of the end of a transaction with the sync, so the
 * reset is done in the session that it is meant for.
 *
 * What neither undoes (prepared statements, ...) is discarded before a session
 * serves lookups of another owner.  Behind a pooler in transaction mode that
 * cannot be done, as any session may come next: there each script gives up
 * locks, LISTEN, cursors and temporary tables, and no named statement is
 * executed, and no timeout of a body's is in force when they do.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_SCRIPT_H
#define CCR_SCRIPT_H

#include "libpq-fe.h"
#include "shared/job.h"

/* A command, and what its answer has to be; or a sync. */
typedef enum CcrStep
{
	CCR_STEP_SYNC,
	CCR_STEP_PROBE,				/* the process that serves us */
	CCR_STEP_DISCARD,
	CCR_STEP_PREPARE_FRAME,		/* a statement of what is around bodies */
	CCR_STEP_PREPARE_FRAME_END, /* the last of those */
	CCR_STEP_PREPARE_SETTINGS,
	CCR_STEP_PREPARE,
	CCR_STEP_DESCRIBE,
	CCR_STEP_BEGIN,
	CCR_STEP_SETTINGS,
	CCR_STEP_BODY,
	CCR_STEP_ROLLBACK,
	CCR_STEP_UNTIMED,
	CCR_STEP_COMMIT,
	CCR_STEP_RESET
} CcrStep;

#define CCR_SCRIPT_STEPS	16

typedef struct CcrScript
{
	int			n;
	int			at;				/* the step whose answer is awaited; n: none */
	CcrStep		steps[CCR_SCRIPT_STEPS];
} CcrScript;

static inline bool
ccr_script_ended(const CcrScript *script)
{
	return script->at >= script->n;
}

static inline CcrStep
ccr_script_step(const CcrScript *script)
{
	return script->steps[script->at];
}

/*
 * Each adds to what is sent; false if libpq says no.  start has to come first,
 * and puts the connection into pipeline mode.
 */
extern bool ccr_script_start(CcrScript *script, PGconn *conn);
extern bool ccr_script_sync(CcrScript *script, PGconn *conn);
extern bool ccr_script_say(CcrScript *script, PGconn *conn, CcrStep step,
						   const char *sql);
extern bool ccr_script_prepare(CcrScript *script, PGconn *conn,
							   CcrStep step, const char *statement, const char *sql,
							   const CcrParams *params);

/*
 * Prepare what is around bodies, as to parse it costs more than to execute it;
 * reset: see ccr_script_execute().
 */
extern bool ccr_script_prepare_frame(CcrScript *script, PGconn *conn,
									 const char *prefix, const char *reset);
extern bool ccr_script_describe(CcrScript *script, PGconn *conn,
								const char *statement);

/*
 * A transaction around a bulk query.  pooled: others may have the session next.
 * reset: the last statement of one.  What is around the query has been prepared
 * if query->prefix says so.
 */
extern bool ccr_script_execute(CcrScript *script, PGconn *conn,
							   const CcrQuery *query, bool pooled,
							   const char *reset);

/* The end of one that failed. */
extern bool ccr_script_roll_back(CcrScript *script, PGconn *conn,
								 const char *reset);

/* Is there a body behind the step that it is at? */
extern bool ccr_script_awaits_body(const CcrScript *script);

/* Is this what a step is to be answered with? */
extern bool ccr_step_fits(CcrStep step, const PGresult *result);

#endif							/* CCR_SCRIPT_H */
