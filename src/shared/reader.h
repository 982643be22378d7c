/*-------------------------------------------------------------------------
 *
 * reader.h
 *	  Reading bytes that another process has written.
 *
 * The length of such bytes is all that can be relied on, not what they say
 * themselves.  Nothing is read beyond that length, and bytes that are left
 * over at the end are an error, too.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_READER_H
#define CCR_READER_H

typedef struct CcrReader
{
	const char *p;
	const char *end;
	const char *what;			/* what is being read; for messages */
} CcrReader;

/* Raise XX000, naming what is being read. */
extern void ccr_read_failed(const CcrReader *reader);

/*
 * Read a decimal integer that fills all of data: no blanks, no plus sign,
 * nothing behind it.  False if data is anything else, or the number is out of
 * range.
 */
extern bool ccr_read_number(const char *data, int length, int64 *number);

static inline CcrReader
ccr_reader(const char *data, Size length, const char *what)
{
	CcrReader	reader = {data, data + length, what};

	return reader;
}

/* The next bytes, which are not copied. */
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

/*
 * How many things follow.  Each takes `each` bytes at least, so a number that
 * exceeds what is left is an error.
 */
static inline int
ccr_read_count(CcrReader *reader, Size each)
{
	int32		n = ccr_read_int32(reader);

	if (n < 0 || (Size) n > (Size) (reader->end - reader->p) / each)
		ccr_read_failed(reader);
	return n;
}

/* Read (int32 length, bytes).  Returns NULL, and a length of -1, for NULL. */
static inline const char *
ccr_read_value(CcrReader *reader, int32 *length)
{
	*length = ccr_read_int32(reader);
	if (*length < 0 && *length != -1)
		ccr_read_failed(reader);
	return *length < 0 ? NULL : ccr_read(reader, *length);
}

/*
 * The same for a string: a zero byte follows, which the length does not count.
 */
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
