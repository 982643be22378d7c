/*-------------------------------------------------------------------------
 *
 * callable.h
 *	  Whether an expression that is kept still calls what it would call if it
 *	  were made now.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_CALLABLE_H
#define CCR_CALLABLE_H

/*
 * Grows with each change of any function or cast, or of who may call what.  To
 * be taken before an expression is made.
 */
extern uint64 ccr_callables_changed(void);

#endif							/* CCR_CALLABLE_H */
