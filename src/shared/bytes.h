/*-------------------------------------------------------------------------
 *
 * bytes.h
 *	  Writing bytes for another process, and reading them in the same order.
 *
 * A structure that goes to another process is visited by one function, which
 * names each of its fields once.  CcrBytes says in which direction this goes:
 * either each field is written, or each is read into the current memory
 * context.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_BYTES_H
#define CCR_BYTES_H

#include "lib/stringinfo.h"
#include "shared/reader.h"

/* To be read by ccr_read_int32(). */
static inline void
ccr_put_int32(StringInfo buf, int32 n)
{
	appendBinaryStringInfo(buf, (const char *) &n, sizeof(n));
}

/* To be read by ccr_read_value().  For NULL, data is NULL and length is -1. */
static inline void
ccr_put_value(StringInfo buf, const char *data, int32 length)
{
	ccr_put_int32(buf, length);
	if (data)
		appendBinaryStringInfo(buf, data, length);
}

/* To be read by ccr_read_string().  s may be NULL. */
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
	StringInfo	to;				/* fields are written to it; NULL: they are
								 * read */
	CcrReader	from;
} CcrBytes;

extern void ccr_bytes_int(CcrBytes *bytes, int *n);
extern void ccr_bytes_oid(CcrBytes *bytes, Oid *oid);
extern void ccr_bytes_bool(CcrBytes *bytes, bool *flag);
extern void ccr_bytes_string(CcrBytes *bytes, const char **s);

/* A structure that contains no pointers, copied as it is. */
extern void ccr_bytes_plain(CcrBytes *bytes, void *data, Size size);

/*
 * How many things follow.  Each takes `each` bytes at least, so a number that
 * cannot be right is refused as it is read.
 */
extern void ccr_bytes_count(CcrBytes *bytes, int *n, Size each);
extern void ccr_bytes_oids(CcrBytes *bytes, Oid **oids, int n);
extern void ccr_bytes_bools(CcrBytes *bytes, bool **flags, int n);
extern void ccr_bytes_strings(CcrBytes *bytes, const char ***strings, int n);

#endif							/* CCR_BYTES_H */
