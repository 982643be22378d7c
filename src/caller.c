/*-------------------------------------------------------------------------
 *
 * caller.c
 *	  For whom something was looked up ahead.
 *
 * Between two rows of a cursor the session may have taken on another role, or
 * other settings.  What was looked up ahead for one must not be given to the
 * other, who would be asked for rights of its own and may see other rows.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "caller.h"
#include "catalog/namespace.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "settings.h"
#include "utils/memutils.h"

static void
remember(char **last, const char *text)
{
	if (*last)
		pfree(*last);
	*last = NULL;
	*last = MemoryContextStrdup(TopMemoryContext, text);
}

static uint32
hash_of_text(const char *text)
{
	return hash_bytes((const unsigned char *) text, strlen(text));
}

/*
 * It is asked for each row, and changes hardly ever.  A search path counts in
 * this database only.
 */
static uint32
hash_of_settings(void)
{
	static char *server = NULL;
	static char *path = NULL;
	static int	on_missing = -1;
	static uint32 hash = 0;

	if (server && path && on_missing == ccr_on_missing &&
		strcmp(server, ccr_server_name) == 0 &&
		(server[0] != '\0' || strcmp(path, namespace_search_path) == 0))
		return hash;
	remember(&server, ccr_server_name);
	remember(&path, server[0] != '\0' ? "" : namespace_search_path);
	on_missing = ccr_on_missing;
	hash = hash_combine(hash_combine(murmurhash32(on_missing), hash_of_text(server)),
						hash_of_text(path));
	return hash;
}

void
ccr_caller_get(CcrCaller *caller)
{
	int			sec_context;

	GetUserIdAndSecContext(&caller->roleid, &sec_context);
	caller->sec_context = sec_context;
	caller->settings = hash_of_settings();
}

bool
ccr_caller_equal(const CcrCaller *a, const CcrCaller *b)
{
	return a->roleid == b->roleid && a->sec_context == b->sec_context &&
		a->settings == b->settings;
}
