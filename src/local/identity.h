/*-------------------------------------------------------------------------
 *
 * identity.h
 *	  The role that a local executor runs jobs for.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_IDENTITY_H
#define CCR_IDENTITY_H

/*
 * Connect to the database as the role, which need not have LOGIN.  From then
 * on everything that this process logs names the role.
 */
extern void ccr_identity_assume(Oid dbid, Oid roleid);

/* A copy of the context of an error, without the line that names the role. */
extern char *ccr_identity_without(const char *context);

#endif							/* CCR_IDENTITY_H */
