/*-------------------------------------------------------------------------
 *
 * remote.c
 *	  One connection to a foreign server, as a state machine.
 *
 * libpq is used in its non-blocking way throughout, rows are taken one at a
 * time (so a result is never held in whole by libpq), and connecting and
 * cancelling have deadlines.  What is sent is a script, which leaves the far
 * session as it was found; one that cannot be left so is closed.  How long a
 * query may take is for the callers to say, who leave, whereupon the owner
 * cancels.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "cancel.h"
#include "compat.h"
#include "libpq-fe.h"
#include "reader.h"
#include "remote.h"
#include "script.h"
#include "sockets.h"
#include "storage/fd.h"
#include "timer.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#define CCR_ERROR_LENGTH		4096	/* bytes of each part of an error */
#define CCR_CONNECT_TIMEOUT		10	/* s, without connect_timeout */
#define CCR_CONNECT_TIMEOUT_MAX	300 /* s, for what says: for ever */
#define CCR_CANCEL_GRACE		5000	/* ms from a cancel to the end */
#define CCR_CANCEL_PAUSE		200 /* ms until it is asked for again */
#define CCR_TIDYING_GRACE		5000	/* ms from an outcome to the script's end */

/*
 * Settings that the server reports, and that decide how values are read or who
 * reads them: if one is not as it was found, the reset has not done its work.
 */
static const char *const watched_settings[] = {
	"client_encoding", "DateStyle", "IntervalStyle",
	"standard_conforming_strings", "session_authorization"
};

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
	CcrSocket	socket;			/* of conn */
	CcrSocket	cancel_socket;	/* of cancel */
	bool		wants_write;
	bool		read_only;		/* EXECUTE: what it does is not kept */
	bool		skip_rows;		/* the owner wants no more of this result */
	int			skip_hosts;		/* entries that did not answer in time */
	CcrCancel  *cancel;			/* while CANCELLING, until it has ended */
	bool		drained;		/* while CANCELLING: the query has ended */
	CcrTime		give_up_at;		/* while CANCELLING, or while it: */
	bool		lacking;		/* waits for a descriptor */
	dlist_node	lacking_node;
	CcrTimer	deadline;		/* of CONNECTING or CANCELLING, or of BUSY once
								 * the outcome was told */
	MemoryContext op_context;	/* reset with every op: */
	CcrError   *error;			/* the first of the op */
	bool		fatal;			/* the session's end is to follow */
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

static dlist_head lacking = DLIST_STATIC_INIT(lacking);	/* longest first */

static const CcrCarrierOps remote_ops;

static void seek_and_connect(CcrRemote *remote);
static void start_connecting(CcrRemote *remote);
static void flush(CcrRemote *remote);
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
	ccr_socket_watch(&remote->socket, PQsocket(remote->conn), events, renewed);
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

static void
close_connection(CcrRemote *remote)
{
	ccr_timer_clear(&remote->deadline);
	end_cancel(remote);
	ccr_socket_forget(&remote->socket);
	if (remote->conn == NULL)
		return;
	PQfinish(remote->conn);
	remote->conn = NULL;
	ReleaseExternalFD();
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

	elog(DEBUG1, "notice from server \"%s\": %s", remote->reach->server,
		 PQresultErrorMessage(result));
}

static const char *
skip_entries(const char *list, int n)
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

static int
count_entries(const char *list)
{
	int			n = 1;

	for (; *list; list++)
		if (*list == ',')
			n++;
	return n;
}

static bool
is_entry(const char *list, int n, const char *value)
{
	const char *entry = skip_entries(list, n);
	size_t		length = strcspn(entry, ",");

	return value && strlen(value) == length && strncmp(entry, value, length) == 0;
}

static int
connect_timeout(const CcrReach *reach)
{
	for (int i = 0; i < reach->noptions; i++)
		if (strcmp(reach->keywords[i], "connect_timeout") == 0)
		{
			int			timeout = atoi(reach->values[i]);

			return timeout > 0 ? timeout : CCR_CONNECT_TIMEOUT_MAX;
		}
	return CCR_CONNECT_TIMEOUT;
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
		values[n++] = skip_entries(reach->hosts, remote->skip_hosts);
		keywords[n] = "hostaddr";
		values[n++] = skip_entries(reach->hostaddrs, remote->skip_hosts);
		keywords[n] = "port";
		values[n++] = count_entries(reach->ports) == 1 ? reach->ports :
			skip_entries(reach->ports, remote->skip_hosts);
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
	int			nports = count_entries(reach->ports);

	for (int i = remote->skip_hosts; i < count_entries(reach->hostaddrs); i++)
		if (is_entry(reach->hostaddrs, i, PQhostaddr(remote->conn)) &&
			(nports == 1 || is_entry(reach->ports, i, PQport(remote->conn))))
			return i;
	return remote->skip_hosts;
}

/* PQconnectPoll() has no deadline, so an address may never answer. */
static void
connecting_timed_out(CcrRemote *remote)
{
	char	   *message;
	CcrError   *error;

	if (remote->reach->hosts)
	{
		int			next = current_entry(remote) + 1;

		if (next < count_entries(remote->reach->hostaddrs))
		{
			remote->skip_hosts = next;
			close_connection(remote);
			seek_and_connect(remote);
			return;
		}
	}
	message = psprintf("could not connect to server \"%s\"", remote->reach->server);
	error = new_error(remote, ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION,
					  message, "The server did not answer in time.");
	pfree(message);
	close_remote(remote, error);
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
	PQsetNoticeReceiver(remote->conn, receive_notice, remote);
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
	remote->statements = hash_create("concresce statements", 32, &ctl,
									 HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	ccr_timer_init(&remote->deadline, deadline_passed, remote);
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
	remember_session(remote);
	remote->wants_write = false;
	remote->state = CCR_CARRIER_IDLE;
	watch_socket(remote, true);
	remote->calls->ready(remote->owner);
}

static void
step_connecting(CcrRemote *remote)
{
	PostgresPollingStatusType wants = PQconnectPoll(remote->conn);

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
	remote->op = op;
	remote->state = CCR_CARRIER_BUSY;
}

static void
send_script(CcrRemote *remote, bool ok)
{
	if (ok)
		flush(remote);
	else
		close_remote(remote, lost_error(remote));
}

/*
 * A round trip of its own: nothing else is to be done if it fails.  Behind a
 * pooler it would reach any session, and there no statement of ours is relied on.
 */
static bool
remote_adopt(CcrCarrier *carrier, Oid owner)
{
	CcrRemote  *remote = (CcrRemote *) carrier;
	bool		others = OidIsValid(remote->lookup_owner) && remote->lookup_owner != owner;

	remote->lookup_owner = owner;
	if (!others || remote->pooled)
		return false;
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

	start_op(remote, CCR_OP_EXECUTE);
	remote->read_only = query->source->resend;
	send_script(remote, start_script(remote) &&
				ccr_script_execute(&remote->script, remote->conn, query, remote->pooled,
								   remote->reset));
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
	if (remote->op == CCR_OP_EXECUTE)
		tell_outcome(remote);
	ccr_timer_clear(&remote->deadline);
	if (!is_as_found(remote))
	{
		close_remote(remote, new_error(remote, ERRCODE_CONNECTION_EXCEPTION,
									   "a lookup has left changes in its foreign session", NULL));
		return;
	}
	remote->state = CCR_CARRIER_IDLE;
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

static void
script_ended(CcrRemote *remote)
{
	if (!PQexitPipelineMode(remote->conn))
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
	}
	for (int i = 0; i < n; i++)
		remote->types[i] = PQftype(result, i);
	row.n = n;
	row.types = remote->types;
	row.values = remote->values;
	row.lengths = remote->lengths;
	return row;
}

static bool
hand_over_row(CcrRemote *remote, const PGresult *result)
{
	CcrRow		row = present(remote, result);

	for (int i = 0; i < row.n; i++)
	{
		remote->values[i] = PQgetvalue(result, 0, i);
		remote->lengths[i] = PQgetisnull(result, 0, i) ? -1 : PQgetlength(result, 0, i);
	}
	return remote->calls->row(remote->owner, &row);
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
	else if (!ccr_step_fits(step, result) || remote->answered)
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
	else if (status == PGRES_SINGLE_TUPLE)
	{
		if (!deaf && !remote->skip_rows)
			remote->skip_rows = !hand_over_row(remote, result);
		return remote->state != CCR_CARRIER_DEAD;
	}
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
	if (remote->op == CCR_OP_EXECUTE && !remote->fatal &&
		(remote->error || step == CCR_STEP_COMMIT ||
		 (step == CCR_STEP_BODY && remote->read_only)))
		tell_outcome(remote);

	/* it counts for the command that is now current, and for no other */
	if (remote->conn && !ccr_script_ended(script) &&
		ccr_script_step(script) == CCR_STEP_BODY &&
		PQpipelineStatus(remote->conn) == PQ_PIPELINE_ON &&
		!PQsetSingleRowMode(remote->conn))
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

/* Nothing was asked, yet something came: news, or the end. */
static void
step_idle(CcrRemote *remote)
{
	PGnotify   *notify;

	if (!PQconsumeInput(remote->conn) ||
		PQstatus(remote->conn) == CONNECTION_BAD)
	{
		close_remote(remote, lost_error(remote));
		return;
	}
	(void) PQisBusy(remote->conn);	/* lets libpq look at what came */
	while ((notify = PQnotifies(remote->conn)) != NULL)
		PQfreemem(notify);
	if (PQstatus(remote->conn) == CONNECTION_BAD)
		close_remote(remote, lost_error(remote));
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

static void
step_busy(CcrRemote *remote, int events)
{
	PGnotify   *notify;

	if (events & WL_SOCKET_READABLE)
	{
		bool		ok = PQconsumeInput(remote->conn);

		drain(remote);
		if (remote->conn == NULL || remote->state == CCR_CARRIER_IDLE ||
			(remote->state == CCR_CARRIER_CANCELLING && remote->drained))
			return;
		if (!ok)
		{
			close_remote(remote, lost_error(remote));
			return;
		}
		while ((notify = PQnotifies(remote->conn)) != NULL)
			PQfreemem(notify);
	}
	if (remote->wants_write && remote->conn)
		flush(remote);
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
	.step = remote_step
};
