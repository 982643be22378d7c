/*-------------------------------------------------------------------------
 *
 * carrier_remote.c
 *	  One connection to a foreign server, as a state machine.
 *
 * While CONNECTING, there is an attempt (attempt.h) and no connection.  After
 * that libpq is used in its non-blocking way throughout.  An operation is a
 * script, sent in one pipeline, which leaves the far session as it was found; a
 * session that cannot be left so is closed.
 *
 *	 start_op()			IDLE -> BUSY
 *	 tell_outcome()		the far side will do no more of it: calls->done()
 *	 become_idle()		BUSY -> IDLE, when the whole script was answered
 *	 remote_cancel()	BUSY -> CANCELLING
 *	 cancel_ended()		CANCELLING -> IDLE, when both have ended: the script, or
 *						one that cleans up, and the cancel
 *	 close_remote()		-> DEAD
 *
 * Rows are taken one at a time, or some if they are small, so a result is never
 * held in whole by libpq.  Holding more than an answer may need ends the
 * connection, and so does having come to hold a lot, once it is idle
 * (holding.h).
 *
 * How long a query may take is for the callers to say, who leave, whereupon the
 * owner cancels.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "collector/attempt.h"
#include "collector/budget.h"
#include "collector/cancel.h"
#include "collector/carrier_remote.h"
#include "collector/far_error.h"
#include "collector/far_session.h"
#include "collector/holding.h"
#include "collector/offload.h"
#include "collector/received.h"
#include "collector/script.h"
#include "collector/sockets.h"
#include "collector/timer.h"
#include "lib/ilist.h"
#include "libpq-fe.h"
#include "portability/instr_time.h"
#include "shared/compat.h"
#include "shared/reader.h"
#include "storage/fd.h"
#include "utils/memutils.h"

#define CCR_READING_PACE	10	/* ms after which reading gives way to others;
								 * and until it is looked at again how much
								 * has been read */
#define CCR_READING_ROWS	3	/* times the largest row: libpq's buffer has
								 * less than two of them, and it may have
								 * handed one over to the thread */
#define CCR_CANCEL_PAUSE		200 /* ms until it is asked for again */
#define CCR_TIDYING_GRACE		5000	/* ms from an outcome to the script's
										 * end */
#define CCR_SAID		(4 * 1024 * 1024)	/* bytes that libpq may hold of an
											 * answer but for its rows */
#define CCR_SAID_IDLE	(1024 * 1024)	/* the same of what is said between
										 * batches */
#define CCR_CHUNK		6144	/* bytes of rows that libpq may hold */
#define CCR_LONG_IDLE	1000	/* us after which it may have been closed */
#define CCR_NEWS		16		/* reads of what an idle one has sent: a far
								 * side that never stops would hold up all
								 * others */
#define CCR_MANY_NEWS	1000	/* readings of an idle connection until it is
								 * closed */

typedef struct CcrRemote
{
	CcrCarrier	carrier;
	CcrScript	script;			/* what was sent for it */
	bool		answered;		/* the present step has had its result */
	bool		cleaning;		/* the script ends what a failed one left */
	bool		unclean;		/* the session is not to be used again */
	const CcrReach *reach;
	PGconn	   *conn;
	int			fd;				/* PQsocket(), or -1 */
	CcrSocket	socket;			/* it */
	CcrSocket	cancel_socket;	/* of cancel */
	bool		wants_write;
	bool		read_only;		/* EXECUTE: what it does is not kept */
	int			chunk;			/* rows of the result that libpq may hold */
	bool		skip_rows;		/* the owner wants no more of this result */
	bool		typed;			/* types are those of this result */
	bool		tagged;			/* its last rows have brought the tag of its
								 * end */
	CcrAttempt	attempt;		/* while CONNECTING */
	CcrCancel  *cancel;			/* while CANCELLING, until it has ended */
	CcrOffload *reading;		/* an answer, in a thread: it has the
								 * connection */
	CcrSocket	reading_socket; /* of reading */
	CcrTimer	reading_timer;	/* of it; or it waits until it may start */
	CcrOffloadResult taken;		/* by the last one */
	int			at;				/* of its results: the next to be looked at */
	int			blanks;			/* NULLs in a row that were no ends */
	bool		drained;		/* while CANCELLING: the query has ended */
	CcrTime		give_up_at;		/* while CANCELLING */
	CcrTimer	deadline;		/* of CANCELLING, or of BUSY once the outcome
								 * was told */
	MemoryContext op_context;	/* reset with every op: */
	CcrError   *error;			/* the first of the op */
	bool		fatal;			/* the session's end is to follow */
	dlist_node	node;			/* of all that have a socket */
	CcrHolding	holding;		/* what libpq holds */
	int			nnews;			/* readings while it is IDLE */
	instr_time	idle_since;
	char		statement[NAMEDATALEN]; /* these are being prepared, or "" */
	char		settings_statement[NAMEDATALEN];
	char		frame[NAMEDATALEN]; /* prefix of what is around bodies */
	Oid			lookup_owner;	/* of the lookups that it serves */
	bool		probed;			/* it is known whether it is: */
	bool		pooled;			/* served by changing processes */
	CcrFarSession session;
} CcrRemote;

static dlist_head remotes = DLIST_STATIC_INIT(remotes);

static const CcrCarrierOps remote_ops;

static void close_remote(CcrRemote *remote, const CcrError *error);
static void step_idle(CcrRemote *remote);
static void flush_script(CcrRemote *remote);
static void drain_results(CcrRemote *remote);
static bool is_answering(const CcrRemote *remote);
static void cancel_ended(CcrRemote *remote);
static void cancel_again(CcrRemote *remote);
static bool start_reading(CcrRemote *remote);
static void look_at_reading(void *arg);
static void receive_notice(void *arg, const PGresult *result);

/* ----------------------------------------------------------------- errors */

/* Errors live until the next op, or as long as their reader is called back. */
static CcrError *
new_error(CcrRemote *remote, int sqlstate, const char *message,
		  const char *detail)
{
	return ccr_far_error(remote->op_context, sqlstate, message, detail);
}

static CcrError *
connect_error(CcrRemote *remote)
{
	return ccr_far_error_connecting(remote->op_context, remote->conn, remote->reach->server);
}

static CcrError *
lost_error(CcrRemote *remote)
{
	return ccr_far_error_lost(remote->op_context, remote->reading ? NULL : remote->conn,
							  remote->reach->server, remote->error);
}

static CcrError *
too_much_error(CcrRemote *remote)
{
	return ccr_far_error_too_much(remote->op_context, remote->reach->server,
								  Max(remote->holding.held, remote->holding.added));
}

/* ----------------------------------------------------- what libpq holds */

static CcrRemote *
greatest_holder(void)
{
	CcrRemote  *greatest = NULL;
	dlist_iter	iter;

	dlist_foreach(iter, &remotes)
	{
		CcrRemote  *remote = dlist_container(CcrRemote, node, iter.cur);

		if (greatest == NULL || remote->holding.held > greatest->holding.held)
			greatest = remote;
	}
	return greatest;
}

/* Whoever holds most goes first. */
static void
keep_to_budget(void)
{
	while (ccr_budget_exceeded())
	{
		CcrRemote  *greatest = greatest_holder();

		if (greatest == NULL || greatest->holding.held <= CCR_BUDGET_SMALL)
			return;
		close_remote(greatest, too_much_error(greatest));
	}
}

/* False: it has been closed. */
static bool
check_held(CcrRemote *remote, int64 allowed)
{
	if (remote->holding.added > allowed)
		close_remote(remote, too_much_error(remote));
	else
		keep_to_budget();
	return remote->conn != NULL;
}

static bool
remote_is_worn(const CcrCarrier *carrier)
{
	return ccr_holding_is_worn(&((const CcrRemote *) carrier)->holding);
}

/* Only rows are copied elsewhere; one of them may be all that there is room for. */
static int64
allowed_to_hold(const CcrRemote *remote)
{
	if (remote->carrier.op == CCR_OP_EXECUTE && !ccr_script_ended(&remote->script) &&
		ccr_script_step(&remote->script) == CCR_STEP_BODY)
		return ccr_budget_answer() + CCR_BUDGET_SMALL;
	return CCR_SAID;
}

/*
 * While a thread reads, nobody knows at which step the answer is: rows may have
 * come behind what was answered before them.
 */
static int64
allowed_to_read(const CcrRemote *remote)
{
	return CCR_READING_ROWS *
		(remote->carrier.op == CCR_OP_EXECUTE ? ccr_budget_answer() + CCR_BUDGET_SMALL : CCR_SAID);
}

static int
field_length(const PGresult *result, int code)
{
	const char *field = PQresultErrorField(result, code);

	return field ? strlen(field) : 0;
}

/* ------------------------------------------------------- opening, closing */

/* renewed: it may be another socket now, even under the same number. */
static void
watch_socket(CcrRemote *remote, bool renewed)
{
	int			events = WL_SOCKET_READABLE;

	if (remote->wants_write)
		events |= WL_SOCKET_WRITEABLE;
	remote->fd = PQsocket(remote->conn);
	ccr_socket_watch(&remote->socket, remote->fd, events, renewed);
}

static void
watch_cancel(CcrRemote *remote)
{
	ccr_socket_watch(&remote->cancel_socket, ccr_cancel_socket(remote->cancel),
					 ccr_cancel_events(remote->cancel), true);
}

static void
end_cancel(CcrRemote *remote)
{
	ccr_socket_forget(&remote->cancel_socket);
	if (remote->cancel)
		ccr_cancel_free(remote->cancel);
	remote->cancel = NULL;
}

/* The connection is ours again, or nobody's any more. */
static void
end_reading(CcrRemote *remote)
{
	ccr_socket_forget(&remote->reading_socket);
	ccr_timer_clear(&remote->reading_timer);
	remote->reading = NULL;
	ccr_attempts_wake();
}

/* It is read in a thread, or is to be, as soon as there may be another one. */
static bool
is_reading(const CcrRemote *remote)
{
	return remote->reading || remote->reading_timer.armed;
}

static void
forget_results(CcrRemote *remote)
{
	while (remote->at < remote->taken.nresults)
		PQclear(remote->taken.results[remote->at++]);
}

static void
close_connection(CcrRemote *remote)
{
	forget_results(remote);
	ccr_timer_clear(&remote->reading_timer);
	ccr_timer_clear(&remote->deadline);
	end_cancel(remote);
	ccr_socket_forget(&remote->socket);
	remote->fd = -1;
	if (remote->conn == NULL)
		return;
	ccr_holding_close(&remote->holding);
	dlist_delete(&remote->node);
	if (remote->reading)
	{
		CcrOffload *reading = remote->reading;

		end_reading(remote);
		ccr_offload_abandon(reading);
	}
	else
	{
		PQfinish(remote->conn);
		ReleaseExternalFD();
	}
	remote->conn = NULL;
	ccr_attempts_wake();
}

static void
close_remote(CcrRemote *remote, const CcrError *error)
{
	CcrOp		op = remote->carrier.op;

	if (remote->carrier.state == CCR_CARRIER_DEAD)
		return;
	ccr_attempt_abandon(&remote->attempt);
	close_connection(remote);
	remote->carrier.state = CCR_CARRIER_DEAD;
	remote->carrier.op = CCR_OP_NONE;
	if (error)
		remote->carrier.calls->dead(remote->carrier.owner, op, error);
}

static void
remote_close(CcrCarrier *carrier, const CcrError *error)
{
	close_remote((CcrRemote *) carrier, error);
}

static void
remote_free(CcrCarrier *carrier)
{
	CcrRemote  *remote = (CcrRemote *) carrier;

	close_remote(remote, NULL);
	MemoryContextDelete(remote->carrier.context);
}

/* Ignored, but for the log of who looks for trouble. */
static void
receive_notice(void *arg, const PGresult *result)
{
	CcrRemote  *remote = arg;

	ccr_holding_pass(&remote->holding,
					 field_length(result, PG_DIAG_MESSAGE_PRIMARY) +
					 field_length(result, PG_DIAG_MESSAGE_DETAIL) +
					 field_length(result, PG_DIAG_MESSAGE_HINT) +
					 field_length(result, PG_DIAG_CONTEXT));
	elog(DEBUG1, "notice from server \"%s\": %s", remote->reach->server,
		 PQresultErrorMessage(result));
}

static void
remote_deadline_passed(void *arg)
{
	CcrRemote  *remote = arg;

	if (remote->carrier.state == CCR_CARRIER_CANCELLING)
		cancel_again(remote);
	else if (remote->carrier.state == CCR_CARRIER_BUSY && remote->carrier.op == CCR_OP_NONE)
		close_remote(remote, lost_error(remote));
	else if (remote->carrier.state == CCR_CARRIER_BUSY && !is_reading(remote))
		drain_results(remote);
}

static void
set_idle(CcrRemote *remote)
{
	ccr_timer_clear(&remote->reading_timer);
	remote->carrier.state = CCR_CARRIER_IDLE;
	remote->holding.nreads = 0;
	remote->nnews = 0;
	INSTR_TIME_SET_CURRENT(remote->idle_since);
}

static bool
is_as_found(const CcrRemote *remote)
{
	return !remote->unclean && ccr_far_session_is_as_found(&remote->session, remote->conn);
}

static void
remote_connected(void *owner, PGconn *conn)
{
	CcrRemote  *remote = owner;
	MemoryContext old;
	CcrError   *error = ccr_far_session_unfit(conn, remote->reach->password_required,
											  remote->op_context);

	remote->conn = conn;
	dlist_push_tail(&remotes, &remote->node);
	if (error == NULL && PQsetnonblocking(remote->conn, 1) != 0)
		error = connect_error(remote);
	if (error)
	{
		close_remote(remote, error);
		return;
	}
	PQsetErrorVerbosity(remote->conn, PQERRORS_DEFAULT);
	PQsetNoticeReceiver(remote->conn, receive_notice, remote);
	old = MemoryContextSwitchTo(remote->carrier.context);
	ccr_far_session_remember(&remote->session, remote->conn);
	MemoryContextSwitchTo(old);
	remote->wants_write = false;
	set_idle(remote);
	watch_socket(remote, true);
	ccr_holding_open(&remote->holding, remote->fd);
	remote->carrier.calls->ready(remote->carrier.owner);
}

static void
remote_not_connected(void *owner, const CcrError *error)
{
	close_remote(owner, error);
}

static bool
remote_spare(void *owner)
{
	CcrRemote  *remote = owner;

	return remote->carrier.calls->spare(remote->carrier.owner);
}

CcrCarrier *
ccr_remote_open(const CcrReach *reach, const CcrCarrierCalls *calls,
				void *owner)
{
	static const CcrAttemptCalls attempt_calls = {
		.connected = remote_connected,
		.failed = remote_not_connected,
		.spare = remote_spare
	};
	MemoryContext context = AllocSetContextCreate(TopMemoryContext,
												  "concresce connection",
												  ALLOCSET_SMALL_SIZES);
	CcrRemote  *remote = MemoryContextAllocZero(context, sizeof(CcrRemote));

	ccr_carrier_init(&remote->carrier, &remote_ops, calls, owner, context);
	remote->reach = reach;
	remote->op_context = AllocSetContextCreate(context, "concresce operation",
											   ALLOCSET_SMALL_SIZES);
	ccr_socket_init(&remote->socket, remote);
	ccr_socket_init(&remote->cancel_socket, remote);
	ccr_socket_init(&remote->reading_socket, remote);
	ccr_timer_init(&remote->reading_timer, look_at_reading, remote);
	remote->fd = -1;
	ccr_timer_init(&remote->deadline, remote_deadline_passed, remote);
	ccr_attempt_begin(&remote->attempt, reach, &attempt_calls, remote, remote->op_context);
	return &remote->carrier;
}

/* -------------------------------------------------------------- operations */

static bool
remote_pooled(const CcrCarrier *carrier)
{
	return ((const CcrRemote *) carrier)->pooled;
}

/*
 * It may have been closed since it was last looked at, as those of a server
 * that restarts are all at once.  False: it was, or there is other news, and
 * its owner has been told.
 */
static bool
is_still_open(CcrRemote *remote)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, remote->idle_since);
	if (INSTR_TIME_GET_MICROSEC(now) < CCR_LONG_IDLE)
		return true;
	for (int i = 0; i < CCR_NEWS && remote->carrier.state == CCR_CARRIER_IDLE &&
		 !ccr_socket_is_silent(remote->fd); i++)
		step_idle(remote);
	return remote->carrier.state == CCR_CARRIER_IDLE;
}

static bool
start_script(CcrRemote *remote)
{
	remote->answered = false;
	remote->cleaning = false;
	return ccr_script_start(&remote->script, remote->conn) &&
		(remote->probed ||
		 ccr_script_say(&remote->script, remote->conn, CCR_STEP_PROBE,
						"SELECT pg_catalog.pg_backend_pid()"));
}

static void
start_op(CcrRemote *remote, CcrOp op)
{
	Assert(remote->carrier.state == CCR_CARRIER_IDLE);
	MemoryContextReset(remote->op_context);
	remote->error = NULL;
	remote->fatal = false;
	remote->skip_rows = false;
	remote->typed = remote->tagged = false;
	remote->taken.dry = false;
	remote->blanks = 0;
	ccr_holding_begin(&remote->holding);
	remote->carrier.op = op;
	remote->carrier.state = CCR_CARRIER_BUSY;
}

/* If libpq took not even all of the body, nothing of it can be executed. */
static void
send_script(CcrRemote *remote, bool ok)
{
	const CcrScript *script = &remote->script;

	if (ok)
	{
		flush_script(remote);

		/*
		 * When libpq cannot send it reads, also while a script is made, and
		 * the socket does not tell of what it has read.
		 */
		if (remote->conn && is_answering(remote) &&
			(ccr_holding_is_roomy(&remote->holding) || !PQisBusy(remote->conn)))
			ccr_timer_set(&remote->deadline, ccr_now());
		return;
	}
	if (remote->carrier.op == CCR_OP_EXECUTE &&
		(script->n == 0 || script->steps[script->n - 1] <= CCR_STEP_BODY))
		remote->carrier.op = CCR_OP_PREPARE;
	close_remote(remote, lost_error(remote));
}

/*
 * A round trip of its own: nothing else is to be done if it fails.  Behind a
 * pooler it would reach any session, and there no statement of ours is relied on.
 * As long as no probe has succeeded, nothing behind one was executed.
 */
static bool
remote_adopt(CcrCarrier *carrier, Oid owner)
{
	CcrRemote  *remote = (CcrRemote *) carrier;
	bool		others = OidIsValid(remote->lookup_owner) && remote->lookup_owner != owner;

	remote->lookup_owner = owner;
	if (!others || remote->pooled || !remote->probed)
		return false;
	if (!is_still_open(remote))
		return true;
	ccr_carrier_forget_statements(&remote->carrier);
	start_op(remote, CCR_OP_CLEAN);
	send_script(remote, start_script(remote) &&
				ccr_script_say(&remote->script, remote->conn, CCR_STEP_DISCARD, "DISCARD ALL") &&
				ccr_script_sync(&remote->script, remote->conn));
	return true;
}

/* The name of what is to be prepared, or "". */
static void
note_statement(CcrRemote *remote, char *name, const char *statement)
{
	strlcpy(name, ccr_carrier_knows(&remote->carrier, statement) ? "" : statement, NAMEDATALEN);
}

/*
 * Preparing and describing go in one round trip, which also keeps them in one
 * transaction of a pooler.
 */
static void
remote_prepare(CcrCarrier *carrier, const CcrQuery *query, bool describe)
{
	CcrRemote  *remote = (CcrRemote *) carrier;
	CcrScript  *script = &remote->script;
	PGconn	   *conn = remote->conn;
	bool		ok;

	if (!is_still_open(remote))
		return;
	start_op(remote, describe ? CCR_OP_DESCRIBE : CCR_OP_PREPARE);
	note_statement(remote, remote->statement, query->statement);
	note_statement(remote, remote->settings_statement,
				   query->settings ? query->settings_statement : "");
	note_statement(remote, remote->frame, query->prefix);
	ok = start_script(remote);
	if (ok && remote->frame[0])
		ok = ccr_script_prepare_frame(script, conn, query->prefix, remote->session.reset);
	if (ok && remote->settings_statement[0])
		ok = ccr_script_prepare(script, conn, CCR_STEP_PREPARE_SETTINGS,
								remote->settings_statement, query->settings, NULL);
	if (ok && (describe || remote->statement[0]))
		ok = ccr_script_prepare(script, conn, CCR_STEP_PREPARE, query->statement,
								query->sql, query->params);
	if (ok && describe)
		ok = ccr_script_describe(script, conn, query->statement);
	send_script(remote, ok && ccr_script_sync(script, conn));
}

static void
remote_execute(CcrCarrier *carrier, const CcrQuery *query)
{
	CcrRemote  *remote = (CcrRemote *) carrier;

	if (!is_still_open(remote))
		return;
	start_op(remote, CCR_OP_EXECUTE);
	remote->read_only = query->source->resend;
	remote->chunk = CCR_TUPLES_CHUNK != PGRES_SINGLE_TUPLE && query->row_bytes > 0 ?
		Max(CCR_CHUNK / query->row_bytes, 1) : 1;
	send_script(remote, start_script(remote) &&
				ccr_script_execute(&remote->script, remote->conn, query,
								   remote->pooled || !remote->probed, remote->session.reset));
}

static void
protocol_error(CcrRemote *remote, const char *detail)
{
	close_remote(remote,
				 new_error(remote, ERRCODE_PROTOCOL_VIOLATION,
						   "foreign server sent what was not asked for",
						   detail));
}

/* What an error has left is a transaction that takes no more statements. */
static void
start_cleaning(CcrRemote *remote)
{
	bool		ok = ccr_script_start(&remote->script, remote->conn) &&
		ccr_script_roll_back(&remote->script, remote->conn, remote->session.reset);

	remote->answered = false;
	remote->cleaning = true;
	send_script(remote, ok);
}

/* It stays prepared, whatever becomes of what was sent with it. */
static void
remember_statement(CcrRemote *remote, CcrStep step)
{
	const char *name = step == CCR_STEP_PREPARE ? remote->statement :
		step == CCR_STEP_PREPARE_SETTINGS ? remote->settings_statement :
		step == CCR_STEP_PREPARE_FRAME_END ? remote->frame : "";

	if (name[0])
		ccr_carrier_remember(&remote->carrier, name);
}

/*
 * The far side will do no more of it.  What is left of the script has a
 * deadline, as nobody waits for that who could leave.
 */
static void
tell_outcome(CcrRemote *remote)
{
	CcrOp		op = remote->carrier.op;

	if (op == CCR_OP_NONE || remote->carrier.state == CCR_CARRIER_CANCELLING)
		return;
	remote->carrier.op = CCR_OP_NONE;
	if (remote->carrier.state == CCR_CARRIER_BUSY)
		ccr_timer_set(&remote->deadline,
					  ccr_after(ccr_now(), CCR_TIDYING_GRACE));
	remote->carrier.calls->done(remote->carrier.owner, op, remote->error);
}

static void
become_idle(CcrRemote *remote)
{
	/* the far side may have done it, or not: what is fatal is no outcome */
	if (remote->carrier.op == CCR_OP_EXECUTE && remote->fatal)
	{
		close_remote(remote, lost_error(remote));
		return;
	}

	/* what was refused has an outcome, whatever becomes of the connection */
	if (remote->carrier.op == CCR_OP_EXECUTE || (remote->error && !remote->fatal && !is_as_found(remote)))
		tell_outcome(remote);
	ccr_timer_clear(&remote->deadline);
	if (!is_as_found(remote))
	{
		close_remote(remote, remote->unclean && remote->error ? remote->error :
					 new_error(remote, ERRCODE_CONNECTION_EXCEPTION,
							   "a lookup has left changes in its foreign session", NULL));
		return;
	}
	ccr_holding_end(&remote->holding);
	set_idle(remote);
	if (remote->carrier.op == CCR_OP_NONE)
	{
		remote->carrier.calls->ready(remote->carrier.owner);
		return;
	}
	tell_outcome(remote);
}

/* Both ends of a cancel are needed: a late one would hit the next query. */
static void
cancel_ended(CcrRemote *remote)
{
	if (remote->cancel != NULL || !remote->drained)
		return;
	if (PQtransactionStatus(remote->conn) == PQTRANS_INERROR && !remote->cleaning)
	{
		remote->drained = false;
		start_cleaning(remote);
		return;
	}
	ccr_timer_clear(&remote->deadline);
	remote->carrier.op = CCR_OP_NONE;
	become_idle(remote);
}

/* Reading may have sent it, but nobody can have answered what is still here. */
static bool
is_all_sent(CcrRemote *remote)
{
	if (remote->wants_write && PQflush(remote->conn) != 0)
		return false;
	if (remote->wants_write)
	{
		remote->wants_write = false;
		watch_socket(remote, false);
	}
	return true;
}

static void
script_ended(CcrRemote *remote)
{
	if (!is_all_sent(remote))
		protocol_error(remote, "An answer came before what it is to.");
	else if (!PQexitPipelineMode(remote->conn))
		close_remote(remote, lost_error(remote));
	else if (remote->carrier.state == CCR_CARRIER_CANCELLING)
	{
		remote->drained = true;
		cancel_ended(remote);
	}
	else if (PQtransactionStatus(remote->conn) == PQTRANS_INERROR && !remote->cleaning)
	{
		tell_outcome(remote);
		start_cleaning(remote);
	}
	else
		become_idle(remote);
}

/* A row as its owner takes it; how many columns there are is not for us to say. */
static CcrRow
present_columns(CcrRemote *remote, const PGresult *result)
{
	int			n = PQnfields(result);

	if (ccr_carrier_make_room(&remote->carrier, n))
		remote->typed = false;
	for (int i = 0; i < n && !remote->typed; i++)
		remote->carrier.types[i] = PQftype(result, i);
	remote->typed = PQresultStatus(result) == PGRES_SINGLE_TUPLE;
	return ccr_carrier_row(&remote->carrier, n);
}

/* Bytes of the message that a row came in. */
static int64
row_size(const PGresult *result, int tuple)
{
	int			n = PQnfields(result);
	int64		size = 7 + 4 * (int64) n;

	for (int i = 0; i < n; i++)
		size += PQgetlength(result, tuple, i);
	return size;
}

static bool
hand_over_row(CcrRemote *remote, const PGresult *result, int tuple, const CcrRow *row)
{
	int64		size = 7 + 4 * (int64) row->n;

	for (int i = 0; i < row->n; i++)
	{
		int			length = PQgetlength(result, tuple, i);

		size += length;
		remote->carrier.values[i] = PQgetvalue(result, tuple, i);
		remote->carrier.lengths[i] = length == 0 && PQgetisnull(result, tuple, i) ? -1 : length;
	}
	ccr_holding_pass(&remote->holding, size);
	return remote->carrier.calls->row(remote->carrier.owner, row);
}

static void
hand_over_rows(CcrRemote *remote, const PGresult *result)
{
	CcrRow		row = present_columns(remote, result);

	for (int i = 0; i < PQntuples(result); i++)
	{
		if (remote->carrier.state == CCR_CARRIER_DEAD)
			return;
		if (!remote->skip_rows)
			remote->skip_rows = !hand_over_row(remote, result, i, &row);
		else
			ccr_holding_pass(&remote->holding, row_size(result, i));
	}
}

static void
hand_over_description(CcrRemote *remote, const PGresult *result)
{
	CcrRow		row = present_columns(remote, result);

	remote->carrier.calls->described(remote->carrier.owner, &row);
}

static void
take_probe(CcrRemote *remote, const PGresult *result)
{
	int64		pid;

	remote->probed = true;
	remote->pooled = !ccr_read_number(PQgetvalue(result, 0, 0), PQgetlength(result, 0, 0), &pid) ||
		pid != PQbackendPID(remote->conn);
}

/*
 * Not every error is one of what was asked: what ends the session, or comes
 * from libpq, is followed by its loss.
 */
static void
take_error(CcrRemote *remote, const PGresult *result)
{
	CcrStep		step = ccr_script_step(&remote->script);
	const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);

	if (severity == NULL)
		severity = PQresultErrorField(result, PG_DIAG_SEVERITY);
	if (remote->error == NULL && step == CCR_STEP_BODY && remote->chunk > 1)
		ccr_holding_dropped(&remote->holding, CCR_CHUNK);
	if (remote->error == NULL)
		remote->error = ccr_far_error_of(remote->op_context, result);
	remote->fatal |= severity == NULL || strcmp(severity, "ERROR") != 0;

	/* not to fail any more, or it has done half of something */
	if (step == CCR_STEP_PREPARE_FRAME || step == CCR_STEP_PREPARE_FRAME_END ||
		step == CCR_STEP_COMMIT || step == CCR_STEP_ROLLBACK ||
		step == CCR_STEP_RESET || step == CCR_STEP_DISCARD)
		remote->unclean = true;

	/* a primary no more: the next connection tries the hosts again */
	if (remote->error->sqlstate == ERRCODE_READ_ONLY_SQL_TRANSACTION && !remote->read_only)
		remote->unclean = true;
}

/* What has described the columns of a result, in bytes. */
static int64
description_size(const PGresult *result)
{
	int64		size = 0;

	for (int i = 0; i < PQnfields(result); i++)
		size += 19 + strlen(PQfname(result, i));
	return size;
}

/* In chunked mode the tag is in the last chunk, unless there was none. */
static bool
result_fits(const CcrRemote *remote, CcrStep step, const PGresult *result)
{
	return ccr_step_fits(step, result) ||
		(step == CCR_STEP_BODY && remote->tagged && PQresultStatus(result) == PGRES_TUPLES_OK);
}

/* False: this was the last result there will be for now. */
static bool
take_result(CcrRemote *remote, PGresult *result)
{
	CcrStep		step = ccr_script_step(&remote->script);
	ExecStatusType status = PQresultStatus(result);
	bool		deaf = remote->carrier.state == CCR_CARRIER_CANCELLING || remote->error;

	if (status == PGRES_FATAL_ERROR)
		take_error(remote, result);
	else if (status == PGRES_PIPELINE_ABORTED)
		 /* its error has been seen */ ;
	else if (!result_fits(remote, step, result) || remote->answered)
	{
		protocol_error(remote, PQresStatus(status));
		return false;
	}
	else if (step == CCR_STEP_PROBE)
		take_probe(remote, result);
	else if (status == PGRES_COMMAND_OK && step != CCR_STEP_DESCRIBE)
		remember_statement(remote, step);
	else if (step == CCR_STEP_DESCRIBE && !deaf &&
			 PQnparams(result) + PQnfields(result) > 0)
		hand_over_description(remote, result);
	else if (status == PGRES_SINGLE_TUPLE || status == CCR_TUPLES_CHUNK)
	{
		remote->skip_rows |= deaf;
		remote->tagged = PQcmdStatus(result)[0] != '\0';
		hand_over_rows(remote, result);
		return remote->carrier.state != CCR_CARRIER_DEAD;
	}
	if (PQnfields(result) > 0)
		ccr_holding_pass(&remote->holding, description_size(result));
	remote->answered = true;
	return remote->carrier.state != CCR_CARRIER_DEAD;
}

/*
 * The outcome of a bulk query is known as soon as it is certain: what is rolled
 * back, with its rows; what is committed, with that.
 */
static void
end_step(CcrRemote *remote)
{
	CcrScript  *script = &remote->script;
	CcrStep		step = ccr_script_step(script);

	script->at++;
	remote->answered = false;
	remote->typed = false;
	remote->tagged = false;
	if (remote->carrier.op == CCR_OP_EXECUTE && !remote->fatal &&
		(remote->error || step == CCR_STEP_COMMIT ||
		 (step == CCR_STEP_BODY && remote->read_only)))
		tell_outcome(remote);

	/* it counts for the command that is now current, and for no other */
	if (remote->conn && !ccr_script_ended(script) &&
		ccr_script_step(script) == CCR_STEP_BODY &&
		PQpipelineStatus(remote->conn) == PQ_PIPELINE_ON &&
		!ccr_set_rows_mode(remote->conn, remote->chunk))
		close_remote(remote, lost_error(remote));
}

/* The callbacks may raise errors. */
static bool
take_and_clear(CcrRemote *remote, PGresult *result)
{
	volatile bool go_on = true;

	PG_TRY();
	{
		go_on = take_result(remote, result);
	}
	PG_FINALLY();
	{
		PQclear(result);
	}
	PG_END_TRY();
	return go_on;
}

/*
 * False: it has to be awaited, or is looked for in a thread.  Where libpq has a
 * large buffer, what is behind one result may take long to be looked through.
 */
static bool
next_result(CcrRemote *remote, PGresult **result)
{
	if (remote->at < remote->taken.nresults)
	{
		*result = remote->taken.results[remote->at++];
		return true;
	}
	if (ccr_holding_is_roomy(&remote->holding) &&
		(remote->taken.dry || start_reading(remote)))
		return false;
	if (remote->conn == NULL || PQisBusy(remote->conn))
		return false;
	*result = PQgetResult(remote->conn);
	return true;
}

/* Take what has come in, until libpq would have to wait for more. */
static void
drain_results(CcrRemote *remote)
{
	PGresult   *result;

	while (remote->conn && !ccr_script_ended(&remote->script) && next_result(remote, &result))
	{
		bool		sync = PQresultStatus(result) == PGRES_PIPELINE_SYNC;

		if (result)
			remote->blanks = 0;
		if (result && !take_and_clear(remote, result))
			return;
		if (result == NULL && PQstatus(remote->conn) == CONNECTION_BAD)
		{
			close_remote(remote, lost_error(remote));
			return;
		}

		/* NULL is the end of each command, but of a sync */
		if (sync || (result == NULL && remote->answered))
			end_step(remote);
		else if (result == NULL && ++remote->blanks > 2)
		{
			remote->blanks = 0;
			remote->taken.dry = true;
			return;
		}
	}
	if (remote->conn && ccr_script_ended(&remote->script))
		script_ended(remote);
}

static void
take_notifications(CcrRemote *remote)
{
	PGnotify   *notify;

	while ((notify = PQnotifies(remote->conn)) != NULL)
	{
		ccr_holding_pass(&remote->holding, 11 + strlen(notify->relname) + strlen(notify->extra));
		PQfreemem(notify);
	}
}

/* Nothing was asked, yet something came: news, or the end. */
static void
step_idle(CcrRemote *remote)
{
	/* it may be much, and is nothing that a new connection would not bring */
	if (ccr_holding_is_roomy(&remote->holding))
	{
		close_remote(remote, lost_error(remote));
		return;
	}

	/* counted from the first time on: it is rare */
	remote->holding.nreads = Max(remote->holding.nreads, 1);
	ccr_holding_reading(&remote->holding);
	if (!PQconsumeInput(remote->conn) ||
		PQstatus(remote->conn) == CONNECTION_BAD)
	{
		close_remote(remote, lost_error(remote));
		return;
	}
	ccr_holding_read(&remote->holding);
	(void) PQisBusy(remote->conn);	/* lets libpq look at what came */
	take_notifications(remote);
	if (PQstatus(remote->conn) == CONNECTION_BAD)
	{
		close_remote(remote, lost_error(remote));
		return;
	}
	ccr_holding_note(&remote->holding);

	/* what is never asked anything can keep us busy for nothing */
	if (++remote->nnews > CCR_MANY_NEWS)
		close_remote(remote, too_much_error(remote));
	else
		(void) check_held(remote, CCR_SAID_IDLE);
}

static void
flush_script(CcrRemote *remote)
{
	int			rc = PQflush(remote->conn);

	remote->taken.dry = false;	/* it may have read */
	if (rc < 0)
	{
		/* the server may have said why before it hung up */
		(void) PQconsumeInput(remote->conn);
		drain_results(remote);
		if (remote->carrier.state == CCR_CARRIER_BUSY ||
			remote->carrier.state == CCR_CARRIER_CANCELLING)
			close_remote(remote, lost_error(remote));
		return;
	}
	remote->wants_write = (rc > 0);
	watch_socket(remote, false);
}

/*
 * What was read is taken.  Return true if it goes on, and there may be more to be
 * read at once.
 */
static bool
take_answer(CcrRemote *remote, bool ok, int64 used)
{
	int64		began = ccr_holding_time(&remote->holding);

	ccr_holding_read(&remote->holding);
	ccr_holding_note(&remote->holding);
	drain_results(remote);
	if (remote->conn == NULL || remote->carrier.state == CCR_CARRIER_IDLE || is_reading(remote) ||
		(remote->carrier.state == CCR_CARRIER_CANCELLING && remote->drained))
		return false;
	if (!ok)
	{
		close_remote(remote, lost_error(remote));
		return false;
	}
	take_notifications(remote);
	ccr_holding_note(&remote->holding);
	if (!check_held(remote, allowed_to_hold(remote)))
		return false;
	if (ccr_holding_in_vain(&remote->holding, used + ccr_holding_time(&remote->holding) - began))
	{
		close_remote(remote, too_much_error(remote));
		return false;
	}
	return (PQsslInUse(remote->conn) || PQgssEncInUse(remote->conn)) &&
		ccr_holding_hides_some(&remote->holding);
}

/*
 * Return false if it has to be read here.  True, too, if it has to wait for
 * others of its server to end, or was closed, as those never do.
 */
static bool
start_reading(CcrRemote *remote)
{
	const CcrScript *script = &remote->script;
	CcrOffloadStart started = ccr_offload_read(remote->conn, remote->reach->number,
											   ccr_script_awaits_body(script), &remote->reading);

	if (started != CCR_OFFLOAD_STARTED)
		PQsetNoticeReceiver(remote->conn, receive_notice, remote);
	if (started == CCR_OFFLOAD_REFUSED)
	{
		close_remote(remote, too_much_error(remote));
		return true;
	}
	if (started == CCR_OFFLOAD_FAILED)
		return false;
	ccr_socket_forget(&remote->socket);
	if (started == CCR_OFFLOAD_STARTED)
		ccr_socket_watch(&remote->reading_socket, ccr_offload_socket(remote->reading),
						 WL_SOCKET_READABLE, true);
	ccr_timer_set(&remote->reading_timer, ccr_after(ccr_now(), CCR_READING_PACE));
	return true;
}

static void
read_answer(CcrRemote *remote)
{
	bool		ok;
	int64		began;

	do
	{
		bool		heavy = ccr_holding_is_heavy(&remote->holding);

		ccr_holding_reading(&remote->holding);
		if (heavy && start_reading(remote))
			return;
		remote->taken.dry = false;
		began = ccr_holding_time(&remote->holding);
		ok = PQconsumeInput(remote->conn);
	} while (take_answer(remote, ok, ccr_holding_time(&remote->holding) - began));
}

/* Is there an answer to be read yet? */
static bool
is_answering(const CcrRemote *remote)
{
	return remote->carrier.state == CCR_CARRIER_BUSY ||
		(remote->carrier.state == CCR_CARRIER_CANCELLING && !remote->drained);
}

static void
step_busy(CcrRemote *remote, int events)
{
	if (events & WL_SOCKET_READABLE)
		read_answer(remote);
	if (!remote->wants_write || is_reading(remote) || !is_answering(remote))
		return;
	flush_script(remote);

	/* when it could not send, libpq has read, which the socket does not tell */
	if (is_answering(remote))
		drain_results(remote);
}

static void
start_cancel(CcrRemote *remote)
{
	remote->cancel = ccr_cancel_start(remote->conn);
	if (remote->cancel)
		watch_cancel(remote);
}

/* More than is allowed may have come before the reading has an end. */
static void
look_at_reading(void *arg)
{
	CcrRemote  *remote = arg;

	if (remote->reading == NULL)
	{
		if (PQsocket(remote->conn) >= 0)
			watch_socket(remote, true);
		if (is_answering(remote))
			read_answer(remote);
		return;
	}
	ccr_offload_lower(remote->reading);
	ccr_holding_note_reading(&remote->holding, ccr_offload_reads(remote->reading));
	if (check_held(remote, allowed_to_read(remote)))
		ccr_timer_set(&remote->reading_timer, ccr_after(ccr_now(), CCR_READING_PACE));
}

static void
step_reading(CcrRemote *remote)
{
	CcrOffloadResult *taken = &remote->taken;

	if (!ccr_offload_ended(remote->reading, taken))
		return;
	remote->at = 0;
	end_reading(remote);
	PQsetNoticeReceiver(remote->conn, receive_notice, remote);
	ccr_holding_pass(&remote->holding, taken->noticed);
	remote->fd = remote->holding.fd = PQsocket(remote->conn);
	if (remote->fd >= 0)
		watch_socket(remote, true);

	/* it may be read without end */
	if (remote->carrier.state == CCR_CARRIER_CANCELLING && !remote->cancel && !remote->cleaning)
		start_cancel(remote);
	if (take_answer(remote, taken->ok, taken->used))
		read_answer(remote);
	if (is_answering(remote) && !is_reading(remote) && remote->wants_write)
		flush_script(remote);
}

static void
step_cancel(CcrRemote *remote)
{
	if (!ccr_cancel_step(remote->cancel))
	{
		watch_cancel(remote);
		return;
	}
	end_cancel(remote);
	cancel_ended(remote);
}

static void
wait_for_cancel(CcrRemote *remote)
{
	CcrTime		again = ccr_after(ccr_now(), CCR_CANCEL_PAUSE);

	ccr_timer_set(&remote->deadline, Min(again, remote->give_up_at));
}

static void
remote_cancel(CcrCarrier *carrier)
{
	CcrRemote  *remote = (CcrRemote *) carrier;

	Assert(remote->carrier.state == CCR_CARRIER_BUSY);
	remote->carrier.state = CCR_CARRIER_CANCELLING;
	remote->drained = false;
	if (!remote->reading)
	{
		start_cancel(remote);
		if (remote->cancel == NULL)
		{
			close_remote(remote, lost_error(remote));
			return;
		}
	}
	remote->give_up_at = ccr_after(ccr_now(), CCR_CANCEL_GRACE);
	wait_for_cancel(remote);
}

/*
 * A server that is just between two commands of a pipeline takes no notice of
 * a cancel, and goes on to the next.
 */
static void
cancel_again(CcrRemote *remote)
{
	if (ccr_now() >= remote->give_up_at)
	{
		close_remote(remote, lost_error(remote));
		return;
	}
	if (remote->cancel == NULL && !remote->drained && !remote->cleaning && !remote->reading)
		start_cancel(remote);
	wait_for_cancel(remote);
}

static void
remote_step(CcrCarrier *carrier, int fd, int events)
{
	CcrRemote  *remote = (CcrRemote *) carrier;

	if (remote->carrier.state == CCR_CARRIER_CONNECTING)
	{
		ccr_attempt_step(&remote->attempt, fd);
		return;
	}
	if (fd == remote->reading_socket.fd)
	{
		step_reading(remote);
		return;
	}
	if (fd != remote->socket.fd)
	{
		if (remote->cancel)
			step_cancel(remote);
		return;
	}
	switch (remote->carrier.state)
	{
		case CCR_CARRIER_IDLE:
			step_idle(remote);
			break;
		case CCR_CARRIER_BUSY:
		case CCR_CARRIER_CANCELLING:
			if (!remote->drained || remote->carrier.state == CCR_CARRIER_BUSY)
				step_busy(remote, events);
			else
				step_idle(remote);
			break;
		case CCR_CARRIER_CONNECTING:
		case CCR_CARRIER_DEAD:
			break;
	}
}

static const CcrCarrierOps remote_ops = {
	.adopt = remote_adopt,
	.pooled = remote_pooled,
	.prepare = remote_prepare,
	.execute = remote_execute,
	.cancel = remote_cancel,
	.close = remote_close,
	.free = remote_free,
	.is_worn = remote_is_worn,
	.step = remote_step
};
