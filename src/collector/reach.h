/*-------------------------------------------------------------------------
 *
 * reach.h
 *	  How to connect to a foreign server.
 *
 * A reach has the options of a server and user mapping, and the addresses that a
 * backend has looked up.  libpq tries these one after another; those that did
 * not answer in time are silent, and left out of the next attempt.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_REACH_H
#define CCR_REACH_H

#include "libpq-fe.h"
#include "nodes/bitmapset.h"

typedef struct CcrReach
{
	const char *server;			/* for messages */
	uint64		number;			/* that stands for it */
	bool		password_required;
	int			noptions;
	const char **keywords;
	const char **values;
	const char *hosts;			/* in place of host, hostaddr and port; or
								 * NULL */
	const char *hostaddrs;
	const char *ports;
} CcrReach;

/* PQconnectStartParams(), without the entries that are silent. */
extern PGconn *ccr_reach_connect(const CcrReach *reach, const Bitmapset *silent);

/* Which entry of the address list is being tried: the first, at worst. */
extern int	ccr_reach_entry(const CcrReach *reach, const Bitmapset *silent,
							const PGconn *conn);

/*
 * Entry did not answer: leave it out, and what was tried before it, unless
 * libpq takes the hosts in an order of its own.
 */
extern Bitmapset *ccr_reach_silence(const CcrReach *reach, Bitmapset *silent, int entry);
extern bool ccr_reach_any_left(const CcrReach *reach, const Bitmapset *silent);

/* s */
extern int	ccr_reach_timeout(const CcrReach *reach);

/* A number that stands for an address of this reach. */
extern uint64 ccr_reach_peer(const CcrReach *reach, int entry);

/* Do all of these addresses lead to this very server? */
extern bool ccr_reach_is_own_server(const CcrReach *reach);

#endif							/* CCR_REACH_H */
