/*-------------------------------------------------------------------------
 *
 * reader.h
 *	  Reading bytes that another process has written.
 *
 * Such bytes have a length and no end that could be relied on: nothing is
 * read beyond it, and what is left over in the end is an error, too.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_READER_H
#define CCR_READER_H

typedef struct CcrReader
{
	const char *p;
	const char *end;
	const char *what;			/* is being read; for messages */
} CcrReader;

/* XX000, naming what is being read. */
extern void ccr_read_failed(const CcrReader *reader);

/*
 * A whole number in decimal, and nothing but that: no blanks, no plus sign,
 * nothing behind it.  False if that is not what there is, or it is out of
 * range.
 */
extern bool ccr_read_number(const char *data, int length, int64 *number);

static inline CcrReader
ccr_reader(const char *data, Size length, const char *what)
{
	CcrReader	reader = {data, data + length, what};

	return reader;
}

/* The next bytes, in place. */
static inline const char *
ccr_read(CcrReader *reader, Size length)
{
	const char *p = reader->p;

	if (length > (Size) (reader->end - p))
		ccr_read_failed(reader);
	reader->p += length;
	return p;
}

static inline int32
ccr_read_int32(CcrReader *reader)
{
	int32		n;

	memcpy(&n, ccr_read(reader, sizeof(n)), sizeof(n));
	return n;
}

/* A number of things, each of which takes some bytes that are to follow. */
static inline int
ccr_read_count(CcrReader *reader, Size each)
{
	int32		n = ccr_read_int32(reader);

	if (n < 0 || (Size) n > (Size) (reader->end - reader->p) / each)
		ccr_read_failed(reader);
	return n;
}

/* (int32 length, bytes): NULL, and a length of -1, if it is NULL. */
static inline const char *
ccr_read_value(CcrReader *reader, int32 *length)
{
	*length = ccr_read_int32(reader);
	if (*length < 0 && *length != -1)
		ccr_read_failed(reader);
	return *length < 0 ? NULL : ccr_read(reader, *length);
}

/* The same, with a zero byte at the end that the length does not count. */
static inline const char *
ccr_read_string(CcrReader *reader)
{
	int32		length;
	const char *s = ccr_read_value(reader, &length);

	if (s && (*ccr_read(reader, 1) != '\0' || strlen(s) != (Size) length))
		ccr_read_failed(reader);
	return s;
}

static inline void
ccr_read_end(const CcrReader *reader)
{
	if (reader->p != reader->end)
		ccr_read_failed(reader);
}

#endif							/* CCR_READER_H */
