/*-------------------------------------------------------------------------
 *
 * stats.h
 *	  The functions behind the views.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_STATS_H
#define CCR_STATS_H

#include "fmgr.h"

extern PGDLLEXPORT Datum concresce_stats(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum concresce_batch_sizes(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum concresce_connections(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum concresce_in_flight(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum concresce_memory(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum concresce_reset_stats(PG_FUNCTION_ARGS);

#endif							/* CCR_STATS_H */
