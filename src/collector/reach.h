/*-------------------------------------------------------------------------
 *
 * reach.h
 *	  How to connect to a foreign server.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_REACH_H
#define CCR_REACH_H

/* How to connect. */
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

/* Do all of these addresses lead to this very server? */
extern bool ccr_reach_is_own_server(const CcrReach *reach);

#endif							/* CCR_REACH_H */
