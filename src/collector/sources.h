/*-------------------------------------------------------------------------
 *
 * sources.h
 *	  How many sources a collector keeps.
 *
 * A session can make any number of sources, since each different value of a
 * setting that a lookup depends on makes another one.  All together may take
 * as much memory as the heap has.  Beyond that, those that are idle are
 * dropped, the longest unused first.  Sources in use are kept: up to twice
 * that much, of which one role may have four times what is left, and one
 * login, whatever roles it sets, 63 times.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_SOURCES_H
#define CCR_SOURCES_H

#include "collector/flight.h"

extern void ccr_sources_add(CcrQueue *queue, CcrParty asker);
extern void ccr_sources_remove(CcrQueue *queue);

/* Note that it is being used. */
extern void ccr_sources_touch(CcrQueue *queue);

/* Would so many bytes more exceed what all sources may take? */
extern bool ccr_sources_exceeded(Size bytes);

/*
 * Of the queues for which idle() is true, the one unused for longest; or NULL.
 */
extern CcrQueue *ccr_sources_oldest(bool (*idle) (CcrQueue *queue));

/*
 * May a role, and its login, have one more source of so many bytes, though
 * none can be dropped?
 */
extern bool ccr_sources_allowed(CcrParty asker, Size bytes);

#endif							/* CCR_SOURCES_H */
