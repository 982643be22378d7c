/*-------------------------------------------------------------------------
 *
 * budget.c
 *	  How much a collector may hold of what far sides send.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <sys/resource.h>
#include <unistd.h>

#include "collector/budget.h"
#include "shared/settings.h"
#include "storage/fd.h"

#define CCR_BUDGET_LEAST	512 /* MB, if concresce.collector_memory is -1 */
#define CCR_BUDGET_MIN		64	/* MB, whatever it says */
#define CCR_BUDGET_HEAPS	8	/* the same, in shares of the heap */
#define CCR_BYTES_OF_ONE	4	/* that a byte held can take */
#define CCR_BLOCK_OF_ITS_OWN	(4 * 1024 * 1024)	/* bytes, that are given
													 * back to the kernel when
													 * freed */
#define CCR_KEPT_FREE			(4 * 1024 * 1024)	/* bytes, that are not */
#define CCR_BUDGET_STEP		(64 * 1024) /* that is worth showing */
#define CCR_WALL_STEP		(16 * 1024 * 1024)	/* that is worth moving the
												 * wall */
#define CCR_BYTES_OF_OWN	3	/* that a byte of ours can take: blocks,
								 * copies */

static CcrMailbox *shown = NULL;
static int64 held = 0;
static int64 held_shown = 0;
static int64 own = 0;			/* what waits, which is no far side's doing */
static int64 own_walled = 0;	/* for which the wall has been moved */

static Size
memory_limit(void)
{
	Size		mb = Max(ccr_collector_memory, CCR_BUDGET_MIN);

	if (ccr_collector_memory < 0)
		mb = Max(CCR_BUDGET_LEAST, CCR_BUDGET_HEAPS * (Size) ccr_shared_memory);
	return mb * 1024 * 1024;
}

Size
ccr_budget_answer(void)
{
	return (Size) ccr_shared_memory * 1024 * 1024;
}

static int64
held_limit(void)
{
	return memory_limit() / CCR_BYTES_OF_ONE;
}

/* What the process has written to, or could, in bytes: what RLIMIT_DATA limits. */
static Size
data_size(void)
{
	FILE	   *file = AllocateFile("/proc/self/statm", "r");
	unsigned long pages = 0;

	if (file == NULL)
		return 0;
	if (fscanf(file, "%*u %*u %*u %*u %*u %lu", &pages) != 1)
		pages = 0;
	FreeFile(file);
	return pages * sysconf(_SC_PAGESIZE);
}

/*
 * The last wall: rather than the kernel ending some process of the server for
 * what a far side has sent, an allocation of this one fails.  AddressSanitizer
 * maps memory beyond all measure.
 */
static void
set_wall(void)
{
#ifndef __SANITIZE_ADDRESS__
	static Size base = 0;
	struct rlimit rlimit;

	if (base == 0)
		base = data_size();
	if (base == 0 || getrlimit(RLIMIT_DATA, &rlimit) != 0)
		return;
	own_walled = own + CCR_WALL_STEP;
	rlimit.rlim_cur = Min(base + memory_limit() + own_walled * CCR_BYTES_OF_OWN,
						  rlimit.rlim_max);
	if (setrlimit(RLIMIT_DATA, &rlimit) != 0)
		elog(LOG, "could not limit the memory of a collector: %m");
#endif
}

void
ccr_budget_init(CcrMailbox *mailbox)
{
	shown = mailbox;
	pg_atomic_write_u64(&mailbox->memory_used, 0);
	pg_atomic_write_u64(&mailbox->memory_peak, 0);

	/*
	 * By itself it would raise the first to 32 MB, and keep what is smaller.
	 * With the second as it is, each batch would have pages of its own, which
	 * the kernel has to clear.
	 */
#ifdef __GLIBC__
	(void) mallopt(M_MMAP_THRESHOLD, CCR_BLOCK_OF_ITS_OWN);
	(void) mallopt(M_TRIM_THRESHOLD, CCR_KEPT_FREE);
#endif
	ccr_budget_reload();
}

void
ccr_budget_reload(void)
{
	pg_atomic_write_u64(&shown->memory_limit, memory_limit());
	set_wall();
}

void
ccr_budget_own(int64 bytes)
{
	own += bytes;
	if (own > own_walled || own < own_walled - 4 * CCR_WALL_STEP)
		set_wall();
}

void
ccr_budget_change(int64 bytes)
{
	held += bytes;
	Assert(held >= 0);
	if (Max(held - held_shown, held_shown - held) < CCR_BUDGET_STEP && held > 0)
		return;
	held_shown = held;
	pg_atomic_write_u64(&shown->memory_used, held);
	if ((uint64) held > pg_atomic_read_u64(&shown->memory_peak))
		pg_atomic_write_u64(&shown->memory_peak, held);
}

bool
ccr_budget_exceeded(void)
{
	return held > held_limit();
}

bool
ccr_budget_scarce(void)
{
	return held > held_limit() / 4;
}
