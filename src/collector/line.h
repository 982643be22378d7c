/*-------------------------------------------------------------------------
 *
 * line.h
 *	  The queues of a pool that have a batch due, and whose turn it is.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_LINE_H
#define CCR_LINE_H

#include "lib/ilist.h"
#include "shared/clock.h"

/* A role, in whose turn queues are served. */
typedef struct CcrLineRole
{
	dlist_node	node;			/* longest unused first */
	Oid			roleid;
	int			references;		/* queues that are due, batches */
	int64		had;			/* us of link time; see line.c */
} CcrLineRole;

typedef struct CcrLine
{
	MemoryContext context;
	dlist_head	queues;			/* that are due, in order of arrival */
	dlist_head	roles;
	int			nroles;
	int64		clock;			/* us of link time: what the queue whose turn
								 * was last had had, */
	int64		role_clock;		/* and its role */
	int			slow;			/* batches in flight of slow queues */
	const struct CcrLineEntry *fastest; /* of those used lately; to be
										 * compared only, as it may be gone */
	int64		fast_mean;		/* us that a batch of it takes */
	CcrTime		fast_at;		/* when one that is about as fast last began */
} CcrLine;

/* What the line keeps of a queue; zeroed at first. */
typedef struct CcrLineEntry
{
	bool		due;			/* is in the line */
	dlist_node	node;
	CcrLineRole *role;			/* in whose turn, while it is */
	int64		had;			/* us of link time; see line.c */
	int64		mean;			/* us that a batch takes; 0: nobody knows yet */
} CcrLineEntry;

/* What it keeps of a batch. */
typedef struct CcrLineBatch
{
	CcrTime		began;
	CcrLineRole *role;
	int64		charged;		/* us */
	bool		slow;
} CcrLineBatch;

extern void ccr_line_init(CcrLine *line, MemoryContext context);

/* roleid: whose item is the first of the next batch. */
extern void ccr_line_enter(CcrLine *line, CcrLineEntry *entry, Oid roleid);
extern void ccr_line_leave(CcrLine *line, CcrLineEntry *entry);

/*
 * Whose turn it is, NULL if nobody's; then when it may be somebody's, as far
 * as that is a matter of time, is in *when.  limit: links that there may be;
 * ready: may it be sent?  Else it says when, or 0.
 */
extern CcrLineEntry *ccr_line_first(CcrLine *line, int limit, CcrTime now,
									bool (*ready) (CcrLineEntry *entry, CcrTime now, CcrTime *when),
									CcrTime *when);

/* A batch of it, which is in the line, takes a link, and gives it back. */
extern void ccr_line_begin(CcrLine *line, CcrLineEntry *entry,
						   CcrLineBatch *batch, CcrTime now);
extern void ccr_line_end(CcrLine *line, CcrLineEntry *entry,
						 const CcrLineBatch *batch, CcrTime now);

#endif							/* CCR_LINE_H */
