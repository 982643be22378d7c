/*-------------------------------------------------------------------------
 *
 * circuit.h
 *	  Enqueued items that have failed: which of them wait to fly again, and which
 *	  are discarded.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_CIRCUIT_H
#define CCR_CIRCUIT_H

#include "collector/flight.h"
#include "collector/kind.h"

/* What is to become of a batch of enqueued items that has failed. */
typedef enum CcrVerdict
{
	CCR_VERDICT_WAIT,			/* the same batch flies again later */
	CCR_VERDICT_DIVIDE,			/* its halves fly again, as two batches */
	CCR_VERDICT_SUSPECT,		/* it has one item, which is held back */
	CCR_VERDICT_DISCARD			/* it has one item, which is discarded */
} CcrVerdict;

/*
 * A batch has failed, or has succeeded.  The caller carries the verdict out,
 * by ccr_circuit_retry(), ccr_flights_regroup(), ccr_circuit_suspect() or
 * ccr_flights_land().
 */
extern CcrVerdict ccr_circuit_failed(CcrQueue *queue, CcrFlight **flights, int n,
									 CcrKind kind, const CcrLastError *error);
extern void ccr_circuit_succeeded(CcrQueue *queue);

/*
 * Let flights that were FLYING wait for a while, and then fly again as one
 * group.
 */
extern void ccr_circuit_retry(CcrQueue *queue, CcrFlight **flights, int n);

/* Hold a flight back as a suspect; its error is copied. */
extern void ccr_circuit_suspect(CcrQueue *queue, CcrFlight *flight,
								const CcrError *error);

/*
 * To be called when a batch of the queue has ended.  True if nothing but
 * suspects is left in the queue, and the caller must discard them.  Otherwise
 * this may close the circuit, or let a suspect fly again.
 */
extern bool ccr_circuit_at_end(CcrQueue *queue);

/*
 * Take the oldest suspect, or return NULL.  Its flight is FLYING from then on.
 * The caller deletes the suspect's context.
 */
extern CcrSuspect *ccr_circuit_take_suspect(CcrQueue *queue, struct CcrBatch *batch);

/* Show in concresce.circuits that the queue waits until retry_at, and why. */
extern void ccr_circuit_open(CcrQueue *queue, CcrKind kind, int failures,
							 CcrTime retry_at, const CcrLastError *error);

#endif							/* CCR_CIRCUIT_H */
