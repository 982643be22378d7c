/*-------------------------------------------------------------------------
 *
 * shutdown.c
 *	  Whether this server is being shut down, and what cannot work then.
 *
 * A background worker gets SIGTERM when the server shuts down, and also when
 * somebody means the worker alone.  Which of the two it is only the postmaster
 * knows; before it sends the signal, it writes its state to its lock file.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "postmaster/postmaster.h"
#include "shutdown.h"
#include "storage/fd.h"
#include "utils/pidfile.h"

bool
ccr_shutdown_begun(void)
{
	FILE	   *file = AllocateFile("postmaster.pid", "r");
	char		line[MAXPGPATH];
	bool		begun = false;

	if (file == NULL)
		return false;
	for (int i = 1; fgets(line, sizeof(line), file); i++)
		if (i == LOCK_FILE_LINE_PM_STATUS)
			begun = strncmp(line, PM_STATUS_STOPPING, strlen(PM_STATUS_STOPPING)) == 0;
	FreeFile(file);
	return begun;
}

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
ccr_shutdown_is_own_server(const CcrReach *reach)
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
