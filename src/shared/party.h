/*-------------------------------------------------------------------------
 *
 * party.h
 *	  Who is told the error of a call.
 *
 * That is whoever works with the session: the role that it has set for itself
 * (SET ROLE), and the user that it belongs to.  A SECURITY DEFINER function
 * changes neither.  Nobody is told what belongs to another party.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_PARTY_H
#define CCR_PARTY_H

/* All zero: several, or unknown; the same as none, itself included. */
typedef struct CcrParty
{
	Oid			session;
	Oid			outer;
} CcrParty;

static inline bool
ccr_party_same(CcrParty a, CcrParty b)
{
	return OidIsValid(a.session) && a.session == b.session && a.outer == b.outer;
}

#endif							/* CCR_PARTY_H */
