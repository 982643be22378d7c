/*-------------------------------------------------------------------------
 *
 * waiting.h
 *	  The flights of a queue that wait for their first batch: in which order
 *	  they leave, and when.
 *
 * Each role whose items wait has a strand, and the strands have their turns, one
 * item each; within a strand it is first come, first served.  So a role that
 * has ten thousand items here does not keep another's one back.  Nor does one
 * that asks for small batches, or has large items: a batch takes from the
 * strands whose next item fits, and the others are the first in the next one.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_WAITING_H
#define CCR_WAITING_H

#include "lib/ilist.h"
#include "lib/pairingheap.h"
#include "shared/clock.h"

struct CcrStrand;

/* Part of a flight; the lower fields are its owner's to fill in. */
typedef struct CcrWaitingEntry
{
	dlist_node	node;
	struct CcrStrand *strand;
	pairingheap_node window_node;
	uint64		number;			/* those of a queue ascend */

	Oid			roleid;			/* whose it is */
	CcrTime		window_end;		/* 0: as it comes */
	Size		bytes;
	int			max_size;		/* of a batch that it is in */
	int			max_bytes;
} CcrWaitingEntry;

typedef struct CcrWaiting
{
	MemoryContext context;
	dlist_head	strands;		/* whose turn is next, first */
	int			nstrands;
	int			n;				/* entries */
	Size		bytes;
	int			max_size;		/* least of those in the next batch */
	int			max_bytes;
	bool		mixed;			/* not all have the same */
	pairingheap *windows;		/* of those that have one, by its end */
	uint64		last_number;
	uint64		hurry_until;	/* those up to this number are due */
} CcrWaiting;

extern void ccr_waiting_init(CcrWaiting *waiting, MemoryContext context);
extern void ccr_waiting_add(CcrWaiting *waiting, CcrWaitingEntry *entry);
extern void ccr_waiting_remove(CcrWaiting *waiting, CcrWaitingEntry *entry);

/* A copy of it, somewhere else, takes its place. */
extern void ccr_waiting_replace(CcrWaiting *waiting, CcrWaitingEntry *entry,
								CcrWaitingEntry *copy);

/*
 * Somebody else waits for it, too: the more impatient one decides when it goes,
 * and the one with the larger limits in which company.  So nobody makes the
 * batches of others small by asking for what they have asked for.
 */
extern void ccr_waiting_hasten(CcrWaiting *waiting, CcrWaitingEntry *entry,
							   CcrTime window_end, int max_size, int max_bytes);

/* The windows of all that wait now have ended. */
extern void ccr_waiting_hurry(CcrWaiting *waiting);

/*
 * Is a batch due?  When will one be, if nothing comes: 0 if there is one, or if
 * nothing waits.
 */
extern bool ccr_waiting_due(CcrWaiting *waiting, CcrTime now);
extern CcrTime ccr_waiting_next_due(CcrWaiting *waiting);

/* Whose turn it is; InvalidOid if nothing waits. */
extern Oid	ccr_waiting_next_role(const CcrWaiting *waiting);

/*
 * Remove those of the next batch, at most so many, and hand them to
 * callback().  What it does not take is passed over, stays, and is due again.
 */
extern void ccr_waiting_take(CcrWaiting *waiting, int most,
							 bool (*callback) (CcrWaitingEntry *entry, void *arg),
							 void *arg);

/* Visit all; visit() may remove the one that it is given. */
extern void ccr_waiting_visit(CcrWaiting *waiting,
							  void (*visit) (CcrWaitingEntry *entry, void *arg),
							  void *arg);

#endif							/* CCR_WAITING_H */
