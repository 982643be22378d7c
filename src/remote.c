/*-------------------------------------------------------------------------
 *
 * remote.c
 *	  One connection to a foreign server, as a state machine.
 *
 * libpq is used in its non-blocking way throughout, rows are taken one at a
 * time (so a result is never held in whole by libpq), and connecting and
 * cancelling have deadlines.  How long a query may take is for the callers to
 * say, who leave, whereupon the owner cancels.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "cancel.h"
#include "compat.h"
#include "libpq-fe.h"
#include "remote.h"
#include "storage/fd.h"
#include "timer.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define CCR_ERROR_LENGTH		4096	/* bytes of each part of an error */
#define CCR_CONNECT_TIMEOUT		10	/* s, without connect_timeout */
#define CCR_CONNECT_TIMEOUT_MAX	300 /* s, for what says: for ever */
#define CCR_CANCEL_GRACE		5000	/* ms from a cancel to the end */

typedef struct CcrRemote
{
	CcrCarrier	carrier;
	CcrCarrierState state;
	CcrOp op;				/* under way while BUSY */
	const CcrReach *reach;
	const CcrCarrierCalls *calls;
	void	   *owner;
	MemoryContext context;
	PGconn	   *conn;
	int			fd;				/* PQsocket(), or -1 */
	bool		wants_write;
	bool		skip_rows;		/* the owner wants no more of this result */
	int			skip_hosts;		/* entries that did not answer in time */
	CcrCancel  *cancel;			/* while CANCELLING, until it has ended */
	bool		drained;		/* while CANCELLING: the query has ended */
	CcrTimer	deadline;		/* of CONNECTING or CANCELLING */
	MemoryContext op_context;	/* reset with every op: */
	CcrError   *error;			/* the first of the op */
	char		statement[NAMEDATALEN]; /* being prepared */
	HTAB	   *statements;		/* prepared ones, by name */
	int			room;			/* for columns in these: the row that is
								 * handed over */
	Oid		   *types;
	const char **values;
	int		   *lengths;
} CcrRemote;

bool		ccr_sockets_changed = false;

static const CcrCarrierOps remote_ops;

static void start_connecting(CcrRemote *remote);
static void flush(CcrRemote *remote);

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

static void
set_socket(CcrRemote *remote, int fd)
{
	/* even the same number may be another socket now */
	remote->fd = fd;
	ccr_sockets_changed = true;
}

static void
close_connection(CcrRemote *remote)
{
	ccr_timer_clear(&remote->deadline);
	if (remote->cancel)
		ccr_cancel_free(remote->cancel);
	remote->cancel = NULL;
	if (remote->conn)
	{
		PQfinish(remote->conn);
		ReleaseExternalFD();
	}
	remote->conn = NULL;
	set_socket(remote, -1);
}

static void
close_remote(CcrRemote *remote, const CcrError *error)
{
	CcrOp op = remote->op;

	if (remote->state == CCR_CARRIER_DEAD)
		return;
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
			start_connecting(remote);
			return;
		}
	}
	message = psprintf("could not connect to server \"%s\"", remote->reach->server);
	error = new_error(remote, ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION,
					  message, "The server did not answer in time.");
	pfree(message);
	close_remote(remote, error);
}

static void
deadline_passed(void *arg)
{
	CcrRemote  *remote = arg;

	if (remote->state == CCR_CARRIER_CONNECTING && remote->conn == NULL)
		close_remote(remote, remote->error);
	else if (remote->state == CCR_CARRIER_CONNECTING)
		connecting_timed_out(remote);
	else if (remote->state == CCR_CARRIER_CANCELLING)
		close_remote(remote, lost_error(remote));
}

static void
start_connecting(CcrRemote *remote)
{
	TimestampTz now = GetCurrentTimestamp();

	if (!AcquireExternalFD())
	{
		remote->error = new_error(remote, ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION,
								  "could not open a connection to a foreign server",
								  "There are too many open files on the local server.");
		ccr_timer_set(&remote->deadline, now);
		return;
	}
	remote->conn = start_connection(remote);
	if (remote->conn == NULL || PQstatus(remote->conn) == CONNECTION_BAD)
	{
		remote->error = connect_error(remote);
		if (remote->conn)
			PQfinish(remote->conn);
		remote->conn = NULL;
		ReleaseExternalFD();
		ccr_timer_set(&remote->deadline, now);
		return;
	}
	PQsetErrorVerbosity(remote->conn, PQERRORS_VERBOSE);
	PQsetNoticeReceiver(remote->conn, receive_notice, remote);
	set_socket(remote, PQsocket(remote->conn));
	remote->wants_write = true;
	ccr_timer_set(&remote->deadline,
				  TimestampTzPlusMilliseconds(now, 1000L * connect_timeout(remote->reach)));
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
	remote->fd = -1;
	remote->statements = hash_create("concresce statements", 32, &ctl,
									 HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	ccr_timer_init(&remote->deadline, deadline_passed, remote);
	start_connecting(remote);
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
	remote->wants_write = false;
	remote->state = CCR_CARRIER_IDLE;
	remote->calls->ready(remote->owner);
}

static void
step_connecting(CcrRemote *remote)
{
	PostgresPollingStatusType wants = PQconnectPoll(remote->conn);

	/*
	 * The next host or address, or another attempt without TLS, has a socket
	 * of its own, be it under the same number.  It starts with a wish to write.
	 */
	if (PQsocket(remote->conn) != remote->fd || wants == PGRES_POLLING_WRITING)
		set_socket(remote, PQsocket(remote->conn));

	remote->wants_write = (wants == PGRES_POLLING_WRITING);
	if (wants == PGRES_POLLING_OK)
		connected(remote);
	else if (wants == PGRES_POLLING_FAILED)
		close_remote(remote, connect_error(remote));
}

/* -------------------------------------------------------------- operations */

static void
start_op(CcrRemote *remote, CcrOp op)
{
	Assert(remote->state == CCR_CARRIER_IDLE);
	MemoryContextReset(remote->op_context);
	remote->error = NULL;
	remote->skip_rows = false;
	remote->op = op;
	remote->state = CCR_CARRIER_BUSY;
}

/*
 * Preparing and describing go in one round trip, which also keeps them in one
 * transaction of a pooler.
 */
static void
remote_prepare(CcrCarrier *carrier, const CcrQuery *query, bool describe)
{
	CcrRemote  *remote = (CcrRemote *) carrier;
	const char *statement = query->statement;
	const CcrParams *params = query->params;
	bool		ok;

	start_op(remote, describe ? CCR_OP_DESCRIBE : CCR_OP_PREPARE);
	strlcpy(remote->statement, statement, NAMEDATALEN);
	if (describe)
		ok = PQenterPipelineMode(remote->conn) &&
			PQsendPrepare(remote->conn, statement, query->sql, params->n, params->types) &&
			PQsendDescribePrepared(remote->conn, statement) &&
			PQpipelineSync(remote->conn);
	else
		ok = PQsendPrepare(remote->conn, statement, query->sql, params->n, params->types);
	if (ok)
		flush(remote);
	else
		close_remote(remote, lost_error(remote));
}

static void
remote_execute(CcrCarrier *carrier, const CcrQuery *query)
{
	CcrRemote  *remote = (CcrRemote *) carrier;
	const CcrParams *params = query->params;
	static int *formats = NULL;
	static int	nformats = 0;
	bool		ok;

	if (params->n > nformats)
	{
		nformats = Max(params->n, FUNC_MAX_ARGS);
		if (formats == NULL)
			formats = MemoryContextAlloc(TopMemoryContext, nformats * sizeof(int));
		else
			formats = repalloc(formats, nformats * sizeof(int));
		for (int i = 0; i < nformats; i++)
			formats[i] = 1;
	}

	start_op(remote, CCR_OP_EXECUTE);
	if (query->statement[0])
		ok = PQsendQueryPrepared(remote->conn, query->statement, params->n,
								 params->values, params->lengths, formats, query->binary);
	else
		ok = PQsendQueryParams(remote->conn, query->sql, params->n, params->types,
							   params->values, params->lengths, formats, query->binary);
	if (ok && PQsetSingleRowMode(remote->conn))
		flush(remote);
	else
		close_remote(remote, lost_error(remote));
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

/* Both ends of a cancel are needed: a late one would hit the next query. */
static void
cancel_ended(CcrRemote *remote)
{
	if (remote->cancel != NULL || !remote->drained)
		return;
	ccr_timer_clear(&remote->deadline);
	remote->state = CCR_CARRIER_IDLE;
	remote->calls->ready(remote->owner);
}

static void
op_ended(CcrRemote *remote)
{
	CcrOp op = remote->op;

	remote->op = CCR_OP_NONE;
	if (PQpipelineStatus(remote->conn) != PQ_PIPELINE_OFF &&
		!PQexitPipelineMode(remote->conn))
	{
		remote->op = op;
		close_remote(remote, lost_error(remote));
		return;
	}
	if (remote->error == NULL && remote->statement[0] &&
		(op == CCR_OP_PREPARE || op == CCR_OP_DESCRIBE))
		hash_search(remote->statements, remote->statement, HASH_ENTER, NULL);

	if (remote->state == CCR_CARRIER_CANCELLING)
	{
		remote->drained = true;
		cancel_ended(remote);
		return;
	}
	remote->state = CCR_CARRIER_IDLE;
	remote->calls->done(remote->owner, op, remote->error);
}

/* A row as its owner takes it; how many columns there are is not for us to say. */
static CcrRow
present(CcrRemote *remote, const PGresult *result)
{
	int			n = PQnfields(result);
	CcrRow		row;

	if (n > remote->room)
	{
		remote->types = MemoryContextAlloc(remote->context, n * sizeof(Oid));
		remote->values = MemoryContextAlloc(remote->context, n * sizeof(char *));
		remote->lengths = MemoryContextAlloc(remote->context, n * sizeof(int));
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

/* False: this was the last result there will be for now. */
static bool
take_result(CcrRemote *remote, PGresult *result)
{
	bool		deaf = remote->state == CCR_CARRIER_CANCELLING || remote->error;

	switch (PQresultStatus(result))
	{
		case PGRES_SINGLE_TUPLE:
			if (remote->op != CCR_OP_EXECUTE)
			{
				protocol_error(remote, "A row came where none was expected.");
				return false;
			}
			if (!deaf && !remote->skip_rows)
				remote->skip_rows = !hand_over_row(remote, result);
			break;

		case PGRES_TUPLES_OK:
			break;

		case PGRES_COMMAND_OK:
			if (remote->op == CCR_OP_DESCRIBE && PQnparams(result) + PQnfields(result) > 0 &&
				!deaf)
				hand_over_description(remote, result);
			break;

		case PGRES_PIPELINE_SYNC:
		case PGRES_PIPELINE_ABORTED:
			break;

		case PGRES_FATAL_ERROR:
			if (remote->error == NULL)
				remote->error = result_error(remote, result);
			break;

		default:
			protocol_error(remote, PQresStatus(PQresultStatus(result)));
			return false;
	}
	return remote->state != CCR_CARRIER_DEAD;
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
	CcrOp op = remote->op;
	int			blanks = 0;

	while (remote->op == op && remote->conn && !PQisBusy(remote->conn))
	{
		PGresult   *result = PQgetResult(remote->conn);
		ExecStatusType status = PQresultStatus(result);

		if (result)
		{
			blanks = 0;
			if (!take_and_clear(remote, result))
				return;
			if (status != PGRES_PIPELINE_SYNC)
				continue;
		}
		else if (PQstatus(remote->conn) != CONNECTION_BAD &&
				 PQpipelineStatus(remote->conn) != PQ_PIPELINE_OFF)
		{
			/* NULL ends each command of a pipeline; only the sync ends it */
			if (++blanks > 2)
				return;
			continue;
		}
		if (PQstatus(remote->conn) == CONNECTION_BAD)
			close_remote(remote, lost_error(remote));
		else
			op_ended(remote);
		return;
	}
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
}

static void
step_busy(CcrRemote *remote, int events)
{
	PGnotify   *notify;

	if (events & WL_SOCKET_READABLE)
	{
		bool		ok = PQconsumeInput(remote->conn);

		drain(remote);
		if (remote->conn == NULL || remote->op == CCR_OP_NONE)
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
		ccr_sockets_changed = true;
		return;
	}
	ccr_cancel_free(remote->cancel);
	remote->cancel = NULL;
	ccr_sockets_changed = true;
	cancel_ended(remote);
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
	ccr_sockets_changed = true;
	ccr_timer_set(&remote->deadline,
				  TimestampTzPlusMilliseconds(GetCurrentTimestamp(), CCR_CANCEL_GRACE));
}

static int
remote_watch(CcrCarrier *carrier, CcrWatch watch[2])
{
	CcrRemote  *remote = (CcrRemote *) carrier;
	int			n = 0;

	if (remote->fd >= 0)
	{
		watch[n].fd = remote->fd;
		if (remote->state == CCR_CARRIER_CONNECTING)
			watch[n].events = remote->wants_write ?
				WL_SOCKET_WRITEABLE : WL_SOCKET_READABLE;
		else
			watch[n].events = WL_SOCKET_READABLE |
				(remote->wants_write ? WL_SOCKET_WRITEABLE : 0);
		n++;
	}
	if (remote->cancel)
	{
		watch[n].fd = ccr_cancel_socket(remote->cancel);
		watch[n].events = ccr_cancel_events(remote->cancel);
		n++;
	}
	return n;
}

static void
remote_step(CcrCarrier *carrier, int fd, int events)
{
	CcrRemote  *remote = (CcrRemote *) carrier;

	if (fd != remote->fd)
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

static const CcrCarrierOps remote_ops = {
	.state = remote_state,
	.prepare = remote_prepare,
	.execute = remote_execute,
	.cancel = remote_cancel,
	.close = remote_close,
	.free = remote_free,
	.knows = remote_knows,
	.statements = remote_statements,
	.watch = remote_watch,
	.step = remote_step
};
