/* Arguments of discarded items, as they are shown in the log. */
#include "../../src/collector/discard.c"

#include "catalog/pg_type.h"
#include "fuzz.h"

static void
read_argument(const char *data, Size size)
{
	unsigned char choice = size > 0 ? data[0] : 0;
	Oid			type = choice < ccr_nbinary_types ? ccr_binary_types[choice].type : TEXTOID;

	if (size > 0)
		(void) legible_argument(type, data + 1, size - 1);
}

static void
example(StringInfo buf)
{
	appendBinaryStringInfo(buf, "\002\000\000\000\007", 5);
}

const CcrFuzzTarget ccr_fuzz_discarded = {"discarded", read_argument, example};
