/*-------------------------------------------------------------------------
 *
 * kind.h
 *	  Kinds of errors: what an error says about the items of a batch.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_KIND_H
#define CCR_KIND_H

typedef enum CcrKind
{
	CCR_KIND_DATA,				/* some item has caused it */
	CCR_KIND_TRANSIENT,			/* no item has caused it, and it goes away by
								 * itself */
	CCR_KIND_LASTING,			/* no item has caused it, and it stays until
								 * somebody changes something */
	CCR_KIND_OTHER,				/* unknown */
	CCR_KIND_ENDED				/* somebody had to end the batch; this kind is
								 * not found from the SQLSTATE */
} CcrKind;

/*
 * writes: the batch may write, as it was not sent in a READ ONLY transaction.
 */
extern CcrKind ccr_kind_of(int sqlstate, bool writes);

#endif							/* CCR_KIND_H */
