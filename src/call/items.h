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
	int			max_size;		/* in a batch; 0: by the settings */
	StringInfoData buf;			/* CcrItem, each MAXALIGNed */
} CcrItems;

extern void ccr_items_init(CcrItems *items);
extern void ccr_items_add(CcrDefinition *definition, CcrItems *items,
						  const Datum *values, const bool *nulls);

/*
 * Put many items into the order of their arguments, about, in which the far side
 * finds what it has kept together.  Returns for each item its index in the new
 * order; NULL: all are where they were.
 */
extern uint32 *ccr_items_sort(CcrItems *items, int nargs);

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
