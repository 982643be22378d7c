/*-------------------------------------------------------------------------
 *
 * lone.c
 *	  What one call costs when nothing else runs, contender by contender.
 *
 * A contender is a connection with one prepared query of one bigint key.  The
 * calls are interleaved one by one, so that all contenders meet the same
 * state of the machine: what keeps the cores awake changes such figures more
 * than most software does.
 *
 * The contender "latch" needs no server: it is a process that hands a latch
 * back, woken the way PostgreSQL wakes a backend on Linux (SIGURG read from a
 * signalfd under epoll, sent only to a process that says it may be asleep).
 * One call of it is two hand-offs, there and back.
 *
 *-------------------------------------------------------------------------
 */
#define _GNU_SOURCE

#include <libpq-fe.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "clock.h"

#define CONTENDERS_MAX 16
#define WARM_UP_CALLS 200

typedef struct Latch
{
	atomic_bool is_set;
	atomic_bool maybe_sleeping;
	pid_t		owner;
} Latch;

/* The process-private side of waiting. */
typedef struct LatchWait
{
	int			epoll_fd;
	int			signal_fd;
} LatchWait;

typedef struct Contender
{
	const char *name;
	PGconn	   *conn;			/* NULL: the latch */
	double	   *us;				/* one latency a call */
} Contender;

static Latch *latches;			/* shared: 0 is ours, 1 the partner's */
static LatchWait our_wait;

static void
die(const char *what, const char *detail)
{
	fprintf(stderr, "lone: %s: %s\n", what, detail);
	exit(1);
}

static void
set_latch(Latch *latch)
{
	if (atomic_exchange(&latch->is_set, true))
		return;
	if (atomic_load(&latch->maybe_sleeping))
		kill(latch->owner, SIGURG);
}

static void
prepare_wait(LatchWait *wait)
{
	struct epoll_event event = {.events = EPOLLIN};
	sigset_t	mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGURG);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	wait->signal_fd = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
	wait->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (wait->signal_fd < 0 || wait->epoll_fd < 0 ||
		epoll_ctl(wait->epoll_fd, EPOLL_CTL_ADD, wait->signal_fd, &event) < 0)
		die("latch", "epoll or signalfd");
}

static void
wait_latch(Latch *latch, LatchWait *wait)
{
	while (!atomic_load(&latch->is_set))
	{
		atomic_store(&latch->maybe_sleeping, true);
		if (!atomic_load(&latch->is_set))
		{
			struct epoll_event event;
			struct signalfd_siginfo info;

			if (epoll_wait(wait->epoll_fd, &event, 1, -1) > 0)
				while (read(wait->signal_fd, &info, sizeof(info)) > 0)
					;
		}
		atomic_store(&latch->maybe_sleeping, false);
	}
	atomic_store(&latch->is_set, false);
}

static void
start_latch_partner(void)
{
	pid_t		parent = getpid();
	pid_t		partner;

	latches = mmap(NULL, 2 * sizeof(Latch), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (latches == MAP_FAILED)
		die("latch", "mmap");
	latches[0].owner = parent;
	prepare_wait(&our_wait);
	fflush(NULL);
	partner = fork();
	if (partner < 0)
		die("latch", "fork");
	if (partner == 0)
	{
		LatchWait	wait;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(0);
		prepare_wait(&wait);
		for (;;)
		{
			wait_latch(&latches[1], &wait);
			set_latch(&latches[0]);
		}
	}
	latches[1].owner = partner;
}

static void
start_contender(Contender *contender, char **args, int calls)
{
	PGresult   *result;

	contender->name = args[0];
	contender->us = malloc(calls * sizeof(double));
	if (strcmp(args[0], "latch") == 0)
	{
		start_latch_partner();
		return;
	}
	contender->conn = PQconnectdb(args[1]);
	if (PQstatus(contender->conn) != CONNECTION_OK)
		die(args[0], PQerrorMessage(contender->conn));
	if (args[2][0] != '\0')
	{
		result = PQexec(contender->conn, args[2]);
		if (PQresultStatus(result) != PGRES_TUPLES_OK &&
			PQresultStatus(result) != PGRES_COMMAND_OK)
			die(args[0], PQerrorMessage(contender->conn));
		PQclear(result);
	}
	result = PQprepare(contender->conn, "call", args[3], 1, NULL);
	if (PQresultStatus(result) != PGRES_COMMAND_OK)
		die(args[0], PQerrorMessage(contender->conn));
	PQclear(result);
}

static double
call(Contender *contender, long key)
{
	double		start;
	double		end;
	char		text[32];
	const char *values[1] = {text};
	PGresult   *result;

	if (contender->conn == NULL)
	{
		start = now_us();
		set_latch(&latches[1]);
		wait_latch(&latches[0], &our_wait);
		return now_us() - start;
	}
	snprintf(text, sizeof(text), "%ld", key);
	start = now_us();
	result = PQexecPrepared(contender->conn, "call", 1, values, NULL, NULL, 0);
	end = now_us();
	if (PQresultStatus(result) != PGRES_TUPLES_OK || PQntuples(result) != 1)
		die(contender->name, PQerrorMessage(contender->conn));
	PQclear(result);
	return end - start;
}

int
main(int argc, char **argv)
{
	Contender	contenders[CONTENDERS_MAX] = {0};
	int			ncontenders = (argc - 5) / 4;
	int			calls;
	int			pause_us;
	long		keys;
	FILE	   *raw;

	if (argc < 9 || (argc - 5) % 4 != 0 || ncontenders > CONTENDERS_MAX)
	{
		fprintf(stderr, "usage: lone CALLS PAUSE_US KEYS RAW_CSV "
				"{NAME CONNINFO SETUP QUERY}...\n");
		return 2;
	}
	calls = atoi(argv[1]);
	pause_us = atoi(argv[2]);
	keys = atol(argv[3]);
	raw = fopen(argv[4], "a");
	if (raw == NULL)
		die("cannot write", argv[4]);
	for (int i = 0; i < ncontenders; i++)
		start_contender(&contenders[i], argv + 5 + 4 * i, calls);

	for (int n = -WARM_UP_CALLS; n < calls; n++)
		for (int i = 0; i < ncontenders; i++)
		{
			double		us;

			if (pause_us > 0 && n >= 0)
				usleep(pause_us);
			us = call(&contenders[i], 1 + random() % keys);
			if (n >= 0)
				contenders[i].us[n] = us;
		}

	for (int i = 0; i < ncontenders; i++)
	{
		Contender  *contender = &contenders[i];

		for (int n = 0; n < calls; n++)
			fprintf(raw, "%s,%d,%d,%.1f\n",
					contender->name, pause_us, n, contender->us[n]);
		qsort(contender->us, calls, sizeof(double), compare_doubles);
		printf("%s %.1f %.1f %.1f\n", contender->name, contender->us[0],
			   percentile(contender->us, calls, 50),
			   percentile(contender->us, calls, 95));
		if (contender->conn != NULL)
			PQfinish(contender->conn);
	}
	return fclose(raw) == 0 ? 0 : 1;
}
