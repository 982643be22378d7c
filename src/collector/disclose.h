/*-------------------------------------------------------------------------
 *
 * disclose.h
 *	  What is told of an error of a batch, and to whom.
 *
 * A batch may have items of several parties (shared/party.h).  An error of the
 * far side may quote what one of them has sent, so the others are told only that
 * the batch has failed.  The log has the rest.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_DISCLOSE_H
#define CCR_DISCLOSE_H

#include "collector/flight.h"

/*
 * Who waits for flights: one party, or several, which is no party.  It is the
 * flights' items that are looked at: who has left cannot be told, but what they
 * have sent can.
 */
extern CcrParty ccr_disclose_party(CcrFlight **flights, int n);
extern bool ccr_disclose_is_of_several(CcrFlight **flights, int n);

/*
 * Have others come since an executor was told whose items they are?  It has made
 * calls for that one party, whose errors may quote what only that has sent.
 */
extern bool ccr_disclose_joined(const CcrSource *source, CcrFlight **flights, int n,
								CcrParty told);

/*
 * May an error quote what is not of all who wait?  Not if there is one item
 * only, which they all have sent: so the key must be all of it.
 */
extern bool ccr_disclose_tells_of_others(const CcrSource *source, CcrFlight **flights,
										 int n, CcrParty told);

/* The same error, saying what was under way, in the current memory context. */
extern CcrError *ccr_disclose_context(const CcrSource *source, int n,
									  const CcrError *error);

/* What several parties are told; the log has the rest. */
extern CcrError *ccr_disclose_to_all(const CcrSource *source, int n,
									 const CcrError *error);

/* " on server ...", for messages; "" of a local lookup. */
extern const char *ccr_disclose_where(const CcrSource *source);

/* An error as the views show it; n: 0 if it is of no batch. */
extern void ccr_disclose_last(CcrFlight **flights, int n, const CcrError *error,
							  CcrLastError *last);

#endif							/* CCR_DISCLOSE_H */
