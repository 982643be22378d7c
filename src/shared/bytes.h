/*-------------------------------------------------------------------------
 *
 * bytes.h
 *	  Writing bytes for another process, and reading them in the same order.
 *
 * A structure that goes to another process is visited by one function, which
 * names each of its fields once.  CcrBytes says in which direction: a field is
 * written as it is, or read, into the current memory context.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_BYTES_H
#define CCR_BYTES_H

#include "lib/stringinfo.h"
#include "shared/reader.h"

/* What ccr_read_int32() reads. */
static inline void
ccr_put_int32(StringInfo buf, int32 n)
{
	appendBinaryStringInfo(buf, (const char *) &n, sizeof(n));
}

/* What ccr_read_value() reads; data: NULL, and length -1, if it is NULL. */
static inline void
ccr_put_value(StringInfo buf, const char *data, int32 length)
{
	ccr_put_int32(buf, length);
	if (data)
		appendBinaryStringInfo(buf, data, length);
}

/* What ccr_read_string() reads; s may be NULL. */
static inline void
ccr_put_string(StringInfo buf, const char *s)
{
	int32		length = s ? (int32) strlen(s) : -1;

	ccr_put_int32(buf, length);
	if (s)
		appendBinaryStringInfo(buf, s, length + 1);
}

typedef struct CcrBytes
{
	StringInfo	to;				/* to be written to; NULL: they are read */
	CcrReader	from;
} CcrBytes;

extern void ccr_bytes_int(CcrBytes *bytes, int *n);
extern void ccr_bytes_oid(CcrBytes *bytes, Oid *oid);
extern void ccr_bytes_bool(CcrBytes *bytes, bool *flag);
extern void ccr_bytes_string(CcrBytes *bytes, const char **s);

/* Without pointers in it. */
extern void ccr_bytes_plain(CcrBytes *bytes, void *data, Size size);

/* A number of things, each of which takes some bytes that are to follow. */
extern void ccr_bytes_count(CcrBytes *bytes, int *n, Size each);
extern void ccr_bytes_oids(CcrBytes *bytes, Oid **oids, int n);
extern void ccr_bytes_bools(CcrBytes *bytes, bool **flags, int n);
extern void ccr_bytes_strings(CcrBytes *bytes, const char ***strings, int n);

#endif							/* CCR_BYTES_H */
