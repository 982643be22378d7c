/*-------------------------------------------------------------------------
 *
 * params.h
 *	  From the items of a batch to the parameters of its bulk query.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_PARAMS_H
#define CCR_PARAMS_H

#include "collector/flight.h"
#include "shared/job.h"

/*
 * One array for each argument, or how many items there are, in the current
 * memory context.  Returns how many bytes they take.
 */
extern Size ccr_params_build(CcrParams *params, const CcrSource *source,
							 CcrFlight **flights, int n);

/* Is some argument of some item NULL? */
extern bool ccr_params_have_null(const CcrSource *source, CcrFlight **flights, int n);

#endif							/* CCR_PARAMS_H */
