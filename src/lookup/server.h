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
 * Resolve a server for a role: existence, USAGE, user mapping, the password
 * rule, the allow-list of options.  Raises an error that says what is wrong.
 */
extern CcrServer *ccr_server_resolve(const char *name, Oid roleid);

/*
 * Look up the addresses of the server's hosts, since libpq would do so
 * blocking.  Returns false if there is nothing to look up.  Otherwise the
 * lists that take the place of the options host, port and hostaddr: one entry
 * for each address, in the order given; a single port (or "", none given) is
 * that of all.  If no host resolves: false, if that is ok, else 08001.
 */
extern bool ccr_server_addresses(const CcrServer *server, char **host,
								 char **hostaddr, char **port,
								 bool missing_ok);

#endif							/* CCR_SERVER_H */
