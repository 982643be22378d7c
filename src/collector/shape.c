/*-------------------------------------------------------------------------
 *
 * shape.c
 *	  The shape of an answer: which columns come back, and how rows find items.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/pg_type.h"
#include "collector/shape.h"
#include "port/pg_bswap.h"
#include "shared/equality.h"
#include "shared/reader.h"
#include "shared/textform.h"

#define CCR_ROW_BYTES		7	/* that a row travels with, and */
#define CCR_NARROW_BYTES	20	/* the most that a column of all_narrow() has */

static bool
all_binary(const CcrSource *source, const CcrRow *row, int first, int n)
{
	for (int i = 0; i < n; i++)
		if (!source->column_binary[i] ||
			row->types[first + i] != source->column_types[i])
			return false;
	return true;
}

/* Is a row so small that libpq may hold some of them? */
static bool
all_narrow(const CcrSource *source, int n)
{
	for (int i = 0; i < n; i++)
		switch (source->column_types[i])
		{
			case BOOLOID:
			case CHAROID:
			case INT2OID:
			case INT4OID:
			case INT8OID:
			case OIDOID:
			case FLOAT4OID:
			case FLOAT8OID:
			case DATEOID:
			case TIMEOID:
			case TIMETZOID:
			case TIMESTAMPOID:
			case TIMESTAMPTZOID:
			case INTERVALOID:
			case UUIDOID:
				break;
			default:
				return false;
		}
	return true;
}

/*
 * Does the text of some column depend on settings?  What is no built-in type is
 * taken for an enum if that is what is expected: another would be no label.
 */
static bool
any_styled(const CcrSource *source, const CcrRow *row)
{
	for (int i = 0; i < source->ncolumns; i++)
	{
		Oid			type = row->types[row->n - source->ncolumns + i];

		if (!ccr_text_is_plain(type) &&
			!(source->column_enum[i] && type >= FirstNormalObjectId))
			return true;
	}
	return false;
}

static const CcrError *
wrong_shape(const CcrSource *source, int got)
{
	char	   *detail;
	char	   *message = psprintf("lookup %s got the wrong number of columns",
								   source->function_name);

	if (source->bulk)
		detail = psprintf("Expected %d (the arguments and the result, in any order of rows) or %d (the result, a row for each item, in order), but got %d.",
						  source->nargs + source->ncolumns, source->ncolumns, got);
	else
		detail = psprintf("Expected %d, but got %d.", source->ncolumns, got);
	return ccr_error_new(ERRCODE_DATATYPE_MISMATCH, message, detail,
						 "The columns of the body must match the function's result.");
}

/*
 * A key and a whole composite can be as many columns as the composite's own.
 * Rather than guess, ask for the latter.
 */
static bool
is_ambiguous(const CcrSource *source, const CcrRow *row)
{
	int			last = source->ncolumns - 1;

	return source->bulk && source->composite &&
		source->nargs + 1 == source->ncolumns &&
		(row->types[last] == RECORDOID ||
		 (row->types[last] >= FirstNormalObjectId &&
		  source->column_types[last] < FirstNormalObjectId));
}

/*
 * A row may be several items' whose arguments are not equal here, if they are
 * compared otherwise over there; a write cannot be asked again to find out.
 */
static bool
wants_numbers(const CcrSource *source, const CcrRow *row)
{
	if (source->enqueued)
		return false;
	for (int i = 0; i < source->nargs; i++)
		if (!ccr_equality_fits(source->key_types[i], row->types[i]))
			return true;
	return source->may_be_loose && !source->resend;
}

static const CcrError *
no_equality(const CcrSource *source)
{
	return ccr_error_new(ERRCODE_UNDEFINED_FUNCTION,
						 psprintf("rows of lookup %s cannot be matched by key",
								  source->function_name),
						 psprintf("Type %s of an argument has no equality.",
								  source->unequal),
						 "Give the argument a type that has one, or return just the result, a row for each item, in order.");
}

void
ccr_shape_set_numbered(CcrShape *shape, bool numbered)
{
	shape->numbered = numbered;
	shape->first = numbered ? 2 : 1;
	shape->nfields = shape->first + shape->ncolumns;
}

const CcrError *
ccr_shape_describe(CcrShape *shape, const CcrSource *source, const CcrRow *row)
{
	int			got = row->n;
	int			lead = source->bulk ? 0 : 1;	/* the ordinality */

	memset(shape, 0, sizeof(*shape));
	shape->ncolumns = source->ncolumns;
	if (source->bulk && got == source->nargs + source->ncolumns)
	{
		if (source->keyed_sql == NULL)
			return no_equality(source);
		shape->keyed = true;
		ccr_shape_set_numbered(shape, wants_numbers(source, row));
		shape->binary = all_binary(source, row, source->nargs, source->ncolumns);
	}
	else if (got == lead + source->ncolumns && !is_ambiguous(source, row))
	{
		shape->nfields = got;
		shape->first = lead;
		shape->positional = source->bulk;
		shape->binary = all_binary(source, row, lead, source->ncolumns);
	}
	else if (source->composite && got == lead + 1)
	{
		shape->nfields = got;
		shape->first = lead;
		shape->positional = source->bulk;
		shape->ncolumns = 1;
		shape->whole = true;
	}
	else if (got == lead + source->ncolumns)
		return ccr_error_new(ERRCODE_DATATYPE_MISMATCH,
							 "result of a lookup can be read in two ways",
							 "Its last column may be a whole row, after the arguments, or the last column of a row.",
							 "Spell out the columns of the row, or cast the last one to the type that the function declares.");
	else
		return wrong_shape(source, got - lead);
	shape->narrow = shape->binary && all_narrow(source, source->ncolumns);
	shape->styled = !shape->binary && (shape->whole || any_styled(source, row));
	shape->known = true;
	return NULL;
}

bool
ccr_shape_fits(const CcrShape *shape, const CcrSource *source, const CcrRow *row)
{
	return row->n == shape->nfields &&
		(shape->positional || row->types[0] == INT8OID) &&
		(!shape->numbered || row->types[1] == INT8OID) &&
		(!shape->binary || all_binary(source, row, shape->first, shape->ncolumns));
}

bool
ccr_shape_number(const CcrShape *shape, const CcrRow *row, int field, int64 *number)
{
	uint64		n;

	if (row->lengths[field] < 0)
		return false;
	if (!shape->binary)
		return ccr_read_number(row->values[field], row->lengths[field], number);
	if (row->lengths[field] != sizeof(n))
		return false;
	memcpy(&n, row->values[field], sizeof(n));
	*number = (int64) pg_ntoh64(n);
	return true;
}

int
ccr_shape_row_bytes(const CcrShape *shape)
{
	return shape->narrow ? CCR_ROW_BYTES + CCR_NARROW_BYTES * shape->nfields : 0;
}
