/*-------------------------------------------------------------------------
 *
 * job.c
 *	  The bytes that go between a collector and a local executor.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/bytes.h"
#include "shared/job.h"

void
ccr_job_flatten(StringInfo buf, const CcrJob *job)
{
	const CcrParams *params = &job->params;
	CcrJob		fixed = *job;

	/* pointers mean nothing on the other side */
	fixed.search_path = fixed.statement = fixed.sql = NULL;
	fixed.settings = NULL;
	memset(&fixed.params, 0, sizeof(CcrParams));
	fixed.params.n = params->n;
	appendBinaryStringInfo(buf, (const char *) &fixed, sizeof(CcrJob));
	appendBinaryStringInfo(buf, (const char *) params->types, params->n * sizeof(Oid));
	appendBinaryStringInfo(buf, (const char *) params->lengths, params->n * sizeof(int));
	for (int i = 0; i < params->n; i++)
		appendBinaryStringInfo(buf, params->values[i], params->lengths[i]);
	ccr_put_string(buf, job->search_path);
	ccr_put_string(buf, job->statement);
	ccr_put_string(buf, job->sql);
	for (int i = 0; i < job->nsettings; i++)
		ccr_put_string(buf, job->settings[i]);
}

static const char *
get_job_string(CcrReader *reader)
{
	const char *s = ccr_read_string(reader);

	if (s == NULL)
		ccr_read_failed(reader);
	return s;
}

CcrJob *
ccr_job_restore(const char *data, Size length)
{
	CcrReader	reader = ccr_reader(data, length, "job of a local executor");
	CcrJob	   *job = palloc(sizeof(CcrJob));
	CcrParams  *params = &job->params;
	const char **values;

	memcpy(job, ccr_read(&reader, sizeof(CcrJob)), sizeof(CcrJob));
	if (params->n < 0 || job->nsettings < 0)
		ccr_read_failed(&reader);
	params->types = (const Oid *) ccr_read(&reader, params->n * sizeof(Oid));
	params->lengths = (const int *) ccr_read(&reader, params->n * sizeof(int));
	values = palloc(Max(params->n, 1) * sizeof(char *));
	for (int i = 0; i < params->n; i++)
	{
		if (params->lengths[i] < 0)
			ccr_read_failed(&reader);
		values[i] = ccr_read(&reader, params->lengths[i]);
	}
	params->values = values;
	job->search_path = get_job_string(&reader);
	job->statement = get_job_string(&reader);
	job->sql = get_job_string(&reader);
	job->settings = palloc(Max(job->nsettings, 1) * sizeof(char *));
	for (int i = 0; i < job->nsettings; i++)
	{
		job->settings[i] = get_job_string(&reader);
		if (strchr(job->settings[i], '=') == NULL)
			ccr_read_failed(&reader);
	}
	ccr_read_end(&reader);
	return job;
}
