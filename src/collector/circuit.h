/*-------------------------------------------------------------------------
 *
 * circuit.h
 *	  Enqueued items that have failed: which wait, and which are given up.
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
	CCR_VERDICT_WAIT,			/* it flies again later, as it is */
	CCR_VERDICT_DIVIDE,			/* halves of it fly again */
	CCR_VERDICT_SUSPECT,		/* its only item is held back */
	CCR_VERDICT_DISCARD			/* its only item is given up */
} CcrVerdict;

/*
 * A batch has failed, or one has succeeded.  What the verdict on a failure says
 * is for the caller to do: by retry, suspect, a regrouping, or a landing.
 */
extern CcrVerdict ccr_circuit_failed(CcrQueue *queue, CcrFlight **flights, int n,
									 CcrKind kind, const CcrLastError *error);
extern void ccr_circuit_succeeded(CcrQueue *queue);

/* Let flights that were FLYING wait for a while, as one group. */
extern void ccr_circuit_retry(CcrQueue *queue, CcrFlight **flights, int n);

/* Hold one back; its error is copied. */
extern void ccr_circuit_suspect(CcrQueue *queue, CcrFlight *flight,
								const CcrError *error);

/*
 * Something of the queue has ended.  True: all that is left of it are suspects
 * that are to be given up; else what it has failed for may be forgotten, or
 * one of them is tried again.
 */
extern bool ccr_circuit_at_end(CcrQueue *queue);

/*
 * The oldest suspect, FLYING from then on, or NULL.  The caller deletes its
 * context.
 */
extern CcrSuspect *ccr_circuit_take_suspect(CcrQueue *queue, struct CcrBatch *batch);

/* Show that nothing of the queue gets through, and until when it waits. */
extern void ccr_circuit_open(CcrQueue *queue, CcrKind kind, int failures,
							 CcrTime retry_at, const CcrLastError *error);

#endif							/* CCR_CIRCUIT_H */
