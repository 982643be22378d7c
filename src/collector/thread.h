/*-------------------------------------------------------------------------
 *
 * thread.h
 *	  A thread for what blocks in libpq.
 *
 * It must use nothing of PostgreSQL's, and takes no signals.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_THREAD_H
#define CCR_THREAD_H

/* Detached.  stack: bytes.  False: there is none to be had. */
extern bool ccr_thread_start(void *(*run) (void *arg), void *arg, Size stack);

#endif							/* CCR_THREAD_H */
