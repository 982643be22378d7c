/*-------------------------------------------------------------------------
 *
 * job.h
 *	  The bytes that go between a collector and a local executor.
 *
 * A job is one message, however long.  The replies to it are: for a
 * description COLUMNS, for rows COLUMNS and then any number of ROWS; and in
 * the end DONE or FAILED.  READY is sent once, before the first job.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_JOB_H
#define CCR_JOB_H

#include "shared/answer.h"
#include "shared/party.h"
#include "shared/source.h"

/* Parameters of a bulk query: binary arrays. */
typedef struct CcrParams
{
	int			n;
	const Oid  *types;
	const char *const *values;
	const int  *lengths;
} CcrParams;

/* What a carrier is to do; of no use any more once it was started. */
typedef struct CcrQuery
{
	const CcrSource *source;	/* whose query it is */
	CcrParty	party;			/* who waits for it */
	const char *statement;		/* name, or "" */
	const char *prefix;			/* of names of statements around it, or "" */
	const char *sql;
	const CcrParams *params;
	bool		binary;			/* results; EXECUTE only, as is this: */
	int			row_bytes;		/* that a row of theirs has at most; 0: any */
	const char *settings;		/* to be executed first, or NULL: nothing is */
	const char *settings_statement; /* its name, or "" */
} CcrQuery;

typedef enum CcrJobKind
{
	CCR_JOB_PREPARE,
	CCR_JOB_DESCRIBE,			/* prepare, and reply with the columns */
	CCR_JOB_EXECUTE
} CcrJobKind;

typedef struct CcrJob
{
	uint64		id;
	CcrJobKind	kind;
	bool		binary;			/* rows in binary; else as text */
	bool		read_only;
	bool		wants_rows;
	const char *search_path;
	int			nsettings;
	const char **settings;		/* name=value */
	const char *statement;		/* name, or "" */
	const char *sql;
	CcrParams	params;
} CcrJob;

typedef enum CcrReply
{
	CCR_REPLY_READY,
	CCR_REPLY_COLUMNS,			/* uint32 number, OIDs of types */
	CCR_REPLY_ROWS,				/* (int32 length, bytes) for each value, -1:
								 * NULL; row after row */
	CCR_REPLY_DONE,
	CCR_REPLY_FAILED,			/* a flattened CcrError */
	CCR_REPLY_ENDED				/* the same, as pg_cancel_backend() would have
								 * it */
} CcrReply;

extern void ccr_job_flatten(StringInfo buf, const CcrJob *job);

/* The job points into data, which must last as long and be MAXALIGNed. */
extern CcrJob *ccr_job_restore(const char *data, Size length);

#endif							/* CCR_JOB_H */
