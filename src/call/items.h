/*-------------------------------------------------------------------------
 *
 * items.h
 *	  Items of a request to be: arguments, encoded, and the key.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_ITEMS_H
#define CCR_ITEMS_H

#include "lookup/definition.h"
#include "shared/request.h"

typedef struct CcrItems
{
	uint32		n;
	bool		barred;			/* asked for by what keeps rows back:
								 * barrier.h */
	StringInfoData buf;			/* CcrItem, each MAXALIGNed */
} CcrItems;

extern void ccr_items_init(CcrItems *items);
extern void ccr_items_add(CcrDefinition *definition, CcrItems *items,
						  const Datum *values, const bool *nulls);

/* Those of one shard, and for each its index among all. */
typedef struct CcrDealt
{
	CcrItems	items;
	uint32	   *places;
} CcrDealt;

/* Deal them out by the shards of their keys: an array of so many. */
extern CcrDealt *ccr_items_deal(const CcrItems *items, int shards);

#endif							/* CCR_ITEMS_H */
