/*-------------------------------------------------------------------------
 *
 * shard.c
 *	  Which collector has a call, where several share those of a server.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "nodes/pg_list.h"
#include "settings.h"
#include "shard.h"
#include "shmem.h"
#include "utils/varlena.h"

/*
 * Not the hash that the tables of a collector go by: all its keys would be in
 * the same part of them.
 */
#define CCR_SHARD_SEED	UINT64CONST(0x7368617264)

/* Of what a shard has, slow lookups may take all but one: see line.c. */
#define CCR_SHARD_CONNECTIONS	2

/* The list is read into a copy, which the names point into. */
static bool
split_list(const char *list, List **names)
{
	return SplitIdentifierString(pstrdup(list), ',', names);
}

bool
ccr_shard_check_list(const char *list)
{
	List	   *names;

	return split_list(list, &names);
}

bool
ccr_shard_listed(const char *server_name)
{
	List	   *names;
	ListCell   *lc;

	if (ccr_sharded_servers[0] == '\0' || !split_list(ccr_sharded_servers, &names))
		return false;
	foreach(lc, names)
		if (strcmp(lfirst(lc), server_name) == 0)
			return true;
	return false;
}

/* No more than there is to be shared out. */
static int
within(int shards, CcrLimits limits)
{
	if (limits.batches > 0)
		shards = Min(shards, limits.batches);
	if (limits.items > 0)
		shards = Min(shards, limits.items);
	return shards;
}

int
ccr_shards_of_server(CcrLimits limits)
{
	int			most = Max(ccr_max_connections / CCR_SHARD_CONNECTIONS, 1);

	return within(Min(ccr_shared->nworkers, most), limits);
}

int
ccr_shards_of_lookup(int shards, CcrLimits own_limits)
{
	return within(shards, own_limits);
}

int
ccr_shard_first(Oid oid)
{
	return murmurhash32(oid) % ccr_shared->nworkers;
}

int
ccr_shard_worker(int first, int shard)
{
	return (first + shard) % ccr_shared->nworkers;
}

int
ccr_shard_of_key(const char *key, uint32 length, int shards)
{
	return hash_bytes_extended((const unsigned char *) key, length, CCR_SHARD_SEED) % shards;
}

int
ccr_shard_part(int limit, int shards, int first, int worker)
{
	int			shard = (worker - first + ccr_shared->nworkers) % ccr_shared->nworkers;

	if (limit == 0)
		return 0;
	return shard < shards ? limit / shards + (shard < limit % shards) : 1;
}

CcrLimits
ccr_shard_limits(CcrLimits limits, int shards, int first, int worker)
{
	return (CcrLimits)
	{
		.batches = ccr_shard_part(limits.batches, shards, first, worker),
		.items = ccr_shard_part(limits.items, shards, first, worker)
	};
}
