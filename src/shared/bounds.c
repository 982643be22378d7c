/*-------------------------------------------------------------------------
 *
 * bounds.c
 *	  How much of the heap a session, and the sessions of a role, may hold.
 *
 * A slot keeps what its session holds.  What a role holds is added up when
 * somebody wants to know, which is only while four fifths of the heap are
 * taken: below that no role can exceed its bound.  So a call pays for it with
 * two additions to a cache line that is its own.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "shared/bounds.h"
#include "shared/compat.h"
#include "shared/settings.h"

#define CCR_SESSION_SHARE	2	/* times what is free */
#define CCR_ROLE_SHARE		4

static void
set_once(pg_atomic_uint32 *place, uint32 value)
{
	if (pg_atomic_read_u32(place) != value)
		pg_atomic_write_u32(place, value);
}

int
ccr_bounds_procno(void)
{
	return MyProc->lockGroupLeader ?
		ccr_procno_of(MyProc->lockGroupLeader) : ccr_my_procno();
}

void
ccr_bounds_declare(CcrParty party)
{
	CcrSlot    *slot = &ccr_slots[ccr_bounds_procno()];

	set_once(&slot->roleid, party.outer);
	set_once(&slot->login, party.session);
	set_once(&slot->max_session_memory, ccr_max_session_memory);
	set_once(&slot->max_role_memory, ccr_max_role_memory);
}

static CcrParty
party_of_slot(CcrSlot *slot)
{
	CcrParty	party = {
		.session = pg_atomic_read_u32(&slot->login),
		.outer = pg_atomic_read_u32(&slot->roleid)
	};

	return party;
}

CcrTaken
ccr_bounds_held(CcrParty party)
{
	CcrTaken	held = {0};

	for (int i = 0; i < ccr_shared->nslots; i++)
		ccr_taken_add(&held, party, party_of_slot(&ccr_slots[i]),
					  pg_atomic_read_u64(&ccr_slots[i].bytes));
	return held;
}

static bool
exceeds_bound(uint64 bytes, uint64 share, int ceiling)
{
	return bytes > share || (ceiling >= 0 && bytes > (uint64) ceiling * 1024);
}

CcrBound
ccr_bounds_check(int procno, Size bytes, Size untaken)
{
	CcrSlot    *slot = &ccr_slots[procno];
	int			max_session = pg_atomic_read_u32(&slot->max_session_memory);
	int			max_role = pg_atomic_read_u32(&slot->max_role_memory);
	uint64		used = pg_atomic_read_u64(&ccr_shared->heap_used) + untaken +
		ccr_bounds_reserve_left();
	uint64		free = used < ccr_shared->heap_size ? ccr_shared->heap_size - used : 0;
	CcrTaken	held;

	/*
	 * nobody holds more than is used, so if that is within the bound,
	 * everybody is
	 */
	if (used <= CCR_SESSION_SHARE * free && max_session < 0 && max_role < 0)
		return CCR_BOUND_NONE;
	if (exceeds_bound(pg_atomic_read_u64(&slot->bytes) + bytes, CCR_SESSION_SHARE * free, max_session))
		return CCR_BOUND_SESSION;
	if (used <= CCR_ROLE_SHARE * free && max_role < 0)
		return CCR_BOUND_NONE;
	held = ccr_bounds_held(party_of_slot(slot));
	if (exceeds_bound(held.role + bytes, CCR_ROLE_SHARE * free, max_role))
		return CCR_BOUND_ROLE;
	if (exceeds_bound(held.login + bytes, CCR_LOGIN_SHARE * free, -1))
		return CCR_BOUND_LOGIN;
	return CCR_BOUND_NONE;
}

bool
ccr_bounds_scarce(void)
{
	uint64		mine = pg_atomic_read_u64(&ccr_slots[ccr_bounds_procno()].bytes);

	return pg_atomic_read_u64(&ccr_shared->heap_used) > ccr_shared->heap_size / 2 ||
		exceeds_bound(2 * mine, ccr_shared->heap_size / 2, ccr_max_session_memory);
}
