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
#include "shared/settings.h"
#include "shared/shard.h"
#include "shared/shmem.h"
#include "utils/varlena.h"

/*
 * Not the hash that the tables of a collector go by: all its keys would be in
 * the same part of them.
 */
#define CCR_SHARD_SEED	UINT64CONST(0x7368617264)

/* Of what a shard has, slow lookups may take all but one: see line.c. */
#define CCR_SHARD_CONNECTIONS	2

bool
ccr_shard_listed(const char *server_name)
{
	char	   *copy = pstrdup(ccr_sharded_servers);
	List	   *names;
	ListCell   *lc;
	bool		listed = false;

	/* it was checked as the server started */
	(void) SplitIdentifierString(copy, ',', &names);
	foreach(lc, names)
	{
		listed |= strcmp(lfirst(lc), server_name) == 0;
	}
	list_free(names);
	pfree(copy);
	return listed;
}

/* No more than there is to be shared out. */
static int
within_limits(int shards, CcrLimits limits)
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

	return within_limits(Min(ccr_shared->nworkers, most), limits);
}

int
ccr_shards_of_lookup(int shards, CcrLimits own_limits)
{
	return within_limits(shards, own_limits);
}

int
ccr_shard_first(const CcrSource *source)
{
	/* all executors of a database belong to one collector, which counts them */
	Oid			oid = ccr_source_is_local(source) ? source->dbid : source->serverid;

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
	int			shard;

	if (limit == 0)
		return 0;
	shard = (worker - first + ccr_shared->nworkers) % ccr_shared->nworkers;
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
