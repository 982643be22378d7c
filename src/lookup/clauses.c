/*-------------------------------------------------------------------------
 *
 * clauses.c
 *	  What the SET clauses of a lookup say of its meaning.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/parallel.h"
#include "catalog/pg_type.h"
#include "lookup/clauses.h"
#include "shared/settings.h"
#include "utils/builtins.h"

#define CCR_PREFIX	"concresce."

/* A call would have failed for it, before it came to be compiled. */
static void
bad_value(const char *setting, const char *value)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value for parameter \"%s%s\": \"%s\"",
					CCR_PREFIX, setting, value)));
}

static int
enum_value(const struct config_enum_entry *options, const char *setting,
		   const char *value)
{
	for (const struct config_enum_entry *entry = options; entry->name; entry++)
		if (pg_strcasecmp(value, entry->name) == 0)
			return entry->val;
	bad_value(setting, value);
	return 0;
}

static int
rate_value(const char *setting, const char *value)
{
	int			rate;

	if (!parse_int(value, &rate, 0, NULL) || rate < 0 || rate > CCR_MAX_RATE)
		bad_value(setting, value);
	return rate;
}

static void
read_own(CcrClauses *clauses, const char *setting, char *value)
{
	bool		flag;

	if (pg_strcasecmp(setting, "server") == 0)
		clauses->server = value;
	else if (pg_strcasecmp(setting, "key") == 0)
		clauses->key = value;
	else if (pg_strcasecmp(setting, "coalesce") == 0)
		clauses->coalesce = enum_value(ccr_coalesce_options, setting, value);
	else if (pg_strcasecmp(setting, "on_missing") == 0)
		clauses->on_missing = enum_value(ccr_on_missing_options, setting, value);
	else if (pg_strcasecmp(setting, "isolate_errors") == 0)
	{
		if (!parse_bool(value, &flag))
			bad_value(setting, value);
		clauses->isolate_errors = flag;
	}
	else if (pg_strcasecmp(setting, "fail_fast") == 0)
	{
		if (!parse_bool(value, &flag))
			bad_value(setting, value);
		clauses->fail_fast = flag;
	}
	else if (pg_strcasecmp(setting, "max_batches_per_second") == 0)
		clauses->limits.batches = rate_value(setting, value);
	else if (pg_strcasecmp(setting, "max_items_per_second") == 0)
		clauses->limits.items = rate_value(setting, value);
}

static void
read_clause(CcrClauses *clauses, char *clause)
{
	char	   *value = strchr(clause, '=');

	if (value == NULL)
		return;
	*value++ = '\0';
	if (pg_strncasecmp(clause, CCR_PREFIX, strlen(CCR_PREFIX)) == 0)
		read_own(clauses, clause + strlen(CCR_PREFIX), value);
	else
		clauses->only_own = false;
	if (pg_strcasecmp(clause, "search_path") == 0)
		clauses->sets_path = true;
}

void
ccr_clauses_read(CcrClauses *clauses, ArrayType *config, const char *lookup,
				 bool is_volatile)
{
	Datum	   *elements;
	bool	   *nulls;
	int			n = 0;

	*clauses = (CcrClauses)
	{
		.lookup = lookup,
			.is_volatile = is_volatile,
			.key = pstrdup(""),
			.coalesce = CCR_COALESCE_AUTO,
			.on_missing = -1,
			.isolate_errors = -1,
			.fail_fast = -1,
			.only_own = true
	};
	if (config)
		deconstruct_array(config, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &n);
	for (int i = 0; i < n; i++)
		if (!nulls[i])
			read_clause(clauses, TextDatumGetCString(elements[i]));
}

/*
 * Refusing would let whoever may set something for a database stop all its
 * lookups, and the source of a value does not tell a SET clause of a function
 * from a session's SET.
 */
static void
not_used(const CcrClauses *clauses, const char *setting, const char *value,
		 bool *told)
{
	if (*told || IsParallelWorker())
		return;
	*told = true;
	ereport(WARNING,
			(errmsg("\"%s\" is ignored where the lookup does not set it itself", setting),
			 errdetail("It is \"%s\", but not by a SET clause of lookup %s.",
					   value, clauses->lookup),
			 errhint("ALTER FUNCTION %s SET %s = ...", clauses->lookup, setting)));
}

void
ccr_clauses_check_key(const CcrClauses *clauses)
{
	static bool told = false;

	/* the lookup's own clause is in force, if it has one */
	if (ccr_key[0] && clauses->key[0] == '\0')
		not_used(clauses, "concresce.key", ccr_key, &told);
}

/* They are of all callers, so none of them is to change them. */
void
ccr_clauses_check_limits(const CcrClauses *clauses)
{
	static bool told = false;

	if (ccr_max_batches_per_second > 0 && clauses->limits.batches == 0)
		not_used(clauses, "concresce.max_batches_per_second",
				 psprintf("%d", ccr_max_batches_per_second), &told);
	if (ccr_max_items_per_second > 0 && clauses->limits.items == 0)
		not_used(clauses, "concresce.max_items_per_second",
				 psprintf("%d", ccr_max_items_per_second), &told);
	if (ccr_fail_fast && clauses->fail_fast < 0)
		not_used(clauses, "concresce.fail_fast", "on", &told);
}

/*
 * Sharing of what is not VOLATILE changes no result, but a session may want
 * less of it.  VOLATILE calls that share are made once for several callers:
 * only the lookup knows if that is right.
 */
int
ccr_clauses_coalesce(const CcrClauses *clauses)
{
	static bool told = false;

	if (clauses->coalesce != CCR_COALESCE_AUTO)
		return clauses->coalesce;
	if (!clauses->is_volatile)
		return ccr_settings.coalesce == CCR_COALESCE_AUTO ? CCR_COALESCE_FLIGHT : ccr_settings.coalesce;
	if (ccr_settings.coalesce > CCR_COALESCE_OFF)
		not_used(clauses, "concresce.coalesce",
				 ccr_settings.coalesce == CCR_COALESCE_BATCH ? "batch" : "flight", &told);
	return CCR_COALESCE_OFF;
}

int
ccr_clauses_on_missing(const CcrClauses *clauses, bool steered)
{
	if (clauses->on_missing >= 0)
		return clauses->on_missing;
	return steered ? ccr_settings.on_missing : CCR_MISSING_NULL;
}

bool
ccr_clauses_isolate(const CcrClauses *clauses, bool steered)
{
	if (clauses->isolate_errors >= 0)
		return clauses->isolate_errors;
	return steered && ccr_settings.isolate_errors;
}
