/*-------------------------------------------------------------------------
 *
 * flush.h
 *	  What this session has enqueued, and what has become of it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_FLUSH_H
#define CCR_FLUSH_H

#include "definition.h"
#include "ledger.h"

/* Items of the present transaction, which no flush can wait for. */
extern uint64 ccr_flush_uncommitted;

/*
 * The sender of this session's items of a lookup; NULL if the heap has no
 * room.  worker: of the collector that they go to.
 */
extern CcrSender *ccr_flush_sender(const CcrDefinition *definition, int worker);

#endif							/* CCR_FLUSH_H */
