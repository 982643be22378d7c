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
#include "shared/shard.h"

#define CCR_MAX_ITEM	(512 * 1024 * 1024) /* bytes: batches must stay below
											 * 1 GB */

void
ccr_items_init(CcrItems *items)
{
	items->n = 0;
	items->barred = false;
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

CcrDealt *
ccr_items_deal(const CcrItems *items, int shards)
{
	CcrDealt   *dealt = palloc(shards * sizeof(CcrDealt));
	CcrItem    *item = (CcrItem *) items->buf.data;

	for (int i = 0; i < shards; i++)
	{
		ccr_items_init(&dealt[i].items);
		dealt[i].items.barred = items->barred;
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
