/*-------------------------------------------------------------------------
 *
 * writer.h
 *	  How a session's items of one lookup are enqueued: with which rights, by
 *	  which route, with which settings.
 *
 * Finding this out costs more than storing an item, and it rarely changes from
 * one item to the next.  So a writer is kept.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_WRITER_H
#define CCR_WRITER_H

#include "call/arguments.h"
#include "call/pending.h"
#include "lookup/route.h"
#include "shared/party.h"
#include "shared/settings.h"

typedef struct CcrWriter
{
	dlist_node	node;

	/* what it was made for */
	Oid			function;
	Oid			roleid;
	int			sec_context;
	CcrParty	party;			/* whose items they are */
	bool		barred;			/* the calls keep rows back: see barrier.h */
	CcrSettings outer;			/* the session's settings */
	const char *search_path;	/* and its search_path */

	/* what it is */
	CcrDefinition *definition;	/* a reference is held */
	CcrRoute   *route;			/* pinned */
	CcrSettings settings;		/* with the lookup's SET clauses */
	int			coalesce;		/* CcrCoalesce, resolved */
	bool		strict;
	bool		plain;			/* an item can be encoded without putting
								 * these settings in force */
	CcrArguments *arguments;
	MemoryContext context;
} CcrWriter;

/*
 * Return the writer for this call of enqueue(), whose first argument is the
 * lookup.  The caller must have EXECUTE on the lookup.  The writer is valid
 * until the transaction ends.
 */
extern CcrWriter *ccr_writer_get(FunctionCallInfo fcinfo);

/*
 * Append an item; return false if the lookup is STRICT and an argument NULL.
 */
extern bool ccr_writer_encode(CcrWriter *writer, FunctionCallInfo fcinfo,
							  CcrItems *items);

/*
 * Free writers; to be called at the end of a transaction, when none is in use.
 */
extern void ccr_writers_trim(void);

#endif							/* CCR_WRITER_H */
