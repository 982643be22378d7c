/*-------------------------------------------------------------------------
 *
 * job.c
 *	  The bytes that go between a collector and a local executor.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "job.h"

static void
put_string(StringInfo buf, const char *s)
{
	appendBinaryStringInfo(buf, s, strlen(s) + 1);
}

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
	put_string(buf, job->search_path);
	put_string(buf, job->statement);
	put_string(buf, job->sql);
	for (int i = 0; i < job->nsettings; i++)
		put_string(buf, job->settings[i]);
}

static const char *
take(const char **p, Size length)
{
	const char *start = *p;

	*p += length;
	return start;
}

static const char *
take_string(const char **p)
{
	return take(p, strlen(*p) + 1);
}

CcrJob *
ccr_job_restore(const char *data, Size length)
{
	CcrJob	   *job = palloc(sizeof(CcrJob));
	CcrParams  *params = &job->params;
	const char *p = data;
	const char **values;

	Assert(length >= sizeof(CcrJob));
	memcpy(job, take(&p, sizeof(CcrJob)), sizeof(CcrJob));
	params->types = (const Oid *) take(&p, params->n * sizeof(Oid));
	params->lengths = (const int *) take(&p, params->n * sizeof(int));
	values = palloc(Max(params->n, 1) * sizeof(char *));
	for (int i = 0; i < params->n; i++)
		values[i] = take(&p, params->lengths[i]);
	params->values = values;
	job->search_path = take_string(&p);
	job->statement = take_string(&p);
	job->sql = take_string(&p);
	job->settings = palloc(Max(job->nsettings, 1) * sizeof(char *));
	for (int i = 0; i < job->nsettings; i++)
		job->settings[i] = take_string(&p);
	Assert(p == data + length);
	return job;
}
