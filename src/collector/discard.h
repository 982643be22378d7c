/*-------------------------------------------------------------------------
 *
 * discard.h
 *	  What is said of enqueued items that are given up.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_DISCARD_H
#define CCR_DISCARD_H

#include "shared/answer.h"
#include "shared/request.h"
#include "shared/source.h"

/*
 * A WARNING with the lookup and, as far as log_parameter_max_length_on_error
 * has it, the arguments and the error, which may quote them.
 */
extern void ccr_discard_log(const CcrSource *source, const CcrItem *item,
							const CcrError *error);

/*
 * The error that a queue has met last, as far as it may be logged; palloc'd.
 */
extern const char *ccr_discard_shown(const CcrLastError *error);

#endif							/* CCR_DISCARD_H */
