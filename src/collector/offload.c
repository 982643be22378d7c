/*-------------------------------------------------------------------------
 *
 * offload.c
 *	  Calls of libpq that may compute for long, made in threads of their own.
 *
 * PQconnectPoll() does not wait for the socket, but it may take long: the far
 * side says how often a password is hashed (SCRAM), up to 2^31 times, which is
 * half an hour; a TLS handshake computes for a millisecond; certificates are
 * read from files; GSSAPI asks a server of its own.  PQconsumeInput() reads for
 * as long as there is something to be read, tens of megabytes if the far side
 * is as fast as that, and PQisBusy() copies a row, or goes through the list of
 * all settings for each one that was read.  libpq offers no way to bound
 * any of that.  libpq and OpenSSL are made for threads, as long as a connection
 * is used by one at a time.
 *
 * The thread blocks every signal, calls nothing of PostgreSQL's (so nor may
 * the connection's notice receiver), and announces its end through an eventfd.
 * It cannot be stopped.  A call that was given up goes on with the least
 * priority, and closes the connection at its end; until then no attempt to
 * connect is begun to the same peer, which bounds what a far side can tie up.
 *
 * No server may take the threads of the others: it has at most twice as many as
 * are left for them, of those under way and of those that were given up alike.
 * One that has none finds one in any case, up to a bound that only many servers
 * together can reach.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "collector/offload.h"
#include "collector/thread.h"
#include "lib/ilist.h"
#include "storage/fd.h"
#include "storage/ipc.h"

#define CCR_OFFLOAD_STACK		(512 * 1024)	/* bytes */
#define CCR_MAX_UNDER_WAY		32	/* under way */
#define CCR_MAX_READINGS		28	/* the same, until one is another reading:
									 * one follows the other, and connecting
									 * would never have its turn */
#define CCR_MAX_ABANDONED		64
#define CCR_SERVER_SHARE		2	/* times what is left of these */
#define CCR_FIRST_ONES			4	/* times these, if it is a server's first */
#define CCR_OFFLOAD_BYTES		(256 * 1024)	/* of results, after which
												 * they are handed over */

typedef enum OffloadEnd
{
	UNDER_WAY,
	ENDED,						/* the connection is the collector's again */
	ABANDONED					/* it is the thread's to close */
} OffloadEnd;

/* Not palloc'd, as the thread may outlive the collector's interest in it. */
struct CcrOffload
{
	PGconn	   *conn;
	uint64		server;
	uint64		peer;
	int			fd;				/* eventfd, readable at the end */
	int			tid;			/* of the thread; 0: not yet known */
	int			state;			/* OffloadEnd: whoever is second finds the
								 * other's */
	int			closed;			/* abandoned, and the thread has done with it */
	int			socket;			/* READ: another descriptor of the same */
	CcrOffloaded kind;
	bool		by_step;		/* READ: stop where a command ends */
	CcrOffloadResult result;
	dlist_node	node;			/* in one of the two lists */
};

static dlist_head under_way = DLIST_STATIC_INIT(under_way);
static int	nunder_way = 0;
static dlist_head abandoned = DLIST_STATIC_INIT(abandoned);
static int	nabandoned = 0;

/* Notices of a row that is read are ignored, but count as bytes of the answer. */
static void
count_notice(void *arg, const PGresult *result)
{
	static const int texts[] = {PG_DIAG_MESSAGE_PRIMARY, PG_DIAG_MESSAGE_DETAIL,
	PG_DIAG_MESSAGE_HINT, PG_DIAG_CONTEXT};
	CcrOffload *offload = arg;

	for (int i = 0; i < (int) lengthof(texts); i++)
	{
		const char *text = PQresultErrorField(result, texts[i]);

		offload->result.noticed += text ? strlen(text) : 0;
	}
}

static int64
processor_time(void)
{
	struct timespec now;

	(void) clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return now.tv_sec * INT64CONST(1000000) + now.tv_nsec / 1000;
}

/*
 * Parsing may take longer than reading: libpq looks each setting up in a list of
 * all that there are.  So results are taken here, too, as long as they come.
 */
static void
take_results(CcrOffload *offload)
{
	CcrOffloadResult *read = &offload->result;
	Size		bytes = 0;

	while (read->nresults < CCR_OFFLOAD_RESULTS && bytes < CCR_OFFLOAD_BYTES)
	{
		PGresult   *result;

		read->dry = PQisBusy(offload->conn);
		if (read->dry)
			return;
		result = PQgetResult(offload->conn);
		read->results[read->nresults++] = result;
		if (result == NULL
			? offload->by_step || read->nresults == 1 || read->results[read->nresults - 2] == NULL
			: PQresultStatus(result) == PGRES_PIPELINE_SYNC)
			return;
		bytes += result ? PQresultMemorySize(result) : 0;
	}
}

static void
clear_results(CcrOffload *offload)
{
	for (int i = 0; i < offload->result.nresults; i++)
		PQclear(offload->result.results[i]);
}

static void *
offload_run(void *arg)
{
	CcrOffload *offload = arg;
	int			expected = UNDER_WAY;
	uint64		one = 1;

	(void) prctl(PR_SET_NAME, offload->kind == CCR_OFFLOAD_READ ? "concresce read" : "concresce conn");

	/* for ccr_offload_lower() */
	__atomic_store_n(&offload->tid, (int) syscall(SYS_gettid), __ATOMIC_RELEASE);
	if (offload->kind == CCR_OFFLOAD_CONNECT)
		offload->result.wants = PQconnectPoll(offload->conn);
	else
	{
		offload->result.ok = PQconsumeInput(offload->conn);
		take_results(offload);
		offload->result.used = processor_time();
	}

	/* pairs with the exchange in ccr_offload_abandon() */
	if (__atomic_compare_exchange_n(&offload->state, &expected, ENDED, false,
									__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
	{
		(void) !write(offload->fd, &one, sizeof(one));
		return NULL;
	}
	clear_results(offload);
	PQfinish(offload->conn);
	/* pairs with ccr_offload_reap() */
	__atomic_store_n(&offload->closed, 1, __ATOMIC_RELEASE);
	return NULL;
}

static void
free_offload(CcrOffload *offload)
{
	close(offload->fd);
	if (offload->socket >= 0)
		close(offload->socket);
	free(offload);
}

void
ccr_offload_reap(void)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &abandoned)
	{
		CcrOffload *offload = dlist_container(CcrOffload, node, iter.cur);

		if (!__atomic_load_n(&offload->closed, __ATOMIC_ACQUIRE))
			continue;
		dlist_delete(&offload->node);
		nabandoned--;
		ReleaseExternalFD();
		free_offload(offload);
	}
}

/*
 * Libraries tidy up when a process exits, while a thread may be using them:
 * one that is ended so would take the whole server along.  So may one that has
 * announced its end, as they tidy up for each thread, too.
 */
static void
exit_at_once(int code, Datum arg)
{
	_exit(code);
}

static int
count_of(dlist_head *list, uint64 server)
{
	int			n = 0;
	dlist_iter	iter;

	dlist_foreach(iter, list)
	{
		if (dlist_container(CcrOffload, node, iter.cur)->server == server)
			n++;
	}
	return n;
}

/* May a server that has some of n have one more? */
static bool
is_within_share(int own, int n, int most)
{
	return own == 0 ? n < CCR_FIRST_ONES * most : own < CCR_SERVER_SHARE * (most - n);
}

static bool
may_start(uint64 server, uint64 peer)
{
	int			own_under_way;
	dlist_iter	iter;

	ccr_offload_reap();
	dlist_foreach(iter, &abandoned)
	{
		if (peer != 0 && dlist_container(CcrOffload, node, iter.cur)->peer == peer)
			return false;
	}

	/* those under way may all have to be given up, too */
	own_under_way = count_of(&under_way, server);
	return is_within_share(count_of(&abandoned, server) + own_under_way,
						   nabandoned + own_under_way, CCR_MAX_ABANDONED);
}

static bool
thread_is_free(uint64 server, int most)
{
	return is_within_share(count_of(&under_way, server), nunder_way, most);
}

bool
ccr_offload_has_room(uint64 server)
{
	return thread_is_free(server, CCR_MAX_UNDER_WAY);
}

static CcrOffloadStart
start_offload(CcrOffloaded kind, PGconn *conn, uint64 server, uint64 peer,
			  bool by_step, CcrOffload **result)
{
	static bool exit_registered = false;
	CcrOffload *offload;
	int			socket = kind == CCR_OFFLOAD_READ ? PQsocket(conn) : -1;

	if (!may_start(server, peer))
		return CCR_OFFLOAD_REFUSED;
	if (!thread_is_free(server, kind == CCR_OFFLOAD_READ ? CCR_MAX_READINGS : CCR_MAX_UNDER_WAY))
		return CCR_OFFLOAD_LATER;
	if (!exit_registered)
		on_proc_exit(exit_at_once, 0);
	exit_registered = true;

	offload = calloc(1, sizeof(CcrOffload));
	if (offload == NULL)
		return CCR_OFFLOAD_FAILED;
	offload->kind = kind;
	offload->by_step = by_step;
	offload->conn = conn;
	offload->server = server;
	offload->peer = peer;
	offload->state = UNDER_WAY;
	offload->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	offload->socket = -1;
	if (kind == CCR_OFFLOAD_READ)
	{
		/* libpq may have closed it, and still hold what came before */
		if (socket >= 0)
			offload->socket = fcntl(socket, F_DUPFD_CLOEXEC, 0);
		PQsetNoticeReceiver(conn, count_notice, offload);
	}
	if (offload->fd >= 0 && (offload->socket >= 0 || socket < 0) &&
		ccr_thread_start(offload_run, offload, CCR_OFFLOAD_STACK))
	{
		dlist_push_tail(&under_way, &offload->node);
		nunder_way++;
		*result = offload;
		return CCR_OFFLOAD_STARTED;
	}
	if (offload->fd >= 0)
		close(offload->fd);
	if (offload->socket >= 0)
		close(offload->socket);
	free(offload);
	return CCR_OFFLOAD_FAILED;
}

CcrOffloadStart
ccr_offload_connect(PGconn *conn, uint64 server, uint64 peer, CcrOffload **offload)
{
	return start_offload(CCR_OFFLOAD_CONNECT, conn, server, peer, false, offload);
}

CcrOffloadStart
ccr_offload_read(PGconn *conn, uint64 server, bool by_step, CcrOffload **offload)
{
	return start_offload(CCR_OFFLOAD_READ, conn, server, 0, by_step, offload);
}

static void
end_being_under_way(CcrOffload *offload)
{
	dlist_delete(&offload->node);
	nunder_way--;
}

int
ccr_offload_socket(const CcrOffload *offload)
{
	return offload->fd;
}

int
ccr_offload_reads(const CcrOffload *offload)
{
	return offload->socket;
}

bool
ccr_offload_ended(CcrOffload *offload, CcrOffloadResult *result)
{
	uint64		n;

	if (read(offload->fd, &n, sizeof(n)) != sizeof(n))
		return false;
	*result = offload->result;
	end_being_under_way(offload);
	free_offload(offload);
	return true;
}

void
ccr_offload_lower(CcrOffload *offload)
{
	int			tid = __atomic_load_n(&offload->tid, __ATOMIC_ACQUIRE);

	/* the number of one that has ended may be another process's by now */
	if (tid != 0 && __atomic_load_n(&offload->state, __ATOMIC_ACQUIRE) != ENDED)
		(void) setpriority(PRIO_PROCESS, tid, 19);
}

void
ccr_offload_abandon(CcrOffload *offload)
{
	int			expected = UNDER_WAY;

	end_being_under_way(offload);
	if (!__atomic_compare_exchange_n(&offload->state, &expected, ABANDONED, false,
									 __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
	{
		/* it ends just now: all that it touches any more is the eventfd */
		struct pollfd end = {.fd = offload->fd, .events = POLLIN};

		while (poll(&end, 1, -1) != 1)
			;
		clear_results(offload);
		PQfinish(offload->conn);
		ReleaseExternalFD();
		free_offload(offload);
		return;
	}
	ccr_offload_lower(offload);

	/* ends the reading; the number of the connection's own may be another's */
	if (offload->socket >= 0)
		(void) shutdown(offload->socket, SHUT_RDWR);
	dlist_push_tail(&abandoned, &offload->node);
	nabandoned++;
}
