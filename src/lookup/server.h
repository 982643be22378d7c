/*-------------------------------------------------------------------------
 *
 * server.h
 *	  From the name of a foreign server to what libpq needs to connect.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_SERVER_H
#define CCR_SERVER_H

#include "shared/source.h"

/* A server as one role may use it; palloc'd in one memory context. */
typedef struct CcrServer
{
	Oid			serverid;
	Oid			umid;			/* user mapping */
	char	   *name;
	char	   *user;			/* "user" option, or "" */

	/*
	 * The connection must have used a password from the user mapping: the
	 * role is no superuser and the mapping does not say password_required
	 * 'false'.
	 */
	bool		password_required;

	CcrLimits	limits;
	bool		fail_fast;

	/* libpq keywords and values, with client_encoding and the defaults */
	int			noptions;
	const char **keywords;
	const char **values;
} CcrServer;

/*
 * Find a server for a role.  Checks that it exists, USAGE, the user mapping,
 * the password rule, and that only allowed options are used.  Raises an error
 * that says what is wrong.
 */
extern CcrServer *ccr_server_resolve(const char *name, Oid roleid);

/*
 * Look up the addresses of the server's hosts.  This is done in the session,
 * as libpq would block the collector.  Returns false if there is nothing to
 * look up.  Otherwise host, hostaddr and port receive lists for the options of
 * these names, with an entry for each address, in the order given.  A single
 * port is that of all; "" if none is given.  If no host resolves, returns
 * false if `missing_ok`, else raises 08001.
 */
extern bool ccr_server_addresses(const CcrServer *server, char **host,
								 char **hostaddr, char **port,
								 bool missing_ok);

#endif							/* CCR_SERVER_H */
