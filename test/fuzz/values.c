/*
 * Rows in an answer: values of many types, in text or binary, arrays among
 * them. What is read is written as an argument, and as a result again.
 */
#include "postgres.h"

#include "catalog/pg_am.h"
#include "catalog/pg_type.h"
#include "fuzz.h"
#include "shared/reader.h"
#include "utils/lsyscache.h"
#include "lookup/wire.h"

static Oid
type_for(unsigned char choice)
{
	static const Oid types[] = {
		INT4OID, INT8OID, INT2OID, TEXTOID, BYTEAOID, NUMERICOID, FLOAT8OID, FLOAT4OID, BOOLOID, OIDOID, NAMEOID, CHAROID,
		DATEOID, TIMEOID, TIMETZOID, TIMESTAMPOID, TIMESTAMPTZOID, INTERVALOID, UUIDOID, INETOID, CIDROID, MACADDROID,
		BITOID, VARBITOID, JSONOID, JSONBOID, BPCHAROID, VARCHAROID, POINTOID, INT4RANGEOID, INT4MULTIRANGEOID, TSVECTOROID,
		INT4ARRAYOID, INT8ARRAYOID, TEXTARRAYOID, NUMERICARRAYOID, FLOAT8ARRAYOID, JSONBARRAYOID, INTERVALARRAYOID
	};

	if (choice % (lengthof(types) + 1) == lengthof(types))
		return get_rel_type_id(AccessMethodRelationId);
	return types[choice % (lengthof(types) + 1)];
}

static void
write_value(CcrResultWire *wire, Datum value)
{
	CcrArgWire	arg;
	CcrArgWire	column;
	StringInfoData buf;

	initStringInfo(&buf);
	ccr_wire_arg(&arg, wire->type, CurrentMemoryContext);
	ccr_wire_put(&buf, &arg, value, false);
	ccr_wire_column(&column, wire->type, true, CurrentMemoryContext);
	ccr_wire_put(&buf, &column, value, false);
}

static void
read_rows(const char *data, Size size)
{
	CcrReader	reader = ccr_reader(data, size, "answer of a lookup");
	unsigned char choice = *ccr_read(&reader, 1);
	bool		binary = *ccr_read(&reader, 1) & 1;
	CcrResultWire wire;

	memset(&wire, 0, sizeof(wire));
	ccr_wire_result(&wire, type_for(choice), -1, CurrentMemoryContext);
	while (reader.p < reader.end)
	{
		int32		length;
		const char *value = ccr_read_value(&reader, &length);

		if (value)
			write_value(&wire, ccr_wire_get(&wire, value, length, binary));
	}
	ccr_read_end(&reader);
}

const CcrFuzzTarget ccr_fuzz_values = {"values", read_rows, NULL};
