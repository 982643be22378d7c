/*-------------------------------------------------------------------------
 *
 * sockets.c
 *	  What a collector waits for.
 *
 * A WaitEventSet can give up no descriptor, so with thousands of connections,
 * each change of one would cost thousands of system calls.  So there is an
 * epoll instance beside it, which is a descriptor itself: the wait event set
 * has that, the latch and the timer, and is never made anew.  Changes are
 * gathered, and told to the kernel before the next wait.
 *
 * The kernel forgets a descriptor that is closed, and libpq closes sockets and
 * opens others behind our back, be it under the same number.  So a number
 * belongs to who named it last; and what comes of the wait is told from what
 * an earlier holder waited for by a serial number.
 *
 * Where there is no epoll, the wait event set has all descriptors.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <errno.h>
#include <unistd.h>

#include "collector/sockets.h"
#include "miscadmin.h"
#include "shared/compat.h"
#include "utils/memutils.h"

#if defined(__linux__) && !defined(CCR_PLAIN_WAIT)
#define CCR_EPOLL
#include <sys/epoll.h>
#endif

#define CCR_MAX_EVENTS		64	/* handed over before others have their turn */
#define CCR_RETRY_PAUSE		100 /* ms, when the kernel is short of something */
#define CCR_BLIND_WAITS		8	/* that found the latch set: then sockets are
								 * looked at, too */

/* Who has a descriptor. */
typedef struct Holder
{
	CcrSocket  *socket;			/* or NULL */
	uint32		serial;
} Holder;

static Holder *holders = NULL;	/* by descriptor */
static int	nholders = 0;
static dlist_head changed = DLIST_STATIC_INIT(changed);
static WaitEventSet *wait_set = NULL;
static int	timer_fd = -1;
static uint32 wait_event;

/* ----------------------------------------------------------------- changes */

static void
mark_changed(CcrSocket *socket, bool is_changed)
{
	if (socket->changed == is_changed)
		return;
	socket->changed = is_changed;
	if (is_changed)
		dlist_push_tail(&changed, &socket->node);
	else
		dlist_delete(&socket->node);
}

void
ccr_socket_init(CcrSocket *socket, void *owner)
{
	socket->owner = owner;
	socket->fd = -1;
	socket->events = socket->watched = 0;
	socket->renewed = socket->changed = false;
}

static void
make_event_room(int fd)
{
	int			n = Max(2 * nholders, 256);

	if (fd < nholders)
		return;
	n = Max(n, fd + 1);
	if (holders == NULL)
		holders = MemoryContextAlloc(TopMemoryContext, n * sizeof(Holder));
	else
		holders = repalloc(holders, n * sizeof(Holder));
	memset(holders + nholders, 0, (n - nholders) * sizeof(Holder));
	nholders = n;
}

static void unwatch(int fd);

void
ccr_socket_forget(CcrSocket *socket)
{
	int			fd = socket->fd;
	bool		known = socket->watched != 0;

	mark_changed(socket, false);
	socket->fd = -1;
	socket->events = socket->watched = 0;
	socket->renewed = false;
	if (fd < 0)
		return;
	holders[fd].socket = NULL;
	if (known)
		unwatch(fd);
}

void
ccr_socket_watch(CcrSocket *socket, int fd, int events, bool renewed)
{
	static uint32 serial = 0;

	if (socket->fd != fd)
	{
		ccr_socket_forget(socket);
		if (fd < 0)
			return;
		make_event_room(fd);

		/* has been closed without a word */
		if (holders[fd].socket)
			ccr_socket_forget(holders[fd].socket);
		holders[fd].socket = socket;
		socket->fd = fd;
		renewed = true;
	}
	if (renewed)
	{
		holders[fd].serial = ++serial;
		socket->renewed = true;
	}
	socket->events = events;
	mark_changed(socket, socket->renewed || events != socket->watched);
}

static void
is_told(CcrSocket *socket)
{
	socket->watched = socket->events;
	socket->renewed = false;
	mark_changed(socket, false);
}

/* ------------------------------------------------------------------- events */

static uint64
packed_events(int fd)
{
	return (uint64) holders[fd].serial << 32 | (uint32) fd;
}

static void
hand_over(uint64 data, int events, CcrSocketReady ready)
{
	Holder	   *holder = &holders[(uint32) data];

	/* it may have been closed, or be another one, since the event came */
	if (holder->socket == NULL || holder->serial != data >> 32)
		return;
	events &= holder->socket->events;
	if (events)
		ready(holder->socket, events);
}

static void
read_timer(void)
{
	uint64		expirations;

	(void) !read(timer_fd, &expirations, sizeof(expirations));
}

static void
make_wait_set(int nsockets)
{
	wait_set = ccr_create_wait_event_set(nsockets + 3);
	AddWaitEventToSet(wait_set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(wait_set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	AddWaitEventToSet(wait_set, WL_SOCKET_READABLE, timer_fd, NULL, NULL);
}

#ifdef CCR_EPOLL

static int	epoll_fd = -1;
static int	blind = 0;			/* waits since sockets were looked at */

void
ccr_sockets_init(int timer, uint32 event)
{
	timer_fd = timer;
	wait_event = event;
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_fd < 0)
		elog(ERROR, "epoll_create1 failed: %m");
	make_wait_set(1);
	AddWaitEventToSet(wait_set, WL_SOCKET_READABLE, epoll_fd, NULL, NULL);
}

/* The kernel may have done so by itself. */
static void
unwatch(int fd)
{
	struct epoll_event unused;

	(void) epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, &unused);
}

static bool
tell_kernel(CcrSocket *socket)
{
	struct epoll_event event = {
		.events = (socket->events & WL_SOCKET_READABLE ? EPOLLIN : 0) |
		(socket->events & WL_SOCKET_WRITEABLE ? EPOLLOUT : 0),
		.data.u64 = packed_events(socket->fd)
	};
	int			op = socket->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

	if (epoll_ctl(epoll_fd, op, socket->fd, &event) == 0)
		return true;

	/* another socket under this number, or the same after all */
	if (errno == ENOENT || errno == EEXIST)
		return epoll_ctl(epoll_fd, errno == ENOENT ? EPOLL_CTL_ADD : EPOLL_CTL_MOD,
						 socket->fd, &event) == 0;
	return false;
}

/* False: the kernel is short of something, and is to be told again. */
static bool
tell_changes(void)
{
	static bool complained = false;
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &changed)
	{
		CcrSocket  *socket = dlist_container(CcrSocket, node, iter.cur);

		if (tell_kernel(socket))
			is_told(socket);
		else if (!complained)
		{
			complained = true;
			ereport(LOG,
					(errmsg("could not watch a socket: %m"),
					 errdetail("It is tried again every %d ms.", CCR_RETRY_PAUSE)));
		}
	}
	return dlist_is_empty(&changed);
}

static int
look_at_sockets(CcrSocketReady ready)
{
	struct epoll_event events[CCR_MAX_EVENTS];
	int			n = epoll_wait(epoll_fd, events, CCR_MAX_EVENTS, 0);

	blind = 0;
	for (int i = 0; i < n; i++)
	{
		uint32		e = events[i].events;
		bool		broken = (e & (EPOLLERR | EPOLLHUP)) != 0;

		hand_over(events[i].data.u64,
				  (broken || e & EPOLLIN ? WL_SOCKET_READABLE : 0) |
				  (broken || e & EPOLLOUT ? WL_SOCKET_WRITEABLE : 0), ready);
	}
	return n;
}

void
ccr_sockets_wait(long timeout, CcrSocketReady ready)
{
	WaitEvent	events[3];
	int			n;
	bool		look = ++blind >= CCR_BLIND_WAITS;

	if (!tell_changes())
		timeout = timeout < 0 ? CCR_RETRY_PAUSE : Min(timeout, CCR_RETRY_PAUSE);
	n = WaitEventSetWait(wait_set, timeout, events, lengthof(events), wait_event);
	for (int i = 0; i < n; i++)
	{
		if (events[i].events & WL_LATCH_SET)
			ResetLatch(MyLatch);
		else if (events[i].fd == timer_fd)
			read_timer();
		else
			look = true;
	}
	if (look)
		(void) look_at_sockets(ready);
}

bool
ccr_sockets_look(CcrSocketReady ready)
{
	/* as WaitEventSetWait() looks at it; awake, nobody needs to be told of us */
	bool		woken = MyLatch->is_set;

	if (!dlist_is_empty(&changed))
		(void) tell_changes();
	if (woken)
		ResetLatch(MyLatch);
	return look_at_sockets(ready) > 0 || woken;
}

#else							/* !CCR_EPOLL */

void
ccr_sockets_init(int timer, uint32 event)
{
	timer_fd = timer;
	wait_event = event;
}

static void
unwatch(int fd)
{
	if (wait_set)
		FreeWaitEventSet(wait_set);
	wait_set = NULL;
}

static void
remake_wait_set(void)
{
	int			n = 0;

	unwatch(-1);
	for (int fd = 0; fd < nholders; fd++)
		if (holders[fd].socket)
			n++;
	make_wait_set(n);
	for (int fd = 0; fd < nholders; fd++)
		if (holders[fd].socket)
			AddWaitEventToSet(wait_set, holders[fd].socket->events, fd, NULL,
							  (void *) (uintptr_t) packed_events(fd));
	while (!dlist_is_empty(&changed))
		is_told(dlist_head_element(CcrSocket, node, &changed));
}

static bool
tell_changes(void)
{
	MemoryContext context = CurrentMemoryContext;
	volatile bool ok = true;

	if (wait_set && dlist_is_empty(&changed))
		return true;
	PG_TRY();
	{
		remake_wait_set();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		EmitErrorReport();
		FlushErrorState();
		unwatch(-1);
		ok = false;
	}
	PG_END_TRY();
	return ok;
}

static bool
wait_for_all(long timeout, CcrSocketReady ready)
{
	WaitEvent	events[CCR_MAX_EVENTS];
	int			n;

	if (!tell_changes())
	{
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 CCR_RETRY_PAUSE, wait_event);
		ResetLatch(MyLatch);
		return true;
	}
	n = WaitEventSetWait(wait_set, timeout, events, CCR_MAX_EVENTS, wait_event);
	for (int i = 0; i < n; i++)
	{
		if (events[i].events & WL_LATCH_SET)
			ResetLatch(MyLatch);
		else if (events[i].fd == timer_fd)
			read_timer();
		else
			hand_over((uintptr_t) events[i].user_data, events[i].events, ready);
	}
	return n > 0;
}

void
ccr_sockets_wait(long timeout, CcrSocketReady ready)
{
	(void) wait_for_all(timeout, ready);
}

bool
ccr_sockets_look(CcrSocketReady ready)
{
	return wait_for_all(0, ready);
}

#endif							/* CCR_EPOLL */
