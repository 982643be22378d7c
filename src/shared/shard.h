/*-------------------------------------------------------------------------
 *
 * shard.h
 *	  Which collector gets a call, where several share the calls of a server.
 *
 * The calls of a server go to one collector.  If the server is listed in
 * concresce.sharded_servers, all collectors share them, and each is a shard of
 * the server.  A hash of the key says which shard gets a call, so that equal
 * keys still meet.  Each shard may use its part of the server's limits:
 * connections, and batches and items in a second.  The parts add up to the
 * limit, so shards need not ask each other.  There are only so many shards
 * that each has a part of every limit, and two connections at least.
 *
 * Enqueued items are not shared out: all of them go to the first shard.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_SHARD_H
#define CCR_SHARD_H

#include "shared/source.h"

/* Is the server of this name in concresce.sharded_servers? */
extern bool ccr_shard_listed(const char *server_name);

/*
 * The number of shards of a listed server, and of one lookup at it.  A lookup
 * with limits of its own may have fewer: the first ones of the server's.
 */
extern int	ccr_shards_of_server(CcrLimits limits);
extern int	ccr_shards_of_lookup(int shards, CcrLimits own_limits);

/*
 * The collector that is the first shard of a source's server.  For a local
 * lookup, the collector that has all local lookups of the database.
 */
extern int	ccr_shard_first(const CcrSource *source);

/* The collector of another shard of the same server. */
extern int	ccr_shard_worker(int first, int shard);

/* The shard of a key. */
extern int	ccr_shard_of_key(const char *key, uint32 length, int shards);

/*
 * The part of a limit that the shard of collector `worker` has; 0 if there is
 * no limit.  Otherwise at least 1: after a reload of the settings the parts
 * may therefore add up to more than the limit.
 */
extern int	ccr_shard_part(int limit, int shards, int first, int worker);
extern CcrLimits ccr_shard_limits(CcrLimits limits, int shards, int first, int worker);

#endif							/* CCR_SHARD_H */
