/*-------------------------------------------------------------------------
 *
 * sources.h
 *	  How many sources a collector keeps.
 *
 * A session can make any number of them, as each text of a setting that bears
 * on a lookup is another source.  All together may take as much memory as the
 * heap has: beyond that, those go that have not been used for longest.  What is
 * in use stays, up to twice as much, of which one role may have four times
 * what is left.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_SOURCES_H
#define CCR_SOURCES_H

#include "collector/flight.h"

extern void ccr_sources_add(CcrQueue *queue, Oid asker);
extern void ccr_sources_remove(CcrQueue *queue);

/* It is being used. */
extern void ccr_sources_touch(CcrQueue *queue);

/* Do so many bytes more exceed what they may take? */
extern bool ccr_sources_exceeded(Size bytes);

/* The one that was not used for longest among those that are idle, or NULL. */
extern CcrQueue *ccr_sources_oldest(bool (*idle) (CcrQueue *queue));

/* May a role have a source of so many bytes more, though none can go? */
extern bool ccr_sources_allowed(Oid asker, Size bytes);

#endif							/* CCR_SOURCES_H */
