/*-------------------------------------------------------------------------
 *
 * party.h
 *	  Who is told the error of a call.
 *
 * A party is a pair: the role that a session has set for itself (SET ROLE),
 * and the session's user.  A SECURITY DEFINER function changes neither of
 * them.  An error that may quote what one party has sent is not shown to
 * another party.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_PARTY_H
#define CCR_PARTY_H

/*
 * If all is zero, it stands for several parties, or for one that is not known.
 * Such a party is equal to none, not even to itself.
 */
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
