/*-------------------------------------------------------------------------
 *
 * thread.h
 *	  A thread for calls that block or compute for long in libpq.
 *
 * It must use nothing of PostgreSQL: no memory contexts, no ereport(), no
 * latches.  All signals are blocked in it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_THREAD_H
#define CCR_THREAD_H

/*
 * Start a detached thread with a stack of so many bytes.  False if that fails.
 */
extern bool ccr_thread_start(void *(*run) (void *arg), void *arg, Size stack);

#endif							/* CCR_THREAD_H */
