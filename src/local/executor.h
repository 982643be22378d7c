/*-------------------------------------------------------------------------
 *
 * executor.h
 *	  A local executor: the background worker that runs bulk queries in its
 *	  own database.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_EXECUTOR_H
#define CCR_EXECUTOR_H

#include "fmgr.h"

extern PGDLLEXPORT void ccr_executor_main(Datum unused);

#endif							/* CCR_EXECUTOR_H */
