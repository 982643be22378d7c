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
 * Count items of the present transaction, which no flush can wait for; and
 * forget them as it ends.
 */
extern void ccr_flush_count(CcrParty party, int64 n);
extern void ccr_flush_count_nothing(void);

/*
 * The account of what a party has this session enqueue of a lookup; NULL if the
 * heap has no room.  worker: of the collector that the items go to.
 */
extern CcrAccount *ccr_flush_account(const CcrDefinition *definition,
									 CcrParty party, int worker);

#endif							/* CCR_FLUSH_H */
