/*-------------------------------------------------------------------------
 *
 * binary.h
 *	  Types whose values travel in binary.
 *
 * These are the types whose binary form is the same on every server.  Types
 * whose binary form contains text are not among them (json, xml, ...), as
 * their send functions convert it to the client's encoding.  Nor are types
 * whose values are OIDs of objects (regclass, ...), which differ between
 * servers.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_BINARY_H
#define CCR_BINARY_H

/*
 * The functions are those of pg_type.  They are listed here since a collector
 * cannot read catalogs.
 */
typedef struct CcrBinaryType
{
	Oid			type;
	Oid			receive;
	Oid			output;
} CcrBinaryType;

extern const CcrBinaryType ccr_binary_types[];
extern const int ccr_nbinary_types;

/* NULL if the type is not one of them. */
extern const CcrBinaryType *ccr_binary_type(Oid type);

#endif							/* CCR_BINARY_H */
