/*-------------------------------------------------------------------------
 *
 * outbox.h
 *	  Requests that a backend holds back for a moment, so that they leave
 *	  together.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_OUTBOX_H
#define CCR_OUTBOX_H

#include "lib/ilist.h"
#include "shared/request.h"

/* A request's place in the outbox; of no meaning once it was pushed. */
typedef struct CcrOutboxEntry
{
	dlist_node	node;
	CcrRequest *request;
	uint64		round;			/* of the outbox in which it was held; 0: it
								 * never was */
} CcrOutboxEntry;

/*
 * Hold back an open request.  It is pushed together with others: when as many
 * items of its source are held as fit into a batch, when a few milliseconds
 * have passed without another one, or by ccr_outbox_push().  That must be
 * called before the session waits for anything, and when a statement ends.
 */
extern void ccr_outbox_hold(CcrOutboxEntry *held, CcrRequest *request);
extern void ccr_outbox_push(void);

/* End a request that is still held back.  False if it was pushed already. */
extern bool ccr_outbox_withdraw(CcrOutboxEntry *held);

#endif							/* CCR_OUTBOX_H */
