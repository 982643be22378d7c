/*-------------------------------------------------------------------------
 *
 * definition.c
 *	  Compiling lookups, and keeping them until their catalog rows change.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "funcapi.h"
#include "lookup/definition.h"
#include "miscadmin.h"
#include "parser/parse_func.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/regproc.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

typedef struct DefinitionEntry
{
	Oid			function;
	uint32		hash;			/* of its syscache entry */
	CcrDefinition *definition;	/* NULL while it is being made */
} DefinitionEntry;

static HTAB *definitions = NULL;
static uint64 changes = 0;		/* invalidations seen */

/* ------------------------------------------------------------- compilation */

static void
refuse_definition(const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_FUNCTION_DEFINITION),
			 errmsg("%s cannot be written in language concresce", what)));
}

static void
check_kind(Form_pg_proc proc)
{
	if (proc->prokind == PROKIND_PROCEDURE)
		refuse_definition("procedures");
	if (proc->prokind != PROKIND_FUNCTION)
		refuse_definition("window functions");
	if (proc->prorettype == TRIGGEROID)
		refuse_definition("trigger functions");
	if (proc->prorettype == EVENT_TRIGGEROID)
		refuse_definition("event trigger functions");
	if (get_typtype(proc->prorettype) == TYPTYPE_PSEUDO &&
		proc->prorettype != VOIDOID && proc->prorettype != RECORDOID)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_FUNCTION_DEFINITION),
				 errmsg("lookups cannot return type %s",
						format_type_be(proc->prorettype))));
	for (int i = 0; i < proc->pronargs; i++)
		if (get_typtype(proc->proargtypes.values[i]) == TYPTYPE_PSEUDO)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_FUNCTION_DEFINITION),
					 errmsg("lookups cannot accept type %s",
							format_type_be(proc->proargtypes.values[i]))));
}

static void
compile_config(CcrDefinition *definition, HeapTuple tuple)
{
	bool		isnull;
	Datum		config = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_proconfig, &isnull);

	if (!isnull)
		definition->config = DatumGetArrayTypePCopy(config);
	ccr_clauses_read(&definition->clauses, definition->config, definition->name,
					 definition->volatility == PROVOLATILE_VOLATILE);
}

void
ccr_definition_enter_as(const CcrDefinition *definition, Oid roleid,
						int sec_context, CcrScope *scope)
{
	GetUserIdAndSecContext(&scope->roleid, &scope->sec_context);
	if (definition->security_definer)
		SetUserIdAndSecContext(definition->owner,
							   sec_context | SECURITY_LOCAL_USERID_CHANGE);
	else if (roleid != scope->roleid || sec_context != scope->sec_context)
		SetUserIdAndSecContext(roleid, sec_context);

	scope->level = 0;
	if (definition->config)
	{
		scope->level = NewGUCNestLevel();
		ProcessGUCArray(definition->config, superuser() ? PGC_SUSET : PGC_USERSET,
						PGC_S_SESSION, GUC_ACTION_SAVE);
	}
}

void
ccr_definition_enter(const CcrDefinition *definition, CcrScope *scope)
{
	Oid			roleid;
	int			sec_context;

	GetUserIdAndSecContext(&roleid, &sec_context);
	ccr_definition_enter_as(definition, roleid, sec_context, scope);
}

void
ccr_definition_leave(const CcrScope *scope)
{
	if (scope->level > 0)
		AtEOXact_GUC(true, scope->level);
	SetUserIdAndSecContext(scope->roleid, scope->sec_context);
}

/*
 * The name by which the far side is to know a type of ours: qualified, or a
 * keyword.  SQL's own names of bpchar and bit would mean a length of 1.
 */
static const char *
far_type(Oid type)
{
	return format_type_extended(type, -1, FORMAT_TYPE_TYPEMOD_GIVEN |
								FORMAT_TYPE_FORCE_QUALIFY);
}

static void
compile_arguments(CcrDefinition *definition, HeapTuple tuple)
{
	Form_pg_proc proc = (Form_pg_proc) GETSTRUCT(tuple);
	bool		isnull;
	Datum		names;
	Datum		modes;
	int			n = proc->pronargs;

	definition->nargs = n;
	definition->argtypes = palloc(Max(n, 1) * sizeof(Oid));
	definition->args = palloc0(Max(n, 1) * sizeof(CcrArgWire));
	for (int i = 0; i < n; i++)
	{
		definition->argtypes[i] = proc->proargtypes.values[i];
		ccr_wire_arg(&definition->args[i], definition->argtypes[i],
					 definition->context);
		definition->styled |= definition->args[i].styled;
	}

	names = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_proargnames, &isnull);
	if (isnull)
		definition->argnames = palloc0(Max(n, 1) * sizeof(char *));
	else
	{
		modes = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_proargmodes, &isnull);
		if (isnull)
			modes = PointerGetDatum(NULL);
		if (get_func_input_arg_names(names, modes, &definition->argnames) != n)
			elog(ERROR, "function %u has unexpected argument names", definition->function);
	}
}

/* Where the body is wrong; the validator makes it a place in the command. */
static void
body_error_callback(void *arg)
{
	int			position = geterrposition();

	if (position > 0)
	{
		errposition(0);
		internalerrposition(position);
		internalerrquery((const char *) arg);
	}
}

static void
compile_body(CcrDefinition *definition, HeapTuple tuple)
{
	Form_pg_proc proc = (Form_pg_proc) GETSTRUCT(tuple);
	int			n = definition->nargs;
	CcrBodyArg *args = palloc0(Max(n, 1) * sizeof(CcrBodyArg));
	bool		isnull;
	Datum		source;
	char	   *source_text;
	int			level;
	ErrorContextCallback callback;

	for (int i = 0; i < n; i++)
	{
		const char *name = definition->argnames[i];

		args[i].name = name && name[0] ? name : NULL;
		args[i].sqltype = far_type(definition->args[i].base);
		args[i].as_text = definition->args[i].form == CCR_WIRE_TEXT;
		args[i].flattens = definition->args[i].flattens;
		args[i].equality = ccr_equality(definition->args[i].base);
	}
	source = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosrc, &isnull);
	if (isnull)
		elog(ERROR, "function %u has no body", definition->function);
	source_text = TextDatumGetCString(source);

	/* as the far side will read it, whatever the session has set */
	level = NewGUCNestLevel();
	(void) set_config_option("standard_conforming_strings", "on", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	callback.callback = body_error_callback;
	callback.arg = source_text;
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	definition->body = ccr_body_parse(source_text, pstrdup(NameStr(proc->proname)),
									  n, args);
	error_context_stack = callback.previous;
	AtEOXact_GUC(true, level);

	/* it may be shared, and sent again */
	if (!definition->body->is_select && proc->provolatile != PROVOLATILE_VOLATILE)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_FUNCTION_DEFINITION),
				 errmsg("a lookup that writes must be VOLATILE")));

	if (definition->body->form == CCR_FORM_SINGLE)
		definition->sql = ccr_body_single_sql(definition->body,
											  proc->provolatile == PROVOLATILE_VOLATILE);
	else
		definition->sql = ccr_body_bulk_sql(definition->body);
}

/* Only the far side knows whether a bulk form is keyed. */
static void
compile_hashes(CcrDefinition *definition)
{
	if (definition->body->form != CCR_FORM_BULK ||
		(definition->result && definition->result->is_void))
		return;
	definition->hashes = palloc0(Max(definition->nargs, 1) * sizeof(CcrArgHash));
	for (int i = 0; i < definition->nargs; i++)
		if (ccr_equality_hash(&definition->hashes[i].function,
							  definition->args[i].base, definition->context))
			definition->hashes[i].collation = get_typcollation(definition->argtypes[i]);
}

static void
note_layout(CcrResult *result)
{
	result->layout = hash_combine(result->returns_set, result->ncolumns);
	for (int i = 0; i < result->ncolumns; i++)
	{
		CcrResultWire *wire = &result->columns[i];

		result->layout = hash_combine(result->layout, wire->type);
		result->layout = hash_combine(result->layout, wire->base);
		result->layout = hash_combine(result->layout, wire->typmod);
		if (result->attributes)
			result->layout = hash_combine(result->layout, result->attributes[i]);
	}
	if (result->tupdesc)
		result->layout = hash_combine(result->layout, result->tupdesc->natts);
}

CcrResult *
ccr_result_from_tupdesc(TupleDesc tupdesc, bool returns_set,
						MemoryContext context)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	CcrResult  *result = palloc0(sizeof(CcrResult));

	result->returns_set = returns_set;
	result->type = tupdesc->tdtypeid;
	result->tupdesc = CreateTupleDescCopy(tupdesc);
	result->columns = palloc0(Max(tupdesc->natts, 1) * sizeof(CcrResultWire));
	result->attributes = palloc(Max(tupdesc->natts, 1) * sizeof(int));
	for (int i = 0; i < tupdesc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(tupdesc, i);

		if (att->attisdropped)
			continue;
		ccr_wire_result(&result->columns[result->ncolumns], att->atttypid,
						att->atttypmod, context);
		result->attributes[result->ncolumns++] = i;
	}
	if (result->type != RECORDOID)
		ccr_wire_result(&result->whole, result->type, -1, context);
	BlessTupleDesc(result->tupdesc);
	note_layout(result);
	MemoryContextSwitchTo(old);
	return result;
}

static CcrResult *
scalar_result(Oid type, bool returns_set, MemoryContext context)
{
	CcrResult  *result = MemoryContextAllocZero(context, sizeof(CcrResult));

	result->returns_set = returns_set;
	result->type = type;
	result->is_void = type == VOIDOID;
	if (!result->is_void)
	{
		result->ncolumns = 1;
		result->columns = MemoryContextAllocZero(context, sizeof(CcrResultWire));
		ccr_wire_result(result->columns, type, -1, context);
	}
	note_layout(result);
	return result;
}

static void
compile_result(CcrDefinition *definition, bool returns_set)
{
	Oid			type;
	TupleDesc	tupdesc;

	switch (get_func_result_type(definition->function, &type, &tupdesc))
	{
		case TYPEFUNC_SCALAR:
			definition->result = scalar_result(type, returns_set, definition->context);
			break;
		case TYPEFUNC_COMPOSITE:
			definition->result = ccr_result_from_tupdesc(tupdesc, returns_set,
														 definition->context);
			definition->typrelid = get_typ_typrelid(type);
			break;
		case TYPEFUNC_COMPOSITE_DOMAIN:
			definition->result = ccr_result_from_tupdesc(tupdesc, returns_set,
														 definition->context);
			definition->result->domain = type;
			definition->typrelid = get_typ_typrelid(getBaseType(type));
			break;
		case TYPEFUNC_RECORD:
			break;
		case TYPEFUNC_OTHER:
			elog(ERROR, "unexpected result type %u", type);
	}
}

static void
depend_on_type(CcrDefinition *definition, Oid type)
{
	definition->type_hashes[definition->ntypes++] =
		GetSysCacheHashValue1(TYPEOID, ObjectIdGetDatum(type));
}

static void
note_types(CcrDefinition *definition)
{
	CcrResult  *result = definition->result;
	int			ncolumns = result ? result->ncolumns : 0;

	definition->type_hashes = palloc((2 * (definition->nargs + ncolumns) + 2) * sizeof(uint32));
	for (int i = 0; i < definition->nargs; i++)
	{
		depend_on_type(definition, definition->argtypes[i]);
		depend_on_type(definition, definition->args[i].base);
	}
	for (int i = 0; i < ncolumns; i++)
	{
		depend_on_type(definition, result->columns[i].type);
		depend_on_type(definition, result->columns[i].base);
	}
	if (result)
	{
		depend_on_type(definition, result->type);
		if (OidIsValid(result->domain))
			depend_on_type(definition, result->domain);
	}
}

CcrDefinition *
ccr_definition_compile(Oid function, MemoryContext context)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	CcrDefinition *definition = palloc0(sizeof(CcrDefinition));
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Form_pg_proc proc;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("function with OID %u does not exist", function)));
	proc = (Form_pg_proc) GETSTRUCT(tuple);
	check_kind(proc);

	definition->function = function;
	definition->context = context;
	definition->name = format_procedure(function);
	definition->volatility = proc->provolatile;
	definition->owner = proc->proowner;
	definition->security_definer = proc->prosecdef;
	definition->strict = proc->proisstrict;
	compile_config(definition, tuple);
	compile_arguments(definition, tuple);
	compile_result(definition, proc->proretset);
	compile_body(definition, tuple);
	compile_hashes(definition);
	note_types(definition);
	ReleaseSysCache(tuple);
	MemoryContextSwitchTo(old);
	return definition;
}

/* ------------------------------------------------------------------- cache */

static void
invalidate_definitions(DefinitionEntry *entry)
{
	if (entry->definition)
		entry->definition->valid = false;
}

static bool
depends_on_type(const CcrDefinition *definition, uint32 hash)
{
	if (definition)
		for (int i = 0; i < definition->ntypes; i++)
			if (definition->type_hashes[i] == hash)
				return true;
	return false;
}

static void
syscache_changed(Datum arg, int cacheid, uint32 hash)
{
	HASH_SEQ_STATUS status;
	DefinitionEntry *entry;

	changes++;
	hash_seq_init(&status, definitions);
	while ((entry = hash_seq_search(&status)) != NULL)
		if (hash == 0 || (cacheid == PROCOID && hash == entry->hash) ||
			(cacheid == TYPEOID && depends_on_type(entry->definition, hash)))
			invalidate_definitions(entry);
}

static void
relation_changed(Datum arg, Oid relid)
{
	HASH_SEQ_STATUS status;
	DefinitionEntry *entry;

	changes++;
	hash_seq_init(&status, definitions);
	while ((entry = hash_seq_search(&status)) != NULL)
		if (entry->definition && OidIsValid(entry->definition->typrelid) &&
			(relid == InvalidOid || relid == entry->definition->typrelid))
			invalidate_definitions(entry);
}

static void
init_cache(void)
{
	HASHCTL		ctl = {.keysize = sizeof(Oid), .entrysize = sizeof(DefinitionEntry)};

	if (definitions)
		return;
	definitions = hash_create("concresce definitions", 32, &ctl, HASH_ELEM | HASH_BLOBS);
	CacheRegisterSyscacheCallback(PROCOID, syscache_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(TYPEOID, syscache_changed, (Datum) 0);
	CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
}

void
ccr_definition_release(CcrDefinition *definition)
{
	if (--definition->references == 0)
		MemoryContextDelete(definition->context);
}

/*
 * Compiling can raise errors, so the entry gets the definition only once it is
 * whole.  It can also let invalidations in: what was compiled meanwhile serves
 * this call, as it would have served one that came a moment earlier.
 */
static CcrDefinition *
compile_and_keep(Oid function)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "concresce definition",
												  ALLOCSET_SMALL_SIZES);
	uint32		hash = GetSysCacheHashValue1(PROCOID, ObjectIdGetDatum(function));
	DefinitionEntry *entry;
	CcrDefinition *definition;
	uint64		changes_before = changes;
	bool		found;

	definition = ccr_definition_compile(function, context);
	entry = hash_search(definitions, &function, HASH_ENTER, &found);
	if (!found)
		entry->definition = NULL;
	entry->hash = hash;
	if (entry->definition)
		ccr_definition_release(entry->definition);
	MemoryContextSetParent(context, CacheMemoryContext);
	definition->valid = changes == changes_before;
	definition->references = 1;
	entry->definition = definition;
	return definition;
}

CcrDefinition *
ccr_definition_get(Oid function)
{
	DefinitionEntry *entry;
	CcrDefinition *definition;

	init_cache();
	entry = hash_search(definitions, &function, HASH_FIND, NULL);
	if (entry && entry->definition && entry->definition->valid)
		definition = entry->definition;
	else
		definition = compile_and_keep(function);
	definition->references++;
	return definition;
}

static void
release_ref(void *arg)
{
	CcrDefinitionRef *ref = arg;

	if (ref->definition)
		ccr_definition_release(ref->definition);
}

void
ccr_definition_ref_init(CcrDefinitionRef *ref, MemoryContext context)
{
	ref->definition = NULL;
	ref->release.func = release_ref;
	ref->release.arg = ref;
	MemoryContextRegisterResetCallback(context, &ref->release);
}

bool
ccr_definition_ref_drop_stale(CcrDefinitionRef *ref)
{
	CcrDefinition *stale = ref->definition;

	if (stale == NULL || stale->valid)
		return false;
	ref->definition = NULL;
	ccr_definition_release(stale);
	return true;
}

CcrDefinition *
ccr_definition_ref_get(CcrDefinitionRef *ref, Oid function)
{
	(void) ccr_definition_ref_drop_stale(ref);
	if (ref->definition == NULL)
		ref->definition = ccr_definition_get(function);
	return ref->definition;
}

char *
ccr_definition_remote_sql(const CcrDefinition *definition)
{
	const CcrBody *body = definition->body;
	const CcrResult *result = definition->result;

	/* where the body's columns are named, so is the way rows find items */
	if (body->form == CCR_FORM_BULK && result && !result->is_void &&
		body->ntargets == definition->nargs + result->ncolumns)
		return psprintf("%s%s", ccr_body_keyed_sql(body, result->ncolumns),
						ccr_body_match_sql(body, result->ncolumns,
										   result->returns_set, false, false));
	return definition->sql;
}
