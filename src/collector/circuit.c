/*-------------------------------------------------------------------------
 *
 * circuit.c
 *	  Enqueued items that have failed: which wait, and which are given up.
 *
 * The kind of an error (kind.h) is a first guess at what has caused it.  What it
 * makes of a batch depends on the other batches of the queue, which run the same
 * query:
 *
 * If others have succeeded since the batch failed before, the cause is something
 * of its own, whatever the kind says.  So it is divided: at once or, if the
 * error is transient by its kind, after a few failures.  An item that fails
 * alone is given up.
 *
 * If nothing has succeeded since, no item is given up.  After an error that no
 * item has caused, the batch waits as it is, and is divided now and then to find
 * out whether it was some item after all.  An item that fails alone becomes a
 * suspect.  It is tried again as soon as something succeeds, or given up when
 * there is nothing else left to be tried.
 *
 * Failures in a row, or suspects alike, open the circuit: one batch at a time
 * tries whether their cause is gone, more and more seldom.  When it is, all that
 * had to wait flies together.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "collector/circuit.h"
#include "collector/discard.h"
#include "shared/settings.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define CCR_RETRY_MIN		50	/* ms until a failed batch flies again, */
#define CCR_RETRY_MAX		10000	/* doubled each time, up to this */
#define CCR_TOGETHER		4	/* failures until a batch is divided whose
								 * error is transient, */
#define CCR_TOGETHER_LONG	8	/* or lasts */
#define CCR_IN_A_ROW		3	/* failures that no item has open a circuit */
#define CCR_ALIKE_SUSPECTS	5	/* so many suspects that are alike do, too,
								 * from */
#define CCR_ALIKE_FRESH		2	/* so many batches */

void
ccr_circuit_open(CcrQueue *queue, CcrKind kind, int failures,
				 CcrTime retry_at, const CcrLastError *error)
{
	const CcrSource *source = queue->source;
	bool		first = !queue->open;

	queue->open = true;
	ccr_counters_open_circuit(queue->counters, first, kind == CCR_KIND_TRANSIENT,
							  failures, GetCurrentTimestamp() + (retry_at - ccr_now()), error);
	if (kind != CCR_KIND_TRANSIENT)
		ccr_tickets_tell_accounts(queue, error, false); /* who flushes is to
														 * hear of it */
	if (first)
		ereport(WARNING,
				(errcode(error->sqlstate),
				 errmsg("enqueued items of lookup %s wait, as batch after batch has failed",
						source->function_name),
				 errdetail_internal("%s", ccr_discard_shown(error)),
				 errhint("They are tried again until some succeed. concresce.circuits shows it."),
				 source->server_name[0] ? errcontext("server \"%s\"", source->server_name) : 0));
}

static void
close_circuit(CcrQueue *queue)
{
	const CcrSource *source = queue->source;

	queue->failures = queue->alike = queue->fresh = 0;
	queue->pause_until = 0;
	if (!queue->open)
		return;
	queue->open = false;
	ccr_counters_close_circuit(queue->counters);
	ccr_tickets_tell_accounts(queue, NULL, false);
	ereport(LOG,
			(errmsg("enqueued items of lookup %s wait no more", source->function_name),
			 source->server_name[0] ? errcontext("server \"%s\"", source->server_name) : 0));
}

/* Count a failure of these flights.  Have others succeeded since the last? */
static bool
note_failures(CcrQueue *queue, CcrFlight **flights, int n)
{
	bool		others = true;

	for (int i = 0; i < n; i++)
	{
		CcrFlight  *flight = flights[i];

		if (flight->failures == 0 || flight->seen == queue->successes)
			others = false;
		if (flight->failures == 0 || flight->seen != queue->successes)
		{
			flight->attempts++;
			flight->alone += n == 1 ? 1 : 0;
		}
		flight->failures++;
		flight->seen = queue->successes;
	}
	return others;
}

/* Is one of them to be found by now, if it is the cause? */
static bool
to_be_divided(CcrFlight **flights, int n, int patience, bool others)
{
	int			failures = 0;

	for (int i = 0; i < n; i++)
		failures = Max(failures, flights[i]->failures);
	return others ? failures >= patience : failures % patience == 0;
}

static CcrVerdict
judge_failure(CcrFlight **flights, int n, CcrKind kind, bool others)
{
	switch (kind)
	{
		case CCR_KIND_TRANSIENT:
			if (n == 1 && (!others || ccr_max_attempts == 0 ||
						   flights[0]->alone < ccr_max_attempts))
				return CCR_VERDICT_WAIT;
			if (n > 1 && !to_be_divided(flights, n, CCR_TOGETHER, others))
				return CCR_VERDICT_WAIT;
			break;
		case CCR_KIND_LASTING:
			if (!others && (n == 1 || !to_be_divided(flights, n, CCR_TOGETHER_LONG, others)))
				return CCR_VERDICT_WAIT;
			break;
		case CCR_KIND_DATA:
		case CCR_KIND_OTHER:
			if (n == 1 && !others)
				return CCR_VERDICT_SUSPECT;
			break;
		case CCR_KIND_ENDED:
			break;
	}
	return n > 1 ? CCR_VERDICT_DIVIDE : CCR_VERDICT_DISCARD;
}

CcrVerdict
ccr_circuit_failed(CcrQueue *queue, CcrFlight **flights, int n, CcrKind kind,
				   const CcrLastError *error)
{
	bool		fresh = flights[0]->failures == 0;
	bool		others = note_failures(queue, flights, n);
	CcrVerdict	verdict = judge_failure(flights, n, kind, others);
	bool		suspect = verdict == CCR_VERDICT_SUSPECT;

	if (others)
		return verdict;
	if (queue->sqlstate != error->sqlstate)
		queue->alike = queue->fresh = 0;
	queue->sqlstate = error->sqlstate;
	queue->alike++;
	queue->fresh += fresh ? 1 : 0;
	if (queue->open || verdict == CCR_VERDICT_WAIT || queue->failures > 0)
	{
		queue->failures++;
		queue->pause_until = ccr_back_off(CCR_RETRY_MIN, CCR_RETRY_MAX, queue->failures);
	}
	if (queue->open ||
		(verdict == CCR_VERDICT_WAIT && queue->failures >= CCR_IN_A_ROW) ||
		(suspect && queue->nsuspects + 1 >= CCR_ALIKE_SUSPECTS &&
		 queue->alike >= CCR_ALIKE_SUSPECTS && queue->fresh >= CCR_ALIKE_FRESH))
		ccr_circuit_open(queue, kind, Max(queue->failures, queue->alike),
						 queue->pause_until, error);
	return verdict;
}

void
ccr_circuit_retry(CcrQueue *queue, CcrFlight **flights, int n)
{
	int			attempts = 1;

	for (int i = 0; i < n; i++)
		attempts = Max(attempts, flights[i]->attempts);
	ccr_flights_regroup(queue, flights, n, ccr_back_off(CCR_RETRY_MIN, CCR_RETRY_MAX, attempts));
}

void
ccr_circuit_suspect(CcrQueue *queue, CcrFlight *flight, const CcrError *error)
{
	MemoryContext context;
	MemoryContext old;
	CcrSuspect *suspect;

	if (!ccr_flight_ground(flight) || ccr_flight_drop_unwarranted(flight))
		return;
	context = AllocSetContextCreate(TopMemoryContext, "concresce suspect",
									ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(context);
	suspect = palloc0(sizeof(CcrSuspect));
	suspect->context = context;
	suspect->flight = flight;
	suspect->error = ccr_error_copy(error);
	MemoryContextSwitchTo(old);
	dlist_push_tail(&queue->suspects, &suspect->node);
	queue->nsuspects++;
}

static CcrSuspect *
pop_suspect(CcrQueue *queue)
{
	if (queue->nsuspects == 0)
		return NULL;
	queue->nsuspects--;
	return dlist_container(CcrSuspect, node, dlist_pop_head_node(&queue->suspects));
}

CcrSuspect *
ccr_circuit_take_suspect(CcrQueue *queue, struct CcrBatch *batch)
{
	CcrSuspect *suspect = pop_suspect(queue);

	if (suspect)
		ccr_flight_take_off(suspect->flight, batch, ccr_now());
	return suspect;
}

/* Up to n suspects are to fly again. */
static void
retry_suspects(CcrQueue *queue, int n)
{
	CcrGroup   *group;

	n = Min(n, queue->nsuspects);
	if (n == 0)
		return;
	group = ccr_group_new(n);
	while (group->n < n)
	{
		CcrSuspect *suspect = pop_suspect(queue);

		group->flights[group->n++] = suspect->flight;
		MemoryContextDelete(suspect->context);
	}
	ccr_group_add(queue, group, 0);
}

/* What has waited for a cause to pass flies at once, in full batches. */
static void
merge_groups(CcrQueue *queue)
{
	CcrGroup   *merged = NULL;
	int			room = 0;
	Size		bytes = 0;
	dlist_head	old = DLIST_STATIC_INIT(old);
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &queue->groups)
	{
		CcrGroup   *group = dlist_container(CcrGroup, node, iter.cur);

		/* it is a part of what was divided, or fails where others do not */
		if (!group->waits || group->flights[0]->attempts > 1 ||
			group->flights[0]->ended_after != 0)
			continue;
		ccr_group_remove(queue, group);
		dlist_push_tail(&old, &group->node);
	}
	while (!dlist_is_empty(&old))
	{
		CcrGroup   *group = dlist_container(CcrGroup, node, dlist_pop_head_node(&old));

		for (int i = 0; i < group->n; i++)
		{
			CcrFlight  *flight = group->flights[i];

			if (merged && (merged->n >= Min(room, flight->waiting.max_size) ||
						   bytes + flight->item->length > (Size) flight->waiting.max_bytes))
			{
				ccr_group_add(queue, merged, 0);
				merged = NULL;
			}
			if (merged == NULL)
			{
				room = flight->waiting.max_size;
				bytes = 0;
				merged = ccr_group_new(room);
			}
			room = Min(room, flight->waiting.max_size);
			bytes += flight->item->length;
			merged->flights[merged->n++] = flight;
		}
		ccr_group_free(group);
	}
	if (merged)
		ccr_group_add(queue, merged, 0);
}

void
ccr_circuit_succeeded(CcrQueue *queue)
{
	if (!queue->source->enqueued)
		return;
	queue->successes++;
	if (queue->failures > 0)
		merge_groups(queue);
	close_circuit(queue);
	while (queue->nsuspects > 0)
		retry_suspects(queue, Max(queue->waiting.max_size, 1));
}

bool
ccr_circuit_at_end(CcrQueue *queue)
{
	if (queue->flying > 0 || queue->waiting.n > 0 || !dlist_is_empty(&queue->groups))
		return false;
	if (queue->nsuspects == 0)
	{
		close_circuit(queue);
		return false;
	}
	if (!queue->open)
		return true;

	/* one of them finds out whether it is over */
	retry_suspects(queue, 1);
	return false;
}
