/*-------------------------------------------------------------------------
 *
 * identity.h
 *	  Who a local executor is: the role that it runs jobs for.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_IDENTITY_H
#define CCR_IDENTITY_H

/*
 * Connect to the database as the role, which need not be able to log in.  From
 * then on whatever is logged names it.
 */
extern void ccr_identity_assume(Oid dbid, Oid roleid);

/* The context of an error, without the line that names the role: a new string. */
extern char *ccr_identity_without(const char *context);

#endif							/* CCR_IDENTITY_H */
