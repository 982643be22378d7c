/* Errors as they are handed from process to process. */
#include "postgres.h"

#include "shared/answer.h"
#include "fuzz.h"

static void
read_error(const char *data, Size size)
{
	CcrError   *error = ccr_error_restore(data, size);
	StringInfoData buf;

	CCR_FUZZ_MUST(error->message != NULL);
	initStringInfo(&buf);
	ccr_error_flatten(&buf, error);
	CCR_FUZZ_MUST(buf.len == (int) size && memcmp(buf.data, data, size) == 0);
	(void) ccr_error_legible(error->message);
	(void) ccr_error_legible(error->detail);
}

static void
example(StringInfo buf)
{
	CcrError	error = {
		.sqlstate = ERRCODE_UNIQUE_VIOLATION,
		.message = "duplicate key value",
		.detail = "Key (a)=(1) already exists.",
		.context = "lookup f"
	};

	ccr_error_flatten(buf, &error);
}

const CcrFuzzTarget ccr_fuzz_errors = {"errors", read_error, example};
