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
	CCR_KIND_TRANSIENT,			/* no item has, and it is gone after a while */
	CCR_KIND_LASTING,			/* no item has, and it stays until somebody
								 * changes something */
	CCR_KIND_OTHER,				/* nobody can tell */
	CCR_KIND_ENDED				/* it took somebody to end it; not told from
								 * the SQLSTATE */
} CcrKind;

/* writes: it was sent to write, not in a READ ONLY transaction of ours. */
extern CcrKind ccr_kind_of(int sqlstate, bool writes);

#endif							/* CCR_KIND_H */
