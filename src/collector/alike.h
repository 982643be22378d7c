/*-------------------------------------------------------------------------
 *
 * alike.h
 *	  Items of a batch whose keys are equal.
 *
 * In the keyed form they would get each other's rows, and a result would
 * depend on who shares the batch.  Those that are equal here, by hash, are not
 * put into one batch.  Those that turn out to be equal over there, as they got
 * one and the same row of the body, are companions.
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

/* Room for n of them, in the current memory context. */
extern CcrHashes ccr_hashes_new(int n);

/* False: it is there already. */
extern bool ccr_hashes_add(CcrHashes *hashes, uint32 hash);

typedef struct CcrCompanions CcrCompanions;

/* Of a batch of n items; lives in context. */
extern CcrCompanions *ccr_companions_new(int n, MemoryContext context);

/* An item has got this row.  Returns how many bytes that has taken. */
extern Size ccr_companions_add(CcrCompanions *companions, int64 row, int item);

/*
 * The place of each item among its companions, from 0: items of the same
 * place are no companions.  -1: it has none.  NULL if no item has any.
 */
extern int *ccr_companions_places(CcrCompanions *companions);

#endif							/* CCR_ALIKE_H */
