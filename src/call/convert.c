/*-------------------------------------------------------------------------
 *
 * convert.c
 *	  From the type of a lookup's result to the type that somebody asks for.
 *
 * What an assignment to a column would do is left to the parser and the
 * executor, as PL/pgSQL does it for its variables: so casts, domains, arrays
 * and rights are what they are elsewhere.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "call/convert.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "lookup/callable.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

static void
refuse_conversion(Oid from, Oid to, const char *lookup)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("result of lookup %s has type %s, not %s", lookup,
					format_type_be(from), format_type_be(to)),
			 errdetail("There is no assignment cast from the one to the other."),
			 errhint("Give a value of the lookup's type as result_type: NULL::%s.",
					 from == RECORDOID ? "text" : format_type_be(from))));
}

/* What has OUT parameters can be had as a row type with the same columns. */
static void
convert_record(CcrConversion *conversion, TupleDesc tupdesc)
{
	TupleDesc	row = lookup_rowtype_tupdesc_copy(conversion->to, -1);

	conversion->map = convert_tuples_by_position(tupdesc, row,
												 "result of the lookup does not fit the row type");
	conversion->row = row;
}

static void
convert_by_expression(CcrConversion *conversion, const char *lookup)
{
	CaseTestExpr *value = makeNode(CaseTestExpr);
	Node	   *expression;

	value->typeId = conversion->from;
	value->typeMod = -1;
	value->collation = get_typcollation(conversion->from);
	expression = coerce_to_target_type(NULL, (Node *) value, conversion->from,
									   conversion->to, -1, COERCION_ASSIGNMENT,
									   COERCE_IMPLICIT_CAST, -1);
	if (expression == NULL)
		refuse_conversion(conversion->from, conversion->to, lookup);
	if (IsA(expression, CaseTestExpr) ||
		(IsA(expression, RelabelType) &&
		 IsA(((RelabelType *) expression)->arg, CaseTestExpr)))
		return;
	conversion->expression = ExecInitExpr(expression_planner((Expr *) expression), NULL);
	conversion->econtext = CreateStandaloneExprContext();
	get_typlenbyval(conversion->from, &conversion->typlen, &conversion->typbyval);
}

CcrConversion *
ccr_conversion(Oid from, TupleDesc tupdesc, Oid to, const char *lookup,
			   MemoryContext context)
{
	MemoryContext own = AllocSetContextCreate(context, "concresce conversion",
											  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(own);
	CcrConversion *conversion = palloc0(sizeof(CcrConversion));
	bool		varlena;
	Oid			function;

	conversion->context = own;
	conversion->made_at = ccr_callables_changed();
	conversion->roleid = GetUserId();
	conversion->from = from;
	conversion->from_typmod = tupdesc ? tupdesc->tdtypmod : -1;
	conversion->to = to;
	if (from == VOIDOID)
		conversion->nothing = true;
	else if (from == to || getBaseType(from) == to)
		 /* as it is */ ;
	else if (to == TEXTOID)
	{
		conversion->as_text = true;
		getTypeOutputInfo(from, &function, &varlena);
		fmgr_info_cxt(function, &conversion->output, own);
	}
	else if (from == RECORDOID && get_typtype(to) == TYPTYPE_COMPOSITE)
		convert_record(conversion, tupdesc);
	else if (from == RECORDOID)
		refuse_conversion(from, to, lookup);
	else
		convert_by_expression(conversion, lookup);
	MemoryContextSwitchTo(old);
	return conversion;
}

void
ccr_conversion_free(CcrConversion *conversion)
{
	if (conversion)
		MemoryContextDelete(conversion->context);
}

bool
ccr_conversion_fits(const CcrConversion *conversion, Oid from, TupleDesc tupdesc,
					Oid to)
{
	return conversion != NULL && conversion->from == from && conversion->to == to &&
		conversion->from_typmod == (tupdesc ? tupdesc->tdtypmod : -1) &&
		conversion->made_at == ccr_callables_changed() && conversion->roleid == GetUserId();
}

static Datum
row_from_record(const CcrConversion *conversion, Datum value)
{
	HeapTupleHeader header = DatumGetHeapTupleHeader(value);
	HeapTupleData tuple;

	tuple.t_len = HeapTupleHeaderGetDatumLength(header);
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_tableOid = InvalidOid;
	tuple.t_data = header;
	if (conversion->map)
		return heap_copy_tuple_as_datum(execute_attr_map_tuple(&tuple, conversion->map),
										conversion->row);
	return heap_copy_tuple_as_datum(&tuple, conversion->row);
}

/* In the current memory context. */
Datum
ccr_convert(CcrConversion *conversion, Datum value, bool *isnull)
{
	if (conversion->nothing)
		*isnull = true;
	if (conversion->expression)
	{
		/* a cast can run any code, which may end what the value belongs to */
		if (!*isnull)
			value = datumCopy(value, conversion->typbyval, conversion->typlen);
		conversion->econtext->caseValue_datum = value;
		conversion->econtext->caseValue_isNull = *isnull;
		return ExecEvalExpr(conversion->expression, conversion->econtext, isnull);
	}
	if (*isnull)
		return (Datum) 0;
	if (conversion->as_text)
		return CStringGetTextDatum(OutputFunctionCall(&conversion->output, value));
	if (conversion->row)
		return row_from_record(conversion, value);
	return value;
}
