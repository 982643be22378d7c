/*
 * To be preloaded: the calendar is as many seconds off as the file says that
 * CLOCK_OFFSET names, from the moment that it is written there.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static time_t
offset(void)
{
	static volatile int64_t *place = NULL;

	if (place == NULL)
	{
		const char *name = getenv("CLOCK_OFFSET");
		int			fd = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
		void	   *p = fd < 0 ? MAP_FAILED :
			mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);

		if (fd >= 0)
			close(fd);
		if (p == MAP_FAILED)
			return 0;
		place = p;
	}
	return (time_t) *place;
}

int
clock_gettime(clockid_t id, struct timespec *ts)
{
	int			rc = (int) syscall(SYS_clock_gettime, id, ts);

	if (rc == 0 && id == CLOCK_REALTIME)
		ts->tv_sec += offset();
	return rc;
}

int
gettimeofday(struct timeval *tv, void *zone)
{
	struct timespec ts;

	(void) zone;
	if (clock_gettime(CLOCK_REALTIME, &ts) != 0)
		return -1;
	tv->tv_sec = ts.tv_sec;
	tv->tv_usec = ts.tv_nsec / 1000;
	return 0;
}

time_t
time(time_t *t)
{
	struct timespec ts;

	(void) clock_gettime(CLOCK_REALTIME, &ts);
	if (t)
		*t = ts.tv_sec;
	return ts.tv_sec;
}
