/*-------------------------------------------------------------------------
 *
 * discard.h
 *	  When an enqueued item is given up, and what is said of it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_DISCARD_H
#define CCR_DISCARD_H

#include "answer.h"
#include "request.h"
#include "source.h"

/*
 * Is the error none of the items', and gone after a while?  Lost connections
 * (08), serialization failures and deadlocks (40001, 40P01), restarts (57P0x),
 * lack of resources (53).
 */
extern bool ccr_discard_is_passing(int sqlstate);

/*
 * A WARNING with the lookup and, as far as log_parameter_max_length_on_error
 * has it, the arguments and the error, which may quote them.
 */
extern void ccr_discard_log(const CcrSource *source, const CcrItem *item,
							const CcrError *error);

#endif							/* CCR_DISCARD_H */
