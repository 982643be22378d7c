/*-------------------------------------------------------------------------
 *
 * route.h
 *	  Where the calls of a lookup go: a source, together with what this session
 *	  needs to use it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_ROUTE_H
#define CCR_ROUTE_H

#include "lookup/definition.h"
#include "shared/settings.h"
#include "shared/shmem.h"
#include "shared/source.h"

typedef struct CcrRoute
{
	/* what it was made of */
	char	   *server_name;	/* "": this database */
	char	   *search_path;	/* in this database; else NULL */
	char	   *lc_monetary;	/* where there is money; else NULL */
	Oid			roleid;
	bool		prepare;
	bool		isolate_errors;
	uint64		made_at;		/* count of invalidations at that time */
	int			pins;			/* a pinned route is not freed */

	/* what it is */
	MemoryContext context;
	CcrFingerprint fingerprint;
	CcrSource  *source;
	int			worker;			/* index of the collector: of the first one,
								 * if the server is sharded */
	bool		sharded;
	uint32		described[CCR_MAX_WORKERS]; /* for each collector, the
											 * generation that was sent the
											 * source; 0: send it again */
	CcrCountersKey counters_key;
	int			counters;
	uint32		counters_serial;
} CcrRoute;

/*
 * The route of a call with the current settings and user.  The user must have
 * USAGE on the server, if there is one.  barred: see barrier.h.  Use the route
 * at once: it is valid only until something is called that can process
 * invalidations.
 */
extern CcrRoute *ccr_route_get(CcrDefinition *definition,
							   const CcrResult *result, bool barred);

/*
 * ccr_route_changes() is a number that grows whenever a server, a user mapping
 * or the right to one changes, once ccr_route_watch() has been called.
 */
extern void ccr_route_watch(void);
extern uint64 ccr_route_changes(void);

/*
 * Is the route still valid?  Only a pinned route can be kept and asked about.
 */
extern bool ccr_route_valid(const CcrRoute *route);

/*
 * Do the session's settings count for a call?  Not if it runs with another
 * role's rights, and not if it keeps rows back from the session (barred).
 */
extern bool ccr_route_steered(const CcrDefinition *definition, bool barred);

/*
 * The server's name: from the lookup's SET clause or, without one, the
 * session's setting.
 */
extern const char *ccr_route_server(const CcrDefinition *definition);

/*
 * While this is set, calls travel as with concresce.isolate_errors.  It is set
 * for calls that are made again because a batch failed.  So they share no
 * batch with other calls, whose errors they would get once more.
 */
extern bool ccr_route_isolates;

/*
 * Append the description of the source to buf, with addresses that are looked
 * up now.  If no host resolves: without addresses if `missing_ok`, else an
 * error.
 */
extern void ccr_route_describe(CcrRoute *route, StringInfo buf,
							   bool missing_ok);

/*
 * How many collectors share its calls, and which one gets a call with this
 * key.
 */
extern int	ccr_route_shards(const CcrRoute *route);
extern int	ccr_route_worker(const CcrRoute *route, const char *key, uint32 length);

/*
 * The counters of its function and server, found anew if their entry was
 * reused.
 */
extern CcrCounters *ccr_route_counters(CcrRoute *route);

/*
 * Forget that the source was described, so that the next request does it
 * again.
 */
extern void ccr_route_forget(CcrDefinition *definition,
							 const CcrFingerprint *fingerprint);

#endif							/* CCR_ROUTE_H */
