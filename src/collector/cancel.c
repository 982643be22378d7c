/*-------------------------------------------------------------------------
 *
 * cancel.c
 *	  Asking a foreign server to cancel a query, without blocking.
 *
 * From 17 on libpq can do it by itself.  Before, all there is is PQcancel(),
 * which connects and waits.  It is made to be safe in signal handlers and
 * threads: it allocates nothing and uses nothing but its argument.  So it is
 * run in a thread of its own, which blocks every signal, calls nothing else
 * of PostgreSQL's, and announces its end through an eventfd.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "collector/cancel.h"
#include "shared/compat.h"
#include "storage/fd.h"

#ifdef LIBPQ_HAS_ASYNC_CANCEL

struct CcrCancel
{
	PGcancelConn *conn;
	PostgresPollingStatusType wants;
};

CcrCancel *
ccr_cancel_start(PGconn *conn)
{
	PGcancelConn *cc;
	CcrCancel  *cancel;

	if (!AcquireExternalFD())
		return NULL;
	cc = PQcancelCreate(conn);
	if (cc == NULL || !PQcancelStart(cc))
	{
		PQcancelFinish(cc);
		ReleaseExternalFD();
		return NULL;
	}
	cancel = MemoryContextAlloc(TopMemoryContext, sizeof(CcrCancel));
	cancel->conn = cc;
	cancel->wants = PGRES_POLLING_WRITING;
	return cancel;
}

int
ccr_cancel_socket(CcrCancel *cancel)
{
	return PQcancelSocket(cancel->conn);
}

int
ccr_cancel_events(CcrCancel *cancel)
{
	return cancel->wants == PGRES_POLLING_READING ?
		WL_SOCKET_READABLE : WL_SOCKET_WRITEABLE;
}

bool
ccr_cancel_step(CcrCancel *cancel)
{
	cancel->wants = PQcancelPoll(cancel->conn);
	return cancel->wants == PGRES_POLLING_OK ||
		cancel->wants == PGRES_POLLING_FAILED;
}

void
ccr_cancel_free(CcrCancel *cancel)
{
	PQcancelFinish(cancel->conn);
	ReleaseExternalFD();
	pfree(cancel);
}

#else							/* !LIBPQ_HAS_ASYNC_CANCEL */

#include <sys/eventfd.h>
#include <unistd.h>

#include "collector/thread.h"

#define CCR_CANCEL_STACK	(256 * 1024)	/* bytes */

/*
 * PQcancel() waits for as long as the far side keeps its connection open, and
 * cannot be interrupted.  A server that never answers must not occupy more and
 * more threads and descriptors.  So if this many are under way, connections
 * are closed instead.
 */
#define CCR_MAX_CANCELS		32

/*
 * This is not palloc'd, as the thread may still use it when the collector has
 * given it up.  The one of the two that leaves last frees it.
 */
struct CcrCancel
{
	PGcancel   *handle;
	int			fd;				/* eventfd, readable at the end */
	int			left;			/* how many of the two have left */
};

static int	nrunning = 0;		/* threads */

static void
leave_cancel(CcrCancel *cancel)
{
	if (__atomic_add_fetch(&cancel->left, 1, __ATOMIC_ACQ_REL) < 2)
		return;
	PQfreeCancel(cancel->handle);
	close(cancel->fd);
	free(cancel);
}

static void *
run_cancel(void *arg)
{
	CcrCancel  *cancel = arg;
	char		error[256];
	uint64		one = 1;

	(void) PQcancel(cancel->handle, error, sizeof(error));
	(void) !write(cancel->fd, &one, sizeof(one));
	leave_cancel(cancel);
	__atomic_sub_fetch(&nrunning, 1, __ATOMIC_ACQ_REL);
	return NULL;
}

static bool
start_cancel_thread(CcrCancel *cancel)
{
	bool		ok;

	__atomic_add_fetch(&nrunning, 1, __ATOMIC_ACQ_REL);
	ok = ccr_thread_start(run_cancel, cancel, CCR_CANCEL_STACK);
	if (!ok)
		__atomic_sub_fetch(&nrunning, 1, __ATOMIC_ACQ_REL);
	return ok;
}

CcrCancel *
ccr_cancel_start(PGconn *conn)
{
	CcrCancel  *cancel;

	if (__atomic_load_n(&nrunning, __ATOMIC_ACQUIRE) >= CCR_MAX_CANCELS)
		return NULL;
	cancel = malloc(sizeof(CcrCancel));
	if (cancel == NULL)
		return NULL;
	cancel->left = 0;
	cancel->handle = PQgetCancel(conn);
	cancel->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (cancel->handle != NULL && cancel->fd >= 0 && start_cancel_thread(cancel))
		return cancel;

	PQfreeCancel(cancel->handle);
	if (cancel->fd >= 0)
		close(cancel->fd);
	free(cancel);
	return NULL;
}

int
ccr_cancel_socket(CcrCancel *cancel)
{
	return cancel->fd;
}

int
ccr_cancel_events(CcrCancel *cancel)
{
	return WL_SOCKET_READABLE;
}

bool
ccr_cancel_step(CcrCancel *cancel)
{
	uint64		n;

	return read(cancel->fd, &n, sizeof(n)) == sizeof(n);
}

void
ccr_cancel_free(CcrCancel *cancel)
{
	leave_cancel(cancel);
}

#endif							/* LIBPQ_HAS_ASYNC_CANCEL */
