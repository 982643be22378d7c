/*-------------------------------------------------------------------------
 *
 * line.h
 *	  The queues of a pool that have a batch due, and which of them is served next.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_LINE_H
#define CCR_LINE_H

#include "lib/ilist.h"
#include "shared/clock.h"

/*
 * A role.  Roles take turns: in its turn a queue is served that it has items
 * in.
 */
typedef struct CcrLineRole
{
	dlist_node	node;			/* longest unused first */
	Oid			roleid;
	int			references;		/* by queues in line and batches */
	int64		had;			/* us of link time; see line.c */
} CcrLineRole;

typedef struct CcrLine
{
	MemoryContext context;
	dlist_head	queues;			/* those that are due, in order of arrival */
	dlist_head	roles;
	int			nroles;
	int64		clock;			/* us of link time that the queue had had
								 * which was served last */
	int64		role_clock;		/* and that its role had had */
	int			slow;			/* batches in flight of slow queues */
	const struct CcrLineEntry *fastest; /* queue of those used lately; it may
										 * be gone, so compare only its
										 * address */
	int64		fast_mean;		/* us that a batch of it takes */
	CcrTime		fast_at;		/* when one that is about as fast last began */
} CcrLine;

/* What the line keeps of a queue; zeroed at first. */
typedef struct CcrLineEntry
{
	bool		due;			/* is in the line */
	dlist_node	node;
	CcrLineRole *role;			/* in whose turn it is served, while it is in
								 * line */
	int64		had;			/* us of link time; see line.c */
	int64		mean;			/* us that a batch takes; 0: not known yet */
} CcrLineEntry;

/* What the line keeps of a batch. */
typedef struct CcrLineBatch
{
	CcrTime		began;
	CcrLineRole *role;
	int64		charged;		/* us */
	bool		slow;
} CcrLineBatch;

extern void ccr_line_init(CcrLine *line, MemoryContext context);

/* roleid: the role whose item is the first of the next batch. */
extern void ccr_line_enter(CcrLine *line, CcrLineEntry *entry, Oid roleid);
extern void ccr_line_leave(CcrLine *line, CcrLineEntry *entry);

/*
 * The queue that is to be served now, or NULL.  If NULL, *when receives the
 * time when there may be one, 0 if that does not depend on time.  limit: how
 * many links there may be.  ready() says whether a batch of a queue may be
 * sent now; if not, it says when, or 0.
 */
extern CcrLineEntry *ccr_line_first(CcrLine *line, int limit, CcrTime now,
									bool (*ready) (CcrLineEntry *entry, CcrTime now, CcrTime *when),
									CcrTime *when);

/* A batch of a queue in line takes a link; and gives it back. */
extern void ccr_line_begin(CcrLine *line, CcrLineEntry *entry,
						   CcrLineBatch *batch, CcrTime now);
extern void ccr_line_end(CcrLine *line, CcrLineEntry *entry,
						 const CcrLineBatch *batch, CcrTime now);

#endif							/* CCR_LINE_H */
