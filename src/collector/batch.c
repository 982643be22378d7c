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
 * What the far side sends is not trusted.  Every row is checked against the
 * shape, and nothing of it is written anywhere but into the flight's buffer,
 * within bounds.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/pg_type.h"
#include "collector/alike.h"
#include "collector/batch.h"
#include "collector/budget.h"
#include "collector/circuit.h"
#include "collector/discard.h"
#include "collector/kind.h"
#include "common/hashfn.h"
#include "port/pg_bitutils.h"
#include "port/pg_bswap.h"
#include "shared/equality.h"
#include "shared/reader.h"
#include "shared/settings.h"
#include "shared/textform.h"
#include "utils/memutils.h"

#define CCR_SOON	INT64CONST(5000000) /* us: what ended before is no runaway */
#define CCR_ROW_BYTES		7	/* that a row travels with, and */
#define CCR_NARROW_BYTES	20	/* the most that a column of all_narrow() has */

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
	CcrShape	shape;			/* when it was executed */
	CcrParams	params;
	bool		checked;		/* the first row has been looked at */
	bool		asked_shape;	/* this very batch had it described */
	bool		reshaped;		/* rows came in another shape than described */
	bool		loose;			/* a row may be another item's as well */
	bool		late;			/* it is we who end it */
	CcrCompanions *companions;	/* if the rows are numbered */
	int64		nrows;
	Size		bytes;			/* of results kept */
	Size		counted;		/* of those, in the budget of the collector */
	Size		given;			/* of arguments that are sent, */
	Size		received;		/* and of rows that were kept */
	const CcrError *error;		/* found by ourselves */
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
	CcrError   *error = palloc0(sizeof(CcrError));

	error->sqlstate = sqlstate;
	error->author = CCR_TEXTS_OURS;
	error->message = pstrdup(message);
	error->detail = detail ? pstrdup(detail) : NULL;
	error->hint = hint ? pstrdup(hint) : NULL;
	MemoryContextSwitchTo(old);
	return error;
}

static const char *
where(const CcrSource *source)
{
	return ccr_source_is_local(source) ? "" :
		psprintf(" on server \"%s\"", source->server_name);
}

/* The same, saying what was under way. */
static CcrError *
with_context(CcrBatch *batch, const CcrError *error)
{
	const CcrSource *source = batch->queue->source;
	CcrError   *copy = batch_error(batch, error->sqlstate, error->message,
								   error->detail, error->hint);
	MemoryContext old = MemoryContextSwitchTo(batch->context);

	copy->author = error->author;
	copy->by_hand = error->by_hand;
	copy->context = psprintf("%s%slookup %s%s, batch of %d",
							 error->context ? error->context : "",
							 error->context ? "\n" : "",
							 source->function_name, where(source), batch->n);
	MemoryContextSwitchTo(old);
	return copy;
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

/*
 * Who waits for the batch: one party, or several.  It is its item that is
 * looked at: who has left cannot be told, but what he has sent can.
 */
static CcrParty
party_of(const CcrBatch *batch)
{
	CcrParty	several = {InvalidOid, InvalidOid};
	CcrParty	first = batch->flights[0]->party;

	for (int i = 0; i < batch->n; i++)
		if (batch->flights[i]->several ||
			!ccr_party_same(batch->flights[i]->party, first))
			return several;
	return first;
}

static bool
is_of_several(const CcrBatch *batch)
{
	CcrParty	party = party_of(batch);

	return !ccr_party_same(party, party);
}

/*
 * Have others come since an executor was told whose items they are?  It has
 * made calls for that one party, whose errors may quote what only she has sent.
 */
static bool
joined_by_others(const CcrBatch *batch)
{
	return ccr_source_is_local(batch->queue->source) && is_of_several(batch) &&
		ccr_party_same(batch->party, batch->party);
}

/*
 * May its error quote what is not of all who wait for it?  Not if there is
 * one item only, which they all have sent: so the key must be all of it.
 */
static bool
tells_of_others(const CcrBatch *batch)
{
	return is_of_several(batch) &&
		(batch->n > 1 || batch->flights[0]->item->key_offset != 0 ||
		 joined_by_others(batch));
}

/* What several parties are told; the log has the rest. */
static const CcrError *
error_for_all(CcrBatch *batch, const CcrError *error)
{
	const CcrSource *source = batch->queue->source;
	CcrError   *told;

	ereport(LOG,
			(errcode(error->sqlstate),
			 errmsg("lookup %s failed for callers of several roles: %s",
					source->function_name, error->message),
			 error->detail ? errdetail_internal("%s", error->detail) : 0,
			 error->hint ? errhint("%s", error->hint) : 0,
			 errcontext("%s", error->context)));
	told = batch_error(batch, error->sqlstate,
					   psprintf("lookup %s failed in a batch with calls of other roles",
								source->function_name),
					   "The error may quote their values, so it is in the server log only.",
					   error->author == CCR_HINT_OURS ? error->hint : NULL);
	return with_context(batch, told);
}

void
ccr_batch_last_error(const CcrBatch *batch, const CcrError *error,
					 CcrLastError *last)
{
	last->sqlstate = error->sqlstate;
	last->open = error->author == CCR_TEXTS_OURS;
	last->roleid = batch && batch->n > 0 ? party_of(batch).outer : InvalidOid;
	strlcpy(last->message, error->message, CCR_TEXT_LEN);
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

/* -------------------------------------------------------------- parameters */

static bool
has_null(CcrBatch *batch)
{
	for (int i = 0; i < batch->n; i++)
	{
		const char *p = batch->flights[i]->item->data;

		for (int arg = 0; arg < batch->queue->source->nargs; arg++)
		{
			int32		length;

			memcpy(&length, p, sizeof(length));
			if (length < 0)
				return true;
			p += sizeof(length) + length;
		}
	}
	return false;
}

/* A parameter as it is written: it has as much room as it needs. */
typedef struct Draft
{
	Size		size;
	char	   *data;
	char	   *p;
} Draft;

static void
put_int32(Draft *draft, int32 n)
{
	uint32		v = pg_hton32((uint32) n);

	memcpy(draft->p, &v, sizeof(v));
	draft->p += sizeof(v);
}

/* The header of a one-dimensional array, as array_recv() reads it. */
#define ARRAY_HEADER	(5 * sizeof(int32))

static void
put_array_header(Draft *draft, Oid element, int n)
{
	put_int32(draft, 1);
	put_int32(draft, 1);		/* may contain NULLs */
	put_int32(draft, element);
	put_int32(draft, n);
	put_int32(draft, 1);		/* lower bound */
}

static void
measure_items(const CcrBatch *batch, Draft *drafts, int nargs)
{
	for (int i = 0; i < batch->n; i++)
	{
		const char *p = batch->flights[i]->item->data;

		for (int arg = 0; arg < nargs; arg++)
		{
			int32		length;

			memcpy(&length, p, sizeof(length));
			p += sizeof(length) + Max(length, 0);
			drafts[arg].size += sizeof(length) + Max(length, 0);
		}
	}
}

static void
put_items(const CcrBatch *batch, Draft *drafts, int nargs)
{
	for (int i = 0; i < batch->n; i++)
	{
		const char *p = batch->flights[i]->item->data;

		for (int arg = 0; arg < nargs; arg++)
		{
			int32		length;

			memcpy(&length, p, sizeof(length));
			p += sizeof(length);
			put_int32(&drafts[arg], length);
			if (length <= 0)
				continue;
			memcpy(drafts[arg].p, p, length);
			drafts[arg].p += length;
			p += length;
		}
	}
}

/* One array per argument, or how many items there are. */
static void
build_params(CcrBatch *batch)
{
	static const Oid count_type = INT4OID;
	const CcrSource *source = batch->queue->source;
	int			n = Max(source->nargs, 1);
	Draft	   *drafts = palloc(n * sizeof(Draft));
	const char **values = palloc(n * sizeof(char *));
	int		   *lengths = palloc(n * sizeof(int));

	for (int i = 0; i < n; i++)
		drafts[i].size = source->nargs ? ARRAY_HEADER : sizeof(int32);
	measure_items(batch, drafts, source->nargs);
	for (int i = 0; i < n; i++)
	{
		drafts[i].data = drafts[i].p = palloc(drafts[i].size);
		if (source->nargs)
			put_array_header(&drafts[i], source->arg_elements[i], batch->n);
		else
			put_int32(&drafts[i], batch->n);
	}
	put_items(batch, drafts, source->nargs);
	for (int i = 0; i < n; i++)
	{
		values[i] = drafts[i].data;
		lengths[i] = drafts[i].size;
		batch->given += drafts[i].size;
	}
	batch->params.n = n;
	batch->params.types = source->nargs ? source->arg_arrays : &count_type;
	batch->params.values = values;
	batch->params.lengths = lengths;
}

/* ------------------------------------------------------------------- steps */

/* The bulk query has variants; each number is that of one text. */
static int
choose_variant(CcrBatch *batch)
{
	const CcrShape *shape = &batch->queue->shape;

	if (!shape->known || !shape->keyed)
		return 0;
	return 1 + has_null(batch) * 2 + shape->numbered;
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

	batch->party = party_of(batch);
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
			 (!ops->knows(batch->carrier, statement) ||
			  (query.settings && !ops->knows(batch->carrier, settings_statement))))
		ops->prepare(batch->carrier, &query, false);
	else
	{
		batch->shape = queue->shape;
		if (batch->shape.numbered)
			batch->companions = ccr_companions_new(batch->n, batch->context);
		query.binary = batch->shape.binary;
		query.row_bytes = batch->shape.narrow ?
			CCR_ROW_BYTES + CCR_NARROW_BYTES * batch->shape.nfields : 0;
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

/* waited: see ccr_queue_take() */
static void
count_departure(const CcrBatch *batch, CcrTime waited)
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
	CcrTime		waited;

	batch->context = context;
	batch->queue = queue;
	batch->carrier = carrier;
	batch->owner = owner;
	batch->nonce = nonce;
	batch->apart = wants_apart(queue);
	batch->flights = ccr_queue_take(queue, batch, batch->apart, most, &batch->n, &waited);
	*n = batch->n;
	batch->live = batch->n;
	if (batch->n == 0)
	{
		MemoryContextSwitchTo(old);
		MemoryContextDelete(context);
		return NULL;
	}
	build_params(batch);
	MemoryContextSwitchTo(old);

	queue->flying++;
	batch->sent = ccr_now();
	count_departure(batch, waited);

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

static bool
all_binary(const CcrSource *source, const CcrRow *row, int first, int n)
{
	for (int i = 0; i < n; i++)
		if (!source->column_binary[i] ||
			row->types[first + i] != source->column_types[i])
			return false;
	return true;
}

/* Is a row so small that libpq may hold some of them? */
static bool
all_narrow(const CcrSource *source, int n)
{
	for (int i = 0; i < n; i++)
		switch (source->column_types[i])
		{
			case BOOLOID:
			case CHAROID:
			case INT2OID:
			case INT4OID:
			case INT8OID:
			case OIDOID:
			case FLOAT4OID:
			case FLOAT8OID:
			case DATEOID:
			case TIMEOID:
			case TIMETZOID:
			case TIMESTAMPOID:
			case TIMESTAMPTZOID:
			case INTERVALOID:
			case UUIDOID:
				break;
			default:
				return false;
		}
	return true;
}

/*
 * Does the text of some column depend on settings?  What is no built-in type is
 * taken for an enum if that is what is expected: another would be no label.
 */
static bool
any_styled(const CcrSource *source, const CcrRow *row)
{
	for (int i = 0; i < source->ncolumns; i++)
	{
		Oid			type = row->types[row->n - source->ncolumns + i];

		if (!ccr_text_is_plain(type) &&
			!(source->column_enum[i] && type >= FirstNormalObjectId))
			return true;
	}
	return false;
}

static const CcrError *
wrong_shape(CcrBatch *batch, int got)
{
	const CcrSource *source = batch->queue->source;
	char	   *detail;
	char	   *message = psprintf("lookup %s got the wrong number of columns",
								   source->function_name);

	if (source->bulk)
		detail = psprintf("Expected %d (the arguments and the result, in any order of rows) or %d (the result, a row for each item, in order), but got %d.",
						  source->nargs + source->ncolumns, source->ncolumns, got);
	else
		detail = psprintf("Expected %d, but got %d.", source->ncolumns, got);
	return batch_error(batch, ERRCODE_DATATYPE_MISMATCH, message, detail,
					   "The columns of the body must match the function's result.");
}

/*
 * A key and a whole composite can be as many columns as the composite's own.
 * Rather than guess, ask for the latter.
 */
static bool
ambiguous(const CcrSource *source, const CcrRow *row)
{
	int			last = source->ncolumns - 1;

	return source->bulk && source->composite &&
		source->nargs + 1 == source->ncolumns &&
		(row->types[last] == RECORDOID ||
		 (row->types[last] >= FirstNormalObjectId &&
		  source->column_types[last] < FirstNormalObjectId));
}

/*
 * A row may be several items' whose arguments are not equal here, if they are
 * compared otherwise over there; a write cannot be asked again to find out.
 */
static bool
wants_numbers(const CcrSource *source, const CcrRow *row)
{
	if (source->enqueued)
		return false;
	for (int i = 0; i < source->nargs; i++)
		if (!ccr_equality_fits(source->key_types[i], row->types[i]))
			return true;
	return source->may_be_loose && !source->resend;
}

static void
set_numbered(CcrShape *shape, bool numbered)
{
	shape->numbered = numbered;
	shape->first = numbered ? 2 : 1;
	shape->nfields = shape->first + shape->ncolumns;
}

static const CcrError *
no_equality(CcrBatch *batch)
{
	const CcrSource *source = batch->queue->source;

	return batch_error(batch, ERRCODE_UNDEFINED_FUNCTION,
					   psprintf("rows of lookup %s cannot be matched by key",
								source->function_name),
					   psprintf("Type %s of an argument has no equality.",
								source->unequal),
					   "Give the argument a type that has one, or return just the result, a row for each item, in order.");
}

/* The description of the query as written tells its shape. */
void
ccr_batch_described(CcrBatch *batch, const CcrRow *row)
{
	const CcrSource *source = batch->queue->source;
	CcrShape   *shape = &batch->queue->shape;
	int			got = row->n;
	int			lead = source->bulk ? 0 : 1;	/* the ordinality */

	memset(shape, 0, sizeof(*shape));
	shape->ncolumns = source->ncolumns;
	if (source->bulk && got == source->nargs + source->ncolumns)
	{
		if (source->keyed_sql == NULL)
		{
			batch->error = no_equality(batch);
			return;
		}
		shape->keyed = true;
		set_numbered(shape, wants_numbers(source, row));
		shape->binary = all_binary(source, row, source->nargs, source->ncolumns);
	}
	else if (got == lead + source->ncolumns && !ambiguous(source, row))
	{
		shape->nfields = got;
		shape->first = lead;
		shape->positional = source->bulk;
		shape->binary = all_binary(source, row, lead, source->ncolumns);
	}
	else if (source->composite && got == lead + 1)
	{
		shape->nfields = got;
		shape->first = lead;
		shape->positional = source->bulk;
		shape->ncolumns = 1;
		shape->whole = true;
	}
	else if (got == lead + source->ncolumns)
	{
		batch->error = batch_error(batch, ERRCODE_DATATYPE_MISMATCH,
								   "result of a lookup can be read in two ways",
								   "Its last column may be a whole row, after the arguments, or the last column of a row.",
								   "Spell out the columns of the row, or cast the last one to the type that the function declares.");
		return;
	}
	else
	{
		batch->error = wrong_shape(batch, got - lead);
		return;
	}
	shape->narrow = shape->binary && all_narrow(source, source->ncolumns);
	shape->styled = !shape->binary && (shape->whole || any_styled(source, row));
	shape->known = true;
}

/* -------------------------------------------------------------------- rows */

/*
 * The far side's idea of the result may have changed since it was described.
 * The types are those of all rows of one result; how many columns a row has is
 * not taken for granted of any.
 */
static bool
check_row(CcrBatch *batch, const CcrRow *row)
{
	const CcrSource *source = batch->queue->source;
	const CcrShape *shape = &batch->shape;

	if (row->n == shape->nfields && batch->checked)
		return true;
	if (!batch->checked && row->n == shape->nfields &&
		(shape->positional || row->types[0] == INT8OID) &&
		(!shape->numbered || row->types[1] == INT8OID) &&
		(!shape->binary || all_binary(source, row, shape->first, shape->ncolumns)))
	{
		batch->checked = true;
		return true;
	}
	forget_shape(batch->queue);
	batch->reshaped = true;
	batch->error = batch_error(batch, ERRCODE_FDW_ERROR,
							   ccr_source_is_local(source) ?
							   "local executor sent rows of another shape than it had described" :
							   "foreign server sent rows of another shape than it had described",
							   NULL, "The next call asks it again.");
	return false;
}

/* A bigint of ours, before the columns of the result. */
static bool
row_number(CcrBatch *batch, const CcrRow *row, int field, int64 *number)
{
	uint64		n;

	if (row->lengths[field] < 0)
		return false;
	if (!batch->shape.binary)
		return ccr_read_number(row->values[field], row->lengths[field], number);
	if (row->lengths[field] != sizeof(n))
		return false;
	memcpy(&n, row->values[field], sizeof(n));
	*number = (int64) pg_ntoh64(n);
	return true;
}

/* Which item a row is for: 0-based, or -1. */
static int64
row_item(CcrBatch *batch, const CcrRow *row)
{
	const CcrShape *shape = &batch->shape;
	int64		item;

	if (shape->positional)
		return batch->nrows < batch->n ? batch->nrows : -1;
	if (!row_number(batch, row, 0, &item))
		return -1;
	if (shape->keyed && !shape->numbered && batch->queue->source->may_be_loose &&
		item < 0)
	{
		batch->loose = true;
		item = -item;
	}
	return item > 0 && item <= batch->n ? item - 1 : -1;
}

/* False: the number is none. */
static bool
note_companions(CcrBatch *batch, const CcrRow *row, int item)
{
	int64		number;

	if (!row_number(batch, row, 1, &number) || number <= 0)
		return false;
	batch->bytes += ccr_companions_add(batch->companions, number, item);
	return true;
}

/* False: others hold so much that there is no room for what this one does. */
static bool
is_within_budget(CcrBatch *batch)
{
	ccr_budget_change((int64) batch->bytes - (int64) batch->counted);
	batch->counted = batch->bytes;
	return batch->bytes <= CCR_BUDGET_SMALL || !ccr_budget_exceeded();
}

static void
too_large(CcrBatch *batch, CcrOutcome *outcome)
{
	batch->bytes -= outcome->rows.len;
	if (outcome->rows.data)
		pfree(outcome->rows.data);
	outcome->rows.data = NULL;
	outcome->error = with_context(batch,
								  batch_error(batch, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
											  "result of a lookup is too large",
											  psprintf("Results in flight may take %zu bytes.",
													   ccr_shared->heap_size),
											  "You may need to increase \"concresce.shared_memory\"."));
}

/* Bytes that the result columns of a row take here. */
static Size
row_size(const CcrShape *shape, const CcrRow *row)
{
	Size		size = shape->ncolumns * sizeof(int32);

	for (int i = 0; i < shape->ncolumns; i++)
		size += Max(row->lengths[shape->first + i], 0);
	return size;
}

/* Most items have one row, so there is room for just that at first. */
static void
make_room(CcrBatch *batch, StringInfo rows, Size size)
{
	if (rows->data)
		enlargeStringInfo(rows, size);
	else
	{
		rows->maxlen = Max(size + 1, 16);
		rows->data = MemoryContextAlloc(batch->context, rows->maxlen);
		rows->len = 0;
	}
}

static void
put_row(StringInfo rows, const CcrShape *shape, const CcrRow *row)
{
	char	   *p = rows->data + rows->len;

	for (int i = 0; i < shape->ncolumns; i++)
	{
		int32		length = row->lengths[shape->first + i];

		memcpy(p, &length, sizeof(length));
		p += sizeof(length);
		if (length <= 0)
			continue;
		memcpy(p, row->values[shape->first + i], length);
		p += length;
	}
	rows->len = p - rows->data;
}

static void
keep_row(CcrBatch *batch, CcrOutcome *outcome, const CcrRow *row)
{
	StringInfo	rows = &outcome->rows;
	Size		size;

	/* a second row is kept only to tell that there is one */
	if (outcome->error || (!batch->queue->source->returns_set && outcome->nrows >= 2))
		return;
	outcome->nrows++;
	size = row_size(&batch->shape, row);
	if (batch->bytes + size > ccr_shared->heap_size ||
		rows->len + size >= MaxAllocSize / 2)
	{
		too_large(batch, outcome);
		return;
	}
	make_room(batch, rows, size);
	put_row(rows, &batch->shape, row);
	batch->bytes += size;
	batch->received += size;
	if (!is_within_budget(batch))
		too_large(batch, outcome);
}

bool
ccr_batch_row(CcrBatch *batch, const CcrRow *row)
{
	int64		item;

	if (batch->queue->source->returns_void)
		return false;
	if (!check_row(batch, row))
		return false;
	item = row_item(batch, row);
	batch->nrows++;
	if (item >= 0 &&
		(batch->companions == NULL || note_companions(batch, row, item)))
	{
		keep_row(batch, &batch->flights[item]->outcome, row);
		return true;
	}

	/* too many positional rows are counted, to be told about at the end */
	if (batch->shape.positional)
		return true;
	batch->error = batch_error(batch, ERRCODE_FDW_ERROR,
							   "foreign server sent a row for an item that was not asked for",
							   NULL, NULL);
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
	ccr_count(counters, CCR_BYTES_RECEIVED, batch->received);
	if ((uint64) us > pg_atomic_read_u64(&counters->value[CCR_REMOTE_US_MAX]))
		pg_atomic_write_u64(&counters->value[CCR_REMOTE_US_MAX], us);
	if (ccr_log_min_duration >= 0 && us >= ccr_log_min_duration * INT64CONST(1000))
		ereport(LOG,
				(errmsg("duration: %.3f ms, lookup %s%s, batch of %d",
						us / 1000.0, batch->queue->source->function_name,
						where(batch->queue->source), batch->n)));
}

static void
free_batch(CcrBatch *batch)
{
	ccr_budget_change(-(int64) batch->counted);
	batch->queue->flying--;
	MemoryContextDelete(batch->context);
}

static void
land(CcrBatch *batch)
{
	count_end(batch);
	ccr_flights_land(batch->flights, batch->n, batch->shape.ncolumns,
					 batch->shape.binary);
	free_batch(batch);
}

static void
fail(CcrBatch *batch, const CcrError *error)
{
	error = with_context(batch, error);
	note_error(batch, error);
	if (error->author != CCR_TEXTS_OURS && tells_of_others(batch))
		error = error_for_all(batch, error);
	for (int i = 0; i < batch->n; i++)
		if (batch->flights[i]->outcome.error == NULL)
			batch->flights[i]->outcome.error = error;
	land(batch);
}

void
ccr_batch_drop(CcrBatch *batch)
{
	/* nobody waits: landing just frees the flights */
	Assert(batch->live == 0);
	land(batch);
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
	ccr_queue_regroup(batch->queue, batch->flights, n, 0);
	if (n < batch->n)
		ccr_queue_regroup(batch->queue, batch->flights + n, batch->n - n, 0);
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
		ccr_queue_regroup(batch->queue, flights + from, ends[place] - from, 0);
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
settle(CcrBatch *batch)
{
	CcrQueue   *queue = batch->queue;
	int		   *places = batch->companions ?
		ccr_companions_places(batch->companions) : NULL;

	if (batch->loose && batch->n > 1 && !queue->source->enqueued)
	{
		if (queue->shape.known && queue->shape.keyed)
			set_numbered(&queue->shape, true);
		fly_again(batch, batch->n);
		return;
	}
	if (places && queue->source->resend)
		part_companions(batch, places);
	else if (places)
		fail_companions(batch, places);
	land(batch);
}

static void
resend(CcrBatch *batch)
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
outdated(CcrBatch *batch, const CcrError *error)
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
		(is_of_several(batch) && !batch->queue->source->undivided);
}

static void
divide(CcrBatch *batch)
{
	for (int i = 0; i < batch->n; i++)
		batch->flights[i]->divided = true;
	fly_again(batch, batch->n / 2);
}

static void
discard(CcrBatch *batch, const CcrError *error)
{
	for (int i = 0; i < batch->n; i++)
		ccr_discard_log(batch->queue->source, batch->flights[i]->item, error);
	fail(batch, error);
}

/*
 * Whoever ends a batch wants it not to go on.  Which item is the cause is found
 * by halving it, and he is not to be asked again for each half.
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
	CcrKind		kind = error->unexecuted ? CCR_KIND_PASSING :
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
			discard(batch, error);
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

	if (outdated(batch, error))
		resend(batch);
	else if (queue->source->enqueued)
		enqueued_ended_badly(batch, error);
	else if (batch->n > 1 && kind_of(batch, error) == CCR_KIND_DATA && is_divided(batch))
		divide(batch);
	else if (kind_of(batch, error) == CCR_KIND_DATA && joined_by_others(batch) &&
			 queue->source->resend)
		fly_again(batch, batch->n);
	else
	{
		/* ask anew what the columns are, if they may be what is wrong */
		if (queue->shape.keyed && kind_of(batch, error) != CCR_KIND_DATA)
			forget_shape(queue);
		fail(batch, error);
	}
}

static const CcrError *
wrong_row_count(CcrBatch *batch)
{
	char	   *message = psprintf("lookup %s got the wrong number of rows",
								   batch->queue->source->function_name);
	char	   *detail = psprintf("Expected %d, one for each item, in order, but got %lld.",
								  batch->n, (long long) batch->nrows);

	return batch_error(batch, ERRCODE_CARDINALITY_VIOLATION, message, detail,
					   "Return the arguments as the first columns to have rows matched by key.");
}

/*
 * What is wrong with the rows is found after the query has done what it does.
 * Unlike after an error of the query, then, no write is sent again; and what
 * may be sent again is only after a change of types, which asking anew heals.
 */
bool
ccr_batch_done(CcrBatch *batch, CcrOp op, const CcrError *error)
{
	if (error == NULL && batch->error == NULL && op == CCR_OP_DESCRIBE &&
		!batch->queue->shape.known)
		batch->error = batch_error(batch, ERRCODE_FDW_ERROR,
								   "foreign server did not describe the query",
								   NULL, NULL);
	if (error == NULL && batch->error == NULL && op != CCR_OP_EXECUTE &&
		must_part(batch))
	{
		fly_again(batch, batch->n);
		return true;
	}
	if (error == NULL && batch->error == NULL && op != CCR_OP_EXECUTE)
	{
		next_step(batch);
		return false;
	}
	if (error == NULL && batch->error == NULL && batch->shape.positional &&
		batch->nrows != batch->n)
		batch->error = wrong_row_count(batch);
	if (batch->error && batch->reshaped && batch->queue->source->resend &&
		!batch->flights[0]->resent)
		resend(batch);
	else if (batch->error)
		fail(batch, batch->error);
	else if (error)
		ended_badly(batch, with_hint(batch, error));
	else
	{
		batch->queue->stubborn = false;
		ccr_circuit_succeeded(batch->queue);
		settle(batch);
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
		resend(batch);
	else if (batch->queue->source->enqueued)
		enqueued_ended_badly(batch, error);
	else if (harmless || error->by_hand)
		fail(batch, error);
	else
	{
		CcrError   *unknown =
			batch_error(batch, ERRCODE_TRANSACTION_RESOLUTION_UNKNOWN,
						error->message, error->detail,
						"The lookup is VOLATILE: it may have had its effect, and was not sent again.");

		if (error->author != CCR_TEXTS_OURS)
			unknown->author = CCR_HINT_OURS;
		fail(batch, unknown);
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
	fail(batch, error);
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
take_waiting(CcrQueue *queue)
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
			batch->flights = ccr_queue_take(queue, batch, false, PG_INT32_MAX, &batch->n,
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

	while ((batch = take_waiting(queue)) != NULL)
		fail(batch, error);
}

void
ccr_batch_discard_waiting(CcrQueue *queue, const CcrError *error)
{
	CcrBatch   *batch;

	/* no group is to be waited for */
	ccr_queue_hurry(queue, true);
	while ((batch = take_waiting(queue)) != NULL)
		discard(batch, error);
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
		discard(batch, suspect->error);
		MemoryContextDelete(suspect->context);
	}
}
