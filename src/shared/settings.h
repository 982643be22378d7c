/*-------------------------------------------------------------------------
 *
 * settings.h
 *	  The configuration parameters.
 *
 * Settings that say how a call is made, and that a lookup's SET clauses may
 * change, are in one structure.  So they can be kept, compared and put in
 * force together.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_SETTINGS_H
#define CCR_SETTINGS_H

#include "utils/guc.h"

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

/* If you add a member, compare it in ccr_settings_equal(). */
typedef struct CcrSettings
{
	char	   *server_name;	/* foreign server; "": this database */
	int			server_source;	/* its GucSource */
	double		max_window;		/* ms */
	int			max_size;		/* items */
	int			max_scan_size;	/* items; -1: see ccr_settings_scan_size() */
	int			max_bytes;		/* bytes */
	int			coalesce;		/* CcrCoalesce */
	int			timeout;		/* ms; 0: none; use timeout.h to read it */
	int			max_timeout;	/* the same; only a superuser can set it */
	int			on_missing;		/* CcrOnMissing */
	int			on_full;		/* CcrOnFull */
	bool		isolate_errors;
	bool		prepare;
} CcrSettings;

extern CcrSettings ccr_settings;	/* the settings in force */

/* These have an effect as SET clauses of a lookup only: see clauses.h. */
extern char *ccr_key;
extern int	ccr_max_batches_per_second;
extern int	ccr_max_items_per_second;
extern bool ccr_fail_fast;

extern bool ccr_enable_batchscan;	/* the planner's */

extern int	ccr_max_connections;	/* per server and user mapping */
extern int	ccr_max_local_workers;	/* per database */
extern int	ccr_queue_size;		/* items per function */
extern int	ccr_idle_timeout;	/* s; 0: never */
extern int	ccr_max_lifetime;	/* s; 0: any */
extern int	ccr_shared_memory;	/* MB */
extern int	ccr_max_session_memory; /* kB; -1: see bounds.h */
extern int	ccr_max_role_memory;	/* the same */
extern int	ccr_collector_memory;	/* MB; -1: computed from shared_memory */
extern int	ccr_workers;		/* processes */
extern char *ccr_sharded_servers;	/* a list of names: see shard.h */
extern int	ccr_enqueue_timeout;	/* ms; 0: none */
extern int	ccr_max_attempts;	/* 0: any number */
extern int	ccr_log_min_duration;	/* ms; -1: off */
extern int	ccr_drain_timeout;	/* ms; 0: shutdowns wait for nothing */

#define CCR_MAX_RATE		1000000
#define CCR_MAX_WORKERS		16

/* The values of two settings. */
extern const struct config_enum_entry ccr_coalesce_options[];
extern const struct config_enum_entry ccr_on_missing_options[];

/*
 * Define all settings, from _PG_init().  If the library was `preloaded`, also
 * those that can only be set at server start.
 */
extern void ccr_settings_define(bool preloaded);

/*
 * How many items a batch may have that a batch node asks for.  Unless it was
 * set, it is ten times max_size, but no more than leaves room in a queue for
 * others.  Whoever has made max_size smaller than it is by default wants no
 * larger ones.
 */
extern int	ccr_settings_scan_size(void);

extern bool ccr_settings_equal(const CcrSettings *a, const CcrSettings *b);

/* A copy with strings of its own, in this memory context. */
extern void ccr_settings_copy(CcrSettings *to, const CcrSettings *from,
							  MemoryContext context);

#endif							/* CCR_SETTINGS_H */
