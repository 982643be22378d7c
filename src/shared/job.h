/*-------------------------------------------------------------------------
 *
 * job.h
 *	  The bytes that go between a collector and a local executor.
 *
 * A job is one message, however long.  An executor replies to a DESCRIBE with
 * COLUMNS, to an EXECUTE that wants rows with COLUMNS and then any number of
 * ROWS.  The last reply to each job is DONE or FAILED.  READY is sent once,
 * before the first job.
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

/*
 * What a carrier is to do.  It is needed only until the operation was started.
 */
typedef struct CcrQuery
{
	const CcrSource *source;	/* whose query it is */
	CcrParty	party;			/* who waits for it */
	const char *statement;		/* name, or "" */
	const char *prefix;			/* of the names of the prepared statements
								 * that frame it (BEGIN, ...), or "" */
	const char *sql;
	const CcrParams *params;
	bool		binary;			/* EXECUTE: results in binary */
	int			row_bytes;		/* EXECUTE: bytes that a row has at most; 0:
								 * not known */
	const char *settings;		/* SQL to be executed first, or NULL */
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
	CCR_REPLY_ENDED				/* as FAILED: somebody cancelled the job with
								 * pg_cancel_backend() */
} CcrReply;

extern void ccr_job_flatten(StringInfo buf, const CcrJob *job);

/* The job points into data, which must live as long and be MAXALIGNed. */
extern CcrJob *ccr_job_restore(const char *data, Size length);

#endif							/* CCR_JOB_H */
