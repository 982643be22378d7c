/*-------------------------------------------------------------------------
 *
 * wire.h
 *	  Between Datums and the bytes that travel.
 *
 * Arguments become elements of binary arrays: in the type's own binary form
 * where that is the same on every server, else as text in a text[], which the
 * far side casts.  Results come in either form.  Text is never sent through
 * the conversion to the client's encoding, which has no part in this.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_WIRE_H
#define CCR_WIRE_H

#include "fmgr.h"
#include "lib/stringinfo.h"

typedef enum CcrWireForm
{
	CCR_WIRE_BINARY,			/* send and receive functions */
	CCR_WIRE_BYTES,				/* text-like: its characters in either form */
	CCR_WIRE_TEXT				/* output and input functions */
} CcrWireForm;

/* How values of one argument travel; immutable but for fmgr's caches. */
typedef struct CcrArgWire
{
	Oid			base;			/* below domains */
	Oid			element;		/* of the parameter: base or text */
	Oid			array;			/* type of the parameter */
	CcrWireForm form;
	bool		varlena;		/* BYTES: a varlena; else a cstring (name) */
	bool		styled;			/* TEXT depends on DateStyle and the like */
	bool		flattens;		/* an array or composite */
	FmgrInfo	out;			/* send or output function */
} CcrArgWire;

/* How values of one result column are read. */
typedef struct CcrResultWire
{
	Oid			type;
	Oid			base;			/* type to expect from the far side */
	int32		typmod;
	CcrWireForm form;			/* BINARY, BYTES: can be read in binary */
	bool		is_row;			/* a composite type */
	FmgrInfo	in;				/* input function */
	FmgrInfo	receive;		/* if form is BINARY */
	Oid			in_param;
	Oid			receive_param;
} CcrResultWire;

/* Look the functions up; they live in context. */
extern void ccr_wire_arg(CcrArgWire *wire, Oid type, MemoryContext context);
extern void ccr_wire_result(CcrResultWire *wire, Oid type, int32 typmod,
							MemoryContext context);

/*
 * The same for a column that a local executor sends: in the form in which a
 * result of this type is read, or as text unless binary.  styled: the text
 * depends on DateStyle and the like.
 */
extern void ccr_wire_column(CcrArgWire *wire, Oid type, bool binary,
							MemoryContext context);

/* Append (int32 length, bytes), in host byte order; -1: NULL. */
extern void ccr_wire_put(StringInfo buf, CcrArgWire *wire, Datum value,
						 bool isnull);

/* Read a value; data need not end with a zero byte. */
extern Datum ccr_wire_get(CcrResultWire *wire, const char *data, int32 length,
						  bool binary);

/* Is there money in values of this type?  Its text depends on lc_monetary. */
extern bool ccr_wire_has_money(Oid type);

/*
 * Put the settings of textform.h in force, for values to be written or read,
 * until the level returned is ended.  0: they were so already.
 */
extern int	ccr_wire_begin_style(void);
extern int	ccr_wire_begin_reading(void);
extern void ccr_wire_end_style(int level);

#endif							/* CCR_WIRE_H */
