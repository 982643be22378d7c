/*-------------------------------------------------------------------------
 *
 * attempt.c
 *	  Attempts to connect to a foreign server.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "collector/attempt.h"
#include "collector/far_error.h"
#include "collector/received.h"
#include "storage/fd.h"
#include "storage/latch.h"
#include "utils/memutils.h"

#define CCR_HANDSHAKE_PRIOR	20	/* ms until a step of it gives way: a password
								 * that is hashed 4096 times takes less */
#define CCR_LACKING_PACE	100 /* ms until a descriptor is sought again:
								 * threads that end do not tell */
#define CCR_SAID_EARLY	(1024 * 1024)	/* bytes that are said before it is
										 * connected */

static dlist_head lacking = DLIST_STATIC_INIT(lacking); /* longest first */
static dlist_head handshake_queue = DLIST_STATIC_INIT(handshake_queue);

static void start_connecting(CcrAttempt *attempt);
static void go_on_in_handshake_queue(void);

static void
watch_attempt(CcrAttempt *attempt)
{
	/* it may be another socket now, even under the same number */
	ccr_socket_watch(&attempt->socket, PQsocket(attempt->conn),
					 attempt->wants_write ? WL_SOCKET_WRITEABLE : WL_SOCKET_READABLE, true);
}

static void
stop_lacking(CcrAttempt *attempt)
{
	if (attempt->lacking)
		dlist_delete(&attempt->lacking_node);
	attempt->lacking = false;
}

/* Not at once, as somebody may be going through the links just now. */
static void
handshake_queue_moves(void *arg)
{
	go_on_in_handshake_queue();
}

static void
wake_handshake_queue(void)
{
	static CcrTimer timer = {0};

	if (dlist_is_empty(&handshake_queue))
		return;
	if (timer.fire == NULL)
		ccr_timer_init(&timer, handshake_queue_moves, NULL);
	ccr_timer_set(&timer, ccr_now());
}

/* There may be a descriptor for the attempt that has waited longest, or a thread. */
void
ccr_attempts_wake(void)
{
	wake_handshake_queue();
	if (!dlist_is_empty(&lacking))
		ccr_timer_set(&dlist_head_element(CcrAttempt, lacking_node, &lacking)->deadline,
					  ccr_now());
}

static void
close_attempt(CcrAttempt *attempt)
{
	ccr_timer_clear(&attempt->deadline);
	ccr_timer_clear(&attempt->handshake_timer);
	ccr_socket_forget(&attempt->socket);
	ccr_socket_forget(&attempt->handshake_socket);
	if (attempt->queued)
		dlist_delete(&attempt->queue_node);
	attempt->queued = false;
	if (attempt->conn == NULL)
		return;
	if (attempt->handshake)
	{
		ccr_offload_abandon(attempt->handshake);
		wake_handshake_queue();
	}
	else
	{
		PQfinish(attempt->conn);
		ReleaseExternalFD();
	}
	attempt->handshake = NULL;
	attempt->conn = NULL;
	ccr_attempts_wake();
}

void
ccr_attempt_abandon(CcrAttempt *attempt)
{
	stop_lacking(attempt);
	close_attempt(attempt);
}

static void
fail_attempt(CcrAttempt *attempt, const CcrError *error)
{
	ccr_attempt_abandon(attempt);
	attempt->calls->failed(attempt->owner, error);
}

static CcrError *
connecting_error(CcrAttempt *attempt)
{
	return ccr_far_error_connecting(attempt->context, attempt->conn, attempt->reach->server);
}

/* What must not go on, for a reason that is no answer of the server's. */
static void
refuse_connection(CcrAttempt *attempt, const char *detail)
{
	char	   *message = psprintf("could not connect to server \"%s\"", attempt->reach->server);
	CcrError   *error = ccr_far_error(attempt->context,
									  ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION,
									  message, detail);

	pfree(message);
	fail_attempt(attempt, error);
}

/* ------------------------------------------------------------- a descriptor */

static void
seek_and_connect(CcrAttempt *attempt)
{
	CcrTime		now = ccr_now();

	ccr_offload_reap();
	if (dlist_is_empty(&lacking) && AcquireExternalFD())
	{
		start_connecting(attempt);
		return;
	}

	/* not at once, as somebody may be going through the links just now */
	attempt->lacking = true;
	dlist_push_tail(&lacking, &attempt->lacking_node);
	attempt->give_up_at = ccr_after(now, 1000L * ccr_reach_timeout(attempt->reach));
	ccr_timer_set(&attempt->deadline, now);
}

/*
 * The limit of descriptors is reached: an idle connection makes room, whosever
 * it is, or else this one waits.
 */
static void
seek_descriptor(CcrAttempt *attempt)
{
	CcrTime		now = ccr_now();
	CcrError   *error;

	ccr_offload_reap();
	if (AcquireExternalFD() ||
		(attempt->calls->spare(attempt->owner) && AcquireExternalFD()))
	{
		stop_lacking(attempt);
		start_connecting(attempt);
		ccr_attempts_wake();
	}
	else if (now < attempt->give_up_at)
		ccr_timer_set(&attempt->deadline,
					  Min(attempt->give_up_at, ccr_after(now, CCR_LACKING_PACE)));
	else
	{
		error = ccr_far_error(attempt->context, ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION,
							  "could not open a connection to a foreign server",
							  "There are too many open files on the local server.");
		error->hint = "You may need to increase \"max_files_per_process\".";
		fail_attempt(attempt, error);
	}
}

/* In a thread, see offload.c. */
static void
ignore_notice(void *arg, const PGresult *result)
{
}

/* A descriptor has been acquired for it. */
static void
start_connecting(CcrAttempt *attempt)
{
	CcrTime		now = ccr_now();

	attempt->conn = ccr_reach_connect(attempt->reach, attempt->silent);
	if (attempt->conn == NULL || PQstatus(attempt->conn) == CONNECTION_BAD)
	{
		attempt->error = connecting_error(attempt);
		if (attempt->conn)
			PQfinish(attempt->conn);
		attempt->conn = NULL;
		ReleaseExternalFD();
		ccr_attempts_wake();
		ccr_timer_set(&attempt->deadline, now);
		return;
	}
	PQsetErrorVerbosity(attempt->conn, PQERRORS_VERBOSE);
	PQsetNoticeReceiver(attempt->conn, ignore_notice, NULL);
	attempt->entry = ccr_reach_entry(attempt->reach, attempt->silent, attempt->conn);
	attempt->wants_write = true;
	watch_attempt(attempt);
	ccr_timer_set(&attempt->deadline,
				  ccr_after(now, 1000L * ccr_reach_timeout(attempt->reach)));
}

/* PQconnectPoll() has no deadline, so an address may never answer. */
static void
connecting_timed_out(CcrAttempt *attempt)
{
	MemoryContext old;

	if (attempt->reach->hosts)
	{
		old = MemoryContextSwitchTo(attempt->context);
		attempt->silent = ccr_reach_silence(attempt->reach, attempt->silent, attempt->entry);
		MemoryContextSwitchTo(old);
	}
	if (attempt->reach->hosts && ccr_reach_any_left(attempt->reach, attempt->silent))
	{
		close_attempt(attempt);
		seek_and_connect(attempt);
		return;
	}
	refuse_connection(attempt, "The server did not answer in time.");
}

/* ---------------------------------------------------------------- handshakes */

/* It goes on, but not at the cost of those who are served. */
static void
handshake_takes_long(void *arg)
{
	CcrAttempt *attempt = arg;

	if (attempt->handshake)
		ccr_offload_lower(attempt->handshake);
}

/* One of PQconnectPoll()'s, in a thread. */
static void
take_step(CcrAttempt *attempt)
{
	attempt->entry = ccr_reach_entry(attempt->reach, attempt->silent, attempt->conn);

	/* libpq may close it, and open another one */
	ccr_socket_forget(&attempt->socket);
	switch (ccr_offload_connect(attempt->conn, attempt->reach->number,
								ccr_reach_peer(attempt->reach, attempt->entry),
								&attempt->handshake))
	{
		case CCR_OFFLOAD_STARTED:
			ccr_socket_watch(&attempt->handshake_socket,
							 ccr_offload_socket(attempt->handshake),
							 WL_SOCKET_READABLE, true);
			ccr_timer_set(&attempt->handshake_timer, ccr_after(ccr_now(), CCR_HANDSHAKE_PRIOR));
			break;
		case CCR_OFFLOAD_LATER:
			dlist_push_tail(&handshake_queue, &attempt->queue_node);
			attempt->queued = true;
			break;
		case CCR_OFFLOAD_REFUSED:
			refuse_connection(attempt, "An earlier attempt, which took too long, has not ended.");
			return;
		case CCR_OFFLOAD_FAILED:
			refuse_connection(attempt, "No thread could be started.");
			return;
	}
}

/* The first one whose server has a share left. */
static CcrAttempt *
first_in_handshake_queue(void)
{
	uint64		without_room = 0;
	dlist_iter	iter;

	dlist_foreach(iter, &handshake_queue)
	{
		CcrAttempt *attempt = dlist_container(CcrAttempt, queue_node, iter.cur);

		/* many of one server may stand there */
		if (attempt->reach->number == without_room)
			continue;
		if (ccr_offload_has_room(attempt->reach->number))
			return attempt;
		without_room = attempt->reach->number;
	}
	return NULL;
}

/* One that has ended may leave room for several, of several servers. */
static void
go_on_in_handshake_queue(void)
{
	CcrAttempt *next;

	while ((next = first_in_handshake_queue()) != NULL)
	{
		dlist_delete(&next->queue_node);
		next->queued = false;
		take_step(next);
	}
}

static void
step_connecting(CcrAttempt *attempt)
{
	if (!attempt->wants_write && ccr_socket_received(attempt->socket.fd) > CCR_SAID_EARLY)
		refuse_connection(attempt, "The server sent too much.");
	else
		take_step(attempt);
}

static void
end_connected(CcrAttempt *attempt)
{
	PGconn	   *conn = attempt->conn;

	ccr_timer_clear(&attempt->deadline);
	attempt->conn = NULL;
	attempt->calls->connected(attempt->owner, conn);
}

static void
step_handshake(CcrAttempt *attempt)
{
	CcrOffloadResult result;
	PostgresPollingStatusType wants;

	if (!ccr_offload_ended(attempt->handshake, &result))
		return;
	wants = result.wants;
	ccr_socket_forget(&attempt->handshake_socket);
	ccr_timer_clear(&attempt->handshake_timer);
	attempt->handshake = NULL;
	go_on_in_handshake_queue();

	attempt->wants_write = (wants == PGRES_POLLING_WRITING);
	if (wants == PGRES_POLLING_OK)
		end_connected(attempt);
	else if (wants == PGRES_POLLING_FAILED)
		fail_attempt(attempt, connecting_error(attempt));
	else
		/* the next host, or address, or attempt without TLS, has its own */
		watch_attempt(attempt);
}

/* ----------------------------------------------------------------------- ends */

static void
attempt_deadline_passed(void *arg)
{
	CcrAttempt *attempt = arg;

	if (attempt->lacking)
		seek_descriptor(attempt);
	else if (attempt->conn == NULL)
		fail_attempt(attempt, attempt->error);
	else
		connecting_timed_out(attempt);
}

void
ccr_attempt_begin(CcrAttempt *attempt, const CcrReach *reach,
				  const CcrAttemptCalls *calls, void *owner,
				  MemoryContext context)
{
	memset(attempt, 0, sizeof(CcrAttempt));
	attempt->reach = reach;
	attempt->calls = calls;
	attempt->owner = owner;
	attempt->context = context;
	ccr_socket_init(&attempt->socket, owner);
	ccr_socket_init(&attempt->handshake_socket, owner);
	ccr_timer_init(&attempt->deadline, attempt_deadline_passed, attempt);
	ccr_timer_init(&attempt->handshake_timer, handshake_takes_long, attempt);
	seek_and_connect(attempt);
}

void
ccr_attempt_step(CcrAttempt *attempt, int fd)
{
	if (attempt->queued)
		return;
	if (attempt->handshake)
		step_handshake(attempt);
	else if (fd == attempt->socket.fd)
		step_connecting(attempt);
}

bool
ccr_attempts_lack(void)
{
	return !dlist_is_empty(&lacking);
}
