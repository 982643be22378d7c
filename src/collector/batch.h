/*-------------------------------------------------------------------------
 *
 * batch.h
 *	  One bulk query: from flights to parameters, from rows to flights.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_BATCH_H
#define CCR_BATCH_H

#include "collector/carrier.h"
#include "collector/flight.h"

typedef struct CcrBatch CcrBatch;

/*
 * Make a batch of what is due in a queue, of at most `most` items, for an idle
 * carrier.  *n receives their number.  NULL if nothing was left to take.
 * nonce is a part of the names of prepared statements, so that collectors
 * behind the same pooler do not use each other's.
 */
extern CcrBatch *ccr_batch_new(CcrQueue *queue, CcrCarrier *carrier,
							   const char *nonce, void *owner, int most, int *n);

/*
 * Start a batch.  It may end before this returns, so its owner must be ready
 * for that.
 */
extern void ccr_batch_start(CcrBatch *batch);

extern CcrQueue *ccr_batch_queue(CcrBatch *batch);
extern void *ccr_batch_owner(CcrBatch *batch);

/*
 * To be called for the carrier's callbacks of the same names.
 * ccr_batch_done() returns true if the batch has ended and was freed;
 * otherwise it has started the next operation.
 */
extern void ccr_batch_described(CcrBatch *batch, const CcrRow *row);
extern bool ccr_batch_row(CcrBatch *batch, const CcrRow *row);
extern bool ccr_batch_done(CcrBatch *batch, CcrOp op,
						   const CcrError *error);

/*
 * The carrier was lost while op was under way.  This ends the batch.  Its
 * flights fly again if that is allowed, or if nothing had been begun (op is
 * CCR_OP_NONE).
 */
extern void ccr_batch_lost(CcrBatch *batch, CcrOp op,
						   const CcrError *error);

/*
 * A flight of the batch has lost its last waiter.  True if no flight of it has
 * a waiter any more: then the caller must cancel the batch and drop it.
 */
extern bool ccr_batch_deserted(CcrBatch *batch);
extern void ccr_batch_drop(CcrBatch *batch);

/*
 * A batch that somebody had to end is sent again in parts.  How long such a
 * part may take; 0: no limit.
 */
extern CcrTime ccr_batch_allowance(const CcrBatch *batch);

/*
 * ccr_batch_sent() is when it was sent.  ccr_batch_late() ends a batch of
 * enqueued items that has taken too long since; the caller must then cancel
 * it.
 */
extern CcrTime ccr_batch_sent(const CcrBatch *batch);
extern void ccr_batch_late(CcrBatch *batch, const CcrError *error);

/*
 * Fill in `last` with an error of the batch (NULL: of no batch), for the
 * views.
 */
extern void ccr_batch_last_error(const CcrBatch *batch, const CcrError *error,
								 CcrLastError *last);

/* Fail a batch that someone waits for; the caller must then cancel it. */
extern void ccr_batch_stop(CcrBatch *batch, const CcrError *error);

/* The same for a batch of enqueued items, which do not fail but fly again. */
extern void ccr_batch_ground(CcrBatch *batch);

/* Fail all items that wait in a queue. */
extern void ccr_batch_fail_waiting(CcrQueue *queue, const CcrError *error);

/* The same for enqueued items; each is logged as discarded. */
extern void ccr_batch_discard_waiting(CcrQueue *queue, const CcrError *error);

/* Discard the suspects of a queue, each with the error that it failed with. */
extern void ccr_batch_discard_suspects(CcrQueue *queue);

#endif							/* CCR_BATCH_H */
