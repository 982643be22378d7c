/*-------------------------------------------------------------------------
 *
 * rate.c
 *	  How much may be sent in a second.
 *
 * The promise is that in no second, wherever it begins, more is run over there.
 * When a batch is run is not known, but it is after it was sent and before it
 * was answered: so it counts until a second after its answer.  A query that
 * takes long was begun long before that, so an answer that is later than
 * CCR_RATE_SLACK is not waited for.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "collector/rate.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#define CCR_RATE_SECOND		INT64CONST(1000000)
#define CCR_RATE_SLACK		INT64CONST(250000)

#define CCR_RATE_UNCOUNTED	PG_UINT64_MAX	/* a serial that none has */

typedef struct CcrRateKey
{
	Oid			dbid;
	Oid			serverid;
	Oid			function;
} CcrRateKey;

/* A batch that counts. */
typedef struct Sent
{
	CcrTime		until;
	int			items;
} Sent;

struct CcrRate
{
	CcrRateKey	key;			/* hash key */
	int			references;
	CcrLimits	limits;
	Sent	   *sent;			/* a ring, oldest first */
	uint64		first;			/* serials of the oldest, */
	uint64		next;			/* and of the next one */
	uint64		size;			/* a power of two */
	int64		counted;		/* items in it */
};

static HTAB *rates = NULL;

CcrRate *
ccr_rate_get(Oid dbid, Oid serverid, Oid function)
{
	CcrRateKey	key = {dbid, serverid, function};
	CcrRate    *rate;
	bool		found;

	if (rates == NULL)
	{
		HASHCTL		ctl = {.keysize = sizeof(CcrRateKey), .entrysize = sizeof(CcrRate)};

		rates = hash_create("concresce rates", 16, &ctl, HASH_ELEM | HASH_BLOBS);
	}
	rate = hash_search(rates, &key, HASH_ENTER, &found);
	if (!found)
		memset((char *) rate + sizeof(key), 0, sizeof(CcrRate) - sizeof(key));
	rate->references++;
	return rate;
}

void
ccr_rate_limit(CcrRate *rate, CcrLimits limits)
{
	rate->limits = limits;
}

void
ccr_rate_release(CcrRate *rate)
{
	if (--rate->references > 0)
		return;
	if (rate->sent)
		pfree(rate->sent);
	hash_search(rates, &rate->key, HASH_REMOVE, NULL);
}

static Sent *
items_sent(CcrRate *rate, uint64 serial)
{
	return &rate->sent[serial & (rate->size - 1)];
}

static void
forget_old(CcrRate *rate, CcrTime now)
{
	while (rate->first < rate->next && items_sent(rate, rate->first)->until <= now)
		rate->counted -= items_sent(rate, rate->first++)->items;
}

CcrTime
ccr_rate_next(CcrRate *rate, CcrTime now)
{
	CcrTime		when = 0;

	if (rate->limits.batches == 0 && rate->limits.items == 0)
		return 0;
	forget_old(rate, now);
	/* more than the last so many count only if the limit was lowered */
	if (rate->limits.batches > 0)
		for (uint64 serial = rate->first; serial + rate->limits.batches <= rate->next; serial++)
			when = Max(when, items_sent(rate, serial)->until);
	if (rate->limits.items > 0 && rate->counted >= rate->limits.items)
		when = Max(when, items_sent(rate, rate->first)->until);
	return when;
}

int
ccr_rate_room(CcrRate *rate, CcrTime now)
{
	if (rate->limits.items == 0)
		return PG_INT32_MAX;
	forget_old(rate, now);
	return (int) Max(rate->limits.items - rate->counted, 0);
}

static void
make_rate_room(CcrRate *rate)
{
	uint64		size = Max(2 * rate->size, 16);
	Sent	   *grown;

	if (rate->next - rate->first < rate->size)
		return;
	grown = MemoryContextAlloc(TopMemoryContext, size * sizeof(Sent));
	for (uint64 serial = rate->first; serial < rate->next; serial++)
		grown[serial & (size - 1)] = *items_sent(rate, serial);
	if (rate->sent)
		pfree(rate->sent);
	rate->sent = grown;
	rate->size = size;
}

uint64
ccr_rate_begin(CcrRate *rate, CcrTime now, int items)
{
	if (rate->limits.batches == 0 && rate->limits.items == 0)
		return CCR_RATE_UNCOUNTED;
	forget_old(rate, now);
	make_rate_room(rate);
	*items_sent(rate, rate->next) = (Sent)
	{
		now + CCR_RATE_SECOND + CCR_RATE_SLACK, items
	};
	rate->counted += items;
	return rate->next++;
}

void
ccr_rate_end(CcrRate *rate, uint64 serial, CcrTime now)
{
	if (serial >= rate->first && serial < rate->next)
		items_sent(rate, serial)->until = Min(items_sent(rate, serial)->until, now + CCR_RATE_SECOND);
}
