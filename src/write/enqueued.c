/*-------------------------------------------------------------------------
 *
 * enqueued.c
 *	  concresce.enqueued, and concresce.discard().
 *
 * What was enqueued alike relies on one warrant, which says of what lookup it
 * is, for which server, and whose; it also counts the items.  So nobody has to
 * look through requests to show them, nor to be asked; and to discard some,
 * their warrants are marked.  That takes no memory, and the collectors may be
 * restarted meanwhile.
 *
 * Catalogs are looked at before and after, not while a lock is held.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "call/timeout.h"
#include "catalog/pg_authid.h"
#include "fmgr.h"
#include "foreign/foreign.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "shared/compat.h"
#include "shared/settings.h"
#include "shared/stopped.h"
#include "shared/warrant.h"
#include "storage/ipc.h"
#include "storage/lock.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(concresce_enqueued);
PG_FUNCTION_INFO_V1(concresce_discard);

#define CCR_ENQUEUED_COLUMNS	9
#define CCR_ANY					"*" /* server or role */
#define CCR_DISCARD_LOCK		3	/* field 4 of its tag; 1 and 2 are users'
									 * own */

/* ------------------------------------------------------------------ rights */

static bool
owns_items(Oid function)
{
	return SearchSysCacheExists1(PROCOID, ObjectIdGetDatum(function)) &&
		ccr_proc_ownercheck(function, GetUserId());
}

/*
 * Who may stop the lookup by force, and who may end a process that runs it;
 * but who may run it only by its owner's rights is not to undo what it did.
 */
static bool
may_discard(const CcrTitle *title)
{
	Oid			me = GetUserId();

	if (superuser() || ccr_database_ownercheck(MyDatabaseId, me) || owns_items(title->function))
		return true;
	if (superuser_arg(title->roleid))
		return false;
	if (has_privs_of_role(me, title->roleid))
		return true;
	return !superuser_arg(title->caller) && has_privs_of_role(me, ROLE_PG_SIGNAL_BACKEND);
}

static bool
may_see_items(const CcrTitle *title)
{
	return has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS) ||
		has_privs_of_role(GetUserId(), title->caller) || may_discard(title);
}

/* -------------------------------------------------------------------- view */

static bool
has_digits_only(const char *name)
{
	return name[0] != '\0' && name[strspn(name, "0123456789")] == '\0';
}

/*
 * As discard() takes it: the name; or the OID, of what was dropped, and of what
 * has a name that means something else there.
 */
static char *
shown_name(char *name, Oid oid)
{
	return name == NULL || has_digits_only(name) || strcmp(name, CCR_ANY) == 0 ?
		psprintf("%u", oid) : name;
}

/* "": local. */
static char *
shown_server(Oid serverid)
{
	ForeignServer *server;

	if (!OidIsValid(serverid))
		return "";
	server = GetForeignServerExtended(serverid, FSV_MISSING_OK);
	return shown_name(server ? server->servername : NULL, serverid);
}

static char *
shown_role(Oid roleid)
{
	return shown_name(GetUserNameFromId(roleid, true), roleid);
}

static bool
circuit_is_open(const CcrTitle *title)
{
	CcrCounters *found = NULL;

	LWLockAcquire(&ccr_shared->lock, LW_SHARED);
	for (int i = 0; i < CCR_MAX_COUNTERS; i++)
	{
		const CcrCountersKey *key = &ccr_counters[i].key;

		if (pg_atomic_read_u32(&ccr_counters[i].serial) == 0)
			break;
		if (key->dbid == title->dbid && key->function == title->function &&
			key->serverid == title->serverid)
		{
			found = &ccr_counters[i];
			break;
		}
	}
	LWLockRelease(&ccr_shared->lock);
	return found && ccr_counters_circuit(found).open > 0;
}

static int
compare_rows(const void *a, const void *b)
{
	const CcrTitle *x = &((const CcrReliance *) a)->title;
	const CcrTitle *y = &((const CcrReliance *) b)->title;
	const Oid	of_x[] = {x->dbid, x->function, x->serverid, x->caller, x->roleid};
	const Oid	of_y[] = {y->dbid, y->function, y->serverid, y->caller, y->roleid};

	for (int i = 0; i < (int) lengthof(of_x); i++)
		if (of_x[i] != of_y[i])
			return of_x[i] < of_y[i] ? -1 : 1;
	return 0;
}

static void
add_to_row(CcrReliance *row, const CcrReliance *one)
{
	row->flying = Min(row->flying, row->items) + Min(one->flying, one->items);
	row->items += one->items;
	row->bytes += one->bytes;
	if (row->oldest == 0 || (one->oldest != 0 && one->oldest < row->oldest))
		row->oldest = one->oldest;
}

/*
 * Each login and each role that a session has set has a warrant of its own.
 * Make one row of those that a row does not tell apart.  Returns how many
 * there are.
 */
static int
merge_rows(CcrReliance *all, int n)
{
	int			rows = 0;

	qsort(all, n, sizeof(CcrReliance), compare_rows);
	for (int i = 0; i < n; i++)
	{
		if (all[i].items == 0)
			continue;
		if (rows > 0 && compare_rows(&all[rows - 1], &all[i]) == 0)
			add_to_row(&all[rows - 1], &all[i]);
		else
			all[rows++] = all[i];
	}
	return rows;
}

Datum
concresce_enqueued(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	TimestampTz today = GetCurrentTimestamp();
	CcrTime		now = ccr_now();
	CcrReliance *all;
	int			n;

	ccr_shmem_require();
	InitMaterializedSRF(fcinfo, 0);
	all = ccr_warrants_reliance(&n);
	n = merge_rows(all, n);
	for (int i = 0; i < n; i++)
	{
		const CcrReliance *one = &all[i];
		Datum		values[CCR_ENQUEUED_COLUMNS] = {0};
		bool		nulls[CCR_ENQUEUED_COLUMNS] = {0};

		if (one->title.dbid != MyDatabaseId || !may_see_items(&one->title))
			continue;
		values[0] = ObjectIdGetDatum(one->title.function);
		values[1] = CStringGetTextDatum(shown_server(one->title.serverid));
		values[2] = CStringGetTextDatum(shown_role(one->title.caller));
		values[3] = Int64GetDatum(one->items);
		values[4] = Int64GetDatum(Min(one->flying, one->items));
		values[5] = Int64GetDatum(one->bytes);
		nulls[6] = one->oldest == 0;
		values[6] = TimestampTzGetDatum(today - (now - one->oldest));
		values[7] = BoolGetDatum(circuit_is_open(&one->title));
		values[8] = BoolGetDatum(ccr_switched_off(MyDatabaseId, one->title.serverid, NULL));
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* ----------------------------------------------------------------- discard */

/* What is to be discarded. */
typedef struct Choice
{
	bool		any_function;
	Oid			function;
	bool		any_server;
	Oid			serverid;		/* InvalidOid: local */
	bool		any_role;
	Oid			role;
	CcrTime		until;			/* what was committed by then */
} Choice;

static void
refuse_null(FunctionCallInfo fcinfo, int argument, const char *what)
{
	if (PG_ARGISNULL(argument))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s of the items to be discarded must not be null", what),
				 errhint("Leave the argument out for any.")));
}

/* Raises 42704 if it is no OID. */
static Oid
oid_of(const char *name, const char *what)
{
	unsigned long oid = 0;

	errno = 0;
	if (has_digits_only(name))
		oid = strtoul(name, NULL, 10);
	if (errno != 0 || oid == 0 || oid > OID_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("%s \"%s\" does not exist", what, name),
				 errhint("If it was dropped, or is called by a number, say its OID, as concresce.enqueued shows it.")));
	return (Oid) oid;
}

/* A number is an OID, whatever is called so. */
static Oid
server_named(const char *name)
{
	Oid			serverid = has_digits_only(name) ? InvalidOid : get_foreign_server_oid(name, true);

	return OidIsValid(serverid) || name[0] == '\0' ? serverid : oid_of(name, "server");
}

static Oid
role_named(const char *name)
{
	Oid			roleid = has_digits_only(name) ? InvalidOid : get_role_oid(name, true);

	return OidIsValid(roleid) ? roleid : oid_of(name, "role");
}

static bool
is_zero(const Interval *age)
{
	return age->time == 0 && age->day == 0 && age->month == 0;
}

static CcrTime
committed_by(const Interval *age, CcrTime now)
{
	float8		us = age->time +
		((float8) age->month * DAYS_PER_MONTH + age->day) * USECS_PER_DAY;

	if (us < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("age of the items to be discarded must not be negative")));
	return us >= (float8) now ? 0 : now - (CcrTime) us;
}

static Choice
choice_of(FunctionCallInfo fcinfo)
{
	Choice		choice = {.until = ccr_now()};
	char	   *server;
	char	   *role;
	Interval   *age;
	bool		everything;

	refuse_null(fcinfo, 0, "lookup");
	refuse_null(fcinfo, 1, "server");
	refuse_null(fcinfo, 2, "role");
	refuse_null(fcinfo, 3, "age");
	choice.function = PG_GETARG_OID(0);
	choice.any_function = !OidIsValid(choice.function);
	server = text_to_cstring(PG_GETARG_TEXT_PP(1));
	choice.any_server = strcmp(server, CCR_ANY) == 0;
	if (!choice.any_server)
		choice.serverid = server_named(server);
	role = text_to_cstring(PG_GETARG_TEXT_PP(2));
	choice.any_role = strcmp(role, CCR_ANY) == 0;
	if (!choice.any_role)
		choice.role = role_named(role);
	age = PG_GETARG_INTERVAL_P(3);
	choice.until = committed_by(age, choice.until);
	everything = !PG_ARGISNULL(4) && PG_GETARG_BOOL(4);
	if (choice.any_function && choice.any_server && choice.any_role && is_zero(age) &&
		!everything)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("nothing says which enqueued items are to be discarded"),
				 errhint("Give a lookup, a server, a role or an age; or \"everything => true\".")));
	return choice;
}

static bool
is_chosen(const Choice *choice, const CcrTitle *title)
{
	return title->dbid == MyDatabaseId &&
		(choice->any_function || title->function == choice->function) &&
		(choice->any_server || title->serverid == choice->serverid) &&
		(choice->any_role || title->caller == choice->role);
}

/* What the role may discard of it; others' is left alone, if there is any of it. */
static CcrTitle *
titles_of(const Choice *choice, int *n)
{
	int			all;
	int			refused = 0;
	CcrTitle   *titles = ccr_warrants_copy(&all);

	*n = 0;
	for (int i = 0; i < all; i++)
	{
		if (!is_chosen(choice, &titles[i]))
			continue;
		if (may_discard(&titles[i]))
			titles[(*n)++] = titles[i];
		else
			refused++;
	}
	if (*n == 0 && refused > 0)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to discard enqueued items of others"),
				 errdetail("That takes the rights of the role that they run as, of the owner of the lookup or of the database, or of pg_signal_backend if no superuser has enqueued them.")));
	return titles;
}

/* The warrants that were marked, and what each had counted by then. */
typedef struct Marked
{
	int			n;
	CcrWarrant **warrants;
	uint64	   *before;
} Marked;

static void
release_marked(int code, Datum arg)
{
	Marked	   *marked = (Marked *) DatumGetPointer(arg);

	for (int i = 0; i < marked->n; i++)
		ccr_warrant_release(marked->warrants[i]);
	marked->n = 0;
}

static void
wait_for_collectors(void)
{
	static uint32 wait_event = 0;
	CcrTimeout	timeout = ccr_timeout_present();

	if (wait_event == 0)
		wait_event = ccr_new_wait_event("ConcresceDiscard");
	if (!ccr_marks_wait(ccr_marks_announce(), ccr_timeout_end(timeout, ccr_now()), wait_event))
		ereport(ERROR,
				(errcode(ERRCODE_QUERY_CANCELED),
				 errmsg("canceling discard of enqueued items due to timeout"),
				 ccr_timeout_detail(timeout, "the collector",
									"They will be discarded nevertheless."),
				 ccr_timeout_hint(timeout)));
}

/* One after another in a database, or two would count what one has discarded. */
static uint64
discard_items(const CcrTitle *titles, int n, CcrTime until, Oid lock, uint64 *flying)
{
	LOCKTAG		tag;
	uint64		result = 0;
	Marked		marked = {
		0, palloc(n * sizeof(CcrWarrant *)), palloc(n * sizeof(uint64))
	};

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, lock, 0, CCR_DISCARD_LOCK);
	(void) LockAcquire(&tag, ExclusiveLock, false, false);
	PG_ENSURE_ERROR_CLEANUP(release_marked, PointerGetDatum(&marked));
	{
		marked.n = ccr_warrants_discard(titles, n, until, marked.warrants, marked.before);
		wait_for_collectors();
		for (int i = 0; i < marked.n; i++)
		{
			result += pg_atomic_read_u64(&marked.warrants[i]->discarded) - marked.before[i];
			*flying += pg_atomic_read_u64(&marked.warrants[i]->flying);
		}
	}
	PG_END_ENSURE_ERROR_CLEANUP(release_marked, PointerGetDatum(&marked));
	release_marked(0, PointerGetDatum(&marked));
	(void) LockRelease(&tag, ExclusiveLock, false);
	return result;
}

Datum
concresce_discard(PG_FUNCTION_ARGS)
{
	Choice		choice;
	CcrTitle   *titles;
	int			n;
	uint64		result = 0;
	uint64		flying = 0;

	ccr_shmem_require();
	choice = choice_of(fcinfo);
	titles = titles_of(&choice, &n);
	if (n > 0)
		result = discard_items(titles, n, choice.until, fcinfo->flinfo->fn_oid, &flying);
	if (result > 0)
		ereport(LOG_SERVER_ONLY,
				(errmsg("concresce.discard() has discarded %llu enqueued items",
						(unsigned long long) result)));
	if (flying > 0)
		ereport(NOTICE,
				(errmsg("%llu enqueued items are in flight", (unsigned long long) flying),
				 errdetail("Those that were to be discarded are not tried again if their batch fails.")));
	PG_RETURN_INT64(result);
}
