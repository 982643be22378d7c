/*-------------------------------------------------------------------------
 *
 * concresce.c
 *	  Loading the library: settings, shared memory, collectors.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "call/barrier_plan.h"
#include "call/parameters.h"
#include "collector/collector.h"
#include "fmgr.h"
#include "local/evict.h"
#include "lookup/barrier.h"
#include "lookup/ground.h"
#include "miscadmin.h"
#include "scan/scan_exec.h"
#include "scan/scan_plan.h"
#include "scan/scan_run.h"
#include "shared/seat.h"
#include "shared/settings.h"
#include "shared/shmem.h"
#include "storage/ipc.h"
#include "write/revoked.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

static shmem_request_hook_type prev_shmem_request_hook = NULL;
static shmem_startup_hook_type prev_shmem_startup_hook = NULL;

static void
request_shmem(void)
{
	if (prev_shmem_request_hook)
		prev_shmem_request_hook();
	ccr_shmem_request();
	ccr_seats_request();
}

static void
start_shmem(void)
{
	if (prev_shmem_startup_hook)
		prev_shmem_startup_hook();
	ccr_shmem_startup();
	ccr_seats_startup();
}

void
_PG_init(void)
{
	ccr_settings_define(process_shared_preload_libraries_in_progress);

	/* without the rest a call raises an error that says what to do */
	if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade)
		return;
	prev_shmem_request_hook = shmem_request_hook;
	shmem_request_hook = request_shmem;
	prev_shmem_startup_hook = shmem_startup_hook;
	shmem_startup_hook = start_shmem;
	ccr_evict_init();
	ccr_ground_init();
	ccr_revoked_init();
	ccr_parameters_init();
	ccr_collector_register();
	ccr_scan_init();
	ccr_scan_plan_init();
	ccr_scan_run_init();
	ccr_barrier_init();
	ccr_barrier_plan_init();
}
