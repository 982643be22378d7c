/*-------------------------------------------------------------------------
 *
 * handler.h
 *	  The language: its call handler and its validator.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_HANDLER_H
#define CCR_HANDLER_H

#include "fmgr.h"

extern PGDLLEXPORT Datum concresce_call_handler(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum concresce_validator(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum concresce_remote_sql(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum concresce_forget(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum concresce_forget_all(PG_FUNCTION_ARGS);

#endif							/* CCR_HANDLER_H */
