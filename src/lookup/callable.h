/*-------------------------------------------------------------------------
 *
 * callable.h
 *	  Whether an expression that was built earlier still calls the functions that
 *	  it would call if it were built now.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_CALLABLE_H
#define CCR_CALLABLE_H

/*
 * A number that grows whenever a function or cast changes, or the right to
 * call one.  Read it before you build an expression, and compare it before you
 * use the expression again.
 */
extern uint64 ccr_callables_changed(void);

#endif							/* CCR_CALLABLE_H */
