/*-------------------------------------------------------------------------
 *
 * alike.c
 *	  Items of a batch whose keys are equal.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "collector/alike.h"
#include "common/hashfn.h"
#include "port/pg_bitutils.h"

CcrHashes
ccr_hashes_new(int n)
{
	CcrHashes	hashes;

	hashes.mask = pg_nextpower2_32(Max(n, 1) * 2) - 1;
	hashes.slots = palloc0((hashes.mask + 1) * sizeof(uint32));
	return hashes;
}

bool
ccr_hashes_add(CcrHashes *hashes, uint32 hash)
{
	uint32		i;

	hash = Max(hash, 1);
	for (i = hash & hashes->mask; hashes->slots[i] != 0; i = (i + 1) & hashes->mask)
		if (hashes->slots[i] == hash)
			return false;
	hashes->slots[i] = hash;
	return true;
}

/* The first item that has got a row. */
typedef struct RowEntry
{
	int64		row;
	int			item;
	char		status;
} RowEntry;

#define SH_PREFIX		row
#define SH_ELEMENT_TYPE	RowEntry
#define SH_KEY_TYPE		int64
#define SH_KEY			row
#define SH_HASH_KEY(tb, key)	murmurhash32((uint32) (key) ^ (uint32) ((uint64) (key) >> 32))
#define SH_EQUAL(tb, a, b)		((a) == (b))
#define SH_SCOPE		static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/*
 * Companions of companions are companions: equality may not be transitive over
 * there, as between numeric and float8.
 */
struct CcrCompanions
{
	struct row_hash *rows;
	bool		any;
	int			n;
	int			leader[FLEXIBLE_ARRAY_MEMBER];	/* of each item: itself, or
												 * towards the first of them */
};

CcrCompanions *
ccr_companions_new(int n, MemoryContext context)
{
	CcrCompanions *companions =
		MemoryContextAlloc(context, offsetof(CcrCompanions, leader) + n * sizeof(int));

	companions->rows = row_create(context, n, NULL);
	companions->any = false;
	companions->n = n;
	for (int i = 0; i < n; i++)
		companions->leader[i] = i;
	return companions;
}

static int
leader_of(CcrCompanions *companions, int item)
{
	int		   *leader = companions->leader;

	while (leader[item] != item)
		item = leader[item] = leader[leader[item]];
	return item;
}

Size
ccr_companions_add(CcrCompanions *companions, int64 row, int item)
{
	bool		found;
	RowEntry   *entry = row_insert(companions->rows, row, &found);
	int			a;
	int			b;

	if (!found)
	{
		entry->item = item;
		return 2 * sizeof(RowEntry);
	}
	a = leader_of(companions, entry->item);
	b = leader_of(companions, item);
	if (a != b)
	{
		companions->leader[Max(a, b)] = Min(a, b);
		companions->any = true;
	}
	return 0;
}

int *
ccr_companions_places(CcrCompanions *companions)
{
	int			n = companions->n;
	int		   *members;
	int		   *places;

	if (!companions->any)
		return NULL;
	members = palloc0(n * sizeof(int));
	places = palloc(n * sizeof(int));
	for (int i = 0; i < n; i++)
		places[i] = members[leader_of(companions, i)]++;
	for (int i = 0; i < n; i++)
		if (members[leader_of(companions, i)] == 1)
			places[i] = -1;
	return places;
}
