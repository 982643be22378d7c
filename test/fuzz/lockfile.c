/* The postmaster's lock file. */
#include "postgres.h"

#include <fcntl.h>
#include <unistd.h>

static int	open_input(const char *name, int flags);

/* the reader opens a file of its own choice */
#define open(name, flags)	open_input(name, flags)
#include "../../src/shared/lockfile.c"
#undef open

#include "fuzz.h"
#include "storage/fd.h"

static int	input = -1;

static int
open_input(const char *name, int flags)
{
	return dup(input);
}

static void
read_lockfile(const char *data, Size size)
{
	FILE	   *file = tmpfile();

	if (file == NULL || fwrite(data, 1, size, file) != size || fflush(file) != 0)
		elog(FATAL, "could not write a temporary file: %m");
	rewind(file);
	input = fileno(file);
	(void) ccr_lockfile_stopping();
	fclose(file);
}

const CcrFuzzTarget ccr_fuzz_lockfile = {"lockfile", read_lockfile, NULL};
