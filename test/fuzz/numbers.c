/* Numbers in rows, beside what C's own function makes of them. */
#include "postgres.h"

#include "fuzz.h"
#include "shared/reader.h"

static void
read_number(const char *data, Size size)
{
	int64		number = 0;
	char	   *copy = pnstrdup(data, size);
	char	   *end;
	long long	expected;
	bool		plain = size > 0 && strspn(copy, "-0123456789") == size &&
		strrchr(copy, '-') == (copy[0] == '-' ? copy : NULL) &&
		copy[size - 1] != '-';

	errno = 0;
	expected = strtoll(copy, &end, 10);
	CCR_FUZZ_MUST(ccr_read_number(data, size, &number) == (plain && errno == 0));
	if (plain && errno == 0)
		CCR_FUZZ_MUST(number == expected);
}

const CcrFuzzTarget ccr_fuzz_numbers = {"numbers", read_number, NULL};
