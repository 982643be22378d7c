/*-------------------------------------------------------------------------
 *
 * holding.c
 *	  How much libpq holds of a connection.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <time.h>

#include "collector/budget.h"
#include "collector/holding.h"
#include "collector/received.h"
#include "port/pg_bitutils.h"

#define CCR_KEPT		(8 * 1024 * 1024)	/* bytes that libpq may hold for
											 * good: its buffer, settings */
#define CCR_KEPT_SMALL	(64 * 1024) /* bytes that are not looked at */
#define CCR_ROOMY		(128 * 1024)	/* bytes of a buffer: so many settings
										 * are a second's work */
#define CCR_STRAY_OP	1024	/* bytes of each operation, without being
								 * counted */
#define CCR_STRAY_OPS	8		/* operations after which strays are counted */
#define CCR_HEAVY		(1024 * 1024)	/* bytes to be read that take long */
#define CCR_HEAVY_ROW	(16 * 1024) /* the same, if what was read last was
									 * only a part of a row: libpq now has a
									 * buffer for all of it */
#define CCR_HEAVY_VAIN	(5 * 1000)	/* us of reading that bring no row */
#define CCR_VAIN		(250 * 1000)	/* us of reading that bring no row */

static void
set_held(CcrHolding *holding, int64 held)
{
	held = Max(held, holding->kept);
	if (held != holding->held)
		ccr_budget_change(held - holding->held);
	holding->held = held;
}

/*
 * Bytes read and not handed over.  If they are few it does not matter that some
 * of them may not have been read yet.
 */
static int64
bytes_in(const CcrHolding *holding, bool exactly)
{
	uint64		received = ccr_socket_received(holding->fd);
	int64		n = received - holding->passed;

	if (received == 0)
		return holding->uncounted - holding->passed;
	if (exactly || n > CCR_KEPT_SMALL)
		n -= ccr_socket_unread(holding->fd);
	return n;
}

void
ccr_holding_open(CcrHolding *holding, int fd)
{
	uint64		received = ccr_socket_received(fd);

	holding->fd = fd;
	holding->counted = received > 0;
	holding->peak = received;
}

void
ccr_holding_close(CcrHolding *holding)
{
	holding->fd = -1;
	holding->kept = 0;
	set_held(holding, 0);
}

void
ccr_holding_begin(CcrHolding *holding)
{
	holding->nreads = 0;
	holding->vain = 0;
	holding->nops++;
}

void
ccr_holding_reading(CcrHolding *holding)
{
	holding->nreads++;
	holding->passed_before = holding->passed;
	if (holding->nreads < 2)
		return;
	if (holding->nreads == 2)
		holding->before = bytes_in(holding, true);
	if (!holding->counted)
		holding->waiting = ccr_socket_unread(holding->fd);
}

/*
 * What has come to the socket meanwhile cannot be told
 * from what was left there: so it may have been more.
 */
void
ccr_holding_read(CcrHolding *holding)
{
	if (holding->nreads >= 2 && !holding->counted)
		holding->uncounted += Max(holding->waiting - ccr_socket_unread(holding->fd), 0);
}

bool
ccr_holding_is_heavy(const CcrHolding *holding)
{
	uint64		unread;

	if (holding->nreads == 0 || ccr_holding_is_roomy(holding))
		return ccr_holding_is_roomy(holding);
	unread = ccr_socket_unread(holding->fd);
	return unread >= CCR_HEAVY || holding->vain >= CCR_HEAVY_VAIN ||
		(unread >= CCR_HEAVY_ROW && holding->passed == holding->passed_before);
}

bool
ccr_holding_is_roomy(const CcrHolding *holding)
{
	return Max(holding->kept, holding->peak) > CCR_ROOMY;
}

/*
 * Of what has come to stay the larger part can only be settings of ever new
 * names.
 */
static void
note_strays(CcrHolding *holding, int64 bytes)
{
	int64		stray = bytes - (int64) (holding->nops * CCR_STRAY_OP) - holding->dropped;

	/* records of TLS have headers */
	stray -= holding->passed / 64;
	if (stray > CCR_KEPT_SMALL)
		holding->kept = Max(holding->kept, stray);
}

/* What libpq holds more than before is what it has read and not handed over. */
void
ccr_holding_note(CcrHolding *holding)
{
	int64		bytes;

	if (holding->nreads < 2 || holding->fd < 0)
		return;
	bytes = bytes_in(holding, false);
	holding->added = Max(bytes - holding->before, 0);
	holding->peak = Max(holding->peak, holding->added);
	note_strays(holding, bytes);
	set_held(holding, holding->added);
}

void
ccr_holding_note_reading(CcrHolding *holding, int fd)
{
	uint64		received = ccr_socket_received(fd);

	if (received == 0)
		return;
	holding->added = Max((int64) (received - ccr_socket_unread(fd) - holding->passed) -
						 holding->before, 0);
	set_held(holding, holding->added);
}

/* The buffer of libpq grows by doubling, and never shrinks. */
void
ccr_holding_end(CcrHolding *holding)
{
	if (holding->nops % CCR_STRAY_OPS == 0)
		note_strays(holding, bytes_in(holding, true));
	if (holding->peak > CCR_KEPT_SMALL)
		holding->kept = Max(holding->kept, (int64) pg_nextpower2_64(holding->peak));
	holding->peak = 0;
	holding->added = 0;
	set_held(holding, 0);
}

bool
ccr_holding_is_worn(const CcrHolding *holding)
{
	return holding->kept > CCR_KEPT ||
		(holding->kept > CCR_KEPT_SMALL && ccr_budget_scarce());
}

void
ccr_holding_pass(CcrHolding *holding, int64 bytes)
{
	holding->passed += bytes;
	holding->peak = Max(holding->peak, bytes);
}

void
ccr_holding_dropped(CcrHolding *holding, int64 bytes)
{
	holding->dropped += bytes;
}

/* Of the processor: others may have had it meanwhile. */
static int64
time_used(void)
{
	struct timespec now;

	(void) clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return now.tv_sec * INT64CONST(1000000) + now.tv_nsec / 1000;
}

int64
ccr_holding_time(const CcrHolding *holding)
{
	return holding->nreads >= 2 ? time_used() : 0;
}

/* Reading the longest row takes less than this. */
bool
ccr_holding_in_vain(CcrHolding *holding, int64 used)
{
	if (holding->passed != holding->passed_before)
		holding->vain = 0;
	else
		holding->vain += used;
	return holding->vain >= CCR_VAIN + (int64) (ccr_budget_answer() / 256);
}

/*
 * TLS and GSSAPI take whole records from the socket, of up to 16 kB, and libpq
 * as much of one as it has room for, at least 8 kB.  When nothing has come to
 * the socket while libpq has read twice, nothing is left.
 */
bool
ccr_holding_hides_some(CcrHolding *holding)
{
	uint64		received;

	if (ccr_socket_unread(holding->fd) > 0)
		return false;			/* the socket says so again */
	received = ccr_socket_received(holding->fd);
	if (received != holding->last_received)
		holding->nquiet = 0;
	else
		holding->nquiet++;
	holding->last_received = received;
	return holding->nquiet < 2;
}
