/*-------------------------------------------------------------------------
 *
 * driver.c
 *	  libFuzzer within a single-user server: so the readers have the memory
 *	  contexts, errors, parser and types that they have in production.
 *
 * Each input is read in a subtransaction, which is rolled back.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "fuzz.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#define CCR_FUZZ_ROOM	(64 * 1024)	/* longest input; whole pages */

PG_FUNCTION_INFO_V1(concresce_fuzz);

extern int	LLVMFuzzerRunDriver(int *argc, char ***argv,
								int (*callback) (const uint8_t *data, size_t size));

static const CcrFuzzTarget *const targets[] = {
	&ccr_fuzz_bodies, &ccr_fuzz_discarded, &ccr_fuzz_errors, &ccr_fuzz_jobs,
	&ccr_fuzz_lockfile, &ccr_fuzz_numbers, &ccr_fuzz_options, &ccr_fuzz_replies,
	&ccr_fuzz_sources, &ccr_fuzz_values
};

static const CcrFuzzTarget *target;

/* for others to see, so that what is read is read */
volatile char ccr_fuzz_seen;

void
ccr_fuzz_touch(const char *data, Size size)
{
	for (Size i = 0; i < size; i++)
		ccr_fuzz_seen = data[i];
}

void
ccr_fuzz_fail(const char *condition, const char *file, int line)
{
	fprintf(stderr, "%s:%d: not so: %s\n", file, line, condition);
	abort();
}

/* A copy that ends where a page begins that may not be read. */
static char *
guarded(const uint8_t *data, size_t size)
{
	static char *end = NULL;

	if (end == NULL)
	{
		long		page = sysconf(_SC_PAGESIZE);
		char	   *area = mmap(NULL, CCR_FUZZ_ROOM + page, PROT_READ | PROT_WRITE,
								MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (area == MAP_FAILED ||
			mprotect(area + CCR_FUZZ_ROOM, page, PROT_NONE) != 0)
			elog(FATAL, "could not make a guard page: %m");
		end = area + CCR_FUZZ_ROOM;
	}
	memcpy(end - size, data, size);
	return end - size;
}

static int
read_input(const uint8_t *data, size_t size)
{
	MemoryContext old = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;

	BeginInternalSubTransaction(NULL);
	PG_TRY();
	{
		target->read(guarded(data, size), size);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(old);
		FlushErrorState();
	}
	PG_END_TRY();
	RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(old);
	CurrentResourceOwner = owner;
	return 0;
}

static void
write_example(const char *folder)
{
	StringInfoData buf;
	FILE	   *file;

	initStringInfo(&buf);
	target->example(&buf);
	file = fopen(psprintf("%s/example", folder), "w");
	if (file == NULL || fwrite(buf.data, 1, buf.len, file) != (size_t) buf.len ||
		fclose(file) != 0)
		elog(ERROR, "could not write to %s: %m", folder);
}

/* concresce_fuzz(target, folder of inputs, options of libFuzzer): never returns */
Datum
concresce_fuzz(PG_FUNCTION_ARGS)
{
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char	   *folder = text_to_cstring(PG_GETARG_TEXT_PP(1));
	Datum	   *options;
	char	  **argv;
	int			argc = 0;
	int			n;

	for (int i = 0; i < (int) lengthof(targets); i++)
		if (strcmp(targets[i]->name, name) == 0)
			target = targets[i];
	if (target == NULL)
		elog(ERROR, "no such target: %s", name);
	if (target->example)
		write_example(folder);
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(2), TEXTOID, -1, false, TYPALIGN_INT,
					  &options, NULL, &n);
	argv = palloc((n + 3) * sizeof(char *));
	argv[argc++] = name;
	for (int i = 0; i < n; i++)
		argv[argc++] = TextDatumGetCString(options[i]);
	argv[argc++] = folder;
	argv[argc] = NULL;
	exit(LLVMFuzzerRunDriver(&argc, &argv, read_input));
}
