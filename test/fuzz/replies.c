/* Replies of a local executor, as its collector reads them: one after another. */
#include "../../src/collector/carrier_local.c"

#include "catalog/pg_type.h"
#include "fuzz.h"

static void
ignore_ready(void *owner)
{
}

static void
look_at_columns(void *owner, const CcrRow *row)
{
	ccr_fuzz_touch((const char *) row->types, row->n * sizeof(Oid));
}

static bool
look_at_row(void *owner, const CcrRow *row)
{
	for (int i = 0; i < row->n; i++)
	{
		CCR_FUZZ_MUST(row->lengths[i] >= -1);
		ccr_fuzz_touch(row->values[i], Max(row->lengths[i], 0));
	}
	return true;
}

static void
ignore_end(void *owner, CcrOp op, const CcrError *error)
{
}

static void
read_replies(const char *data, Size size)
{
	static const CcrCarrierCalls calls = {
		.ready = ignore_ready,
		.described = look_at_columns,
		.row = look_at_row,
		.done = ignore_end
	};
	CcrLocal   *local = palloc0(sizeof(CcrLocal));

	ccr_carrier_init(&local->carrier, &local_ops, &calls, NULL, CurrentMemoryContext);
	while (size >= 2)
	{
		/* the operation, a length, and that many bytes; the last end as the input */
		CcrOp		op = (uint8) data[0] % 4;
		Size		length = Min((uint8) data[1], size - 2);

		local->carrier.op = op;
		local->carrier.state = op == CCR_OP_NONE ? CCR_CARRIER_CONNECTING : CCR_CARRIER_BUSY;
		take_reply(local, data + 2, length);
		data += 2 + length;
		size -= 2 + length;
	}
}

static void
add(StringInfo buf, CcrOp op, const char *reply, int length)
{
	appendStringInfoChar(buf, op);
	appendStringInfoChar(buf, length);
	appendBinaryStringInfo(buf, reply, length);
}

static void
example(StringInfo buf)
{
	StringInfoData reply;
	const int32 columns[] = {2, INT4OID, TEXTOID};
	const int32 row[] = {4, 7, -1};
	CcrError	error = {.sqlstate = ERRCODE_DIVISION_BY_ZERO,.message = "division by zero"};

	initStringInfo(&reply);
	appendStringInfoChar(&reply, CCR_REPLY_READY);
	add(buf, CCR_OP_NONE, reply.data, reply.len);
	resetStringInfo(&reply);
	appendStringInfoChar(&reply, CCR_REPLY_COLUMNS);
	appendBinaryStringInfo(&reply, (const char *) columns, sizeof(columns));
	add(buf, CCR_OP_EXECUTE, reply.data, reply.len);
	resetStringInfo(&reply);
	appendStringInfoChar(&reply, CCR_REPLY_ROWS);
	appendBinaryStringInfo(&reply, (const char *) row, sizeof(row));
	appendBinaryStringInfo(&reply, (const char *) row, sizeof(row));
	add(buf, CCR_OP_EXECUTE, reply.data, reply.len);
	resetStringInfo(&reply);
	appendStringInfoChar(&reply, CCR_REPLY_FAILED);
	ccr_error_flatten(&reply, &error);
	add(buf, CCR_OP_EXECUTE, reply.data, reply.len);
}

const CcrFuzzTarget ccr_fuzz_replies = {"replies", read_replies, example};
