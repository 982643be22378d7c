/*-------------------------------------------------------------------------
 *
 * callable.c
 *	  Whether an expression that is kept still calls what it would call if it
 *	  were made now.
 *
 * What is planned outlives the planner's questions: a function that was inlined
 * or computed beforehand is not to be seen in the expression any more, so
 * nobody asks for EXECUTE on it again, or notices that it was replaced.  A cast
 * leaves nothing of itself.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lookup/callable.h"
#include "utils/inval.h"
#include "utils/syscache.h"

static uint64 changes = 1;

static void
catalog_changed(Datum arg, int cacheid, uint32 hash)
{
	changes++;
}

uint64
ccr_callables_changed(void)
{
	static bool watching = false;

	if (!watching)
	{
		CacheRegisterSyscacheCallback(PROCOID, catalog_changed, (Datum) 0);
		CacheRegisterSyscacheCallback(CASTSOURCETARGET, catalog_changed, (Datum) 0);
		CacheRegisterSyscacheCallback(AUTHOID, catalog_changed, (Datum) 0);
		CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, catalog_changed, (Datum) 0);
	}
	watching = true;
	return changes;
}
