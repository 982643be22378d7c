/*-------------------------------------------------------------------------
 *
 * shard.h
 *	  Which collector has a call, where several share those of a server.
 *
 * A server has one collector, or as many as there are if it is listed in
 * concresce.sharded_servers.  Then a call goes by the hash of its key, so that
 * equal keys still meet, and each collector, a shard, has its part of what the
 * server is allowed: of connections, of batches and items in a second.  The
 * parts add up to the limit, which nobody has to be asked for; so there are no
 * more shards than the smallest limit has parts, of two connections at least.
 *
 * What is enqueued is not shared out: it stays with the first shard.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_SHARD_H
#define CCR_SHARD_H

#include "shared/source.h"

/* Is the server of this name in concresce.sharded_servers? */
extern bool ccr_shard_listed(const char *server_name);

/*
 * Shards of a server that is listed, and of a lookup there, which may have
 * fewer.  Those of a lookup are the first ones of its server.
 */
extern int	ccr_shards_of_server(CcrLimits limits);
extern int	ccr_shards_of_lookup(int shards, CcrLimits own_limits);

/* The collector of the first shard, or of all that is local to a database. */
extern int	ccr_shard_first(const CcrSource *source);

/* And of another shard. */
extern int	ccr_shard_worker(int first, int shard);

/* The shard of a key. */
extern int	ccr_shard_of_key(const char *key, uint32 length, int shards);

/*
 * What the shard of a collector has of a limit; 0: there is none.  At least 1,
 * though a setting that was reloaded may have made it one too many.
 */
extern int	ccr_shard_part(int limit, int shards, int first, int worker);
extern CcrLimits ccr_shard_limits(CcrLimits limits, int shards, int first, int worker);

#endif							/* CCR_SHARD_H */
