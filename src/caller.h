/*-------------------------------------------------------------------------
 *
 * caller.h
 *	  For whom something was looked up ahead.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_CALLER_H
#define CCR_CALLER_H

/* With which rights, and by which settings of the session. */
typedef struct CcrCaller
{
	Oid			roleid;
	int32		sec_context;
	uint32		settings;		/* hash value of those that a call goes by */
} CcrCaller;

/* As a call made now would have it. */
extern void ccr_caller_get(CcrCaller *caller);

extern bool ccr_caller_equal(const CcrCaller *a, const CcrCaller *b);

#endif							/* CCR_CALLER_H */
