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
 * Take what is due of a queue, at most `most` items, for an idle carrier; how many
 * they are is in *n.  NULL if nothing was left to take.  nonce tells this
 * collector's statements from those of others behind the same pooler.
 */
extern CcrBatch *ccr_batch_new(CcrQueue *queue, CcrCarrier *carrier,
							   const char *nonce, void *owner, int most, int *n);

/* Start it, once its owner knows it: it may end from within. */
extern void ccr_batch_start(CcrBatch *batch);

extern CcrQueue *ccr_batch_queue(CcrBatch *batch);
extern void *ccr_batch_owner(CcrBatch *batch);

/*
 * What the carrier tells.  done returns true once the batch has ended,
 * and has been freed; before, it has started the next operation.
 */
extern void ccr_batch_described(CcrBatch *batch, const CcrRow *row);
extern bool ccr_batch_row(CcrBatch *batch, const CcrRow *row);
extern bool ccr_batch_done(CcrBatch *batch, CcrOp op,
						   const CcrError *error);

/*
 * The carrier was lost: ends the batch, whose flights may fly again.  They do if
 * it was not begun: op is NONE.
 */
extern void ccr_batch_lost(CcrBatch *batch, CcrOp op,
						   const CcrError *error);

/*
 * A flight of the batch has lost its last waiter.  True: so have they all;
 * whoever runs the batch is to cancel and then drop it.
 */
extern bool ccr_batch_deserted(CcrBatch *batch);
extern void ccr_batch_drop(CcrBatch *batch);

/* How long a part of one may take that somebody had to end; 0: any time. */
extern CcrTime ccr_batch_allowance(const CcrBatch *batch);

/*
 * When it was sent; and that a batch of enqueued items has taken too long since:
 * it has ended, and whoever runs it is to cancel it.
 */
extern CcrTime ccr_batch_sent(const CcrBatch *batch);
extern void ccr_batch_late(CcrBatch *batch, const CcrError *error);

/* An error of the batch, or of none (NULL), as the views show it. */
extern void ccr_batch_last_error(const CcrBatch *batch, const CcrError *error,
								 CcrLastError *last);

/* Give up a batch that someone waits for; whoever runs it is to cancel it. */
extern void ccr_batch_stop(CcrBatch *batch, const CcrError *error);

/* The same for one of enqueued items, which are to fly again as they are. */
extern void ccr_batch_ground(CcrBatch *batch);

/* Fail what waits in a queue. */
extern void ccr_batch_fail_waiting(CcrQueue *queue, const CcrError *error);

/* The same for enqueued items, each of which the log is told of. */
extern void ccr_batch_discard_waiting(CcrQueue *queue, const CcrError *error);

/* The same for those that have failed alone, for the errors that they met. */
extern void ccr_batch_discard_suspects(CcrQueue *queue);

#endif							/* CCR_BATCH_H */
