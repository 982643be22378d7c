/*-------------------------------------------------------------------------
 *
 * collector.h
 *	  The background worker that collects calls and sends batches.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_COLLECTOR_H
#define CCR_COLLECTOR_H

/* At server start, from _PG_init(). */
extern void ccr_collector_register(void);

/* Entry point of the worker; the argument is its index. */
extern PGDLLEXPORT void ccr_collector_main(Datum index);

#endif							/* CCR_COLLECTOR_H */
