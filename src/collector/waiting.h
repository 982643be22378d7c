/*-------------------------------------------------------------------------
 *
 * waiting.h
 *	  The flights of a queue that wait for their first batch: in which order
 *	  they leave, and when.
 *
 * Each role whose items wait has a strand.  A batch takes one item of each
 * strand in turn; within a strand the first that came is the first to leave.
 * So a role with ten thousand items does not hold up another role's single
 * one.  Nor does a role that asks for small batches, or has large items: a
 * batch takes from those strands whose next item fits, and the other strands
 * are the first in the next batch.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_WAITING_H
#define CCR_WAITING_H

#include "lib/ilist.h"
#include "lib/pairingheap.h"
#include "shared/clock.h"

struct CcrStrand;

/* Part of a flight.  The owner fills the fields after the blank line in. */
typedef struct CcrWaitingEntry
{
	dlist_node	node;
	struct CcrStrand *strand;
	pairingheap_node window_node;
	uint64		number;			/* ascends within a queue */

	Oid			roleid;			/* whose item it is */
	CcrTime		window_end;		/* 0: it has no window */
	Size		bytes;
	int			max_size;		/* items, in a batch that it is in */
	int			max_bytes;		/* the same, of bytes */
} CcrWaitingEntry;

typedef struct CcrWaiting
{
	MemoryContext context;
	dlist_head	strands;		/* the one whose turn is next comes first */
	int			nstrands;
	int			n;				/* entries */
	Size		bytes;			/* of all entries */
	int			max_size;		/* least of the entries in the next batch */
	int			max_bytes;		/* the same */
	bool		mixed;			/* entries have different limits */
	pairingheap *windows;		/* entries that have a window, by its end */
	uint64		last_number;
	uint64		hurry_until;	/* entries up to this number are due */
} CcrWaiting;

extern void ccr_waiting_init(CcrWaiting *waiting, MemoryContext context);
extern void ccr_waiting_add(CcrWaiting *waiting, CcrWaitingEntry *entry);
extern void ccr_waiting_remove(CcrWaiting *waiting, CcrWaitingEntry *entry);

/* Put a copy of an entry, at another address, in its place. */
extern void ccr_waiting_replace(CcrWaiting *waiting, CcrWaitingEntry *entry,
								CcrWaitingEntry *copy);

/*
 * Another item has joined the entry's flight.  The earlier of the two windows
 * counts, and the larger of the two limits.  So nobody can make the batches of
 * others small by asking for the same key.
 */
extern void ccr_waiting_hasten(CcrWaiting *waiting, CcrWaitingEntry *entry,
							   CcrTime window_end, int max_size, int max_bytes);

/* End the windows of all entries that wait now. */
extern void ccr_waiting_hurry(CcrWaiting *waiting);

/*
 * Is a batch due?  ccr_waiting_next_due(): when will one be, if nothing else
 * comes; 0 if one is due now, or if nothing waits.
 */
extern bool ccr_waiting_due(CcrWaiting *waiting, CcrTime now);
extern CcrTime ccr_waiting_next_due(CcrWaiting *waiting);

/*
 * Why a batch that leaves now does so.  It is asked before its entries are
 * taken.
 */
typedef enum CcrDeparture
{
	CCR_DEPARTURE_FULL,			/* enough waits to fill it */
	CCR_DEPARTURE_WINDOW,		/* a window has ended, and nothing else made
								 * it due */
	CCR_DEPARTURE_FREE			/* something has no window, or had it ended:
								 * it took what was there */
} CcrDeparture;

extern CcrDeparture ccr_waiting_why(CcrWaiting *waiting, CcrTime now);

/* The role whose turn it is; InvalidOid if nothing waits. */
extern Oid	ccr_waiting_next_role(const CcrWaiting *waiting);

/*
 * Remove the entries of the next batch, at most `most`, and hand them to
 * callback().  An entry for which it returns false is not removed, and stays
 * due.
 */
extern void ccr_waiting_take(CcrWaiting *waiting, int most,
							 bool (*callback) (CcrWaitingEntry *entry, void *arg),
							 void *arg);

/* Call visit() for all entries; it may remove the one that it is given. */
extern void ccr_waiting_visit(CcrWaiting *waiting,
							  void (*visit) (CcrWaitingEntry *entry, void *arg),
							  void *arg);

#endif							/* CCR_WAITING_H */
