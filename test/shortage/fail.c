/*-------------------------------------------------------------------------
 *
 * fail.c
 *	  Allocations of a collector or a session that fail when a test wants it.
 *
 * "make SHORTAGE=1" links it, and has the linker send the library's calls of
 * the functions below here.  The file that CCR_SHORTAGE names begins with an
 * int: which of the next allocations of a collector fails, 1 the next one, 0
 * none; it is counted down.  The second int is for the session whose
 * application_name is "shortage".
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "access/xact.h"
#include "lib/pairingheap.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "utils/dsa.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

/* Which of the two; -1: neither. */
static int
place_in_file(void)
{
	if (MyBgworkerEntry)
		return strcmp(MyBgworkerEntry->bgw_type, "concresce collector") == 0 ? 0 : -1;
	return MyBackendType == B_BACKEND && strcmp(application_name, "shortage") == 0 ? 1 : -1;
}

static volatile int32 *
countdown(void)
{
	static volatile int32 *mapped = NULL;
	const char *path = getenv("CCR_SHORTAGE");
	int			place = path ? place_in_file() : -1;
	int			fd;
	void	   *p;

	if (mapped || place < 0)
		return mapped;
	fd = open(path, O_RDWR);
	if (fd < 0)
		return NULL;
	p = mmap(NULL, 2 * sizeof(int32), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	mapped = p == MAP_FAILED ? NULL : (int32 *) p + place;
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
FAILING(dsa_area *, dsa_attach_in_place, (void *place, dsm_segment *segment), (place, segment))
FAILING(void, RegisterXactCallback, (XactCallback callback, void *arg), (callback, arg))
FAILING(void, RegisterSubXactCallback, (SubXactCallback callback, void *arg), (callback, arg))
FAILING(void, RegisterResourceReleaseCallback, (ResourceReleaseCallback callback, void *arg), (callback, arg))
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
