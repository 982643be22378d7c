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
 * Make one array for each argument; for a lookup without arguments, the number
 * of items.  They are in the current memory context.  Returns how many bytes
 * they take.
 */
extern Size ccr_params_build(CcrParams *params, const CcrSource *source,
							 CcrFlight **flights, int n);

/* Is some argument of some item NULL? */
extern bool ccr_params_have_null(const CcrSource *source, CcrFlight **flights, int n);

#endif							/* CCR_PARAMS_H */
