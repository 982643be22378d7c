/*-------------------------------------------------------------------------
 *
 * lane.h
 *	  How a session's items of one lookup are enqueued: with which rights, by
 *	  which route, with which settings.
 *
 * To find that out takes longer than to keep an item, and it stays the same
 * from one item to the next.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_LANE_H
#define CCR_LANE_H

#include "call/arguments.h"
#include "call/pending.h"
#include "lookup/route.h"
#include "shared/party.h"

typedef struct CcrLaneSettings
{
	double		max_window;
	int			max_size;
	int			max_bytes;
	int			coalesce;
	int			timeout;
	int			on_full;
	bool		prepare;
	bool		isolate_errors;
	int			server_source;
	char	   *server;
	char	   *search_path;
} CcrLaneSettings;

typedef struct CcrLane
{
	dlist_node	node;

	/* what it was made for */
	Oid			function;
	Oid			roleid;
	int			sec_context;
	CcrParty	party;			/* whose items they are */
	bool		barred;			/* enqueued by what keeps rows back: barrier.h */
	CcrLaneSettings outer;		/* of the session */

	/* what it is */
	CcrDefinition *definition;	/* a reference is held */
	CcrRoute   *route;			/* pinned */
	CcrLaneSettings settings;	/* with the lookup's SET clauses */
	int			coalesce;		/* CcrCoalesce, resolved */
	bool		strict;
	bool		plain;			/* an item can be encoded without them */
	CcrArguments *arguments;
	MemoryContext context;
} CcrLane;

/*
 * The lane for this call of enqueue(), whose first argument is the lookup.
 * The caller must have EXECUTE on that.  It is good until the transaction
 * ends.
 */
extern CcrLane *ccr_lane_get(FunctionCallInfo fcinfo);

/* Append an item.  False: a STRICT lookup and a NULL, so there is none. */
extern bool ccr_lane_encode(CcrLane *lane, FunctionCallInfo fcinfo,
							CcrItems *items);

/* The transaction has ended: nobody has a lane any more. */
extern void ccr_lanes_trim(void);

#endif							/* CCR_LANE_H */
