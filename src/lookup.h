/*-------------------------------------------------------------------------
 *
 * lookup.h
 *	  The backend's side of a call: submit, wait, read.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_LOOKUP_H
#define CCR_LOOKUP_H

#include "definition.h"
#include "request.h"

/* Items of a request to be. */
typedef struct CcrItems
{
	uint32		n;
	StringInfoData buf;			/* CcrItem, each MAXALIGNed */
} CcrItems;

/* What a request brought, copied out of shared memory. */
typedef struct CcrAnswered
{
	uint32		n;
	CcrEntry  **entries;		/* by item; rows or an error */
	CcrCounters *counters;
} CcrAnswered;

extern void ccr_items_init(CcrItems *items);
extern void ccr_items_add(CcrDefinition *definition, CcrItems *items,
						  const Datum *values, const bool *nulls);

/*
 * Start looking items up.  Waits, interruptibly, while the queue is full.
 */
extern CcrRequest *ccr_lookup_submit(CcrDefinition *definition,
									 const CcrResult *result,
									 const CcrItems *items);

/*
 * Wait for a request and take what it brought.  The request is gone after
 * this, whether it returns or raises an error.  Errors of items are not raised.
 */
extern CcrAnswered *ccr_lookup_wait(CcrDefinition *definition,
									const CcrResult *result,
									const CcrItems *items,
									CcrRequest *request);

/* Read one item's rows, handing each to receive(); raises its error. */
typedef void (*CcrReceive) (void *arg, Datum value, bool isnull,
							const Datum *values, const bool *nulls);
extern void ccr_lookup_read(CcrDefinition *definition, CcrResult *result,
							CcrAnswered *answered, uint32 item,
							CcrReceive receive, void *arg);

/*
 * Let later identical calls start flights of their own: those like the one
 * item, or all if there is none; of all lookups of this database if definition
 * is NULL.
 */
extern void ccr_lookup_forget(const CcrDefinition *definition,
							  const CcrItems *items);

#endif							/* CCR_LOOKUP_H */
