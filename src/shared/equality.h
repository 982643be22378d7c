/*-------------------------------------------------------------------------
 *
 * equality.h
 *	  How keys of a type are compared on the far side, and hashed here.
 *
 * In the keyed form a row goes to the items whose key is equal to its own.
 * Two items that are equal, but not identical, would get each other's rows,
 * so they must not share a batch.  This side cannot always tell which values
 * are equal on the far side.  For types where it can, the equality is "exact".
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_EQUALITY_H
#define CCR_EQUALITY_H

#include "fmgr.h"

typedef enum CcrEquality
{
	CCR_EQUALITY_NONE,			/* its values cannot be compared */
	CCR_EQUALITY_EXACT,			/* by an operator of pg_catalog; two items
								 * with different hashes are equal on no
								 * server */
	CCR_EQUALITY_COLLATED,		/* as EXACT, if the collation is deterministic */
	CCR_EQUALITY_RECORD,		/* a composite: by the equality of its columns */
	CCR_EQUALITY_LOOSE,			/* by an operator of pg_catalog; values that
								 * differ here may be equal on the far side */
	CCR_EQUALITY_FOREIGN		/* as LOOSE, by an operator of which we know
								 * neither name nor schema on the far side */
} CcrEquality;

/* The equality of a type that is not a domain. */
extern CcrEquality ccr_equality(Oid type);

/*
 * The type that the key column of the far side must have for an exact
 * comparison; InvalidOid if any type will do that can be compared.
 */
extern Oid	ccr_equality_column(Oid type);
extern bool ccr_equality_fits(Oid expected, Oid got);

/*
 * Look up a hash function that returns the same for equal values.  False if
 * there is none, or if none is needed: equal values of some types have equal
 * bytes.
 */
extern bool ccr_equality_hash(FmgrInfo *hash, Oid type, MemoryContext context);

#endif							/* CCR_EQUALITY_H */
