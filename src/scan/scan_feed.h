/*-------------------------------------------------------------------------
 *
 * scan_feed.h
 *	  Batched loops: an inner node's rows are read, and looked up, for many rows
 *	  of an outer one at once.
 *
 * The inner side of a loop, and a sub-plan, are run once for each outer row.  A
 * batch node in there would ask for the few rows of one run at a time.  So a
 * batch node on the outer side, which has many rows at hand, feeds it: for each
 * of them it sets the parameters, and runs the inner node's child.  The rows
 * that come out are kept by the inner node as a group that is known by the
 * values of the parameters; those of many groups make one round:
 *
 *		outer	o1 o2 o3 ...			rows that were read ahead
 *		inner	i1 i2 | | i3 i4 i5 ...	their groups, in a round that is asked for
 *
 * When SQL then starts the inner node with the parameters of a group it emits
 * that one's rows, and does not run its child again.  Where there is no group for
 * them (it was too large, say) it works as any batch node does.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_SCAN_FEED_H
#define CCR_SCAN_FEED_H

#include "scan/scan_node.h"
#include "scan/scan_round.h"

/* To be called for each batch node as it begins, and as it ends. */
extern void ccr_feed_begin(CcrScan *scan);
extern void ccr_feed_end(CcrScan *scan);

/*
 * Feed others with the last row of its round number n.  False: it is time to ask
 * for what they have got, since one has this many rows or because more would not
 * fit.
 */
extern bool ccr_feed_row(CcrScan *scan, int n, int most);

/* Ask for what was fed for that round; go on without waiting; forget it. */
extern void ccr_feed_start(CcrScan *scan, int n);
extern void ccr_feed_advance(CcrScan *scan, int n);
extern void ccr_feed_clear(CcrScan *scan, int n);

/*
 * As a node starts with new parameters: is there a group for them?  If so,
 * ccr_feed_next() returns its rows, and NULL after the last one.
 */
extern void ccr_feed_find(CcrScan *scan);
extern TupleTableSlot *ccr_feed_next(CcrScan *scan);

/*
 * To be called as a node is started again: tell its child which parameters may
 * be others than when it was run for a group.
 */
extern void ccr_feed_return(CcrScan *scan);

/* Forget all that it was fed. */
extern void ccr_feed_forget(CcrScan *scan);

#endif							/* CCR_SCAN_FEED_H */
