/*-------------------------------------------------------------------------
 *
 * reach.c
 *	  How to connect to a foreign server.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "collector/reach.h"
#include "miscadmin.h"
#include "postmaster/postmaster.h"

static const char *
option(const CcrReach *reach, const char *keyword)
{
	for (int i = 0; i < reach->noptions; i++)
		if (strcmp(reach->keywords[i], keyword) == 0 && reach->values[i][0] != '\0')
			return reach->values[i];
	return NULL;
}

/* Every element of a list, which an empty one has none of. */
static bool
all_are(const char *list, bool (*test) (const char *))
{
	char	   *copy = pstrdup(list);
	char	   *rest = copy;
	char	   *element;
	bool		result = true;

	while ((element = strsep(&rest, ",")) != NULL)
		result = result && test(element);
	pfree(copy);
	return result;
}

static bool
is_this_machine(const char *host)
{
	return host[0] == '/' || strncmp(host, "127.", 4) == 0 ||
		strcmp(host, "localhost") == 0 || strcmp(host, "::1") == 0;
}

static bool
is_own_port(const char *port)
{
	return atoi(port[0] ? port : DEF_PGPORT_STR) == PostPortNumber;
}

bool
ccr_reach_is_own_server(const CcrReach *reach)
{
	const char *hosts = reach->hostaddrs ? reach->hostaddrs : option(reach, "hostaddr");
	const char *ports = reach->hosts ? reach->ports : option(reach, "port");

	/* without one libpq takes the socket */
	if (hosts == NULL || hosts[0] == '\0')
		hosts = option(reach, "host");
	if (hosts && !all_are(hosts, is_this_machine))
		return false;
	return all_are(ports ? ports : DEF_PGPORT_STR, is_own_port);
}
