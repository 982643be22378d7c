/*-------------------------------------------------------------------------
 *
 * receive.h
 *	  From the rows of an item to what a call returns.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_RECEIVE_H
#define CCR_RECEIVE_H

#include "call/pending.h"
#include "fmgr.h"

/*
 * What the call fcinfo of a lookup returns, given the answer to its item:
 * sets fcinfo->isnull, or fills the store of a set.  Raises the item's error.
 */
extern Datum ccr_receive(FunctionCallInfo fcinfo, CcrDefinition *definition,
						 CcrResult *result, const CcrAnswerCopy *answered,
						 uint32 item);

/* The same for a set without rows. */
extern void ccr_receive_no_rows(FunctionCallInfo fcinfo,
								const CcrResult *result);

#endif							/* CCR_RECEIVE_H */
