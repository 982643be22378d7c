/*-------------------------------------------------------------------------
 *
 * batch.c
 *	  One bulk query: from flights to parameters, from rows to flights.
 *
 * A batch goes through these steps, each an operation of its carrier:
 *
 *	CLEAN		where the carrier's session has served lookups of another owner
 *	DESCRIBE	once for a source: the columns that come back decide on the
 *				shape, hence on the query to run and the format to ask for
 *	PREPARE		once for a source and connection
 *	EXECUTE
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "collector/batch.h"
#include "collector/circuit.h"
#include "collector/discard.h"
#include "collector/disclose.h"
#include "collector/kind.h"
#include "collector/landing.h"
#include "collector/params.h"
#include "collector/rows.h"
#include "common/hashfn.h"
#include "port/pg_bitutils.h"
#include "shared/settings.h"
#include "utils/memutils.h"

#define CCR_SOON	INT64CONST(5000000) /* us: what ended before is no runaway */

struct CcrBatch
{
	CcrQueue   *queue;
	CcrCarrier *carrier;
	void	   *owner;
	const char *nonce;
	MemoryContext context;		/* this struct, parameters, results */
	int			n;
	CcrFlight **flights;
	int			live;			/* flights that someone waits for */
	CcrTime		sent;
	bool		apart;			/* no item is equal to another */
	CcrParty	party;			/* that the carrier was told */
	CcrParams	params;
	Size		given;			/* bytes of these */
	bool		asked_shape;	/* this very batch had it described */
	bool		late;			/* it is we who end it */
	CcrRows		rows;			/* and the error that is found in them */
};

CcrQueue *
ccr_batch_queue(CcrBatch *batch)
{
	return batch->queue;
}

void *
ccr_batch_owner(CcrBatch *batch)
{
	return batch->owner;
}

/* ------------------------------------------------------------------ errors */

static CcrError *
batch_error(CcrBatch *batch, int sqlstate, const char *message,
			const char *detail, const char *hint)
{
	MemoryContext old = MemoryContextSwitchTo(batch->context);
	CcrError   *error = ccr_error_new(sqlstate, message, detail, hint);

	MemoryContextSwitchTo(old);
	return error;
}

static bool
joined_by_others(const CcrBatch *batch)
{
	return ccr_disclose_joined(batch->queue->source, batch->flights, batch->n, batch->party);
}

static bool
tells_of_others(const CcrBatch *batch)
{
	return ccr_disclose_tells_of_others(batch->queue->source, batch->flights, batch->n,
										batch->party);
}

/* The same, saying what was under way. */
static CcrError *
with_context(CcrBatch *batch, const CcrError *error)
{
	MemoryContext old = MemoryContextSwitchTo(batch->context);
	CcrError   *copy = ccr_disclose_context(batch->queue->source, batch->n, error);

	MemoryContextSwitchTo(old);
	return copy;
}

/* What all who wait for the batch are told, if they are several. */
static CcrError *
told_to_all(CcrBatch *batch, const CcrError *error)
{
	MemoryContext old = MemoryContextSwitchTo(batch->context);
	CcrError   *told = ccr_disclose_to_all(batch->queue->source, batch->n, error);

	MemoryContextSwitchTo(old);
	return told;
}

/* What is not VOLATILE runs in a read-only transaction, which it may not know. */
static const CcrError *
with_hint(CcrBatch *batch, const CcrError *error)
{
	CcrError   *copy;

	if (error->sqlstate != ERRCODE_READ_ONLY_SQL_TRANSACTION ||
		!batch->queue->source->resend)
		return error;
	copy = batch_error(batch, error->sqlstate, error->message, error->detail,
					   "A lookup that writes, or locks rows, must be declared VOLATILE.");
	copy->context = error->context;
	copy->author = CCR_HINT_OURS;
	return copy;
}

void
ccr_batch_last_error(const CcrBatch *batch, const CcrError *error, CcrLastError *last)
{
	ccr_disclose_last(batch ? batch->flights : NULL, batch ? batch->n : 0, error, last);
}

static void
note_error(const CcrBatch *batch, const CcrError *error)
{
	CcrLastError last;

	ccr_batch_last_error(batch, error, &last);
	ccr_counters_error(batch->queue->counters, &last);
}

static CcrKind
kind_of(const CcrBatch *batch, const CcrError *error)
{
	return ccr_kind_of(error->sqlstate, !batch->queue->source->resend);
}

/* ------------------------------------------------------------------- steps */

/* The bulk query has variants; each number is that of one text. */
static int
choose_variant(CcrBatch *batch)
{
	const CcrShape *shape = &batch->queue->shape;

	if (!shape->known || !shape->keyed)
		return 0;
	return 1 + shape->numbered +
		ccr_params_have_null(batch->queue->source, batch->flights, batch->n) * 2;
}

static const char *
variant_sql(CcrBatch *batch, int variant)
{
	const CcrSource *source = batch->queue->source;
	MemoryContext old;
	char	   *sql;

	if (variant == 0)
		return source->sql;
	old = MemoryContextSwitchTo(batch->context);
	sql = psprintf("%s%s", source->keyed_sql,
				   source->match_sql[(variant - 1) / 2][(variant - 1) % 2]);
	MemoryContextSwitchTo(old);
	return sql;
}

/*
 * Not behind a pooler: there bodies of anybody run in the same sessions, and one
 * of them may have put another statement under the name.
 */
static bool
may_be_prepared(CcrBatch *batch)
{
	const CcrQueue *queue = batch->queue;

	return queue->source->prepare && !queue->unprepared &&
		!batch->carrier->ops->pooled(batch->carrier);
}

/* What decides how values are written and read, if some travel as text. */
static const char *
needed_settings(CcrBatch *batch)
{
	const CcrSource *source = batch->queue->source;

	return source->text_args || batch->queue->shape.styled ? source->text_settings : NULL;
}

static void
name_settings(CcrBatch *batch, bool prepare, char *name)
{
	const char *settings = needed_settings(batch);

	if (prepare && settings)
		snprintf(name, NAMEDATALEN, "ccr_%s_set_%08x", batch->nonce,
				 hash_bytes((const unsigned char *) settings, strlen(settings)));
	else
		name[0] = '\0';
}

static void
next_step(CcrBatch *batch)
{
	CcrQueue   *queue = batch->queue;
	const CcrCarrierOps *ops = batch->carrier->ops;
	bool		prepare = may_be_prepared(batch);
	int			variant = choose_variant(batch);
	char		statement[NAMEDATALEN];
	char		prefix[NAMEDATALEN];
	char		settings_statement[NAMEDATALEN];
	CcrQuery	query = {0};

	if (prepare)
		snprintf(statement, NAMEDATALEN, "ccr_%s_" UINT64_FORMAT "_%u_%d",
				 batch->nonce, queue->serial, queue->revision, variant);
	else
		statement[0] = '\0';
	prefix[0] = '\0';
	if (prepare)
		snprintf(prefix, NAMEDATALEN, "ccr_%s_", batch->nonce);
	name_settings(batch, prepare, settings_statement);

	batch->party = ccr_disclose_party(batch->flights, batch->n);
	query.source = queue->source;
	query.party = batch->party;
	query.statement = statement;
	query.prefix = prefix;
	query.sql = variant_sql(batch, variant);
	query.params = &batch->params;
	query.settings = needed_settings(batch);
	query.settings_statement = settings_statement;
	if (!queue->shape.known)
	{
		batch->asked_shape = true;
		ops->prepare(batch->carrier, &query, true);
	}
	else if (prepare &&
			 (!ccr_carrier_knows(batch->carrier, statement) ||
			  (query.settings && !ccr_carrier_knows(batch->carrier, settings_statement))))
		ops->prepare(batch->carrier, &query, false);
	else
	{
		ccr_rows_begin(&batch->rows, &queue->shape);
		query.binary = queue->shape.binary;
		query.row_bytes = ccr_shape_row_bytes(&queue->shape);
		ops->execute(batch->carrier, &query);
	}
}

/*
 * Equal items must be apart where rows find them by key, or may yet turn out
 * to.  The rows of enqueued items are nobody's.
 */
static bool
wants_apart(const CcrQueue *queue)
{
	return queue->source->keyed_sql && !queue->source->enqueued &&
		(queue->shape.keyed || !queue->shape.known);
}

/* Only those that a limit or a window has shaped: most of the others have neither. */
static void
count_reason(CcrCounters *counters, CcrDeparture why)
{
	if (why == CCR_DEPARTURE_FULL)
		ccr_count(counters, CCR_BATCHES_FULL, 1);
	else if (why == CCR_DEPARTURE_WINDOW)
		ccr_count(counters, CCR_BATCHES_WINDOW, 1);
}

/* waited: see ccr_flights_take(); why: unless they fly again */
static void
count_departure(const CcrBatch *batch, CcrTime waited, CcrDeparture why)
{
	CcrCounters *counters = batch->queue->counters;

	ccr_counters_touch(counters, batch->sent);
	ccr_count(counters, CCR_BATCHES, 1);
	ccr_count(counters, CCR_BATCH_ITEMS, batch->n);
	ccr_count(counters, CCR_BYTES_SENT, batch->given);
	if (waited >= 0)
	{
		ccr_count(counters, CCR_DEPARTED, batch->n);
		ccr_count(counters, CCR_WAIT_US, waited);
		count_reason(counters, why);
	}
	else
		ccr_count(counters, CCR_RETRIED, batch->n);
	if ((uint64) batch->n > pg_atomic_read_u64(&counters->value[CCR_BATCH_MAX]))
		pg_atomic_write_u64(&counters->value[CCR_BATCH_MAX], batch->n);
	pg_atomic_fetch_add_u64(&counters->batch_sizes[Min(pg_leftmost_one_pos32(batch->n),
													   CCR_HISTOGRAM_BINS - 1)], 1);
}

CcrBatch *
ccr_batch_new(CcrQueue *queue, CcrCarrier *carrier, const char *nonce,
			  void *owner, int most, int *n)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext,
												  "concresce batch",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	CcrBatch   *batch = palloc0(sizeof(CcrBatch));
	CcrDeparture why = ccr_waiting_why(&queue->waiting, ccr_now());
	CcrTime		waited;

	batch->context = context;
	batch->queue = queue;
	batch->carrier = carrier;
	batch->owner = owner;
	batch->nonce = nonce;
	batch->apart = wants_apart(queue);
	batch->flights = ccr_flights_take(queue, batch, batch->apart, most, &batch->n, &waited);
	*n = batch->n;
	batch->live = batch->n;
	if (batch->n == 0)
	{
		MemoryContextSwitchTo(old);
		MemoryContextDelete(context);
		return NULL;
	}
	batch->given = ccr_params_build(&batch->params, queue->source, batch->flights, batch->n);
	ccr_rows_init(&batch->rows, queue->source, batch->flights, batch->n, context);
	MemoryContextSwitchTo(old);

	queue->flying++;
	batch->sent = ccr_now();
	count_departure(batch, waited, why);

	/* what a void lookup returns is nobody's business */
	if (queue->source->returns_void)
		queue->shape.known = true;
	return batch;
}

void
ccr_batch_start(CcrBatch *batch)
{
	if (!batch->carrier->ops->adopt(batch->carrier, batch->queue->source->owner))
		next_step(batch);
}

/* ------------------------------------------------------------------- shape */

/*
 * Ask the far side anew, under new names: those used so far are taken on the
 * links that know them.
 */
static void
forget_shape(CcrQueue *queue)
{
	queue->revision++;
	if (!queue->source->returns_void)
		queue->shape.known = false;
}

void
ccr_batch_described(CcrBatch *batch, const CcrRow *row)
{
	MemoryContext old = MemoryContextSwitchTo(batch->context);

	batch->rows.error = ccr_shape_describe(&batch->queue->shape, batch->queue->source, row);
	MemoryContextSwitchTo(old);
}

bool
ccr_batch_row(CcrBatch *batch, const CcrRow *row)
{
	if (batch->queue->source->returns_void)
		return false;
	if (ccr_rows_take(&batch->rows, row))
		return true;
	if (batch->rows.reshaped)
		forget_shape(batch->queue);
	return false;
}

/* ----------------------------------------------------------------- endings */

static void
count_end(CcrBatch *batch)
{
	CcrCounters *counters = batch->queue->counters;
	int64		us = Max(ccr_now() - batch->sent, 0);

	if (batch->sent == 0)
		return;
	ccr_counters_touch(counters, batch->sent + us);
	ccr_count(counters, CCR_BATCHES_ENDED, 1);
	ccr_count(counters, CCR_REMOTE_US, us);
	ccr_count(counters, CCR_BYTES_RECEIVED, batch->rows.received);
	if ((uint64) us > pg_atomic_read_u64(&counters->value[CCR_REMOTE_US_MAX]))
		pg_atomic_write_u64(&counters->value[CCR_REMOTE_US_MAX], us);
	if (ccr_log_min_duration >= 0 && us >= ccr_log_min_duration * INT64CONST(1000))
		ereport(LOG,
				(errmsg("duration: %.3f ms, lookup %s%s, batch of %d",
						us / 1000.0, batch->queue->source->function_name,
						ccr_disclose_where(batch->queue->source), batch->n)));
}

static void
free_batch(CcrBatch *batch)
{
	ccr_rows_forget(&batch->rows);
	batch->queue->flying--;
	MemoryContextDelete(batch->context);
}

static void
land_batch(CcrBatch *batch)
{
	count_end(batch);
	ccr_flights_land(batch->flights, batch->n, batch->rows.shape.ncolumns,
					 batch->rows.shape.binary);
	free_batch(batch);
}

static void
fail_batch(CcrBatch *batch, const CcrError *error)
{
	error = with_context(batch, error);
	note_error(batch, error);
	if (error->author != CCR_TEXTS_OURS && tells_of_others(batch))
		error = told_to_all(batch, error);
	for (int i = 0; i < batch->n; i++)
		if (batch->flights[i]->outcome.error == NULL)
			batch->flights[i]->outcome.error = error;
	land_batch(batch);
}

void
ccr_batch_drop(CcrBatch *batch)
{
	/* nobody waits: landing just frees the flights */
	Assert(batch->live == 0);
	land_batch(batch);
}

bool
ccr_batch_deserted(CcrBatch *batch)
{
	return --batch->live == 0;
}

/* The first n flights of the batch are to fly together, and so the others. */
static void
fly_again(CcrBatch *batch, int n)
{
	ccr_flights_regroup(batch->queue, batch->flights, n, 0);
	if (n < batch->n)
		ccr_flights_regroup(batch->queue, batch->flights + n, batch->n - n, 0);
	count_end(batch);
	free_batch(batch);
}

/* As wants_apart() would have it now, the batch must not be sent. */
static bool
must_part(CcrBatch *batch)
{
	return batch->queue->shape.known && batch->queue->shape.keyed &&
		!batch->apart && wants_apart(batch->queue);
}

/*
 * Companions have got each other's rows.  They are asked for again, in
 * batches where they are alone; or, if that would write again, there is
 * nothing to give them.  The others keep what they have got.
 */
static void
part_companions(CcrBatch *batch, const int *places)
{
	CcrFlight **flights = palloc(batch->n * sizeof(CcrFlight *));
	int		   *ends = palloc0((batch->n + 1) * sizeof(int));	/* of the places in it */
	int			nothers = 0;

	for (int i = 0; i < batch->n; i++)
		if (places[i] >= 0)
			ends[places[i] + 1]++;
	for (int place = 1; place <= batch->n; place++)
		ends[place] += ends[place - 1];
	for (int i = 0; i < batch->n; i++)
		if (places[i] >= 0)
			flights[ends[places[i]]++] = batch->flights[i];
		else
			batch->flights[nothers++] = batch->flights[i];
	for (int place = 0, from = 0; place < batch->n && ends[place] > from; place++)
	{
		ccr_flights_regroup(batch->queue, flights + from, ends[place] - from, 0);
		from = ends[place];
	}
	batch->n = nothers;
	pfree(ends);
	pfree(flights);
}

static void
fail_companions(CcrBatch *batch, const int *places)
{
	const CcrError *error =
		with_context(batch,
					 batch_error(batch, ERRCODE_CARDINALITY_VIOLATION,
								 psprintf("rows of lookup %s were found by several items",
										  batch->queue->source->function_name),
								 "Their arguments are equal on the far side, but not identical. The lookup is VOLATILE: it has had its effect, and was not sent again.",
								 "Pass equal arguments in one form, or return just the result, a row for each item, in order."));

	for (int i = 0; i < batch->n; i++)
		if (places[i] >= 0)
			batch->flights[i]->outcome.error = error;
	note_error(batch, error);
}

/*
 * All rows are there.  Where some may be several items', the far side is to
 * number them from now on, and this batch is asked for again.
 */
static void
settle_batch(CcrBatch *batch)
{
	CcrQueue   *queue = batch->queue;
	int		   *places = batch->rows.companions ?
		ccr_companions_places(batch->rows.companions) : NULL;

	if (batch->rows.loose && batch->n > 1 && !queue->source->enqueued)
	{
		if (queue->shape.known && queue->shape.keyed)
			ccr_shape_set_numbered(&queue->shape, true);
		fly_again(batch, batch->n);
		return;
	}
	if (places && queue->source->resend)
		part_companions(batch, places);
	else if (places)
		fail_companions(batch, places);
	land_batch(batch);
}

static void
resend_batch(CcrBatch *batch)
{
	for (int i = 0; i < batch->n; i++)
		batch->flights[i]->resent = true;
	fly_again(batch, batch->n);
}

/*
 * Errors that say that what was prepared is no longer what is needed.  A body
 * may raise the same, after it has had an effect that no rollback undoes: so a
 * write is sent again only if it is certain that it has not been executed.
 */
static bool
means_outdated(CcrBatch *batch, const CcrError *error)
{
	CcrQueue   *queue = batch->queue;

	if (!queue->source->resend && error->context)
		return false;
	switch (error->sqlstate)
	{
		case ERRCODE_FEATURE_NOT_SUPPORTED:
			/* "cached plan must not change result type", unless fresh */
			if (batch->asked_shape || queue->stubborn)
			{
				queue->stubborn = true;
				return false;
			}
			break;
		case ERRCODE_UNDEFINED_PSTATEMENT:
		case ERRCODE_DUPLICATE_PSTATEMENT:
			/* a pooler hands each statement to another connection */
			queue->unprepared = true;
			break;
		default:
			return false;
	}
	forget_shape(queue);
	return !batch->flights[0]->resent && (queue->source->resend || error->unexecuted);
}

/*
 * Is each of its items to be told of itself only?  What was begun for several
 * parties goes on for each, so that it does not matter who of them shares the
 * rest.
 */
static bool
is_divided(const CcrBatch *batch)
{
	return batch->queue->source->isolate_errors || batch->flights[0]->divided ||
		(ccr_disclose_is_of_several(batch->flights, batch->n) && !batch->queue->source->undivided);
}

static void
divide_batch(CcrBatch *batch)
{
	for (int i = 0; i < batch->n; i++)
		batch->flights[i]->divided = true;
	fly_again(batch, batch->n / 2);
}

static void
discard_batch(CcrBatch *batch, const CcrError *error)
{
	for (int i = 0; i < batch->n; i++)
		ccr_discard_log(batch->queue->source, batch->flights[i]->item, error);
	fail_batch(batch, error);
}

/*
 * Whoever ends a batch wants it not to go on.  Which item is the cause is found
 * by halving it, and they are not to be asked again for each half.
 */
static void
note_ended_by_hand(CcrBatch *batch)
{
	CcrTime		took = ccr_now() - batch->sent;

	if (took < CCR_SOON || batch->late)
		return;
	for (int i = 0; i < batch->n; i++)
	{
		batch->flights[i]->ended_after = took;
		batch->flights[i]->ended_among = batch->n;
	}
	if (batch->n > 1)
		ereport(LOG,
				(errmsg("a batch of %d enqueued items of lookup %s was ended by hand after %lld ms",
						batch->n, batch->queue->source->function_name, (long long) took / 1000),
				 errdetail("It is divided. What takes too long again is ended, and an item that does so alone is discarded.")));
}

/* Nobody waits for enqueued items: they fly until they land or are bad. */
static void
enqueued_ended_badly(CcrBatch *batch, const CcrError *error)
{
	CcrQueue   *queue = batch->queue;
	CcrKind		kind = error->unexecuted ? CCR_KIND_TRANSIENT :
		error->by_hand ? CCR_KIND_ENDED : kind_of(batch, error);
	CcrLastError last;

	if (kind == CCR_KIND_ENDED)
		note_ended_by_hand(batch);
	ccr_batch_last_error(batch, error, &last);
	switch (ccr_circuit_failed(queue, batch->flights, batch->n, kind, &last))
	{
		case CCR_VERDICT_WAIT:
			ccr_circuit_retry(queue, batch->flights, batch->n);
			break;
		case CCR_VERDICT_DIVIDE:
			if (kind == CCR_KIND_DATA || kind == CCR_KIND_OTHER)
			{
				fly_again(batch, batch->n / 2);
				return;
			}
			ccr_circuit_retry(queue, batch->flights, batch->n / 2);
			ccr_circuit_retry(queue, batch->flights + batch->n / 2, batch->n - batch->n / 2);
			break;
		case CCR_VERDICT_SUSPECT:
			ccr_circuit_suspect(queue, batch->flights[0], error);
			break;
		case CCR_VERDICT_DISCARD:
			discard_batch(batch, error);
			return;
	}
	ccr_counters_error(queue->counters, &last);
	count_end(batch);
	free_batch(batch);
}

static void
ended_badly(CcrBatch *batch, const CcrError *error)
{
	CcrQueue   *queue = batch->queue;

	if (means_outdated(batch, error))
		resend_batch(batch);
	else if (queue->source->enqueued)
		enqueued_ended_badly(batch, error);
	else if (batch->n > 1 && kind_of(batch, error) == CCR_KIND_DATA && is_divided(batch))
		divide_batch(batch);
	else if (kind_of(batch, error) == CCR_KIND_DATA && joined_by_others(batch) &&
			 queue->source->resend)
		fly_again(batch, batch->n);
	else
	{
		/* ask anew what the columns are, if they may be what is wrong */
		if (queue->shape.keyed && kind_of(batch, error) != CCR_KIND_DATA)
			forget_shape(queue);
		fail_batch(batch, error);
	}
}

/*
 * What is wrong with the rows is found after the query has done what it does.
 * Unlike after an error of the query, then, no write is sent again; and what
 * may be sent again is only after a change of types, which asking anew heals.
 */
bool
ccr_batch_done(CcrBatch *batch, CcrOp op, const CcrError *error)
{
	if (error == NULL && batch->rows.error == NULL && op == CCR_OP_DESCRIBE &&
		!batch->queue->shape.known)
		batch->rows.error = batch_error(batch, ERRCODE_FDW_ERROR,
										"foreign server did not describe the query",
										NULL, NULL);
	if (error == NULL && batch->rows.error == NULL && op != CCR_OP_EXECUTE &&
		must_part(batch))
	{
		fly_again(batch, batch->n);
		return true;
	}
	if (error == NULL && batch->rows.error == NULL && op != CCR_OP_EXECUTE)
	{
		next_step(batch);
		return false;
	}
	if (error == NULL && batch->rows.error == NULL)
		ccr_rows_check_count(&batch->rows);
	if (batch->rows.error && batch->rows.reshaped && batch->queue->source->resend &&
		!batch->flights[0]->resent)
		resend_batch(batch);
	else if (batch->rows.error)
		fail_batch(batch, batch->rows.error);
	else if (error)
		ended_badly(batch, with_hint(batch, error));
	else
	{
		batch->queue->stubborn = false;
		ccr_circuit_succeeded(batch->queue);
		settle_batch(batch);
	}
	return true;
}

void
ccr_batch_lost(CcrBatch *batch, CcrOp op, const CcrError *error)
{
	bool		harmless = batch->queue->source->resend || op != CCR_OP_EXECUTE;
	bool		too_much = error->sqlstate == ERRCODE_PROGRAM_LIMIT_EXCEEDED &&
		error->author == CCR_TEXTS_OURS;

	if (op == CCR_OP_NONE)
		fly_again(batch, batch->n);
	else if (harmless && !too_much && !error->by_hand && !batch->flights[0]->resent)
		resend_batch(batch);
	else if (batch->queue->source->enqueued)
		enqueued_ended_badly(batch, error);
	else if (harmless || error->by_hand)
		fail_batch(batch, error);
	else
	{
		CcrError   *unknown =
			batch_error(batch, ERRCODE_TRANSACTION_RESOLUTION_UNKNOWN,
						error->message, error->detail,
						"The lookup is VOLATILE: it may have had its effect, and was not sent again.");

		if (error->author != CCR_TEXTS_OURS)
			unknown->author = CCR_HINT_OURS;
		fail_batch(batch, unknown);
	}
}

CcrTime
ccr_batch_sent(const CcrBatch *batch)
{
	return batch->sent;
}

/*
 * An item alone may take as long as the batch had; a part, in proportion, twice
 * as long: so what was merely slow gets through, and the one that never ends is
 * found after three times as long, however many there were.
 */
CcrTime
ccr_batch_allowance(const CcrBatch *batch)
{
	CcrTime		longest = 0;
	CcrTime		share = 0;

	for (int i = 0; i < batch->n; i++)
	{
		const CcrFlight *flight = batch->flights[i];

		if (flight->ended_after == 0)
			return 0;
		longest = Max(longest, flight->ended_after);
		share += 2 * flight->ended_after / flight->ended_among;
	}
	return batch->n == 1 ? longest : Min(longest, Max(share, CCR_SOON));
}

void
ccr_batch_late(CcrBatch *batch, const CcrError *error)
{
	batch->late = true;
	enqueued_ended_badly(batch, error);
}

void
ccr_batch_stop(CcrBatch *batch, const CcrError *error)
{
	fail_batch(batch, error);
}

void
ccr_batch_ground(CcrBatch *batch)
{
	fly_again(batch, batch->n);
}

/* A batch that is not sent, of nothing yet. */
static CcrBatch *
new_unsent(CcrQueue *queue)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext,
												  "concresce batch",
												  ALLOCSET_DEFAULT_SIZES);
	CcrBatch   *batch = MemoryContextAllocZero(context, sizeof(CcrBatch));

	batch->context = context;
	batch->queue = queue;
	queue->flying++;
	return batch;
}

/* What waits, or some of it; NULL: nothing does. */
static CcrBatch *
take_unsent(CcrQueue *queue)
{
	while (!ccr_queue_empty(queue))
	{
		CcrBatch   *batch = new_unsent(queue);
		CcrSuspect *suspect = ccr_circuit_take_suspect(queue, batch);
		MemoryContext old = MemoryContextSwitchTo(batch->context);
		CcrTime		unused;

		if (suspect)
		{
			batch->flights = palloc(sizeof(CcrFlight *));
			batch->flights[batch->n++] = suspect->flight;
			MemoryContextDelete(suspect->context);
		}
		else
			batch->flights = ccr_flights_take(queue, batch, false, PG_INT32_MAX, &batch->n,
											  &unused);
		MemoryContextSwitchTo(old);
		if (batch->n > 0)
			return batch;
		free_batch(batch);
	}
	return NULL;
}

void
ccr_batch_fail_waiting(CcrQueue *queue, const CcrError *error)
{
	CcrBatch   *batch;

	while ((batch = take_unsent(queue)) != NULL)
		fail_batch(batch, error);
}

void
ccr_batch_discard_waiting(CcrQueue *queue, const CcrError *error)
{
	CcrBatch   *batch;

	/* no group is to be waited for */
	ccr_queue_end_windows(queue);
	ccr_queue_end_pauses(queue);
	ccr_queue_forget_failures(queue);
	while ((batch = take_unsent(queue)) != NULL)
		discard_batch(batch, error);
}

void
ccr_batch_discard_suspects(CcrQueue *queue)
{
	while (queue->nsuspects > 0)
	{
		CcrBatch   *batch = new_unsent(queue);
		CcrSuspect *suspect = ccr_circuit_take_suspect(queue, batch);

		batch->flights = &suspect->flight;
		batch->n = 1;
		discard_batch(batch, suspect->error);
		MemoryContextDelete(suspect->context);
	}
}
