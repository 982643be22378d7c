/*-------------------------------------------------------------------------
 *
 * reader.c
 *	  Reading bytes that another process has written.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/int.h"
#include "shared/reader.h"

void
ccr_read_failed(const CcrReader *reader)
{
	ereport(ERROR,
			(errcode(ERRCODE_INTERNAL_ERROR),
			 errmsg_internal("%s is malformed", reader->what)));
}

bool
ccr_read_number(const char *data, int length, int64 *number)
{
	bool		negative = length > 0 && data[0] == '-';
	int64		n = 0;

	if (length - negative <= 0)
		return false;
	for (int i = negative; i < length; i++)
	{
		if (data[i] < '0' || data[i] > '9')
			return false;

		/* counted downwards, as there is one more of the negative ones */
		if (pg_mul_s64_overflow(n, 10, &n) ||
			pg_sub_s64_overflow(n, data[i] - '0', &n))
			return false;
	}
	if (!negative && n == PG_INT64_MIN)
		return false;
	*number = negative ? n : -n;
	return true;
}
