/*-------------------------------------------------------------------------
 *
 * fail.c
 *	  Allocations of a collector that fail when a test wants it.
 *
 * "make SHORTAGE=1" links it, and has the linker send the library's calls of
 * the functions below here.  The file that CCR_SHORTAGE names begins with an
 * int: which of the next allocations fails, 1 the next one, 0 none; it is
 * counted down.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/pairingheap.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

static volatile int32 *
countdown(void)
{
	static volatile int32 *mapped = NULL;
	const char *path = getenv("CCR_SHORTAGE");
	int			fd;
	void	   *p;

	if (mapped || path == NULL || MyBgworkerEntry == NULL ||
		strcmp(MyBgworkerEntry->bgw_type, "concresce collector") != 0)
		return mapped;
	fd = open(path, O_RDWR);
	if (fd < 0)
		return NULL;
	p = mmap(NULL, sizeof(int32), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	mapped = p == MAP_FAILED ? NULL : p;
	return mapped;
}

/* Offsets in the library, for addr2line. */
static void
put_callers(char *buf, size_t size)
{
	void	   *callers[12];
	int			n = backtrace(callers, lengthof(callers));
	size_t		length = 0;
	Dl_info		info;

	buf[0] = '\0';
	for (int i = 2; i < n && length < size; i++)
		if (dladdr(callers[i], &info) && strstr(info.dli_fname, "concresce"))
			length += snprintf(buf + length, size - length, " %zx",
							   (size_t) ((char *) callers[i] - (char *) info.dli_fbase));
}

/* True: it fails.  quietly: without raising an error. */
static bool
fails(bool quietly)
{
	volatile int32 *left = countdown();
	char		callers[200];

	if (left == NULL || *left == 0 || --*left > 0)
		return false;
	put_callers(callers, sizeof(callers));
	ereport(quietly ? LOG : ERROR,
			(errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory"),
			 errdetail("This allocation was to fail:%s.", callers)));
	return true;
}

#define FAILING(type, name, parameters, arguments) \
	extern type __real_##name parameters; \
	extern type __wrap_##name parameters; \
	type \
	__wrap_##name parameters \
	{ \
		(void) fails(false); \
		return __real_##name arguments; \
	}

FAILING(void *, palloc, (Size size), (size))
FAILING(void *, palloc0, (Size size), (size))
FAILING(void *, repalloc, (void *p, Size size), (p, size))
FAILING(void *, repalloc_huge, (void *p, Size size), (p, size))
FAILING(void *, MemoryContextAlloc, (MemoryContext context, Size size), (context, size))
FAILING(void *, MemoryContextAllocZero, (MemoryContext context, Size size), (context, size))
FAILING(void *, MemoryContextAllocHuge, (MemoryContext context, Size size), (context, size))
FAILING(char *, MemoryContextStrdup, (MemoryContext context, const char *s), (context, s))
FAILING(char *, pstrdup, (const char *s), (s))
FAILING(char *, pnstrdup, (const char *s, Size n), (s, n))
FAILING(void, initStringInfo, (StringInfo buf), (buf))
FAILING(void, enlargeStringInfo, (StringInfo buf, int n), (buf, n))
FAILING(pairingheap *, pairingheap_allocate, (pairingheap_comparator compare, void *arg), (compare, arg))
FAILING(MemoryContext, AllocSetContextCreateInternal,
		(MemoryContext parent, const char *name, Size least, Size first, Size most),
		(parent, name, least, first, most))

extern void *__real_MemoryContextAllocExtended(MemoryContext context, Size size, int flags);
extern void *__wrap_MemoryContextAllocExtended(MemoryContext context, Size size, int flags);

void *
__wrap_MemoryContextAllocExtended(MemoryContext context, Size size, int flags)
{
	return fails((flags & MCXT_ALLOC_NO_OOM) != 0) ? NULL :
		__real_MemoryContextAllocExtended(context, size, flags);
}

extern void *__real_hash_search(HTAB *table, const void *key, HASHACTION action, bool *found);
extern void *__wrap_hash_search(HTAB *table, const void *key, HASHACTION action, bool *found);

void *
__wrap_hash_search(HTAB *table, const void *key, HASHACTION action, bool *found)
{
	if (action == HASH_ENTER)
		(void) fails(false);
	return __real_hash_search(table, key, action, found);
}
