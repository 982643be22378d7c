/*-------------------------------------------------------------------------
 *
 * flush.h
 *	  What this session has enqueued, and what has become of it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_FLUSH_H
#define CCR_FLUSH_H

#include "lookup/definition.h"
#include "shared/ledger.h"
#include "shared/party.h"

/*
 * Count items of the present transaction: no flush can wait for these.
 * ccr_flush_count_nothing() resets the count when the transaction ends.
 */
extern void ccr_flush_count(CcrParty party, int64 n);
extern void ccr_flush_count_nothing(void);

/*
 * The account of what this session enqueues of a lookup for a party.  NULL if
 * the heap has no room.  worker: index of the collector that the items go to.
 */
extern CcrAccount *ccr_flush_account(const CcrDefinition *definition,
									 CcrParty party, int worker);

#endif							/* CCR_FLUSH_H */
