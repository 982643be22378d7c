/*-------------------------------------------------------------------------
 *
 * disclose.c
 *	  What is told of an error of a batch, and to whom.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "collector/disclose.h"

CcrParty
ccr_disclose_party(CcrFlight **flights, int n)
{
	CcrParty	several = {InvalidOid, InvalidOid};
	CcrParty	first = flights[0]->party;

	for (int i = 0; i < n; i++)
		if (flights[i]->several ||
			!ccr_party_same(flights[i]->party, first))
			return several;
	return first;
}

bool
ccr_disclose_is_of_several(CcrFlight **flights, int n)
{
	CcrParty	party = ccr_disclose_party(flights, n);

	return !ccr_party_same(party, party);
}

bool
ccr_disclose_joined(const CcrSource *source, CcrFlight **flights, int n, CcrParty told)
{
	return ccr_source_is_local(source) && ccr_disclose_is_of_several(flights, n) &&
		ccr_party_same(told, told);
}

bool
ccr_disclose_tells_of_others(const CcrSource *source, CcrFlight **flights, int n,
							 CcrParty told)
{
	return ccr_disclose_is_of_several(flights, n) &&
		(n > 1 || flights[0]->item->key_offset != 0 ||
		 ccr_disclose_joined(source, flights, n, told));
}

const char *
ccr_disclose_where(const CcrSource *source)
{
	return ccr_source_is_local(source) ? "" :
		psprintf(" on server \"%s\"", source->server_name);
}

CcrError *
ccr_disclose_context(const CcrSource *source, int n, const CcrError *error)
{
	CcrError   *copy = ccr_error_new(error->sqlstate, error->message, error->detail,
									 error->hint);

	copy->author = error->author;
	copy->by_hand = error->by_hand;
	copy->context = psprintf("%s%slookup %s%s, batch of %d",
							 error->context ? error->context : "",
							 error->context ? "\n" : "",
							 source->function_name, ccr_disclose_where(source), n);
	return copy;
}

CcrError *
ccr_disclose_to_all(const CcrSource *source, int n, const CcrError *error)
{
	CcrError   *told;

	ereport(LOG,
			(errcode(error->sqlstate),
			 errmsg("lookup %s failed for callers of several roles: %s",
					source->function_name, error->message),
			 error->detail ? errdetail_internal("%s", error->detail) : 0,
			 error->hint ? errhint("%s", error->hint) : 0,
			 errcontext("%s", error->context)));
	told = ccr_error_new(error->sqlstate,
						 psprintf("lookup %s failed in a batch with calls of other roles",
								  source->function_name),
						 "The error may quote their values, so it is in the server log only.",
						 error->author == CCR_HINT_OURS ? error->hint : NULL);
	return ccr_disclose_context(source, n, told);
}

void
ccr_disclose_last(CcrFlight **flights, int n, const CcrError *error, CcrLastError *last)
{
	last->sqlstate = error->sqlstate;
	last->open = error->author == CCR_TEXTS_OURS;
	last->roleid = n > 0 ? ccr_disclose_party(flights, n).outer : InvalidOid;
	strlcpy(last->message, error->message, CCR_TEXT_LEN);
}
