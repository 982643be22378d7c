/*-------------------------------------------------------------------------
 *
 * reach.h
 *	  How to connect to a foreign server.
 *
 * A reach has the options of a server and user mapping, and the addresses that
 * a backend has looked up.  libpq tries the addresses one after another.
 * Those that did not answer in time are called silent, and the next attempt
 * leaves them out.
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
	uint64		number;			/* the same for reaches that are equal */
	bool		password_required;
	int			noptions;
	const char **keywords;
	const char **values;
	const char *hosts;			/* in place of host, hostaddr and port; or
								 * NULL */
	const char *hostaddrs;
	const char *ports;
} CcrReach;

/* Call PQconnectStartParams(), leaving out the silent entries. */
extern PGconn *ccr_reach_connect(const CcrReach *reach, const Bitmapset *silent);

/*
 * The entry of the address list that is being tried; if not known, the first.
 */
extern int	ccr_reach_entry(const CcrReach *reach, const Bitmapset *silent,
							const PGconn *conn);

/*
 * This entry did not answer: add it to the silent ones, and all entries before
 * it, which were tried earlier, unless libpq tries hosts in random order.
 */
extern Bitmapset *ccr_reach_silence(const CcrReach *reach, Bitmapset *silent, int entry);
extern bool ccr_reach_any_left(const CcrReach *reach, const Bitmapset *silent);

/* The time for one address to answer, in seconds. */
extern int	ccr_reach_timeout(const CcrReach *reach);

/* A number that is the same for the same address. */
extern uint64 ccr_reach_peer(const CcrReach *reach, int entry);

/*
 * Do all of its addresses lead to the server that this collector belongs to?
 */
extern bool ccr_reach_is_own_server(const CcrReach *reach);

#endif							/* CCR_REACH_H */
