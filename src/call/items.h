/*-------------------------------------------------------------------------
 *
 * items.h
 *	  The items of a request that is being made: encoded arguments and keys.
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
	bool		barred;			/* the calls keep rows back: see barrier.h */
	StringInfoData buf;			/* CcrItem, each MAXALIGNed */
} CcrItems;

extern void ccr_items_init(CcrItems *items);
extern void ccr_items_add(CcrDefinition *definition, CcrItems *items,
						  const Datum *values, const bool *nulls);

/* The items of one shard, and for each of them its index among all items. */
typedef struct CcrDealt
{
	CcrItems	items;
	uint32	   *places;
} CcrDealt;

/*
 * Deal items out by the shards of their keys.  Returns an array with one entry
 * a shard.
 */
extern CcrDealt *ccr_items_deal(const CcrItems *items, int shards);

#endif							/* CCR_ITEMS_H */
