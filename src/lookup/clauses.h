/*-------------------------------------------------------------------------
 *
 * clauses.h
 *	  What the SET clauses of a lookup say about its meaning.
 *
 * They are read from pg_proc when the lookup is compiled.  The variables of
 * the same names cannot be used for that: they do not tell whether a value
 * comes from the lookup's own clause or was set by its caller.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_CLAUSES_H
#define CCR_CLAUSES_H

#include "shared/source.h"
#include "utils/array.h"

typedef struct CcrClauses
{
	const char *lookup;			/* for messages */
	bool		is_volatile;
	char	   *server;			/* NULL: not said; "": this database */
	char	   *key;			/* "": all arguments */
	int			coalesce;		/* CcrCoalesce */
	int			on_missing;		/* CcrOnMissing; -1: not said */
	int			isolate_errors; /* true, false; -1: not said */
	int			fail_fast;		/* true, false; -1: not said */
	CcrLimits	limits;
	bool		sets_path;		/* search_path */
	bool		only_own;		/* no clauses but of concresce.* */
} CcrClauses;

/*
 * Read config, which is pg_proc.proconfig or NULL, into the current context.
 */
extern void ccr_clauses_read(CcrClauses *clauses, ArrayType *config,
							 const char *lookup, bool is_volatile);

/* Which calls share an item: CcrCoalesce, but never AUTO. */
extern int	ccr_clauses_coalesce(const CcrClauses *clauses);

/*
 * If `steered`, the session's settings count where the lookup has no clause.
 */
extern int	ccr_clauses_on_missing(const CcrClauses *clauses, bool steered);
extern bool ccr_clauses_isolate(const CcrClauses *clauses, bool steered);

/*
 * Warn, once in a session, if a key or a limit is set other than by a SET
 * clause of the lookup: it has no effect.
 */
extern void ccr_clauses_check_key(const CcrClauses *clauses);
extern void ccr_clauses_check_limits(const CcrClauses *clauses);

#endif							/* CCR_CLAUSES_H */
