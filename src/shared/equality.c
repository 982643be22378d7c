/*-------------------------------------------------------------------------
 *
 * equality.c
 *	  How keys of a type are compared over there, and hashed here.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "shared/equality.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

/* Types whose equal values are identical. */
static bool
equal_is_identical(Oid type)
{
	switch (type)
	{
		case BOOLOID:
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case OIDOID:
		case BYTEAOID:
		case DATEOID:
		case TIMEOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
		case UUIDOID:
		case CASHOID:
		case BITOID:
		case VARBITOID:
			return true;
		default:
			return type_is_enum(type);
	}
}

static bool
has_hash(Oid type)
{
	return OidIsValid(lookup_type_cache(type, TYPECACHE_HASH_PROC)->hash_proc);
}

/* An operator of pg_catalog that is made for the type, or for its kind. */
static bool
has_builtin_operator(Oid type)
{
	if (OidIsValid(lookup_type_cache(type, TYPECACHE_EQ_OPR)->eq_opr))
		return true;
	return SearchSysCacheExists4(OPERNAMENSP, CStringGetDatum("="),
								 ObjectIdGetDatum(type), ObjectIdGetDatum(type),
								 ObjectIdGetDatum(PG_CATALOG_NAMESPACE));
}

/* The type of the elements, or of the bounds; else the type itself. */
static Oid
innermost_type(Oid type)
{
	for (;;)
	{
		Oid			inner = get_element_type(type);

		if (!OidIsValid(inner) && type_is_multirange(type))
			inner = get_multirange_range(type);
		if (!OidIsValid(inner) && type_is_range(type))
			inner = get_range_subtype(type);
		if (!OidIsValid(inner))
			return type;
		type = getBaseType(inner);
	}
}

CcrEquality
ccr_equality(Oid type)
{
	Oid			inner = innermost_type(type);
	bool		builtin = inner < FirstNormalObjectId || type_is_enum(inner);

	if (type_is_rowtype(type))
		return CCR_EQUALITY_RECORD;
	if (inner == type && !builtin)
		return OidIsValid(lookup_type_cache(type, TYPECACHE_EQ_OPR)->eq_opr) ?
			CCR_EQUALITY_FOREIGN : CCR_EQUALITY_NONE;
	if (!has_builtin_operator(type))
		return CCR_EQUALITY_NONE;
	if (!builtin || type_is_rowtype(inner))
		return CCR_EQUALITY_LOOSE;
	if (OidIsValid(get_typcollation(inner)))
		return inner == type ? CCR_EQUALITY_COLLATED : CCR_EQUALITY_LOOSE;
	return has_hash(type) || equal_is_identical(type) ?
		CCR_EQUALITY_EXACT : CCR_EQUALITY_LOOSE;
}

Oid
ccr_equality_column(Oid type)
{
	/* others have a number of their own over there, and operators of a kind */
	return type < FirstNormalObjectId && ccr_equality(type) == CCR_EQUALITY_EXACT ?
		type : InvalidOid;
}

static bool
is_integer(Oid type)
{
	return type == INT2OID || type == INT4OID || type == INT8OID;
}

bool
ccr_equality_fits(Oid expected, Oid got)
{
	return !OidIsValid(expected) || got == expected ||
		(is_integer(expected) && is_integer(got));
}

bool
ccr_equality_hash(FmgrInfo *hash, Oid type, MemoryContext context)
{
	TypeCacheEntry *entry;

	hash->fn_oid = InvalidOid;
	if (equal_is_identical(type))
		return false;
	entry = lookup_type_cache(type, TYPECACHE_HASH_PROC);
	if (!OidIsValid(entry->hash_proc))
		return false;
	fmgr_info_cxt(entry->hash_proc, hash, context);
	return true;
}
