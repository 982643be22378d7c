/*-------------------------------------------------------------------------
 *
 * herd.c
 *	  Many sessions ask the same question at the same instant.
 *
 * All sessions are connected, have prepared the query and have asked it once
 * with a key of their own, so that what is measured is the herd and not its
 * arrival.  Then, round by round, all ask for the round's key at once.
 *
 * Sending takes some milliseconds itself.  A session's latency is therefore
 * given both from its own sending and from the release of the first one; the
 * second is the stricter and flatters nobody who was asked late.
 *
 *-------------------------------------------------------------------------
 */
#define _GNU_SOURCE

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#include "clock.h"

#define EVENTS_MAX 256

typedef struct Session
{
	PGconn	   *conn;
	double		sent_us;
	double		done_us;
} Session;

static Session *sessions;
static int	nsessions;
static int	epoll_fd;
static const char *name;
static FILE *raw;

static void
die(const char *what, const char *detail)
{
	fprintf(stderr, "herd: %s: %s\n", what, detail);
	exit(1);
}

static PGconn *
must_connect(const char *conninfo)
{
	PGconn	   *conn = PQconnectdb(conninfo);

	if (PQstatus(conn) != CONNECTION_OK)
		die(name, PQerrorMessage(conn));
	return conn;
}

/* Run a statement; the first value of its result, or 0. */
static long
must_run(PGconn *conn, const char *sql)
{
	PGresult   *result = PQexec(conn, sql);
	long		value = 0;

	if (PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) > 0)
		value = atol(PQgetvalue(result, 0, 0));
	else if (PQresultStatus(result) != PGRES_COMMAND_OK)
		die(sql, PQerrorMessage(conn));
	PQclear(result);
	return value;
}

static void
start_sessions(const char *conninfo, const char *setup, const char *query)
{
	sessions = calloc(nsessions, sizeof(Session));
	for (int i = 0; i < nsessions; i++)
	{
		Session    *session = &sessions[i];
		struct epoll_event event = {.events = EPOLLIN, .data.ptr = session};
		PGresult   *result;

		session->conn = must_connect(conninfo);
		if (setup[0] != '\0')
			must_run(session->conn, setup);
		result = PQprepare(session->conn, "ask", query, 1, NULL);
		if (PQresultStatus(result) != PGRES_COMMAND_OK)
			die(name, PQerrorMessage(session->conn));
		PQclear(result);
		if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, PQsocket(session->conn),
					  &event) < 0)
			die("epoll_ctl", name);
	}
}

/* True once the whole answer is in. */
static bool
read_answer(Session *session)
{
	PGresult   *result;

	if (!PQconsumeInput(session->conn))
		die(name, PQerrorMessage(session->conn));
	while (!PQisBusy(session->conn))
	{
		result = PQgetResult(session->conn);
		if (result == NULL)
			return true;
		if (PQresultStatus(result) != PGRES_TUPLES_OK ||
			PQntuples(result) != 1 || PQgetisnull(result, 0, 0))
			die(name, PQresultStatus(result) == PGRES_TUPLES_OK ?
				"not one row with a value" : PQresultErrorMessage(result));
		PQclear(result);
	}
	return false;
}

/* All ask; own_keys: each for its own key, else all for the same one. */
static void
ask(long key, bool own_keys)
{
	int			waiting = nsessions;

	for (int i = 0; i < nsessions; i++)
	{
		char		text[32];
		const char *values[1] = {text};

		snprintf(text, sizeof(text), "%ld", own_keys ? key + i : key);
		sessions[i].sent_us = now_us();
		if (!PQsendQueryPrepared(sessions[i].conn, "ask", 1, values, NULL,
								 NULL, 0))
			die(name, PQerrorMessage(sessions[i].conn));
	}
	while (waiting > 0)
	{
		struct epoll_event events[EVENTS_MAX];
		int			n = epoll_wait(epoll_fd, events, EVENTS_MAX, 60000);

		if (n <= 0)
			die(name, "no answer within 60 s");
		for (int i = 0; i < n; i++)
		{
			Session    *session = events[i].data.ptr;

			if (read_answer(session))
			{
				session->done_us = now_us();
				waiting--;
			}
		}
	}
}

static void
report(int round, long foreign)
{
	double		release = sessions[0].sent_us;
	double		last_sent = sessions[nsessions - 1].sent_us;
	double	   *own = malloc(nsessions * sizeof(double));
	double	   *common = malloc(nsessions * sizeof(double));

	for (int i = 0; i < nsessions; i++)
	{
		own[i] = (sessions[i].done_us - sessions[i].sent_us) / 1000;
		common[i] = (sessions[i].done_us - release) / 1000;
		fprintf(raw, "%s,%d,%d,%d,%.3f,%.3f\n",
				name, nsessions, round, i, own[i], common[i]);
	}
	qsort(own, nsessions, sizeof(double), compare_doubles);
	qsort(common, nsessions, sizeof(double), compare_doubles);
	printf("%ld %.2f %.2f %.2f %.2f %.2f %.2f %.2f\n", foreign,
		   percentile(common, nsessions, 50),
		   percentile(common, nsessions, 99), common[nsessions - 1],
		   percentile(own, nsessions, 50), percentile(own, nsessions, 99),
		   own[nsessions - 1], (last_sent - release) / 1000);
	free(own);
	free(common);
}

static void
raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
	{
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

int
main(int argc, char **argv)
{
	PGconn	   *monitor;
	int			rounds;

	if (argc != 11)
	{
		fprintf(stderr, "usage: herd NAME SESSIONS ROUNDS CONNINFO SETUP QUERY "
				"MONITOR_CONNINFO RESET_SQL COUNT_SQL RAW_CSV\n"
				"prints for each round: foreign statements; p50, p99, max in ms "
				"from the release; the same from each one's sending; "
				"ms that the sending took\n");
		return 2;
	}
	name = argv[1];
	nsessions = atoi(argv[2]);
	rounds = atoi(argv[3]);
	raw = fopen(argv[10], "a");
	if (raw == NULL)
		die("cannot write", argv[10]);
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	raise_descriptor_limit();
	monitor = must_connect(argv[7]);
	start_sessions(argv[4], argv[5], argv[6]);

	ask(100000, true);
	for (int round = 1; round <= rounds; round++)
	{
		must_run(monitor, argv[8]);
		ask(round, false);
		report(round, must_run(monitor, argv[9]));
	}
	return fclose(raw) == 0 ? 0 : 1;
}
