/* Jobs, as a local executor gets them. */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fuzz.h"
#include "shared/job.h"

static void
read_job(const char *data, Size size)
{
	CcrJob	   *job = ccr_job_restore(data, size);

	for (int i = 0; i < job->params.n; i++)
	{
		ccr_fuzz_touch((const char *) &job->params.types[i], sizeof(Oid));
		ccr_fuzz_touch(job->params.values[i], job->params.lengths[i]);
	}
	ccr_fuzz_touch(job->search_path, strlen(job->search_path));
	ccr_fuzz_touch(job->statement, strlen(job->statement));
	ccr_fuzz_touch(job->sql, strlen(job->sql));
	for (int i = 0; i < job->nsettings; i++)
		CCR_FUZZ_MUST(strchr(job->settings[i], '=') != NULL);
}

static void
example(StringInfo buf)
{
	static const Oid types[] = {INT4ARRAYOID, TEXTARRAYOID};
	static const char *const values[] = {"four", "seven.."};
	static const int lengths[] = {4, 7};
	static const char *settings[] = {"work_mem=4MB", "a.b="};
	CcrJob		job = {
		.id = 7,
		.kind = CCR_JOB_EXECUTE,
		.search_path = "public",
		.nsettings = 2,
		.settings = settings,
		.statement = "s",
		.sql = "SELECT 1",
		.params = {2, types, values, lengths}
	};

	ccr_job_flatten(buf, &job);
}

const CcrFuzzTarget ccr_fuzz_jobs = {"jobs", read_job, example};
