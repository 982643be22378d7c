/*-------------------------------------------------------------------------
 *
 * carrier.c
 *	  What carriers have in common: statements, and the row that is handed over.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "collector/carrier.h"
#include "utils/memutils.h"

void
ccr_carrier_init(CcrCarrier *carrier, const CcrCarrierOps *ops,
				 const CcrCarrierCalls *calls, void *owner, MemoryContext context)
{
	HASHCTL		ctl = {.keysize = NAMEDATALEN, .entrysize = NAMEDATALEN, .hcxt = context};

	carrier->ops = ops;
	carrier->state = CCR_CARRIER_CONNECTING;
	carrier->op = CCR_OP_NONE;
	carrier->calls = calls;
	carrier->owner = owner;
	carrier->context = context;
	carrier->row_context = AllocSetContextCreate(context, "concresce row",
												 ALLOCSET_SMALL_SIZES);
	carrier->statements = hash_create("concresce statements", 32, &ctl,
									  HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
}

bool
ccr_carrier_knows(const CcrCarrier *carrier, const char *statement)
{
	return hash_search(carrier->statements, statement, HASH_FIND, NULL) != NULL;
}

int
ccr_carrier_statements(const CcrCarrier *carrier)
{
	return hash_get_num_entries(carrier->statements);
}

void
ccr_carrier_remember(CcrCarrier *carrier, const char *statement)
{
	hash_search(carrier->statements, statement, HASH_ENTER, NULL);
}

void
ccr_carrier_forget_statements(CcrCarrier *carrier)
{
	HASH_SEQ_STATUS status;
	char	   *name;

	hash_seq_init(&status, carrier->statements);
	while ((name = hash_seq_search(&status)) != NULL)
		hash_search(carrier->statements, name, HASH_REMOVE, NULL);
}

bool
ccr_carrier_make_room(CcrCarrier *carrier, int n)
{
	if (n <= carrier->room)
		return false;
	MemoryContextReset(carrier->row_context);
	carrier->room = 0;
	carrier->types = MemoryContextAlloc(carrier->row_context, n * sizeof(Oid));
	carrier->values = MemoryContextAlloc(carrier->row_context, n * sizeof(char *));
	carrier->lengths = MemoryContextAlloc(carrier->row_context, n * sizeof(int));
	carrier->room = n;
	return true;
}

CcrRow
ccr_carrier_row(const CcrCarrier *carrier, int n)
{
	CcrRow		row = {n, carrier->types, carrier->values, carrier->lengths};

	return row;
}
