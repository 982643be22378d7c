/*-------------------------------------------------------------------------
 *
 * scan_append.h
 *	  One batch node for all the children of an Append or MergeAppend.
 *
 * Each of them would fill rounds of its own, small ones where partitions are
 * small.  If they compute calls alike, they emit what these are made of, and
 * it is as if the Append computed them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_SCAN_APPEND_H
#define CCR_SCAN_APPEND_H

#include "scan/scan_alike.h"
#include "scan/scan_node.h"

typedef struct CcrSiblings
{
	Plan	   *plan;			/* the Append */
	List	   *children;
	List	  **moved;			/* by child: quals that were cut off it */
	List	  **lists;			/* and its target list before */
	List	   *list;			/* that of the Append before */
	List	   *joined;			/* and what it computes for its children */
	CcrAlike	alike;
} CcrSiblings;

/* The children of an Append or MergeAppend; NIL if it is none. */
extern List *ccr_siblings_of(Plan *plan);

/*
 * Give what the children compute, and the quals that were cut off them, to the
 * Append, which cannot compute it: a batch node must be put above it, and then
 * _finish.  False: they have too little in common, or it would save nothing.
 * _undo takes it back from an Append that no batch node was put above.
 */
extern bool ccr_siblings_join(CcrSiblings *siblings);
extern void ccr_siblings_finish(CcrSiblings *siblings);
extern void ccr_siblings_undo(CcrSiblings *siblings);

/*
 * A MergeAppend whose children are sorts as one Sort: they read all their rows
 * in the same order.  NULL if they are not.
 */
extern Plan *ccr_siblings_sorted(Plan *plan);

#endif							/* CCR_SCAN_APPEND_H */
