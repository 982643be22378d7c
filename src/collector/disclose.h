/*-------------------------------------------------------------------------
 *
 * disclose.h
 *	  Who may see the text of an error of a batch.
 *
 * A batch may have items of several parties (shared/party.h).  An error of the
 * far side may quote what one of them has sent.  So the others are told only
 * that the batch has failed.  The log has the whole error.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_DISCLOSE_H
#define CCR_DISCLOSE_H

#include "collector/flight.h"

/*
 * The party whose items these flights have; no party (party.h) if they are of
 * several.  A caller that has left counts as well: its item was sent, so an
 * error may quote it.
 */
extern CcrParty ccr_disclose_party(CcrFlight **flights, int n);
extern bool ccr_disclose_is_of_several(CcrFlight **flights, int n);

/*
 * Has another party joined since an executor was told for whom it runs the
 * batch? The body's own calls were made for the party `told`, and their errors
 * may quote what only that party has sent.
 */
extern bool ccr_disclose_joined(const CcrSource *source, CcrFlight **flights, int n,
								CcrParty told);

/*
 * May an error quote something that not all waiting parties have sent?  Not if
 * the batch has one item, which all have sent, and concresce.key does not
 * leave out a part of it.
 */
extern bool ccr_disclose_tells_of_others(const CcrSource *source, CcrFlight **flights,
										 int n, CcrParty told);

/* A copy of an error with a context that says what was under way. */
extern CcrError *ccr_disclose_context(const CcrSource *source, int n,
									  const CcrError *error);

/* The error that several parties are told; the log has the whole one. */
extern CcrError *ccr_disclose_to_all(const CcrSource *source, int n,
									 const CcrError *error);

/* " on server ...", for messages; "" of a local lookup. */
extern const char *ccr_disclose_where(const CcrSource *source);

/*
 * Fill in `last` with an error, for the views; n is 0 if it is not of a batch.
 */
extern void ccr_disclose_last(CcrFlight **flights, int n, const CcrError *error,
							  CcrLastError *last);

#endif							/* CCR_DISCLOSE_H */
