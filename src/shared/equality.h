/*-------------------------------------------------------------------------
 *
 * equality.h
 *	  How keys of a type are compared over there, and hashed here.
 *
 * In the keyed form a row goes to the items whose key is equal to its own.
 * Two items that are equal, but not identical, would get each other's rows,
 * so they must not share a batch.  What is equal over there cannot always be
 * told here; for types where it can, the comparison is exact.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_EQUALITY_H
#define CCR_EQUALITY_H

#include "fmgr.h"

typedef enum CcrEquality
{
	CCR_EQUALITY_NONE,			/* its values cannot be compared */
	CCR_EQUALITY_EXACT,			/* by an operator of pg_catalog; two items of
								 * different hash are equal nowhere */
	CCR_EQUALITY_COLLATED,		/* the same, if the collation is deterministic */
	CCR_EQUALITY_RECORD,		/* a composite: by that of its columns */
	CCR_EQUALITY_LOOSE,			/* by an operator of pg_catalog; more values
								 * may be equal over there than here */
	CCR_EQUALITY_FOREIGN		/* the same, by an operator whose name and
								 * schema are not ours to say */
} CcrEquality;

/* Of a type that is no domain. */
extern CcrEquality ccr_equality(Oid type);

/*
 * The type that the far side's key column must have for an exact comparison;
 * InvalidOid: any that can be compared.
 */
extern Oid	ccr_equality_column(Oid type);
extern bool ccr_equality_fits(Oid expected, Oid got);

/*
 * A hash that is the same for equal values.  False: there is none, or equal
 * values are identical, so that a hash of the bytes serves.
 */
extern bool ccr_equality_hash(FmgrInfo *hash, Oid type, MemoryContext context);

#endif							/* CCR_EQUALITY_H */
