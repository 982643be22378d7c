/*-------------------------------------------------------------------------
 *
 * rows.c
 *	  From the rows of a bulk query to the flights of its batch.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "collector/budget.h"
#include "collector/disclose.h"
#include "collector/rows.h"
#include "utils/memutils.h"

static CcrError *
rows_error(CcrRows *rows, int sqlstate, const char *message,
		   const char *detail, const char *hint)
{
	MemoryContext old = MemoryContextSwitchTo(rows->context);
	CcrError   *error = ccr_error_new(sqlstate, message, detail, hint);

	MemoryContextSwitchTo(old);
	return error;
}

/*
 * The far side's idea of the result may have changed since it was described.
 * The types are those of all rows of one result; how many columns a row has is
 * not taken for granted of any.
 */
static bool
check_row(CcrRows *rows, const CcrRow *row)
{
	const CcrSource *source = rows->source;
	const CcrShape *shape = &rows->shape;

	if (row->n == shape->nfields && rows->checked)
		return true;
	if (!rows->checked && ccr_shape_fits(shape, source, row))
	{
		rows->checked = true;
		return true;
	}
	rows->reshaped = true;
	rows->error = rows_error(rows, ERRCODE_FDW_ERROR,
							 ccr_source_is_local(source) ?
							 "local executor sent rows of another shape than it had described" :
							 "foreign server sent rows of another shape than it had described",
							 NULL, "The next call asks it again.");
	return false;
}

/* Which item a row is for: 0-based, or -1. */
static int64
row_item(CcrRows *rows, const CcrRow *row)
{
	const CcrShape *shape = &rows->shape;
	int64		item;

	if (shape->positional)
		return rows->nrows < rows->n ? rows->nrows : -1;
	if (!ccr_shape_number(shape, row, 0, &item))
		return -1;
	if (shape->keyed && !shape->numbered && rows->source->may_be_loose &&
		item < 0)
	{
		rows->loose = true;
		item = -item;
	}
	return item > 0 && item <= rows->n ? item - 1 : -1;
}

/* False: the number is none. */
static bool
note_companions(CcrRows *rows, const CcrRow *row, int item)
{
	int64		number;

	if (!ccr_shape_number(&rows->shape, row, 1, &number) || number <= 0)
		return false;
	rows->bytes += ccr_companions_add(rows->companions, number, item);
	return true;
}

/* False: others hold so much that there is no room for what this one does. */
static bool
is_within_budget(CcrRows *rows)
{
	ccr_budget_change((int64) rows->bytes - (int64) rows->counted);
	rows->counted = rows->bytes;
	return rows->bytes <= CCR_BUDGET_SMALL || !ccr_budget_exceeded();
}

static void
too_large(CcrRows *rows, CcrOutcome *outcome)
{
	MemoryContext old;

	rows->bytes -= outcome->rows.len;
	if (outcome->rows.data)
		pfree(outcome->rows.data);
	outcome->rows.data = NULL;
	old = MemoryContextSwitchTo(rows->context);
	outcome->error =
		ccr_disclose_context(rows->source, rows->n,
							 ccr_error_new(ERRCODE_PROGRAM_LIMIT_EXCEEDED,
										   "result of a lookup is too large",
										   psprintf("Results in flight may take %zu bytes.",
													ccr_shared->heap_size),
										   "You may need to increase \"concresce.shared_memory\"."));
	MemoryContextSwitchTo(old);
}

/* Bytes that the result columns of a row take here. */
static Size
kept_size(const CcrShape *shape, const CcrRow *row)
{
	Size		size = shape->ncolumns * sizeof(int32);

	for (int i = 0; i < shape->ncolumns; i++)
		size += Max(row->lengths[shape->first + i], 0);
	return size;
}

/* Most items have one row, so there is room for just that at first. */
static void
make_row_room(CcrRows *rows, StringInfo buf, Size size)
{
	if (buf->data)
		enlargeStringInfo(buf, size);
	else
	{
		buf->maxlen = Max(size + 1, 16);
		buf->data = MemoryContextAlloc(rows->context, buf->maxlen);
		buf->len = 0;
	}
}

static void
put_row(StringInfo rows, const CcrShape *shape, const CcrRow *row)
{
	char	   *p = rows->data + rows->len;

	for (int i = 0; i < shape->ncolumns; i++)
	{
		int32		length = row->lengths[shape->first + i];

		memcpy(p, &length, sizeof(length));
		p += sizeof(length);
		if (length <= 0)
			continue;
		memcpy(p, row->values[shape->first + i], length);
		p += length;
	}
	rows->len = p - rows->data;
}

static void
keep_row_of_item(CcrRows *rows, CcrOutcome *outcome, const CcrRow *row)
{
	Size		size;

	/* a second row is kept only to tell that there is one */
	if (outcome->error || (!rows->source->returns_set && outcome->nrows >= 2))
		return;
	outcome->nrows++;
	size = kept_size(&rows->shape, row);
	if (rows->bytes + size > ccr_shared->heap_size ||
		outcome->rows.len + size >= MaxAllocSize / 2)
	{
		too_large(rows, outcome);
		return;
	}
	make_row_room(rows, &outcome->rows, size);
	put_row(&outcome->rows, &rows->shape, row);
	rows->bytes += size;
	rows->received += size;
	if (!is_within_budget(rows))
		too_large(rows, outcome);
}

bool
ccr_rows_take(CcrRows *rows, const CcrRow *row)
{
	int64		item;

	if (!check_row(rows, row))
		return false;
	item = row_item(rows, row);
	rows->nrows++;
	if (item >= 0 &&
		(rows->companions == NULL || note_companions(rows, row, item)))
	{
		keep_row_of_item(rows, &rows->flights[item]->outcome, row);
		return true;
	}

	/* too many positional rows are counted, to be told about at the end */
	if (rows->shape.positional)
		return true;
	rows->error = rows_error(rows, ERRCODE_FDW_ERROR,
							 "foreign server sent a row for an item that was not asked for",
							 NULL, NULL);
	return false;
}

void
ccr_rows_check_count(CcrRows *rows)
{
	if (!rows->shape.positional || rows->nrows == rows->n)
		return;
	rows->error =
		rows_error(rows, ERRCODE_CARDINALITY_VIOLATION,
				   psprintf("lookup %s got the wrong number of rows",
							rows->source->function_name),
				   psprintf("Expected %d, one for each item, in order, but got %lld.",
							rows->n, (long long) rows->nrows),
				   "Return the arguments as the first columns to have rows matched by key.");
}

void
ccr_rows_init(CcrRows *rows, const CcrSource *source, CcrFlight **flights, int n,
			  MemoryContext context)
{
	memset(rows, 0, sizeof(CcrRows));
	rows->source = source;
	rows->flights = flights;
	rows->n = n;
	rows->context = context;
}

void
ccr_rows_begin(CcrRows *rows, const CcrShape *shape)
{
	rows->shape = *shape;
	if (shape->numbered)
		rows->companions = ccr_companions_new(rows->n, rows->context);
}

void
ccr_rows_forget(CcrRows *rows)
{
	ccr_budget_change(-(int64) rows->counted);
	rows->counted = 0;
}
