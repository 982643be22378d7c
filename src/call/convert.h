/*-------------------------------------------------------------------------
 *
 * convert.h
 *	  From the type of a lookup's result to the type that somebody asks for.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_CONVERT_H
#define CCR_CONVERT_H

#include "access/tupconvert.h"
#include "fmgr.h"
#include "nodes/execnodes.h"

typedef struct CcrConversion
{
	Oid			from;			/* the two types, and that of a record: */
	int32		from_typmod;
	Oid			to;
	Oid			roleid;			/* who may call what is in it */
	uint64		made_at;		/* callable.h */

	/* one of these, or none if the value is good as it is */
	bool		nothing;		/* from void: NULL */
	bool		as_text;
	FmgrInfo	output;
	TupleConversionMap *map;
	TupleDesc	row;
	ExprState  *expression;
	ExprContext *econtext;
	int16		typlen;			/* of from */
	bool		typbyval;
	MemoryContext context;		/* that all this is in */
} CcrConversion;

/*
 * As an assignment would do it; to text, whatever the type is.  The columns of
 * a record are in tupdesc, NULL for other types.  It lives in context.  Raises
 * 42804, naming the lookup, if there is no way.
 */
extern CcrConversion *ccr_conversion(Oid from, TupleDesc tupdesc, Oid to,
									 const char *lookup, MemoryContext context);

extern void ccr_conversion_free(CcrConversion *conversion);

/* Is this the one? */
extern bool ccr_conversion_fits(const CcrConversion *conversion, Oid from,
								TupleDesc tupdesc, Oid to);

extern Datum ccr_convert(CcrConversion *conversion, Datum value, bool *isnull);

#endif							/* CCR_CONVERT_H */
