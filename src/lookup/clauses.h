/*-------------------------------------------------------------------------
 *
 * clauses.h
 *	  What the SET clauses of a lookup say of its meaning.
 *
 * They are read from pg_proc when the lookup is compiled.  The variables of
 * the same names are of no use for that: they tell a lookup's own clause from
 * what its caller has set in no way.
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

/* config: pg_proc.proconfig, or NULL.  Into the current memory context. */
extern void ccr_clauses_read(CcrClauses *clauses, ArrayType *config,
							 const char *lookup, bool is_volatile);

/* Which calls share an item: CcrCoalesce, but never AUTO. */
extern int	ccr_clauses_coalesce(const CcrClauses *clauses);

/* steered: by the settings of the session, as it calls for itself. */
extern int	ccr_clauses_on_missing(const CcrClauses *clauses, bool steered);
extern bool ccr_clauses_isolate(const CcrClauses *clauses, bool steered);

/* Once a session: a key, or a limit, that does not come from the lookup counts for nothing. */
extern void ccr_clauses_check_key(const CcrClauses *clauses);
extern void ccr_clauses_check_limits(const CcrClauses *clauses);

#endif							/* CCR_CLAUSES_H */
