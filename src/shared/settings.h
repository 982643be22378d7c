/*-------------------------------------------------------------------------
 *
 * settings.h
 *	  The configuration parameters, as concresce.c defines them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_SETTINGS_H
#define CCR_SETTINGS_H

typedef enum CcrCoalesce
{
	CCR_COALESCE_AUTO,			/* by volatility: flight, or off if VOLATILE */
	CCR_COALESCE_OFF,
	CCR_COALESCE_BATCH,			/* identical items of one batch */
	CCR_COALESCE_FLIGHT			/* also onto an item already in flight */
} CcrCoalesce;

typedef enum CcrOnMissing
{
	CCR_MISSING_NULL,
	CCR_MISSING_ERROR
} CcrOnMissing;

typedef enum CcrOnFull
{
	CCR_FULL_WAIT,
	CCR_FULL_ERROR
} CcrOnFull;

extern char *ccr_server_name;	/* foreign server; "": this database */
extern int	ccr_server_source;	/* its GucSource */
extern char *ccr_key;			/* never used: see clauses.h */
extern double ccr_max_window;	/* ms */
extern int	ccr_max_size;		/* items */
extern int	ccr_max_bytes;		/* bytes */
extern int	ccr_max_connections;	/* per server and user mapping */
extern int	ccr_max_local_workers;	/* per database */
extern int	ccr_coalesce;		/* CcrCoalesce */
extern int	ccr_timeout;		/* ms; 0: none; to be read by timeout.h */
extern int	ccr_max_timeout;	/* the same; a superuser's */
extern bool ccr_isolate_errors;
extern int	ccr_on_missing;		/* CcrOnMissing */
extern int	ccr_on_full;		/* CcrOnFull */
extern int	ccr_queue_size;		/* items per function */
extern bool ccr_prepare;
extern bool ccr_enable_batchscan;
extern int	ccr_idle_timeout;	/* s; 0: never */
extern int	ccr_shared_memory;	/* MB */
extern int	ccr_max_session_memory; /* kB; -1: by what is free */
extern int	ccr_max_role_memory;	/* the same */
extern int	ccr_workers;		/* processes */
extern char *ccr_sharded_servers;	/* a list of names: see shard.h */
extern int	ccr_collector_memory;	/* MB; -1: by shared_memory */
extern int	ccr_enqueue_timeout;	/* ms; 0: none */
extern int	ccr_log_min_duration;	/* ms; -1: off */
extern int	ccr_max_batches_per_second; /* these three count as SET clauses of
										 * a lookup only */
extern int	ccr_max_items_per_second;
extern bool ccr_fail_fast;
extern int	ccr_max_lifetime;	/* s; 0: any */
extern int	ccr_max_attempts;	/* 0: any number */
extern int	ccr_drain_timeout;	/* ms; 0: shutdowns wait for nothing */

#endif							/* CCR_SETTINGS_H */
