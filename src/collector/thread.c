/*-------------------------------------------------------------------------
 *
 * thread.c
 *	  A thread for what blocks in libpq.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <pthread.h>
#include <signal.h>

#include "collector/thread.h"

bool
ccr_thread_start(void *(*run) (void *arg), void *arg, Size stack)
{
	pthread_attr_t attr;
	pthread_t	thread;
	sigset_t	all,
				old;
	int			rc;

	/* block all signals: the thread inherits the mask */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, stack);
	rc = pthread_create(&thread, &attr, run, arg);
	pthread_attr_destroy(&attr);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rc == 0;
}
