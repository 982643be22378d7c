/* Descriptions of sources, as a collector gets them. */
#include "postgres.h"

#include "fuzz.h"
#include "shared/source.h"

static void
read_source(const char *data, Size size)
{
	CcrSource  *source = ccr_source_restore(data, size);
	CcrFingerprint fingerprint;
	CcrFingerprint again;
	StringInfoData buf;

	/* whatever is accepted means what it says when it is handed on */
	initStringInfo(&buf);
	ccr_source_flatten(&buf, source, &fingerprint);
	source = ccr_source_restore(buf.data, buf.len);
	resetStringInfo(&buf);
	ccr_source_flatten(&buf, source, &again);
	CCR_FUZZ_MUST(memcmp(&fingerprint, &again, sizeof(again)) == 0);
	ccr_source_pool_key(source, &again);
}

static void
example(StringInfo buf)
{
	static const char *settings[] = {"work_mem=4MB"};
	static const char *keywords[] = {"host", "port"};
	static const char *values[] = {"far", "5432"};
	static Oid	types[] = {23, 25};
	static Oid	arrays[] = {1007, 1009};
	static bool binary[] = {true, false};
	CcrSource	source = {
		.serverid = 1,
		.server_name = "far",
		.function_name = "f",
		.nsettings = 1,
		.settings = settings,
		.sql = "SELECT 1",
		.nargs = 2,
		.arg_elements = types,
		.arg_arrays = arrays,
		.key_types = types,
		.ncolumns = 2,
		.column_types = types,
		.column_enum = binary,
		.column_binary = binary,
		.noptions = 2,
		.keywords = keywords,
		.values = values
	};
	CcrFingerprint unused;

	ccr_source_flatten(buf, &source, &unused);
}

const CcrFuzzTarget ccr_fuzz_sources = {"sources", read_source, example};
