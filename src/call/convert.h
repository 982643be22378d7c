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
	Oid			from;
	int32		from_typmod;	/* of a record */
	Oid			to;
	Oid			roleid;			/* whose right to call its functions was
								 * checked */
	uint64		made_at;		/* see callable.h */

	/* one of these, or none if the value need not be converted */
	bool		nothing;		/* from void: NULL */
	bool		as_text;
	FmgrInfo	output;
	TupleConversionMap *map;
	TupleDesc	row;
	ExprState  *expression;
	ExprContext *econtext;
	int16		typlen;			/* of from */
	bool		typbyval;
	MemoryContext context;		/* all this lives in it */
} CcrConversion;

/*
 * Plan a conversion as an assignment would do it.  Every type can be converted
 * to text.  tupdesc has the columns of a record; it is NULL for other types.
 * The result lives in context.  Raises 42804, naming the lookup, if there is
 * no conversion.
 */
extern CcrConversion *ccr_conversion(Oid from, TupleDesc tupdesc, Oid to,
									 const char *lookup, MemoryContext context);

extern void ccr_conversion_free(CcrConversion *conversion);

/* Is this a valid conversion between these types? */
extern bool ccr_conversion_fits(const CcrConversion *conversion, Oid from,
								TupleDesc tupdesc, Oid to);

extern Datum ccr_convert(CcrConversion *conversion, Datum value, bool *isnull);

#endif							/* CCR_CONVERT_H */
