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
 * Bounds go by both: what a role has, and what a login has as all the roles that
 * it can set.
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

/* Times what is free that a login may have, as all its roles. */
#define CCR_LOGIN_SHARE		63

/* What is had by the role of a party, and by its login. */
typedef struct CcrTaken
{
	uint64		role;
	uint64		login;
} CcrTaken;

/* This party has so much of it. */
static inline void
ccr_taken_add(CcrTaken *taken, CcrParty asker, CcrParty party, uint64 n)
{
	if (party.outer == asker.outer)
		taken->role += n;
	if (party.session == asker.session)
		taken->login += n;
}

#endif							/* CCR_PARTY_H */
