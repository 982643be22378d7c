/*-------------------------------------------------------------------------
 *
 * route.h
 *	  Where the calls of a lookup go: a source, as this session may use it.
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
	uint64		made_at;		/* count of invalidations */
	int			pins;			/* by those who keep it */

	/* what it is */
	MemoryContext context;
	CcrFingerprint fingerprint;
	CcrSource  *source;
	int			worker;			/* index of the collector: of the first one,
								 * if the server is sharded */
	bool		sharded;
	uint32		described[CCR_MAX_WORKERS]; /* by collector, the generation
											 * that was sent the source; 0:
											 * none, or to be sent again */
	CcrCountersKey counters_key;
	int			counters;
	uint32		counters_serial;
} CcrRoute;

/*
 * The route of a call with the current settings and user, who must have
 * USAGE on the server, if there is one.  barred: see barrier.h.  It is good
 * until anything else is called that can process invalidations: use it at once.
 */
extern CcrRoute *ccr_route_get(CcrDefinition *definition,
							   const CcrResult *result, bool barred);

/*
 * Grows with each change of a server, a user mapping or the rights to them, once
 * they are watched.
 */
extern void ccr_route_watch(void);
extern uint64 ccr_route_changes(void);

/* May it still be used?  A route that is to be kept must be pinned. */
extern bool ccr_route_valid(const CcrRoute *route);

/*
 * Do the session's settings say how it is called?  Not with another role's
 * rights, and not where the call keeps rows back from whoever calls.
 */
extern bool ccr_route_steered(const CcrDefinition *definition, bool barred);

/* By its own SET clause or, without one, the session's setting. */
extern const char *ccr_route_server(const CcrDefinition *definition);

/*
 * Calls that are made because a batch failed must not fail with the next one:
 * while this is set, they travel as with concresce.isolate_errors, apart from
 * calls without it.
 */
extern bool ccr_route_isolates;

/*
 * The description of its source, with fresh addresses; palloc'd.  missing_ok:
 * without any, if there are none.
 */
extern void ccr_route_describe(CcrRoute *route, StringInfo buf,
							   bool missing_ok);

/* Collectors that share its calls; and which one has a call of this key. */
extern int	ccr_route_shards(const CcrRoute *route);
extern int	ccr_route_worker(const CcrRoute *route, const char *key, uint32 length);

/* Entry of the counters. */
extern CcrCounters *ccr_route_counters(CcrRoute *route);

/* Describe the source again with the next request. */
extern void ccr_route_forget(CcrDefinition *definition,
							 const CcrFingerprint *fingerprint);

#endif							/* CCR_ROUTE_H */
