/*-------------------------------------------------------------------------
 *
 * alike.h
 *	  Items of a batch whose keys are equal.
 *
 * In the keyed form such items would get each other's rows, so a result would
 * depend on which items share the batch.  Items that have the same hash here
 * are not put into one batch.  Items that turn out to be equal on the far
 * side, as they got the same row of the body, are called companions.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_ALIKE_H
#define CCR_ALIKE_H

/* The hashes of the items that are in a batch. */
typedef struct CcrHashes
{
	uint32	   *slots;			/* open addressing, at most half full; 0: free */
	uint32		mask;
} CcrHashes;

/* A new set with room for n hashes, in the current memory context. */
extern CcrHashes ccr_hashes_new(int n);

/* Add a hash.  False if it is there already. */
extern bool ccr_hashes_add(CcrHashes *hashes, uint32 hash);

typedef struct CcrCompanions CcrCompanions;

/* For a batch of n items; lives in context. */
extern CcrCompanions *ccr_companions_new(int n, MemoryContext context);

/*
 * Note that an item has got this row.  Returns how many bytes that has
 * allocated.
 */
extern Size ccr_companions_add(CcrCompanions *companions, int64 row, int item);

/*
 * Number each item among its companions, from 0; -1 if it has none.  So items
 * with the same number are not companions.  NULL if no item has companions.
 */
extern int *ccr_companions_places(CcrCompanions *companions);

#endif							/* CCR_ALIKE_H */
