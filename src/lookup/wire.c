/*-------------------------------------------------------------------------
 *
 * wire.c
 *	  Between Datums and the bytes that travel.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "lookup/wire.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "shared/binary.h"
#include "shared/bytes.h"
#include "shared/compat.h"
#include "shared/textform.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/typcache.h"
#include "utils/xml.h"

static bool
is_bytes(Oid type)
{
	return type == TEXTOID || type == VARCHAROID || type == BPCHAROID ||
		type == NAMEOID || type == JSONOID;
}

static bool has_style(Oid type);

void
ccr_wire_arg(CcrArgWire *wire, Oid type, MemoryContext context)
{
	Oid			function;
	bool		varlena;

	wire->base = getBaseType(type);
	wire->flattens = type_is_rowtype(wire->base) ||
		OidIsValid(get_element_type(wire->base));
	wire->varlena = wire->base != NAMEOID;
	wire->styled = false;
	if (ccr_binary_type(wire->base))
	{
		wire->form = CCR_WIRE_BINARY;
		getTypeBinaryOutputInfo(wire->base, &function, &varlena);
	}
	else
	{
		wire->form = is_bytes(wire->base) ? CCR_WIRE_BYTES : CCR_WIRE_TEXT;
		wire->styled = wire->form == CCR_WIRE_TEXT && has_style(wire->base);
		getTypeOutputInfo(wire->base, &function, &varlena);
	}
	fmgr_info_cxt(function, &wire->out, context);
	wire->element = wire->form == CCR_WIRE_TEXT ? TEXTOID : wire->base;
	wire->array = get_array_type(wire->element);
}

/* Binary only if that is possible for the type, or the elements of an array. */
static CcrWireForm
result_form(Oid base)
{
	Oid			element = get_element_type(base);

	if (is_bytes(base))
		return CCR_WIRE_BYTES;
	if (ccr_binary_type(base) || ccr_binary_type(element))
		return CCR_WIRE_BINARY;
	return CCR_WIRE_TEXT;
}

void
ccr_wire_result(CcrResultWire *wire, Oid type, int32 typmod,
				MemoryContext context)
{
	Oid			function;

	wire->type = type;
	wire->typmod = typmod;
	wire->base = getBaseType(type);
	wire->form = result_form(wire->base);
	wire->is_row = wire->base != RECORDOID && type_is_rowtype(wire->base);
	getTypeInputInfo(type, &function, &wire->in_param);
	fmgr_info_cxt(function, &wire->in, context);

	if (wire->form == CCR_WIRE_BINARY)
	{
		getTypeBinaryInputInfo(type, &function, &wire->receive_param);
		fmgr_info_cxt(function, &wire->receive, context);
	}
}

/* Does the text of its values depend on settings? */
static bool
has_style(Oid type)
{
	return !ccr_text_is_plain(type) && !type_is_enum(type);
}

static bool contains_money(Oid type);

static bool
row_contains_money(Oid type)
{
	TupleDesc	tupdesc = lookup_rowtype_tupdesc(type, -1);
	bool		result = false;

	for (int i = 0; i < tupdesc->natts && !result; i++)
		result = !TupleDescAttr(tupdesc, i)->attisdropped &&
			contains_money(TupleDescAttr(tupdesc, i)->atttypid);
	ReleaseTupleDesc(tupdesc);
	return result;
}

static bool
contains_money(Oid type)
{
	Oid			inner;

	type = getBaseType(type);
	if (type == CASHOID)
		return true;
	if (OidIsValid(inner = get_element_type(type)) ||
		OidIsValid(inner = get_range_subtype(type)) ||
		OidIsValid(inner = get_multirange_range(type)))
		return contains_money(inner);
	return type != RECORDOID && type_is_rowtype(type) && row_contains_money(type);
}

bool
ccr_wire_has_money(Oid type)
{
	return contains_money(type);
}

void
ccr_wire_column(CcrArgWire *wire, Oid type, bool binary, MemoryContext context)
{
	Oid			function;
	bool		varlena;

	memset(wire, 0, sizeof(*wire));
	wire->base = getBaseType(type);
	wire->varlena = wire->base != NAMEOID;
	wire->form = result_form(wire->base);
	if (wire->form == CCR_WIRE_BINARY && !binary)
		wire->form = CCR_WIRE_TEXT;
	wire->styled = wire->form == CCR_WIRE_TEXT && has_style(wire->base);
	if (wire->form == CCR_WIRE_BINARY)
		getTypeBinaryOutputInfo(wire->base, &function, &varlena);
	else
		getTypeOutputInfo(wire->base, &function, &varlena);
	fmgr_info_cxt(function, &wire->out, context);
}

void
ccr_wire_put(StringInfo buf, CcrArgWire *wire, Datum value, bool isnull)
{
	if (isnull)
		ccr_put_value(buf, NULL, -1);
	else if (wire->base == INT8OID && wire->form == CCR_WIRE_BINARY)
	{
		uint64		n = pg_hton64((uint64) DatumGetInt64(value));

		ccr_put_value(buf, (char *) &n, sizeof(n));
	}
	else if (wire->base == INT4OID && wire->form == CCR_WIRE_BINARY)
	{
		uint32		n = pg_hton32((uint32) DatumGetInt32(value));

		ccr_put_value(buf, (char *) &n, sizeof(n));
	}
	else if (wire->form == CCR_WIRE_BYTES && wire->varlena)
	{
		struct varlena *v = PG_DETOAST_DATUM_PACKED(value);

		ccr_put_value(buf, VARDATA_ANY(v), VARSIZE_ANY_EXHDR(v));
		if (v != (struct varlena *) DatumGetPointer(value))
			pfree(v);
	}
	else if (wire->form == CCR_WIRE_BINARY)
	{
		bytea	   *v = SendFunctionCall(&wire->out, value);

		ccr_put_value(buf, VARDATA(v), VARSIZE(v) - VARHDRSZ);
		pfree(v);
	}
	else
	{
		char	   *s = OutputFunctionCall(&wire->out, value);

		ccr_put_value(buf, s, strlen(s));
		pfree(s);
	}
}

/* A receive function reads from a buffer that ends with a zero byte. */
static Datum
receive_value(CcrResultWire *wire, const char *data, int32 length)
{
	StringInfoData buf;
	Datum		value;

	initStringInfo(&buf);
	appendBinaryStringInfo(&buf, data, length);
	value = ReceiveFunctionCall(&wire->receive, &buf, wire->receive_param,
								wire->typmod);
	if (buf.cursor != buf.len)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("incorrect binary data format in a result of type %s",
						format_type_be(wire->type))));
	pfree(buf.data);
	return value;
}

/*
 * A composite that was altered on one side only is said to be so, rather than
 * that its text is malformed.  What record_out() writes: (a,"b ""c"" \\",...)
 */
static void
check_width(const CcrResultWire *wire, const char *text)
{
	TupleDesc	tupdesc = lookup_rowtype_tupdesc(wire->base, -1);
	bool		quoted = false;
	int			got = 1;
	int			expected = 0;

	for (int i = 0; i < tupdesc->natts; i++)
		if (!TupleDescAttr(tupdesc, i)->attisdropped)
			expected++;
	ReleaseTupleDesc(tupdesc);
	if (*text != '(')
		return;
	for (const char *p = text; *p; p++)
	{
		if (*p == '\\' && p[1])
			p++;
		else if (*p == '"')
			quoted = !quoted;
		else if (*p == ',' && !quoted)
			got++;
	}
	if (got != expected && expected > 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("type %s differs from what was sent for it",
						format_type_be(wire->base)),
				 errdetail("It has %d attributes here, but %d were sent.", expected, got),
				 errhint("Have the type alike on both sides, or have the body cast to one that is.")));
}

Datum
ccr_wire_get(CcrResultWire *wire, const char *data, int32 length, bool binary)
{
	char	   *s;
	Datum		value;

	if (binary && wire->form == CCR_WIRE_BINARY)
	{
		/* the most common ones, where no domain has a say */
		if (wire->type == INT4OID && length == sizeof(uint32))
		{
			uint32		n;

			memcpy(&n, data, sizeof(n));
			return Int32GetDatum((int32) pg_ntoh32(n));
		}
		if (wire->type == INT8OID && length == sizeof(uint64))
		{
			uint64		n;

			memcpy(&n, data, sizeof(n));
			return Int64GetDatum((int64) pg_ntoh64(n));
		}
		return receive_value(wire, data, length);
	}

	/* what the far side says it sends need not be so */
	pg_verify_mbstr(GetDatabaseEncoding(), data, length, false);
	if (wire->type == TEXTOID)
		return PointerGetDatum(cstring_to_text_with_len(data, length));

	s = pnstrdup(data, length);
	if (wire->is_row)
		check_width(wire, s);
	value = InputFunctionCall(&wire->in, s, wire->in_param, wire->typmod);
	pfree(s);
	return value;
}

static void
set_for_now(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

static void
set_for_values(int where)
{
	for (int i = 0; i < ccr_ntext_settings; i++)
	{
		const CcrTextSetting *setting = &ccr_text_settings[i];

		if ((setting->where & where) && setting->value)
			set_for_now(setting->name, setting->value);
	}
}

int
ccr_wire_begin_style(void)
{
	int			level = NewGUCNestLevel();

	set_for_values(CCR_TEXT_WRITE);
	return level;
}

int
ccr_wire_begin_reading(void)
{
	int			level;

	if (Array_nulls && xmloption == XMLOPTION_CONTENT)
		return 0;
	level = NewGUCNestLevel();
	set_for_values(CCR_TEXT_READ);
	return level;
}

void
ccr_wire_end_style(int level)
{
	if (level > 0)
		AtEOXact_GUC(true, level);
}
