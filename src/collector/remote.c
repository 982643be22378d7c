/*-------------------------------------------------------------------------
 *
 * remote.c
 *	  One connection to a foreign server, as a state machine.
 *
 * libpq is used in its non-blocking way throughout, rows are taken one at a
 * time, or some if they are small (so a result is never held in whole by libpq),
 * and connecting and
 * cancelling have deadlines.  What is sent is a script, which leaves the far
 * session as it was found; one that cannot be left so is closed.  How long a
 * query may take is for the callers to say, who leave, whereupon the owner
 * cancels.
 *
 * What libpq holds is what has come in, less what it has handed over.  From
 * the second time on that an operation finds something to read, the kernel is
 * asked how much has come in; so a small answer costs nothing more.  Holding
 * more than an answer may need ends the connection, and so does having come to
 * hold a lot, once it is idle.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <time.h>

#include "collector/budget.h"
#include "collector/cancel.h"
#include "collector/handshake.h"
#include "collector/received.h"
#include "collector/remote.h"
#include "collector/script.h"
#include "collector/sockets.h"
#include "collector/timer.h"
#include "common/hashfn.h"
#include "lib/ilist.h"
#include "libpq-fe.h"
#include "portability/instr_time.h"
#include "shared/compat.h"
#include "shared/reader.h"
#include "storage/fd.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#define CCR_ERROR_LENGTH		4096	/* bytes of each part of an error */
#define CCR_CONNECT_TIMEOUT		10	/* s, without connect_timeout */
#define CCR_CONNECT_TIMEOUT_MAX	300 /* s, for what says: for ever */
#define CCR_HANDSHAKE_PRIOR	20	/* ms until a step of it gives way: a password
								 * that is hashed 4096 times takes less */
#define CCR_CANCEL_GRACE		5000	/* ms from a cancel to the end */
#define CCR_CANCEL_PAUSE		200 /* ms until it is asked for again */
#define CCR_TIDYING_GRACE		5000	/* ms from an outcome to the script's
										 * end */

/* Bytes that libpq may hold ... */
#define CCR_SAID		(4 * 1024 * 1024)	/* ... of an answer but for its
											 * rows */
#define CCR_SAID_EARLY	(1024 * 1024)	/* ... of what is said before, or
										 * between batches */
#define CCR_KEPT		(8 * 1024 * 1024)	/* ... for good: its buffer,
											 * settings */
#define CCR_STRAY_OP	1024	/* ... of each operation, without being
								 * counted */
#define CCR_KEPT_SMALL	(64 * 1024) /* what is not looked at */

#define CCR_STRAY_OPS	8		/* operations after which strays are counted */
#define CCR_CHUNK		6144	/* bytes of rows that libpq may hold */
#define CCR_VAIN		(250 * 1000)	/* us of reading that bring no row */
#define CCR_LONG_IDLE	1000	/* us after which it may have been closed */
#define CCR_NEWS		16		/* reads of what an idle one has sent: a far
								 * side that never stops would hold up all
								 * others */

/*
 * Settings that the server reports, and that decide how values are read or who
 * reads them: if one is not as it was found, the reset has not done its work.
 */
static const char *const watched_settings[] = {
	"client_encoding", "DateStyle", "IntervalStyle",
	"standard_conforming_strings", "session_authorization"
};

#define CCR_MANY_NEWS	1000	/* readings of an idle connection until it is
								 * closed */

#define CCR_WATCHED		lengthof(watched_settings)

typedef struct CcrRemote
{
	CcrCarrier	carrier;
	CcrCarrierState state;
	CcrOp		op;				/* under way while BUSY, until its outcome was
								 * told */
	CcrScript	script;			/* what was sent for it */
	bool		answered;		/* the present step has had its result */
	bool		cleaning;		/* the script ends what a failed one left */
	bool		unclean;		/* the session is not to be used again */
	const CcrReach *reach;
	const CcrCarrierCalls *calls;
	void	   *owner;
	MemoryContext context;
	PGconn	   *conn;
	int			fd;				/* PQsocket(), or -1 */
	CcrSocket	socket;			/* it, unless a handshake has it */
	CcrSocket	handshake_socket;	/* of handshake */
	CcrSocket	cancel_socket;	/* of cancel */
	bool		wants_write;
	bool		read_only;		/* EXECUTE: what it does is not kept */
	int			chunk;			/* rows of the result that libpq may hold */
	bool		skip_rows;		/* the owner wants no more of this result */
	bool		typed;			/* types are those of this result */
	bool		tagged;			/* its last rows have brought the tag of its
								 * end */
	int			entry;			/* of the address list, that is being tried */
	Bitmapset  *silent;			/* entries that did not answer in time */
	CcrHandshake *handshake;	/* while CONNECTING: has the connection */
	CcrTimer	handshake_timer;	/* it computes for long */
	bool		queued;			/* for a handshake */
	dlist_node	queue_node;
	CcrCancel  *cancel;			/* while CANCELLING, until it has ended */
	bool		drained;		/* while CANCELLING: the query has ended */
	CcrTime		give_up_at;		/* while CANCELLING, or while it: */
	bool		lacking;		/* waits for a descriptor */
	dlist_node	lacking_node;
	CcrTimer	deadline;		/* of CONNECTING or CANCELLING, or of BUSY
								 * once the outcome was told */
	MemoryContext op_context;	/* reset with every op: */
	CcrError   *error;			/* the first of the op */
	bool		fatal;			/* the session's end is to follow */
	dlist_node	node;			/* of all that have a socket */
	uint64		passed;			/* bytes of rows and notices that libpq has
								 * handed over */
	bool		counted;		/* by the kernel: bytes received */
	uint64		uncounted;		/* bytes read, where it counts none */
	int64		waiting;		/* there, before a reading */
	int			nnews;			/* readings while it is IDLE */
	int			nreads;			/* of the op, or while idle */
	int64		before;			/* bytes received and not handed over, at the
								 * second of these */
	int64		added;			/* to these since */
	int64		peak;			/* most that libpq has had to hold of one op */
	int64		kept;			/* what it may never give back */
	int64		held;			/* what the budget knows of */
	uint64		last_received;	/* over TLS: by the last time it was drained */
	int			nquiet;			/* reads that found nothing since */
	int64		vain;			/* us of the op's reading since its last row */
	uint64		nops;
	uint64		nbroken;		/* of these, with an error within a chunk */
	instr_time	idle_since;
	char		statement[NAMEDATALEN]; /* these are being prepared, or "" */
	char		settings_statement[NAMEDATALEN];
	char		frame[NAMEDATALEN]; /* prefix of what is around bodies */
	HTAB	   *statements;		/* prepared ones, by name */
	Oid			lookup_owner;	/* of the lookups that it serves */
	bool		probed;			/* it is known whether it is: */
	bool		pooled;			/* served by changing processes */
	char	   *reset;			/* the last statement of a reset */
	char	   *found[CCR_WATCHED]; /* settings when it was new, or NULL */
	MemoryContext row_context;
	int			room;			/* for columns in these, which are in it: the
								 * row that is handed over */
	Oid		   *types;
	const char **values;
	int		   *lengths;
} CcrRemote;

static dlist_head lacking = DLIST_STATIC_INIT(lacking); /* longest first */

static dlist_head remotes = DLIST_STATIC_INIT(remotes);
static dlist_head handshake_queue = DLIST_STATIC_INIT(handshake_queue);

static const CcrCarrierOps remote_ops;

static void seek_and_connect(CcrRemote *remote);
static void start_connecting(CcrRemote *remote);
static void go_on_in_handshake_queue(void);
static void handshake_takes_long(void *arg);
static void close_remote(CcrRemote *remote, const CcrError *error);
static void step_idle(CcrRemote *remote);
static void flush(CcrRemote *remote);
static void drain(CcrRemote *remote);
static bool is_answering(const CcrRemote *remote);
static void cancel_ended(CcrRemote *remote);
static void cancel_again(CcrRemote *remote);

static CcrCarrierState
remote_state(const CcrCarrier *carrier)
{
	return ((const CcrRemote *) carrier)->state;
}

/* ----------------------------------------------------------------- errors */

/*
 * NULL, or a copy without the newline at its end; of bounded length, since
 * every caller of a batch gets one.
 */
static const char *
copied(const char *s)
{
	size_t		length;

	if (s == NULL || s[0] == '\0')
		return NULL;
	length = strlen(s);
	if (length <= CCR_ERROR_LENGTH)
		return pchomp(s);

	/* not within a character of UTF-8 */
	length = CCR_ERROR_LENGTH;
	while (length > 0 && (s[length] & 0xC0) == 0x80)
		length--;
	return pnstrdup(s, length);
}

static int
packed_sqlstate(const char *s)
{
	if (s == NULL || strlen(s) != 5 || strncmp(s, "00", 2) == 0)
		return ERRCODE_CONNECTION_FAILURE;
	for (int i = 0; i < 5; i++)
		if (!((s[i] >= '0' && s[i] <= '9') || (s[i] >= 'A' && s[i] <= 'Z')))
			return ERRCODE_PROTOCOL_VIOLATION;
	return MAKE_SQLSTATE(s[0], s[1], s[2], s[3], s[4]);
}

/* Errors live until the next op, or as long as their reader is called back. */
static CcrError *
new_error(CcrRemote *remote, int sqlstate, const char *message,
		  const char *detail)
{
	MemoryContext old = MemoryContextSwitchTo(remote->op_context);
	CcrError   *error = palloc0(sizeof(CcrError));

	error->sqlstate = sqlstate;
	error->message = copied(message);
	if (error->message == NULL)
		error->message = "foreign server reported no message";
	error->detail = copied(detail);
	error->author = CCR_TEXTS_OURS;
	MemoryContextSwitchTo(old);
	return error;
}

/*
 * Was what is prepared refused, before anything of it was executed?  A body may
 * raise the same SQLSTATEs, so it is the routine that tells.
 */
static bool
is_unexecuted(const PGresult *result)
{
	static const char *const routines[] = {
		"FetchPreparedStatement", "StorePreparedStatement", "RevalidateCachedQuery"
	};
	const char *routine = PQresultErrorField(result, PG_DIAG_SOURCE_FUNCTION);

	if (routine == NULL || PQresultErrorField(result, PG_DIAG_CONTEXT) != NULL)
		return false;
	for (size_t i = 0; i < lengthof(routines); i++)
		if (strcmp(routine, routines[i]) == 0)
			return true;
	return false;
}

/* The server's error, or libpq's own, which has no fields. */
static CcrError *
result_error(CcrRemote *remote, const PGresult *result)
{
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	CcrError   *error;
	MemoryContext old = MemoryContextSwitchTo(remote->op_context);

	if (message == NULL)
		message = copied(PQresultErrorMessage(result));
	error = new_error(remote,
					  packed_sqlstate(PQresultErrorField(result, PG_DIAG_SQLSTATE)),
					  message,
					  PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL));
	error->hint = copied(PQresultErrorField(result, PG_DIAG_MESSAGE_HINT));
	error->context = copied(PQresultErrorField(result, PG_DIAG_CONTEXT));
	error->author = CCR_TEXTS_FOREIGN;
	error->unexecuted = is_unexecuted(result);
	MemoryContextSwitchTo(old);
	return error;
}

/*
 * libpq gives no SQLSTATE for what goes wrong while connecting, but the
 * verbose form of the server's message holds it: "FATAL:  28P01: password
 * ...", with a line about the place in the source after it.  Cut both out.
 */
static int
cut_sqlstate(char *message)
{
	int			sqlstate = 0;
	char	   *p;

	for (p = strstr(message, ":  "); p; p = strstr(p + 1, ":  "))
	{
		char	   *code = p + 3;

		if (strspn(code, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 5 &&
			code[5] == ':' && code[6] == ' ')
		{
			code[5] = '\0';
			sqlstate = packed_sqlstate(code);
			memmove(code, code + 7, strlen(code + 7) + 1);
			break;
		}
	}
	if (sqlstate == 0)
		return 0;

	p = strrchr(message, '\n');
	if (p && p[1] == '\0')
	{
		*p = '\0';
		p = strrchr(message, '\n');
	}
	if (p && strstr(p, ".c:") != NULL)
		*p = '\0';
	return sqlstate;
}

static CcrError *
connect_error(CcrRemote *remote)
{
	CcrError   *error;
	char	   *detail;
	char	   *message;
	int			sqlstate;

	detail = MemoryContextStrdup(remote->op_context,
								 remote->conn ? PQerrorMessage(remote->conn) :
								 "out of memory");
	sqlstate = cut_sqlstate(detail);
	if (ERRCODE_TO_CATEGORY(sqlstate) != ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION)
		sqlstate = strstr(detail, "no password supplied") ?
			ERRCODE_INVALID_PASSWORD :
			ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION;
	message = psprintf("could not connect to server \"%s\"", remote->reach->server);
	error = new_error(remote, sqlstate, message, detail);
	pfree(message);
	return error;
}

static CcrError *
lost_error(CcrRemote *remote)
{
	const char *detail = PQerrorMessage(remote->conn);
	char	   *message;
	CcrError   *error;

	if (remote->error)
		detail = remote->error->message;
	message = psprintf("connection to server \"%s\" was lost", remote->reach->server);
	error = new_error(remote, ERRCODE_CONNECTION_FAILURE, message, detail);
	if (remote->error)
		error->author = CCR_TEXTS_FOREIGN;
	pfree(message);
	return error;
}

static CcrError *
too_much_error(CcrRemote *remote)
{
	char	   *message = psprintf("server \"%s\" sent too much", remote->reach->server);
	char	   *detail = psprintf("%lld bytes of it are no rows, or a part of one.",
								  (long long) Max(remote->held, remote->added));
	CcrError   *error = new_error(remote, ERRCODE_PROGRAM_LIMIT_EXCEEDED, message, detail);

	error->hint = "A row cannot be larger than \"concresce.shared_memory\", nor all that is held at a time than a fourth of \"concresce.collector_memory\".";
	pfree(message);
	pfree(detail);
	return error;
}

/* ----------------------------------------------------- what libpq holds */

static void
set_held(CcrRemote *remote, int64 held)
{
	held = Max(held, remote->kept);
	if (held != remote->held)
		ccr_budget_change(held - remote->held);
	remote->held = held;
}

/*
 * Bytes read and not handed over.  If they are few it does not matter that some
 * of them may not have been read yet.
 */
static int64
bytes_in(const CcrRemote *remote, bool exactly)
{
	uint64		received = ccr_socket_received(remote->fd);
	int64		n = received - remote->passed;

	if (received == 0)
		return remote->uncounted - remote->passed;
	if (exactly || n > CCR_KEPT_SMALL)
		n -= ccr_socket_unread(remote->fd);
	return n;
}

/* To be called before what came is read. */
static void
note_reading(CcrRemote *remote)
{
	remote->nreads++;
	if (remote->nreads < 2)
		return;
	if (remote->nreads == 2)
		remote->before = bytes_in(remote, true);
	if (!remote->counted)
		remote->waiting = ccr_socket_unread(remote->fd);
}

/*
 * To be called after that.  What has come to the socket meanwhile cannot be told
 * from what was left there: so it may have been more.
 */
static void
note_read(CcrRemote *remote)
{
	if (remote->nreads >= 2 && !remote->counted)
		remote->uncounted += Max(remote->waiting - ccr_socket_unread(remote->fd), 0);
}

/*
 * Of what has come to stay the larger part can only be settings of ever new
 * names.
 */
static void
note_strays(CcrRemote *remote, int64 bytes)
{
	int64		stray = bytes - (int64) (remote->nops * CCR_STRAY_OP);

	/* libpq has thrown away the rows that it held */
	stray -= remote->nbroken * CCR_CHUNK;

	/* records of TLS have headers */
	stray -= remote->passed / 64;
	if (stray > CCR_KEPT_SMALL)
		remote->kept = Max(remote->kept, stray);
}

/* What libpq holds more than before is what it has read and not handed over. */
static void
note_held(CcrRemote *remote)
{
	int64		bytes;

	if (remote->nreads < 2 || remote->conn == NULL)
		return;
	bytes = bytes_in(remote, false);
	remote->added = Max(bytes - remote->before, 0);
	remote->peak = Max(remote->peak, remote->added);
	note_strays(remote, bytes);
	set_held(remote, remote->added);
}

static CcrRemote *
greatest_holder(void)
{
	CcrRemote  *greatest = NULL;
	dlist_iter	iter;

	dlist_foreach(iter, &remotes)
	{
		CcrRemote  *remote = dlist_container(CcrRemote, node, iter.cur);

		if (greatest == NULL || remote->held > greatest->held)
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

		if (greatest == NULL || greatest->held <= CCR_BUDGET_SMALL)
			return;
		close_remote(greatest, too_much_error(greatest));
	}
}

/* False: it has been closed. */
static bool
check_held(CcrRemote *remote, int64 allowed)
{
	if (remote->added > allowed)
		close_remote(remote, too_much_error(remote));
	else
		keep_to_budget();
	return remote->conn != NULL;
}

/* Only rows are copied elsewhere; one of them may be all that there is room for. */
static int64
allowed_to_hold(const CcrRemote *remote)
{
	if (remote->op == CCR_OP_EXECUTE && !ccr_script_ended(&remote->script) &&
		ccr_script_step(&remote->script) == CCR_STEP_BODY)
		return ccr_budget_answer() + CCR_BUDGET_SMALL;
	return CCR_SAID;
}

/* The buffer of libpq grows by doubling, and never shrinks. */
static void
note_peak(CcrRemote *remote)
{
	if (remote->peak > CCR_KEPT_SMALL)
		remote->kept = Max(remote->kept, (int64) pg_nextpower2_64(remote->peak));
	remote->peak = 0;
	remote->added = 0;
	set_held(remote, 0);
}

static bool
remote_is_worn(const CcrCarrier *carrier)
{
	const CcrRemote *remote = (const CcrRemote *) carrier;

	return remote->kept > CCR_KEPT ||
		(remote->kept > CCR_KEPT_SMALL && ccr_budget_scarce());
}

/* Anything that is handed over by libpq, as it came: at least so many bytes. */
static void
note_passed(CcrRemote *remote, int64 bytes)
{
	remote->passed += bytes;
	remote->peak = Max(remote->peak, bytes);
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

	if (remote->wants_write && remote->state == CCR_CARRIER_CONNECTING)
		events = WL_SOCKET_WRITEABLE;
	else if (remote->wants_write)
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

static void
stop_lacking(CcrRemote *remote)
{
	if (remote->lacking)
		dlist_delete(&remote->lacking_node);
	remote->lacking = false;
}

/* There may be a descriptor for the one that has waited longest. */
static void
wake_lacking(void)
{
	if (!dlist_is_empty(&lacking))
		ccr_timer_set(&dlist_head_element(CcrRemote, lacking_node, &lacking)->deadline,
					  ccr_now());
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

static void
close_connection(CcrRemote *remote)
{
	ccr_timer_clear(&remote->deadline);
	ccr_timer_clear(&remote->handshake_timer);
	end_cancel(remote);
	ccr_socket_forget(&remote->socket);
	ccr_socket_forget(&remote->handshake_socket);
	remote->fd = -1;
	if (remote->queued)
		dlist_delete(&remote->queue_node);
	remote->queued = false;
	if (remote->conn == NULL)
		return;
	remote->kept = 0;
	set_held(remote, 0);
	dlist_delete(&remote->node);
	if (remote->handshake)
	{
		ccr_handshake_abandon(remote->handshake);
		wake_handshake_queue();
	}
	else
	{
		PQfinish(remote->conn);
		ReleaseExternalFD();
	}
	remote->handshake = NULL;
	remote->conn = NULL;
	wake_lacking();
}

static void
close_remote(CcrRemote *remote, const CcrError *error)
{
	CcrOp		op = remote->op;

	if (remote->state == CCR_CARRIER_DEAD)
		return;
	stop_lacking(remote);
	close_connection(remote);
	remote->state = CCR_CARRIER_DEAD;
	remote->op = CCR_OP_NONE;
	if (error)
		remote->calls->dead(remote->owner, op, error);
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
	MemoryContextDelete(remote->context);
}

/* Ignored, but for the log of who looks for trouble. */
static void
receive_notice(void *arg, const PGresult *result)
{
	CcrRemote  *remote = arg;

	remote->passed += field_length(result, PG_DIAG_MESSAGE_PRIMARY) +
		field_length(result, PG_DIAG_MESSAGE_DETAIL) +
		field_length(result, PG_DIAG_MESSAGE_HINT) +
		field_length(result, PG_DIAG_CONTEXT);
	elog(DEBUG1, "notice from server \"%s\": %s", remote->reach->server,
		 PQresultErrorMessage(result));
}

/* In a thread, see handshake.c. */
static void
ignore_notice(void *arg, const PGresult *result)
{
}

static int
count_entries(const char *list)
{
	int			n = 1;

	for (; *list; list++)
		if (*list == ',')
			n++;
	return n;
}

static const char *
nth_entry(const char *list, int n)
{
	while (n-- > 0)
	{
		list = strchr(list, ',');
		if (list == NULL)
			return "";
		list++;
	}
	return list;
}

static bool
is_entry(const char *list, int n, const char *value)
{
	const char *entry = nth_entry(list, n);
	size_t		length = strcspn(entry, ",");

	return value && strlen(value) == length && strncmp(entry, value, length) == 0;
}

/* The list without the entries that did not answer. */
static char *
remaining_entries(const CcrRemote *remote, const char *list)
{
	StringInfoData buf;
	const char *comma = "";

	initStringInfo(&buf);
	for (int i = 0; i < count_entries(list); i++)
	{
		const char *entry = nth_entry(list, i);

		if (bms_is_member(i, remote->silent))
			continue;
		appendStringInfo(&buf, "%s%.*s", comma, (int) strcspn(entry, ","), entry);
		comma = ",";
	}
	return buf.data;
}

static const char *
option_of(const CcrReach *reach, const char *keyword)
{
	for (int i = 0; i < reach->noptions; i++)
		if (strcmp(reach->keywords[i], keyword) == 0)
			return reach->values[i];
	return NULL;
}

static int
connect_timeout(const CcrReach *reach)
{
	const char *value = option_of(reach, "connect_timeout");
	int			timeout = value ? atoi(value) : CCR_CONNECT_TIMEOUT;

	return timeout > 0 ? timeout : CCR_CONNECT_TIMEOUT_MAX;
}

static PGconn *
start_connection(CcrRemote *remote)
{
	const CcrReach *reach = remote->reach;
	int			n = 0;
	const char **keywords = palloc((reach->noptions + 4) * sizeof(char *));
	const char **values = palloc((reach->noptions + 4) * sizeof(char *));
	PGconn	   *conn;

	for (int i = 0; i < reach->noptions; i++)
	{
		const char *keyword = reach->keywords[i];

		if (reach->hosts && (strcmp(keyword, "host") == 0 ||
							 strcmp(keyword, "hostaddr") == 0 ||
							 strcmp(keyword, "port") == 0))
			continue;
		keywords[n] = keyword;
		values[n++] = reach->values[i];
	}
	if (reach->hosts)
	{
		keywords[n] = "host";
		values[n++] = remaining_entries(remote, reach->hosts);
		keywords[n] = "hostaddr";
		values[n++] = remaining_entries(remote, reach->hostaddrs);
		keywords[n] = "port";
		values[n++] = count_entries(reach->ports) == 1 ? reach->ports :
			remaining_entries(remote, reach->ports);
	}
	keywords[n] = NULL;
	values[n] = NULL;
	conn = PQconnectStartParams(keywords, values, 0);
	pfree(keywords);
	pfree(values);
	return conn;
}

/* Which entry of the address list is being tried: the first, at worst. */
static int
current_entry(CcrRemote *remote)
{
	const CcrReach *reach = remote->reach;
	int			nports;
	int			first = -1;

	if (reach->hosts == NULL)
		return 0;
	nports = count_entries(reach->ports);
	for (int i = 0; i < count_entries(reach->hostaddrs); i++)
	{
		if (bms_is_member(i, remote->silent))
			continue;
		if (first < 0)
			first = i;
		if (is_entry(reach->hostaddrs, i, PQhostaddr(remote->conn)) &&
			(nports == 1 || is_entry(reach->ports, i, PQport(remote->conn))))
			return i;
	}
	return Max(first, 0);
}

/*
 * Leave out what did not answer; and what was tried before it, unless libpq
 * takes the hosts in an order of its own.
 */
static bool
any_entry_left(CcrRemote *remote)
{
	const char *order = option_of(remote->reach, "load_balance_hosts");
	int			n = count_entries(remote->reach->hostaddrs);
	bool		in_order = order == NULL || strcmp(order, "random") != 0;
	MemoryContext old = MemoryContextSwitchTo(remote->context);

	for (int i = in_order ? 0 : remote->entry; i <= remote->entry; i++)
		remote->silent = bms_add_member(remote->silent, i);
	MemoryContextSwitchTo(old);
	return bms_num_members(remote->silent) < n;
}

/* What must not go on, for a reason that is no answer of the server's. */
static void
refuse_connection(CcrRemote *remote, const char *detail)
{
	char	   *message = psprintf("could not connect to server \"%s\"", remote->reach->server);
	CcrError   *error = new_error(remote, ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION,
								  message, detail);

	pfree(message);
	close_remote(remote, error);
}

/* PQconnectPoll() has no deadline, so an address may never answer. */
static void
connecting_timed_out(CcrRemote *remote)
{
	if (remote->reach->hosts && any_entry_left(remote))
	{
		close_connection(remote);
		seek_and_connect(remote);
		return;
	}
	refuse_connection(remote, "The server did not answer in time.");
}

/*
 * The limit of descriptors is reached: an idle connection makes room, whosever
 * it is, or else this one waits.
 */
static void
seek_descriptor(CcrRemote *remote)
{
	CcrError   *error;

	if (AcquireExternalFD() ||
		(remote->calls->spare(remote->owner) && AcquireExternalFD()))
	{
		stop_lacking(remote);
		start_connecting(remote);
		wake_lacking();
	}
	else if (ccr_now() < remote->give_up_at)
		ccr_timer_set(&remote->deadline, remote->give_up_at);
	else
	{
		error = new_error(remote, ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION,
						  "could not open a connection to a foreign server",
						  "There are too many open files on the local server.");
		error->hint = "You may need to increase \"max_files_per_process\".";
		close_remote(remote, error);
	}
}

static void
deadline_passed(void *arg)
{
	CcrRemote  *remote = arg;

	if (remote->lacking)
		seek_descriptor(remote);
	else if (remote->state == CCR_CARRIER_CONNECTING && remote->conn == NULL)
		close_remote(remote, remote->error);
	else if (remote->state == CCR_CARRIER_CONNECTING)
		connecting_timed_out(remote);
	else if (remote->state == CCR_CARRIER_CANCELLING)
		cancel_again(remote);
	else if (remote->state == CCR_CARRIER_BUSY && remote->op == CCR_OP_NONE)
		close_remote(remote, lost_error(remote));
	else if (remote->state == CCR_CARRIER_BUSY)
		drain(remote);
}

static void
seek_and_connect(CcrRemote *remote)
{
	CcrTime		now = ccr_now();

	if (dlist_is_empty(&lacking) && AcquireExternalFD())
	{
		start_connecting(remote);
		return;
	}

	/* not at once, as somebody may be going through the links just now */
	remote->lacking = true;
	dlist_push_tail(&lacking, &remote->lacking_node);
	remote->give_up_at = ccr_after(now, 1000L * connect_timeout(remote->reach));
	ccr_timer_set(&remote->deadline, now);
}

/* A descriptor has been acquired for it. */
static void
start_connecting(CcrRemote *remote)
{
	CcrTime		now = ccr_now();

	remote->conn = start_connection(remote);
	if (remote->conn == NULL || PQstatus(remote->conn) == CONNECTION_BAD)
	{
		remote->error = connect_error(remote);
		if (remote->conn)
			PQfinish(remote->conn);
		remote->conn = NULL;
		ReleaseExternalFD();
		wake_lacking();
		ccr_timer_set(&remote->deadline, now);
		return;
	}
	PQsetErrorVerbosity(remote->conn, PQERRORS_VERBOSE);
	PQsetNoticeReceiver(remote->conn, ignore_notice, NULL);
	dlist_push_tail(&remotes, &remote->node);
	remote->entry = current_entry(remote);
	remote->wants_write = true;
	watch_socket(remote, true);
	ccr_timer_set(&remote->deadline,
				  ccr_after(now, 1000L * connect_timeout(remote->reach)));
}

CcrCarrier *
ccr_remote_open(const CcrReach *reach, const CcrCarrierCalls *calls,
				void *owner)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext,
												  "concresce connection",
												  ALLOCSET_SMALL_SIZES);
	CcrRemote  *remote = MemoryContextAllocZero(context, sizeof(CcrRemote));
	HASHCTL		ctl = {.keysize = NAMEDATALEN, .entrysize = NAMEDATALEN, .hcxt = context};

	remote->carrier.ops = &remote_ops;
	remote->state = CCR_CARRIER_CONNECTING;
	remote->reach = reach;
	remote->calls = calls;
	remote->owner = owner;
	remote->context = context;
	remote->op_context = AllocSetContextCreate(context, "concresce operation",
											   ALLOCSET_SMALL_SIZES);
	remote->row_context = AllocSetContextCreate(context, "concresce row",
												ALLOCSET_SMALL_SIZES);
	ccr_socket_init(&remote->socket, remote);
	ccr_socket_init(&remote->cancel_socket, remote);
	ccr_socket_init(&remote->handshake_socket, remote);
	remote->fd = -1;
	remote->statements = hash_create("concresce statements", 32, &ctl,
									 HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	ccr_timer_init(&remote->deadline, deadline_passed, remote);
	ccr_timer_init(&remote->handshake_timer, handshake_takes_long, remote);
	seek_and_connect(remote);
	return &remote->carrier;
}

/* What a new connection must fulfil; NULL if it does. */
static CcrError *
unfit(CcrRemote *remote)
{
	const char *strings = PQparameterStatus(remote->conn,
											"standard_conforming_strings");
	const char *intervals = PQparameterStatus(remote->conn, "IntervalStyle");
	CcrError   *error;

	if (remote->reach->password_required &&
		!PQconnectionUsedPassword(remote->conn))
	{
		error = new_error(remote, ERRCODE_S_R_E_PROHIBITED_SQL_STATEMENT_ATTEMPTED,
						  "password is required",
						  "Non-superusers may not use a server that does not ask for a password.");
		error->hint = "Change the foreign server's authentication method, or set password_required 'false' in the user mapping.";
		return error;
	}

	/* a body must mean the same there as where it was parsed */
	if (strings && strcmp(strings, "off") == 0)
	{
		error = new_error(remote, ERRCODE_FEATURE_NOT_SUPPORTED,
						  "foreign server has standard_conforming_strings off", NULL);
		error->hint = "Set it on for the foreign user: ALTER ROLE ... SET standard_conforming_strings = on.";
		return error;
	}

	/* signs of what comes as text would be read another way */
	if (intervals && strcmp(intervals, "sql_standard") == 0)
	{
		error = new_error(remote, ERRCODE_FEATURE_NOT_SUPPORTED,
						  "foreign server has IntervalStyle sql_standard", NULL);
		error->hint = "Change it for the foreign user: ALTER ROLE ... SET IntervalStyle = postgres.";
		return error;
	}
	return NULL;
}

/* A function sets them, so that this is the same statement as the one before. */
static void
remember_session(CcrRemote *remote)
{
	StringInfoData buf;
	MemoryContext old = MemoryContextSwitchTo(remote->context);

	initStringInfo(&buf);
	appendStringInfoString(&buf, "SELECT pg_catalog.pg_advisory_unlock_all()");
	for (size_t i = 0; i < CCR_WATCHED; i++)
	{
		const char *value = PQparameterStatus(remote->conn, watched_settings[i]);

		remote->found[i] = value ? pstrdup(value) : NULL;

		/* a pooler has set these two, and RESET ALL does not know of it */
		if (value && i < 2)
			appendStringInfo(&buf, ", pg_catalog.set_config(%s, %s, false)",
							 quote_literal_cstr(watched_settings[i]),
							 quote_literal_cstr(value));
	}
	remote->reset = buf.data;
	MemoryContextSwitchTo(old);
}

static bool
is_as_found(CcrRemote *remote)
{
	if (remote->unclean || PQtransactionStatus(remote->conn) != PQTRANS_IDLE)
		return false;
	for (size_t i = 0; i < CCR_WATCHED; i++)
	{
		const char *value = PQparameterStatus(remote->conn, watched_settings[i]);

		if (remote->found[i] && value && strcmp(remote->found[i], value) != 0)
			return false;
	}
	return true;
}

static void
set_idle(CcrRemote *remote)
{
	remote->state = CCR_CARRIER_IDLE;
	remote->nreads = 0;
	remote->nnews = 0;
	INSTR_TIME_SET_CURRENT(remote->idle_since);
}

static void
connected(CcrRemote *remote)
{
	CcrError   *error = unfit(remote);

	ccr_timer_clear(&remote->deadline);
	if (error == NULL && PQsetnonblocking(remote->conn, 1) != 0)
		error = connect_error(remote);
	if (error)
	{
		close_remote(remote, error);
		return;
	}
	PQsetErrorVerbosity(remote->conn, PQERRORS_DEFAULT);
	PQsetNoticeReceiver(remote->conn, receive_notice, remote);
	remember_session(remote);
	remote->wants_write = false;
	set_idle(remote);
	watch_socket(remote, true);
	remote->counted = ccr_socket_received(remote->fd) > 0;
	remote->calls->ready(remote->owner);
}

/* The far side as handshake.c knows it: an address of this reach. */
static uint64
peer_of(const CcrRemote *remote)
{
	const CcrReach *reach = remote->reach;
	uint64		hash = hash_bytes_extended((const unsigned char *) &reach, sizeof(reach), 0);

	if (reach->hosts)
	{
		const char *address = nth_entry(reach->hostaddrs, remote->entry);
		const char *port = nth_entry(reach->ports, count_entries(reach->ports) == 1 ?
									 0 : remote->entry);

		hash = hash_bytes_extended((const unsigned char *) address, strcspn(address, ","), hash);
		hash = hash_bytes_extended((const unsigned char *) port, strcspn(port, ","), hash);
	}
	return hash;
}

/* It goes on, but not at the cost of those who are served. */
static void
handshake_takes_long(void *arg)
{
	CcrRemote  *remote = arg;

	if (remote->handshake)
		ccr_handshake_lower(remote->handshake);
}

/* One of PQconnectPoll()'s, in a thread. */
static void
take_step(CcrRemote *remote)
{
	remote->entry = current_entry(remote);

	/* libpq may close it, and open another one */
	ccr_socket_forget(&remote->socket);
	switch (ccr_handshake_start(remote->conn, remote->reach->number, peer_of(remote),
								&remote->handshake))
	{
		case CCR_HANDSHAKE_STARTED:
			ccr_socket_watch(&remote->handshake_socket,
							 ccr_handshake_socket(remote->handshake),
							 WL_SOCKET_READABLE, true);
			ccr_timer_set(&remote->handshake_timer, ccr_after(ccr_now(), CCR_HANDSHAKE_PRIOR));
			break;
		case CCR_HANDSHAKE_LATER:
			dlist_push_tail(&handshake_queue, &remote->queue_node);
			remote->queued = true;
			break;
		case CCR_HANDSHAKE_REFUSED:
			refuse_connection(remote, "An earlier attempt, which took too long, has not ended.");
			return;
		case CCR_HANDSHAKE_FAILED:
			refuse_connection(remote, "No thread could be started.");
			return;
	}
}

/* The first one whose server has a share left. */
static CcrRemote *
first_in_handshake_queue(void)
{
	uint64		without_room = 0;
	dlist_iter	iter;

	dlist_foreach(iter, &handshake_queue)
	{
		CcrRemote  *remote = dlist_container(CcrRemote, queue_node, iter.cur);

		/* many of one server may stand there */
		if (remote->reach->number == without_room)
			continue;
		if (ccr_handshake_has_room(remote->reach->number))
			return remote;
		without_room = remote->reach->number;
	}
	return NULL;
}

/* One that has ended may leave room for several, of several servers. */
static void
go_on_in_handshake_queue(void)
{
	CcrRemote  *next;

	while ((next = first_in_handshake_queue()) != NULL)
	{
		dlist_delete(&next->queue_node);
		next->queued = false;
		take_step(next);
	}
}

static void
step_connecting(CcrRemote *remote)
{
	if (!remote->wants_write && ccr_socket_received(remote->fd) > CCR_SAID_EARLY)
		refuse_connection(remote, "The server sent too much.");
	else
		take_step(remote);
}

static void
step_handshake(CcrRemote *remote)
{
	PostgresPollingStatusType wants;

	if (!ccr_handshake_ended(remote->handshake, &wants))
		return;
	ccr_socket_forget(&remote->handshake_socket);
	ccr_timer_clear(&remote->handshake_timer);
	remote->handshake = NULL;
	go_on_in_handshake_queue();

	remote->wants_write = (wants == PGRES_POLLING_WRITING);
	if (wants == PGRES_POLLING_OK)
		connected(remote);
	else if (wants == PGRES_POLLING_FAILED)
		close_remote(remote, connect_error(remote));
	else
		/* the next host, or address, or attempt without TLS, has its own */
		watch_socket(remote, true);
}

/* -------------------------------------------------------------- operations */

static void
empty_statements(CcrRemote *remote)
{
	HASH_SEQ_STATUS status;
	char	   *name;

	hash_seq_init(&status, remote->statements);
	while ((name = hash_seq_search(&status)) != NULL)
		hash_search(remote->statements, name, HASH_REMOVE, NULL);
}

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
	for (int i = 0; i < CCR_NEWS && remote->state == CCR_CARRIER_IDLE &&
		 !ccr_socket_is_silent(remote->fd); i++)
		step_idle(remote);
	return remote->state == CCR_CARRIER_IDLE;
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
	Assert(remote->state == CCR_CARRIER_IDLE);
	MemoryContextReset(remote->op_context);
	remote->error = NULL;
	remote->fatal = false;
	remote->skip_rows = false;
	remote->typed = remote->tagged = false;
	remote->nreads = 0;
	remote->vain = 0;
	remote->nops++;
	remote->op = op;
	remote->state = CCR_CARRIER_BUSY;
}

/* If libpq took not even all of the body, nothing of it can be executed. */
static void
send_script(CcrRemote *remote, bool ok)
{
	const CcrScript *script = &remote->script;

	if (ok)
	{
		flush(remote);

		/*
		 * When libpq cannot send it reads, also while a script is made, and
		 * the socket does not tell of what it has read.
		 */
		if (remote->conn && is_answering(remote) && !PQisBusy(remote->conn))
			ccr_timer_set(&remote->deadline, ccr_now());
		return;
	}
	if (remote->op == CCR_OP_EXECUTE &&
		(script->n == 0 || script->steps[script->n - 1] <= CCR_STEP_BODY))
		remote->op = CCR_OP_PREPARE;
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
	empty_statements(remote);
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
	bool		known = hash_search(remote->statements, statement, HASH_FIND, NULL) != NULL;

	strlcpy(name, known ? "" : statement, NAMEDATALEN);
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
		ok = ccr_script_prepare_frame(script, conn, query->prefix, remote->reset);
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
								   remote->pooled || !remote->probed, remote->reset));
}

static bool
remote_knows(CcrCarrier *carrier, const char *statement)
{
	return hash_search(((CcrRemote *) carrier)->statements, statement, HASH_FIND, NULL) != NULL;
}

static int
remote_statements(const CcrCarrier *carrier)
{
	return hash_get_num_entries(((const CcrRemote *) carrier)->statements);
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
		ccr_script_roll_back(&remote->script, remote->conn, remote->reset);

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
		hash_search(remote->statements, name, HASH_ENTER, NULL);
}

/*
 * The far side will do no more of it.  What is left of the script has a
 * deadline, as nobody waits for that who could leave.
 */
static void
tell_outcome(CcrRemote *remote)
{
	CcrOp		op = remote->op;

	if (op == CCR_OP_NONE || remote->state == CCR_CARRIER_CANCELLING)
		return;
	remote->op = CCR_OP_NONE;
	if (remote->state == CCR_CARRIER_BUSY)
		ccr_timer_set(&remote->deadline,
					  ccr_after(ccr_now(), CCR_TIDYING_GRACE));
	remote->calls->done(remote->owner, op, remote->error);
}

static void
become_idle(CcrRemote *remote)
{
	/* the far side may have done it, or not: what is fatal is no outcome */
	if (remote->op == CCR_OP_EXECUTE && remote->fatal)
	{
		close_remote(remote, lost_error(remote));
		return;
	}

	/* what was refused has an outcome, whatever becomes of the connection */
	if (remote->op == CCR_OP_EXECUTE || (remote->error && !remote->fatal && !is_as_found(remote)))
		tell_outcome(remote);
	ccr_timer_clear(&remote->deadline);
	if (!is_as_found(remote))
	{
		close_remote(remote, remote->unclean && remote->error ? remote->error :
					 new_error(remote, ERRCODE_CONNECTION_EXCEPTION,
							   "a lookup has left changes in its foreign session", NULL));
		return;
	}
	if (remote->nops % CCR_STRAY_OPS == 0)
		note_strays(remote, bytes_in(remote, true));
	note_peak(remote);
	set_idle(remote);
	if (remote->op == CCR_OP_NONE)
	{
		remote->calls->ready(remote->owner);
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
	remote->op = CCR_OP_NONE;
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
	else if (remote->state == CCR_CARRIER_CANCELLING)
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
present(CcrRemote *remote, const PGresult *result)
{
	int			n = PQnfields(result);
	CcrRow		row;

	if (n > remote->room)
	{
		MemoryContextReset(remote->row_context);
		remote->room = 0;
		remote->types = MemoryContextAlloc(remote->row_context, n * sizeof(Oid));
		remote->values = MemoryContextAlloc(remote->row_context, n * sizeof(char *));
		remote->lengths = MemoryContextAlloc(remote->row_context, n * sizeof(int));
		remote->room = n;
		remote->typed = false;
	}
	for (int i = 0; i < n && !remote->typed; i++)
		remote->types[i] = PQftype(result, i);
	remote->typed = PQresultStatus(result) == PGRES_SINGLE_TUPLE;
	row.n = n;
	row.types = remote->types;
	row.values = remote->values;
	row.lengths = remote->lengths;
	return row;
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
		remote->values[i] = PQgetvalue(result, tuple, i);
		remote->lengths[i] = length == 0 && PQgetisnull(result, tuple, i) ? -1 : length;
	}
	note_passed(remote, size);
	return remote->calls->row(remote->owner, row);
}

static void
hand_over_rows(CcrRemote *remote, const PGresult *result)
{
	CcrRow		row = present(remote, result);

	for (int i = 0; i < PQntuples(result); i++)
	{
		if (remote->state == CCR_CARRIER_DEAD)
			return;
		if (!remote->skip_rows)
			remote->skip_rows = !hand_over_row(remote, result, i, &row);
		else
			note_passed(remote, row_size(result, i));
	}
}

static void
hand_over_description(CcrRemote *remote, const PGresult *result)
{
	CcrRow		row = present(remote, result);

	remote->calls->described(remote->owner, &row);
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
		remote->nbroken++;
	if (remote->error == NULL)
		remote->error = result_error(remote, result);
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
fits(const CcrRemote *remote, CcrStep step, const PGresult *result)
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
	bool		deaf = remote->state == CCR_CARRIER_CANCELLING || remote->error;

	if (status == PGRES_FATAL_ERROR)
		take_error(remote, result);
	else if (status == PGRES_PIPELINE_ABORTED)
		 /* its error has been seen */ ;
	else if (!fits(remote, step, result) || remote->answered)
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
		return remote->state != CCR_CARRIER_DEAD;
	}
	if (PQnfields(result) > 0)
		note_passed(remote, description_size(result));
	remote->answered = true;
	return remote->state != CCR_CARRIER_DEAD;
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
	if (remote->op == CCR_OP_EXECUTE && !remote->fatal &&
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

/* Take what has come in, until libpq would have to wait for more. */
static void
drain(CcrRemote *remote)
{
	int			blanks = 0;

	while (remote->conn && !ccr_script_ended(&remote->script) && !PQisBusy(remote->conn))
	{
		PGresult   *result = PQgetResult(remote->conn);
		bool		sync = PQresultStatus(result) == PGRES_PIPELINE_SYNC;

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
		else if (result == NULL && ++blanks > 2)
			return;
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
		remote->passed += 11 + strlen(notify->relname) + strlen(notify->extra);
		PQfreemem(notify);
	}
}

/* Nothing was asked, yet something came: news, or the end. */
static void
step_idle(CcrRemote *remote)
{
	/* counted from the first time on: it is rare */
	remote->nreads = Max(remote->nreads, 1);
	note_reading(remote);
	if (!PQconsumeInput(remote->conn) ||
		PQstatus(remote->conn) == CONNECTION_BAD)
	{
		close_remote(remote, lost_error(remote));
		return;
	}
	note_read(remote);
	(void) PQisBusy(remote->conn);	/* lets libpq look at what came */
	take_notifications(remote);
	if (PQstatus(remote->conn) == CONNECTION_BAD)
	{
		close_remote(remote, lost_error(remote));
		return;
	}
	note_held(remote);

	/* what is never asked anything can keep us busy for nothing */
	if (++remote->nnews > CCR_MANY_NEWS)
		close_remote(remote, too_much_error(remote));
	else
		(void) check_held(remote, CCR_SAID_EARLY);
}

static void
flush(CcrRemote *remote)
{
	int			rc = PQflush(remote->conn);

	if (rc < 0)
	{
		/* the server may have said why before it hung up */
		(void) PQconsumeInput(remote->conn);
		drain(remote);
		if (remote->state == CCR_CARRIER_BUSY ||
			remote->state == CCR_CARRIER_CANCELLING)
			close_remote(remote, lost_error(remote));
		return;
	}
	remote->wants_write = (rc > 0);
	watch_socket(remote, false);
}

/*
 * TLS and GSSAPI take whole records from the socket, of up to 16 kB, and libpq
 * as much of one as it has room for, at least 8 kB.  What is left is not to be
 * seen at the socket.  When nothing has come to it while libpq has read twice,
 * nothing is left.
 */
static bool
may_hold_more(CcrRemote *remote)
{
	uint64		received;

	if (!PQsslInUse(remote->conn) && !PQgssEncInUse(remote->conn))
		return false;
	if (ccr_socket_unread(remote->fd) > 0)
		return false;			/* the socket says so again */
	received = ccr_socket_received(remote->fd);
	if (received != remote->last_received)
		remote->nquiet = 0;
	else
		remote->nquiet++;
	remote->last_received = received;
	return remote->nquiet < 2;
}

/* Of the processor: others may have had it meanwhile. */
static int64
time_used(void)
{
	struct timespec now;

	(void) clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return now.tv_sec * INT64CONST(1000000) + now.tv_nsec / 1000;
}

/*
 * libpq looks each setting up in a list of all names that it was told, so the
 * names cost more and more.  Reading the longest row takes less than this.
 */
static bool
check_time(CcrRemote *remote, uint64 passed, int64 began)
{
	if (remote->passed != passed)
		remote->vain = 0;
	else if (began > 0)
		remote->vain += time_used() - began;
	if (remote->vain < CCR_VAIN + (int64) (ccr_budget_answer() / 256))
		return true;
	close_remote(remote, too_much_error(remote));
	return false;
}

/* True: it goes on, but there may be more to be read at once. */
static bool
read_answer(CcrRemote *remote)
{
	uint64		passed = remote->passed;
	int64		began = remote->nreads >= 2 ? time_used() : 0;
	bool		ok;

	note_reading(remote);
	ok = PQconsumeInput(remote->conn);
	note_read(remote);
	note_held(remote);
	drain(remote);
	if (remote->conn == NULL || remote->state == CCR_CARRIER_IDLE ||
		(remote->state == CCR_CARRIER_CANCELLING && remote->drained))
		return false;
	if (!ok)
	{
		close_remote(remote, lost_error(remote));
		return false;
	}
	take_notifications(remote);
	note_held(remote);
	return check_held(remote, allowed_to_hold(remote)) &&
		check_time(remote, passed, began) && may_hold_more(remote);
}

/* Is there an answer to be read yet? */
static bool
is_answering(const CcrRemote *remote)
{
	return remote->state == CCR_CARRIER_BUSY ||
		(remote->state == CCR_CARRIER_CANCELLING && !remote->drained);
}

static void
step_busy(CcrRemote *remote, int events)
{
	if (events & WL_SOCKET_READABLE)
		while (read_answer(remote))
			;
	if (!remote->wants_write || !is_answering(remote))
		return;
	flush(remote);

	/* when it could not send, libpq has read, which the socket does not tell */
	if (is_answering(remote))
		drain(remote);
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

	Assert(remote->state == CCR_CARRIER_BUSY);
	remote->state = CCR_CARRIER_CANCELLING;
	remote->drained = false;
	remote->cancel = ccr_cancel_start(remote->conn);
	if (remote->cancel == NULL)
	{
		close_remote(remote, lost_error(remote));
		return;
	}
	watch_cancel(remote);
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
	if (remote->cancel == NULL && !remote->drained && !remote->cleaning)
	{
		remote->cancel = ccr_cancel_start(remote->conn);
		if (remote->cancel)
			watch_cancel(remote);
	}
	wait_for_cancel(remote);
}

static void
remote_step(CcrCarrier *carrier, int fd, int events)
{
	CcrRemote  *remote = (CcrRemote *) carrier;

	if (remote->queued)
		return;
	if (remote->handshake)
	{
		step_handshake(remote);
		return;
	}
	if (fd != remote->socket.fd)
	{
		if (remote->cancel)
			step_cancel(remote);
		return;
	}
	switch (remote->state)
	{
		case CCR_CARRIER_CONNECTING:
			step_connecting(remote);
			break;
		case CCR_CARRIER_IDLE:
			step_idle(remote);
			break;
		case CCR_CARRIER_BUSY:
		case CCR_CARRIER_CANCELLING:
			if (!remote->drained || remote->state == CCR_CARRIER_BUSY)
				step_busy(remote, events);
			else
				step_idle(remote);
			break;
		case CCR_CARRIER_DEAD:
			break;
	}
}

bool
ccr_remotes_lack(void)
{
	return !dlist_is_empty(&lacking);
}

static const CcrCarrierOps remote_ops = {
	.state = remote_state,
	.adopt = remote_adopt,
	.pooled = remote_pooled,
	.prepare = remote_prepare,
	.execute = remote_execute,
	.cancel = remote_cancel,
	.close = remote_close,
	.free = remote_free,
	.knows = remote_knows,
	.statements = remote_statements,
	.is_worn = remote_is_worn,
	.step = remote_step
};
