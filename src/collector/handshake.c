/*-------------------------------------------------------------------------
 *
 * handshake.c
 *	  Steps of PQconnectPoll(), taken in threads of their own.
 *
 * PQconnectPoll() does not wait for the socket, but it may take long: the far
 * side says how often a password is hashed (SCRAM), up to 2^31 times, which is
 * half an hour; a TLS handshake computes for a millisecond; certificates are
 * read from files; GSSAPI asks a server of its own.  libpq offers no way to
 * bound any of that, so each step is taken in a thread.  libpq and OpenSSL are
 * made for threads, as long as a connection is used by one at a time.
 *
 * The thread blocks every signal, calls nothing of PostgreSQL's (so nor may
 * the connection's notice receiver), and announces its end through an eventfd.
 * It cannot be stopped.  A step that was given up goes on with the least
 * priority, and closes the connection at its end; until then no other is
 * begun for the same peer, which bounds what a far side can tie up.
 *
 * No server may take the threads of the others: it has at most twice as many as
 * are left for them, of those under way and of those that were given up alike.
 * One that has none finds one in any case, up to a bound that only many servers
 * together can reach.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "collector/handshake.h"
#include "collector/thread.h"
#include "lib/ilist.h"
#include "storage/fd.h"
#include "storage/ipc.h"

#define CCR_HANDSHAKE_STACK		(512 * 1024)	/* bytes */
#define CCR_MAX_HANDSHAKES		32	/* under way */
#define CCR_MAX_ABANDONED		64
#define CCR_SERVER_SHARE		2	/* times what is left of these */
#define CCR_FIRST_ONES			4	/* times these, if it is a server's first */

typedef enum HandshakeEnd
{
	UNDER_WAY,
	ENDED,						/* the connection is the collector's again */
	ABANDONED					/* it is the thread's to close */
} HandshakeEnd;

/* Not palloc'd, as the thread may outlive the collector's interest in it. */
struct CcrHandshake
{
	PGconn	   *conn;
	uint64		server;
	uint64		peer;
	int			fd;				/* eventfd, readable at the end */
	int			tid;			/* of the thread; 0: not yet known */
	int			state;			/* HandshakeEnd: whoever is second finds the
								 * other's */
	int			closed;			/* abandoned, and the thread has done with it */
	PostgresPollingStatusType wants;
	dlist_node	node;			/* in one of the two lists */
};

static dlist_head under_way = DLIST_STATIC_INIT(under_way);
static int	nunder_way = 0;
static dlist_head abandoned = DLIST_STATIC_INIT(abandoned);
static int	nabandoned = 0;

static void *
run_handshake(void *arg)
{
	CcrHandshake *handshake = arg;
	int			expected = UNDER_WAY;
	uint64		one = 1;

	/* for ccr_handshake_lower() */
	__atomic_store_n(&handshake->tid, (int) syscall(SYS_gettid), __ATOMIC_RELEASE);
	handshake->wants = PQconnectPoll(handshake->conn);

	/* pairs with the exchange in ccr_handshake_abandon() */
	if (__atomic_compare_exchange_n(&handshake->state, &expected, ENDED, false,
									__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
	{
		(void) !write(handshake->fd, &one, sizeof(one));
		return NULL;
	}
	PQfinish(handshake->conn);
	/* pairs with reap_abandoned() */
	__atomic_store_n(&handshake->closed, 1, __ATOMIC_RELEASE);
	return NULL;
}

static void
free_handshake(CcrHandshake *handshake)
{
	close(handshake->fd);
	free(handshake);
}

/* Forget those that were given up and have ended. */
static void
reap_abandoned(void)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &abandoned)
	{
		CcrHandshake *handshake = dlist_container(CcrHandshake, node, iter.cur);

		if (!__atomic_load_n(&handshake->closed, __ATOMIC_ACQUIRE))
			continue;
		dlist_delete(&handshake->node);
		nabandoned--;
		ReleaseExternalFD();
		free_handshake(handshake);
	}
}

/*
 * Libraries tidy up when a process exits, while a thread may be using them:
 * one that is ended so would take the whole server along.
 */
static void
exit_at_once(int code, Datum arg)
{
	reap_abandoned();
	if (nunder_way > 0 || nabandoned > 0)
		_exit(code);
}

static int
count_of(dlist_head *list, uint64 server)
{
	int			n = 0;
	dlist_iter	iter;

	dlist_foreach(iter, list)
	{
		if (dlist_container(CcrHandshake, node, iter.cur)->server == server)
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

	reap_abandoned();
	dlist_foreach(iter, &abandoned)
	{
		if (dlist_container(CcrHandshake, node, iter.cur)->peer == peer)
			return false;
	}

	/* those under way may all have to be given up, too */
	own_under_way = count_of(&under_way, server);
	return is_within_share(count_of(&abandoned, server) + own_under_way,
						   nabandoned + own_under_way, CCR_MAX_ABANDONED);
}

bool
ccr_handshake_has_room(uint64 server)
{
	return is_within_share(count_of(&under_way, server), nunder_way, CCR_MAX_HANDSHAKES);
}

CcrHandshakeStart
ccr_handshake_start(PGconn *conn, uint64 server, uint64 peer, CcrHandshake **result)
{
	static bool exit_registered = false;
	CcrHandshake *handshake;

	if (!may_start(server, peer))
		return CCR_HANDSHAKE_REFUSED;
	if (!ccr_handshake_has_room(server))
		return CCR_HANDSHAKE_LATER;
	if (!exit_registered)
		on_proc_exit(exit_at_once, 0);
	exit_registered = true;

	handshake = calloc(1, sizeof(CcrHandshake));
	if (handshake == NULL)
		return CCR_HANDSHAKE_FAILED;
	handshake->conn = conn;
	handshake->server = server;
	handshake->peer = peer;
	handshake->state = UNDER_WAY;
	handshake->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (handshake->fd >= 0 && ccr_thread_start(run_handshake, handshake, CCR_HANDSHAKE_STACK))
	{
		dlist_push_tail(&under_way, &handshake->node);
		nunder_way++;
		*result = handshake;
		return CCR_HANDSHAKE_STARTED;
	}
	if (handshake->fd >= 0)
		close(handshake->fd);
	free(handshake);
	return CCR_HANDSHAKE_FAILED;
}

static void
end_being_under_way(CcrHandshake *handshake)
{
	dlist_delete(&handshake->node);
	nunder_way--;
}

int
ccr_handshake_socket(CcrHandshake *handshake)
{
	return handshake->fd;
}

bool
ccr_handshake_ended(CcrHandshake *handshake, PostgresPollingStatusType *wants)
{
	uint64		n;

	if (read(handshake->fd, &n, sizeof(n)) != sizeof(n))
		return false;
	*wants = handshake->wants;
	end_being_under_way(handshake);
	free_handshake(handshake);
	return true;
}

void
ccr_handshake_lower(CcrHandshake *handshake)
{
	int			tid = __atomic_load_n(&handshake->tid, __ATOMIC_ACQUIRE);

	/* the number of one that has ended may be another process's by now */
	if (tid != 0 && __atomic_load_n(&handshake->state, __ATOMIC_ACQUIRE) != ENDED)
		(void) setpriority(PRIO_PROCESS, tid, 19);
}

void
ccr_handshake_abandon(CcrHandshake *handshake)
{
	int			expected = UNDER_WAY;

	end_being_under_way(handshake);
	if (!__atomic_compare_exchange_n(&handshake->state, &expected, ABANDONED, false,
									 __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
	{
		/* it ends just now: all that it touches any more is the eventfd */
		struct pollfd end = {.fd = handshake->fd, .events = POLLIN};

		while (poll(&end, 1, -1) != 1)
			;
		PQfinish(handshake->conn);
		ReleaseExternalFD();
		free_handshake(handshake);
		return;
	}
	ccr_handshake_lower(handshake);
	dlist_push_tail(&abandoned, &handshake->node);
	nabandoned++;
}
