/*-------------------------------------------------------------------------
 *
 * lockfile.c
 *	  What the postmaster says of the state of the server.
 *
 * A background worker gets SIGTERM when the server shuts down, and also when
 * somebody means the worker alone.  Which of the two it is only the postmaster
 * knows; before it sends the signal, it writes its state to its lock file.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <unistd.h>

#include "shared/lockfile.h"
#include "utils/pidfile.h"

#define CCR_LOCKFILE_SIZE	4096	/* it has a few short lines, and a path */

/* Nothing but what is safe in a signal handler. */
bool
ccr_lockfile_stopping(void)
{
	char		buf[CCR_LOCKFILE_SIZE];
	const char *line = buf;
	int			fd = open("postmaster.pid", O_RDONLY | O_CLOEXEC);
	ssize_t		n;

	if (fd < 0)
		return false;
	n = read(fd, buf, sizeof(buf) - 1);
	(void) close(fd);
	buf[Max(n, 0)] = '\0';
	for (int i = 1; i < LOCK_FILE_LINE_PM_STATUS; i++)
	{
		line = strchr(line, '\n');
		if (line == NULL)
			return false;
		line++;
	}
	return strncmp(line, PM_STATUS_STOPPING, strlen(PM_STATUS_STOPPING)) == 0;
}
