/*-------------------------------------------------------------------------
 *
 * binary.h
 *	  Types whose values travel in binary.
 *
 * These are the types whose binary form is one and the same on every server.
 * Not those whose text is in it (json, xml, ...: their send functions convert
 * to the client's encoding) or whose values are OIDs of objects (regclass, ...).
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_BINARY_H
#define CCR_BINARY_H

/*
 * The functions are those of pg_type.  A collector has no catalogs to find them
 * in.
 */
typedef struct CcrBinaryType
{
	Oid			type;
	Oid			receive;
	Oid			output;
} CcrBinaryType;

extern const CcrBinaryType ccr_binary_types[];
extern const int ccr_nbinary_types;

/* NULL: the type is none of them. */
extern const CcrBinaryType *ccr_binary_type(Oid type);

#endif							/* CCR_BINARY_H */
