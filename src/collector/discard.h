/*-------------------------------------------------------------------------
 *
 * discard.h
 *	  What the log says about enqueued items that are discarded.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_DISCARD_H
#define CCR_DISCARD_H

#include "shared/answer.h"
#include "shared/request.h"
#include "shared/source.h"

/*
 * Log a WARNING that names the lookup.  The arguments, and the error, which
 * may quote them, are shown as far as log_parameter_max_length_on_error
 * allows.
 */
extern void ccr_discard_log(const CcrSource *source, const CcrItem *item,
							const CcrError *error);

/*
 * The text of the last error of a queue, as far as it may be logged; palloc'd.
 */
extern const char *ccr_discard_shown(const CcrLastError *error);

#endif							/* CCR_DISCARD_H */
