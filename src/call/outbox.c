/*-------------------------------------------------------------------------
 *
 * outbox.c
 *	  Requests that a backend holds back for a moment, so that they leave
 *	  together.
 *
 * A batch goes as soon as a connection is free.  So of a thousand requests
 * that are pushed one by one, the first ones go in batches of a few, and the
 * collector is woken again and again.  Held back and pushed as one chain, with
 * one compare-and-swap, they are one batch.
 *
 * A chain for each mailbox is kept linked as the mailbox wants it, so that
 * pushing takes no longer for many than for one.  A session that goes on
 * computing does not come by here, so a timer looks at the chains as well.
 * Its handler may interrupt anything in this file: "busy" keeps it off the
 * chains, and it then leaves a note instead.  All that it touches are these
 * chains, the mailbox and the collector's latch.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>

#include "call/outbox.h"
#include "shared/settings.h"
#include "utils/timeout.h"

#define CCR_TICK		1		/* ms between two looks at the chains */
#define CCR_QUIET_TICKS	3		/* in a row without another request */
#define CCR_MAX_TICKS	20		/* that a request is held, at most */
#define CCR_MAX_TALLIES	16		/* sources of which something is held */

/* How many items and bytes of one source are held back. */
typedef struct Tally
{
	CcrFingerprint fingerprint;
	int			nitems;
	Size		nbytes;
} Tally;

static dlist_head chains[CCR_MAX_WORKERS];	/* CcrOutboxEntry, oldest first */
static Tally tallies[CCR_MAX_TALLIES];
static int	ntallies = 0;
static int	nheld = 0;
static uint64 current_round = 1;

static volatile sig_atomic_t busy = false;
static volatile sig_atomic_t push_wanted = false;

static TimeoutId tick_timeout = MAX_TIMEOUTS;
static int	ticks = 0;			/* since the first one was held */
static int	quiet_ticks = 0;	/* of these, the last ones */
static int	nheld_at_tick = 0;

static void
begin_hold(void)
{
	busy = true;
	pg_compiler_barrier();
}

/* Push all chains; a signal handler may call this. */
static void
push_chains(void)
{
	for (int i = 0; i < CCR_MAX_WORKERS && nheld > 0; i++)
	{
		if (dlist_is_empty(&chains[i]))
			continue;
		ccr_requests_push(dlist_tail_element(CcrOutboxEntry, node, &chains[i])->request,
						  dlist_head_element(CcrOutboxEntry, node, &chains[i])->request);
		dlist_init(&chains[i]);
	}
	nheld = 0;
	ntallies = 0;
	ticks = 0;
	quiet_ticks = 0;
	nheld_at_tick = 0;
	current_round++;
}

static void
end_hold(void)
{
	while (push_wanted)
	{
		push_wanted = false;
		push_chains();
	}
	pg_compiler_barrier();
	busy = false;
	pg_compiler_barrier();

	/* the handler may have run between the two */
	if (push_wanted)
		ccr_outbox_push();
}

void
ccr_outbox_push(void)
{
	if (nheld == 0)
		return;
	begin_hold();
	push_wanted = true;
	end_hold();
}

/*
 * The timer: push if no request has come for a few ticks.  As long as requests
 * keep coming, it is worth while to wait.  A single tick without any says
 * little, as the process may not have had the processor.
 */
static void
outbox_tick(void)
{
	if (nheld == 0)
		return;
	quiet_ticks = nheld == nheld_at_tick ? quiet_ticks + 1 : 0;
	nheld_at_tick = nheld;
	if (quiet_ticks < CCR_QUIET_TICKS && ++ticks < CCR_MAX_TICKS)
		enable_timeout_after(tick_timeout, CCR_TICK);
	else if (busy)
		push_wanted = true;
	else
		push_chains();
}

static void
start_ticking(void)
{
	if (tick_timeout == MAX_TIMEOUTS)
		tick_timeout = RegisterTimeout(USER_TIMEOUT, outbox_tick);
	if (!get_timeout_active(tick_timeout))
		enable_timeout_after(tick_timeout, CCR_TICK);
}

/* Count a request.  True if enough of its source is held for a batch. */
static bool
outbox_tally(const CcrRequest *request)
{
	Tally	   *t = NULL;

	for (int i = ntallies - 1; i >= 0 && t == NULL; i--)
		if (memcmp(&tallies[i].fingerprint, &request->fingerprint,
				   sizeof(CcrFingerprint)) == 0)
			t = &tallies[i];
	if (t == NULL)
	{
		if (ntallies == CCR_MAX_TALLIES)
			return true;
		t = &tallies[ntallies++];
		t->fingerprint = request->fingerprint;
		t->nitems = 0;
		t->nbytes = 0;
	}
	t->nitems += request->nitems;
	t->nbytes += request->nbytes;
	return t->nitems >= request->max_size || t->nbytes >= (Size) request->max_bytes;
}

void
ccr_outbox_hold(CcrOutboxEntry *held, CcrRequest *request)
{
	dlist_head *chain = &chains[request->worker];

	begin_hold();
	request->next_intake = dlist_is_empty(chain) ? InvalidDsaPointer :
		dlist_tail_element(CcrOutboxEntry, node, chain)->request->self;
	held->request = request;
	held->round = current_round;
	dlist_push_tail(chain, &held->node);
	nheld++;
	if (outbox_tally(request))
		push_wanted = true;
	end_hold();
	if (nheld > 0)
		start_ticking();
}

bool
ccr_outbox_withdraw(CcrOutboxEntry *held)
{
	bool		was_held;

	begin_hold();
	was_held = held->round == current_round;
	if (was_held)
	{
		dlist_head *chain = &chains[held->request->worker];

		if (dlist_has_next(chain, &held->node))
			dlist_container(CcrOutboxEntry, node, dlist_next_node(chain, &held->node))
				->request->next_intake = held->request->next_intake;
		dlist_delete(&held->node);
		nheld--;
	}
	end_hold();
	if (was_held)
		ccr_request_withdraw(held->request);
	return was_held;
}
