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

/* Is it the text that was seen last?  If not, remember it. */
static bool
unchanged(char **last, const char *text)
{
	if (*last && strcmp(*last, text) == 0)
		return true;
	if (*last)
	{
		pfree(*last);
		*last = NULL;
	}
	*last = MemoryContextStrdup(TopMemoryContext, text);
	return false;
}

static uint32
hash_text(uint32 before, const char *text)
{
	return hash_combine(before, hash_bytes((const unsigned char *) text, strlen(text)));
}

/* It is asked for each row, and changes hardly ever. */
static uint32
hash_of_settings(void)
{
	static char *server = NULL;
	static char *key = NULL;
	static char *path = NULL;
	static int	on_missing = -1;
	static uint32 hash = 0;
	bool		same = on_missing == ccr_on_missing;

	same &= unchanged(&server, ccr_server_name);
	same &= unchanged(&key, ccr_key);
	same &= unchanged(&path, namespace_search_path);
	if (!same)
	{
		hash = hash_text(hash_text(hash_text(murmurhash32(ccr_on_missing), server),
								   key), path);
		on_missing = ccr_on_missing;
	}
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
