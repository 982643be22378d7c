/*-------------------------------------------------------------------------
 *
 * items.c
 *	  Items of a request to be: arguments, encoded, and the key.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "call/items.h"
#include "common/hashfn.h"
#include "lookup/key.h"
#include "lookup/wire.h"
#include "port/pg_bswap.h"
#include "shared/settings.h"
#include "shared/shard.h"

#define CCR_MAX_ITEM	(512 * 1024 * 1024) /* bytes: batches must stay below
											 * 1 GB */

#define CCR_SORTED_FROM	100		/* fewer items are left as they are */

void
ccr_items_init(CcrItems *items)
{
	items->n = 0;
	items->barred = false;
	items->max_size = 0;
	initStringInfo(&items->buf);
}

/* Of the arguments at data; see CcrItem. */
static uint32
hash_arguments(const CcrDefinition *definition, const char *data,
			   const Datum *values, const bool *nulls)
{
	uint32		hash = 0;

	for (int i = 0; i < definition->nargs; i++)
	{
		CcrArgHash *arg = &definition->hashes[i];
		uint32		h = 0;
		int32		length;

		memcpy(&length, data, sizeof(length));
		data += sizeof(length);
		if (!nulls[i] && OidIsValid(arg->function.fn_oid))
			h = DatumGetUInt32(FunctionCall1Coll(&arg->function, arg->collation,
												 values[i]));
		else if (!nulls[i])
			h = hash_bytes((const unsigned char *) data, length);
		hash = hash_combine(hash, h);
		data += Max(length, 0);
	}
	return hash;
}

void
ccr_items_add(CcrDefinition *definition, CcrItems *items, const Datum *values,
			  const bool *nulls)
{
	static const char zeros[MAXIMUM_ALIGNOF] = {0};
	StringInfo	buf = &items->buf;
	int			start = buf->len;
	int			level = definition->styled ? ccr_wire_begin_style() : 0;
	CcrItem		header = {0};
	CcrItem    *item;

	appendBinaryStringInfo(buf, (char *) &header, offsetof(CcrItem, data));
	for (int i = 0; i < definition->nargs; i++)
		ccr_wire_put(buf, &definition->args[i], values[i], nulls[i]);
	if (definition->styled)
		ccr_wire_end_style(level);
	if (definition->hashes)
		header.equality = hash_arguments(definition,
										 buf->data + start + offsetof(CcrItem, data),
										 values, nulls);

	ccr_clauses_check_key(&definition->clauses);
	ccr_clauses_check_limits(&definition->clauses);
	if (definition->clauses.key[0])
	{
		header.key_offset = buf->len - start - offsetof(CcrItem, data);
		ccr_key_append(definition, buf, values, nulls);
	}
	header.length = buf->len - start - offsetof(CcrItem, data);
	if (header.length > CCR_MAX_ITEM)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("arguments of lookup %s are too large", definition->name),
				 errdetail("They may take %d MB.", CCR_MAX_ITEM / (1024 * 1024))));
	appendBinaryStringInfo(buf, zeros, MAXALIGN(buf->len) - buf->len);
	item = (CcrItem *) (buf->data + start);
	memcpy(item, &header, offsetof(CcrItem, data));
	items->n++;
}

/* ----------------------------------------------------------------- order */

/* An item to be sorted. */
typedef struct Ranked
{
	uint64		prefix;			/* of the first argument */
	const CcrItem *item;
	uint32		place;
} Ranked;

/*
 * Numbers, times and UUIDs are sent with their first byte first.  So their bytes
 * are in order, but for negative ones, and texts are as in the collation C.  It
 * is for speed only, and no order is promised.
 */
static uint64
prefix_of_item(const CcrItem *item)
{
	unsigned char prefix[sizeof(uint64)] = {0};
	int32		length;
	uint64		number;

	memcpy(&length, item->data, sizeof(length));
	if (length > 0)
		memcpy(prefix, item->data + sizeof(length), Min((Size) length, sizeof(prefix)));
	memcpy(&number, prefix, sizeof(number));
	return pg_ntoh64(number);
}

static int
compare_arguments(const CcrItem *a, const CcrItem *b, int nargs)
{
	const char *p = a->data;
	const char *q = b->data;
	int			order = 0;

	for (int i = 0; i < nargs && order == 0; i++)
	{
		int32		m;
		int32		n;

		memcpy(&m, p, sizeof(m));
		memcpy(&n, q, sizeof(n));
		p += sizeof(m);
		q += sizeof(n);
		if (Min(m, n) > 0)
			order = memcmp(p, q, Min(m, n));
		if (order == 0)
			order = (m > n) - (m < n);
		p += Max(m, 0);
		q += Max(n, 0);
	}
	return order;
}

static int
compare_ranked(const Ranked *a, const Ranked *b, const int *nargs)
{
	if (a->prefix != b->prefix)
		return a->prefix < b->prefix ? -1 : 1;
	return compare_arguments(a->item, b->item, *nargs);
}

#define ST_SORT sort_ranked
#define ST_ELEMENT_TYPE Ranked
#define ST_COMPARE_ARG_TYPE const int
#define ST_COMPARE(a, b, nargs) compare_ranked(a, b, nargs)
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

static bool
is_in_order(const Ranked *ranked, uint32 n)
{
	for (uint32 i = 0; i < n; i++)
		if (ranked[i].place != i)
			return false;
	return true;
}

uint32 *
ccr_items_sort(CcrItems *items, int nargs)
{
	Ranked	   *ranked;
	CcrItem    *item = (CcrItem *) items->buf.data;
	uint32	   *places = NULL;
	StringInfoData buf;

	if (nargs == 0 || items->n < CCR_SORTED_FROM)
		return NULL;
	ranked = palloc(items->n * sizeof(Ranked));
	for (uint32 i = 0; i < items->n; i++, item = ccr_item_next(item))
		ranked[i] = (Ranked)
	{
		prefix_of_item(item), item, i
	};
	sort_ranked(ranked, items->n, &nargs);
	if (!is_in_order(ranked, items->n))
	{
		places = palloc(items->n * sizeof(uint32));
		initStringInfo(&buf);
		enlargeStringInfo(&buf, items->buf.len);
		for (uint32 i = 0; i < items->n; i++)
		{
			places[ranked[i].place] = i;
			appendBinaryStringInfo(&buf, (const char *) ranked[i].item,
								   CCR_ITEM_SIZE(ranked[i].item->length));
		}
		pfree(items->buf.data);
		items->buf = buf;
	}
	pfree(ranked);
	return places;
}

CcrDealt *
ccr_items_deal(const CcrItems *items, int shards)
{
	CcrDealt   *dealt = palloc(shards * sizeof(CcrDealt));
	CcrItem    *item = (CcrItem *) items->buf.data;

	for (int i = 0; i < shards; i++)
	{
		ccr_items_init(&dealt[i].items);
		dealt[i].items.barred = items->barred;
		dealt[i].items.max_size = items->max_size;
		dealt[i].places = palloc(items->n * sizeof(uint32));
	}
	for (uint32 place = 0; place < items->n; place++, item = ccr_item_next(item))
	{
		uint32		length;
		const char *key = ccr_item_key(item, &length);
		CcrDealt   *to = &dealt[ccr_shard_of_key(key, length, shards)];

		to->places[to->items.n++] = place;
		appendBinaryStringInfo(&to->items.buf, (char *) item, CCR_ITEM_SIZE(item->length));
	}
	return dealt;
}
