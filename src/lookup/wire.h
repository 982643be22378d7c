/*-------------------------------------------------------------------------
 *
 * wire.h
 *	  Between Datums and the bytes that travel.
 *
 * Arguments become elements of binary arrays.  Where the binary form of a type
 * is the same on every server, it is used.  Otherwise the values are sent as
 * text in a text[], which the far side casts.  Results come in either form.
 * Text is always in the database's encoding; client_encoding has no effect on
 * it.
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
	CCR_WIRE_BYTES,				/* text and the like: binary and text form are
								 * the same, its characters */
	CCR_WIRE_TEXT				/* output and input functions */
} CcrWireForm;

/*
 * How values of one argument travel.  Only fmgr's caches in it change later.
 */
typedef struct CcrArgWire
{
	Oid			base;			/* below domains */
	Oid			element;		/* element type of the parameter: base or text */
	Oid			array;			/* type of the parameter */
	CcrWireForm form;
	bool		varlena;		/* BYTES: a varlena; else a cstring (name) */
	bool		styled;			/* TEXT: depends on DateStyle and the like */
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

/*
 * Fill the structure in; what fmgr keeps for its functions lives in context.
 */
extern void ccr_wire_arg(CcrArgWire *wire, Oid type, MemoryContext context);
extern void ccr_wire_result(CcrResultWire *wire, Oid type, int32 typmod,
							MemoryContext context);

/*
 * The same for a column that a local executor sends.  If `binary`, it is sent
 * in the form in which a result of this type is read; otherwise as text.
 */
extern void ccr_wire_column(CcrArgWire *wire, Oid type, bool binary,
							MemoryContext context);

/* Append (int32 length, bytes), in host byte order; length -1 for NULL. */
extern void ccr_wire_put(StringInfo buf, CcrArgWire *wire, Datum value,
						 bool isnull);

/* Read a value; data need not end with a zero byte. */
extern Datum ccr_wire_get(CcrResultWire *wire, const char *data, int32 length,
						  bool binary);

/* Do values of this type contain money, whose text depends on lc_monetary? */
extern bool ccr_wire_has_money(Oid type);

/*
 * Put the settings of textform.h in force, so that values can be written, or
 * read.  They end with ccr_wire_end_style() of the level that is returned; the
 * level is 0 if they were in force already.
 */
extern int	ccr_wire_begin_style(void);
extern int	ccr_wire_begin_reading(void);
extern void ccr_wire_end_style(int level);

#endif							/* CCR_WIRE_H */
