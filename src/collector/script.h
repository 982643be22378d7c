/*-------------------------------------------------------------------------
 *
 * script.h
 *	  The commands that are sent over a connection in one pipeline, step by step.
 *
 * Many lookups share a far session, so each script leaves it as it was found:
 *
 *	not VOLATILE:	BEGIN READ ONLY; [settings;] body; ROLLBACK
 *	VOLATILE:		BEGIN; [settings;] body; [no timeout;] COMMIT; reset
 *	after an error:	ROLLBACK; reset
 *
 * Each line is one pipeline with one sync at its end.  An error skips all
 * commands up to the sync, ROLLBACK included; therefore the third line is sent
 * then.  A pooler in transaction mode sees the end of the transaction with the
 * sync.  So the reset is still done in the same session.
 *
 * Neither ROLLBACK nor reset undoes prepared statements and the like.  These
 * are discarded before a session serves lookups of another owner.  Behind a
 * pooler in transaction mode that cannot be done, as any session may come
 * next.  There each script releases locks, LISTEN, cursors and temporary
 * tables at its end, with any timeout that the body has set switched off, and
 * named statements are not used.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_SCRIPT_H
#define CCR_SCRIPT_H

#include "libpq-fe.h"
#include "shared/job.h"

/* A command, which also says what its answer must be; or a sync. */
typedef enum CcrStep
{
	CCR_STEP_SYNC,
	CCR_STEP_PROBE,				/* which process serves us? */
	CCR_STEP_DISCARD,
	CCR_STEP_PREPARE_FRAME,		/* prepare a command that goes around bodies */
	CCR_STEP_PREPARE_FRAME_END, /* the last of these */
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
	int			at;				/* the step whose answer comes next; n: all
								 * have come */
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
 * Each of these adds commands to the script and hands them to libpq; false if
 * libpq reports an error.  ccr_script_start() must come first; it puts the
 * connection into pipeline mode.
 */
extern bool ccr_script_start(CcrScript *script, PGconn *conn);
extern bool ccr_script_sync(CcrScript *script, PGconn *conn);
extern bool ccr_script_say(CcrScript *script, PGconn *conn, CcrStep step,
						   const char *sql);
extern bool ccr_script_prepare(CcrScript *script, PGconn *conn,
							   CcrStep step, const char *statement, const char *sql,
							   const CcrParams *params);

/*
 * Prepare the commands that go around bodies (BEGIN, ...), as parsing them
 * costs more than executing them.  reset: see ccr_script_execute().
 */
extern bool ccr_script_prepare_frame(CcrScript *script, PGconn *conn,
									 const char *prefix, const char *reset);
extern bool ccr_script_describe(CcrScript *script, PGconn *conn,
								const char *statement);

/*
 * A bulk query with the transaction around it.  pooled: a pooler may give the
 * session to others next.  reset: the last statement of a reset.  If
 * query->prefix is not "", the commands around the query were prepared under
 * names with it.
 */
extern bool ccr_script_execute(CcrScript *script, PGconn *conn,
							   const CcrQuery *query, bool pooled,
							   const char *reset);

/* End a transaction that failed. */
extern bool ccr_script_roll_back(CcrScript *script, PGconn *conn,
								 const char *reset);

/* Will a body's answer come after the step whose answer comes next? */
extern bool ccr_script_awaits_body(const CcrScript *script);

/* Is this the answer that the step must have? */
extern bool ccr_step_fits(CcrStep step, const PGresult *result);

#endif							/* CCR_SCRIPT_H */
