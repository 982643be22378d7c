/*-------------------------------------------------------------------------
 *
 * bytes.c
 *	  Writing bytes for another process, and reading them in the same order.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/bytes.h"

void
ccr_bytes_plain(CcrBytes *bytes, void *data, Size size)
{
	if (bytes->to)
		appendBinaryStringInfo(bytes->to, data, size);
	else
		memcpy(data, ccr_read(&bytes->from, size), size);
}

void
ccr_bytes_int(CcrBytes *bytes, int *n)
{
	ccr_bytes_plain(bytes, n, sizeof(int));
}

void
ccr_bytes_oid(CcrBytes *bytes, Oid *oid)
{
	ccr_bytes_plain(bytes, oid, sizeof(Oid));
}

void
ccr_bytes_bool(CcrBytes *bytes, bool *flag)
{
	int32		n = *flag;

	ccr_bytes_plain(bytes, &n, sizeof(n));
	*flag = n != 0;
}

void
ccr_bytes_string(CcrBytes *bytes, const char **s)
{
	if (bytes->to)
		ccr_put_string(bytes->to, *s);
	else
	{
		const char *read = ccr_read_string(&bytes->from);

		*s = read ? pstrdup(read) : NULL;
	}
}

void
ccr_bytes_count(CcrBytes *bytes, int *n, Size each)
{
	if (bytes->to)
		ccr_put_int32(bytes->to, *n);
	else
		*n = ccr_read_count(&bytes->from, each);
}

void
ccr_bytes_oids(CcrBytes *bytes, Oid **oids, int n)
{
	if (!bytes->to)
		*oids = palloc(Max(n, 1) * sizeof(Oid));
	ccr_bytes_plain(bytes, *oids, n * sizeof(Oid));
}

void
ccr_bytes_bools(CcrBytes *bytes, bool **flags, int n)
{
	if (!bytes->to)
		*flags = palloc(Max(n, 1) * sizeof(bool));
	ccr_bytes_plain(bytes, *flags, n * sizeof(bool));
}

void
ccr_bytes_strings(CcrBytes *bytes, const char ***strings, int n)
{
	if (!bytes->to)
		*strings = palloc(Max(n, 1) * sizeof(char *));
	for (int i = 0; i < n; i++)
		ccr_bytes_string(bytes, &(*strings)[i]);
}
