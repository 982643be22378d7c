/*-------------------------------------------------------------------------
 *
 * delay_proxy.c
 *	  A TCP proxy on the loopback interface that adds a constant delay in
 *	  each direction, and takes nothing from the throughput.
 *
 * A stream is one direction of a connection: a ring of bytes that have come
 * in and not yet gone out.  Each read leaves a mark: how many bytes came, and
 * when they may go.  As the delay is the same for all, the marks of all
 * streams are due in the order of arrival: one queue and one timer serve
 * every connection.  Any number of marks may be under way in a stream.
 *
 * A stream whose ring is full is not read until the other side takes bytes:
 * that is the only backpressure, and RING_MAX is far above what a delay of
 * some milliseconds holds back at the speed of loopback.
 *
 * Setting up a connection is not delayed, only what is said on it.
 *
 * A stream ends when its reader sees the end of file, which travels as a mark
 * of no bytes, so that it arrives as late as everything else.  A connection
 * goes when both its streams have ended, or at once if one breaks.
 *
 *-------------------------------------------------------------------------
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define RING_MIN	(16 * 1024)
#define RING_MAX	(16 * 1024 * 1024)
#define EVENTS_MAX	256

struct Connection;
struct Stream;

/* What an epoll event points to. */
typedef struct Socket
{
	int			fd;
	uint32_t	events;			/* what epoll was last told */
	bool		hung_up;		/* epoll has no more to say about it */
	struct Connection *connection;	/* NULL: the listener or the timer */
	struct Stream *in;			/* fed by what is read here */
	struct Stream *out;			/* written here */
} Socket;

typedef struct Stream
{
	Socket	   *from;
	Socket	   *to;
	char	   *ring;
	size_t		size;			/* a power of two */
	size_t		head;			/* position of the first byte held */
	size_t		used;			/* bytes held */
	size_t		due;			/* the first of them that may go now */
	bool		eof_read;		/* nothing more will be read */
	bool		eof_due;		/* pass the end on once used is 0 */
	bool		ended;			/* it has been passed on */
} Stream;

typedef struct Connection
{
	Socket		client;
	Socket		server;
	Stream		up;				/* client to server */
	Stream		down;
	int			nmarks;			/* marks that point into this struct */
	bool		closed;
	struct Connection *next_closed;
} Connection;

typedef struct Mark
{
	int64_t		due_ns;
	Stream	   *stream;
	Connection *connection;
	size_t		nbytes;			/* 0: end of file */
} Mark;

static int	epoll_fd;
static int64_t delay_ns;
static struct sockaddr_in target;

static Socket listener;
static Socket timer;
static int64_t timer_ns;		/* what it is set to; 0: not set */

/* Queue of marks, a ring that grows; size is a power of two. */
static Mark *marks;
static size_t marks_size;
static size_t marks_head;
static size_t marks_used;

/* Freed only between two calls of epoll_wait: its events may point there. */
static Connection *closed_connections;

static void
die(const char *what)
{
	fprintf(stderr, "delay_proxy: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void *
must_alloc(void *pointer)
{
	if (pointer == NULL)
		die("memory");
	return pointer;
}

static int64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

static void
watch(Socket *socket, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = socket};

	if (socket->hung_up || socket->events == events)
		return;
	if (epoll_ctl(epoll_fd, EPOLL_CTL_MOD, socket->fd, &event) < 0)
		die("epoll_ctl");
	socket->events = events;
}

static void
watch_new(Socket *socket, int fd, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = socket};

	socket->fd = fd;
	socket->events = events;
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		die("epoll_ctl");
}

/* Tell epoll what a socket has to wait for, from the state of its streams. */
static void
watch_streams(Socket *socket)
{
	const Stream *in = socket->in;
	const Stream *out = socket->out;
	uint32_t	events = 0;

	if (!in->eof_read && in->used < RING_MAX)
		events |= EPOLLIN;
	if (out->due > 0)
		events |= EPOLLOUT;
	watch(socket, events);
}

static void
close_connection(Connection *connection)
{
	if (connection->closed)
		return;
	close(connection->client.fd);
	close(connection->server.fd);
	connection->closed = true;
	connection->next_closed = closed_connections;
	closed_connections = connection;
}

/* A connection with marks left stays until the last of them is due. */
static void
free_closed_connections(void)
{
	Connection **link = &closed_connections;

	while (*link != NULL)
	{
		Connection *connection = *link;

		if (connection->nmarks > 0)
		{
			link = &connection->next_closed;
			continue;
		}
		*link = connection->next_closed;
		free(connection->up.ring);
		free(connection->down.ring);
		free(connection);
	}
}

static void
push_mark(Connection *connection, Stream *stream, size_t nbytes, int64_t due_ns)
{
	if (marks_used == marks_size)
	{
		size_t		size = marks_size ? marks_size * 2 : 1024;
		Mark	   *grown = must_alloc(malloc(size * sizeof(Mark)));

		for (size_t i = 0; i < marks_used; i++)
			grown[i] = marks[(marks_head + i) & (marks_size - 1)];
		free(marks);
		marks = grown;
		marks_size = size;
		marks_head = 0;
	}
	marks[(marks_head + marks_used++) & (marks_size - 1)] = (Mark)
	{
		.due_ns = due_ns, .stream = stream, .connection = connection,
		.nbytes = nbytes
	};
	connection->nmarks++;
}

static void
grow_ring(Stream *stream)
{
	size_t		size = stream->size ? stream->size * 2 : RING_MIN;
	char	   *grown = must_alloc(malloc(size));

	for (size_t i = 0; i < stream->used;)
	{
		size_t		at = (stream->head + i) & (stream->size - 1);
		size_t		n = stream->size - at;

		if (n > stream->used - i)
			n = stream->used - i;
		memcpy(grown + i, stream->ring + at, n);
		i += n;
	}
	free(stream->ring);
	stream->ring = grown;
	stream->size = size;
	stream->head = 0;
}

/* The stretch of a ring from an offset on, in at most two pieces. */
static int
ring_pieces(Stream *stream, size_t offset, size_t nbytes, struct iovec *pieces)
{
	size_t		at = (stream->head + offset) & (stream->size - 1);
	size_t		first = stream->size - at;

	if (first > nbytes)
		first = nbytes;
	pieces[0] = (struct iovec) {stream->ring + at, first};
	pieces[1] = (struct iovec) {stream->ring, nbytes - first};
	return nbytes > first ? 2 : 1;
}

/* Send what is due.  False: the connection is gone. */
static bool
flush_stream(Connection *connection, Stream *stream)
{
	while (stream->due > 0)
	{
		struct iovec pieces[2];
		int			npieces = ring_pieces(stream, 0, stream->due, pieces);
		struct msghdr message = {.msg_iov = pieces, .msg_iovlen = npieces};
		ssize_t		n = sendmsg(stream->to->fd, &message, MSG_NOSIGNAL);

		if (n < 0)
		{
			if (errno == EINTR)
				continue;
			if (errno == EAGAIN)
				break;
			close_connection(connection);
			return false;
		}
		stream->head = (stream->head + n) & (stream->size - 1);
		stream->used -= n;
		stream->due -= n;
	}
	if (stream->eof_due && stream->used == 0 && !stream->ended)
	{
		shutdown(stream->to->fd, SHUT_WR);
		stream->ended = true;
		if (connection->up.ended && connection->down.ended)
		{
			close_connection(connection);
			return false;
		}
	}
	watch_streams(stream->to);
	watch_streams(stream->from);
	return true;
}

/*
 * One read only, as big as the ring allows: epoll comes back for the rest,
 * and no stream starves the others.
 */
static void
read_stream(Connection *connection, Stream *stream)
{
	struct iovec pieces[2];
	ssize_t		n;

	if (stream->used == stream->size)
	{
		if (stream->size >= RING_MAX)
			return;
		grow_ring(stream);
	}
	n = readv(stream->from->fd, pieces,
			  ring_pieces(stream, stream->used, stream->size - stream->used,
						  pieces));
	if (n < 0)
	{
		if (errno != EAGAIN && errno != EINTR)
			close_connection(connection);
		return;
	}
	if (n == 0)
		stream->eof_read = true;
	stream->used += n;
	push_mark(connection, stream, n, now_ns() + delay_ns);

	/* Grow before it is needed, so that a bulk transfer reads big chunks. */
	if (stream->used > stream->size / 2 && stream->size < RING_MAX)
		grow_ring(stream);
	watch_streams(stream->from);
}

static void
release_due_marks(void)
{
	int64_t		now = now_ns();

	while (marks_used > 0 && marks[marks_head].due_ns <= now)
	{
		Mark		mark = marks[marks_head];

		marks_head = (marks_head + 1) & (marks_size - 1);
		marks_used--;
		mark.connection->nmarks--;
		if (mark.connection->closed)
			continue;
		if (mark.nbytes == 0)
			mark.stream->eof_due = true;
		mark.stream->due += mark.nbytes;
		flush_stream(mark.connection, mark.stream);
	}
}

static void
set_timer(void)
{
	struct itimerspec at = {0};
	int64_t		due = marks_used > 0 ? marks[marks_head].due_ns : 0;

	/* One that fires with nothing due only costs a wake-up. */
	if (due == 0 || due == timer_ns)
		return;
	at.it_value.tv_sec = due / 1000000000;
	at.it_value.tv_nsec = due % 1000000000;
	if (timerfd_settime(timer.fd, TFD_TIMER_ABSTIME, &at, NULL) < 0)
		die("timerfd_settime");
	timer_ns = due;
}

static void
accept_connection(void)
{
	int			one = 1;
	int			client;
	int			server;
	Connection *connection;

	client = accept4(listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (client < 0)
		return;
	server = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (server < 0 ||
		(connect(server, (struct sockaddr *) &target, sizeof(target)) < 0 &&
		 errno != EINPROGRESS))
	{
		fprintf(stderr, "delay_proxy: connect: %s\n", strerror(errno));
		if (server >= 0)
			close(server);
		close(client);
		return;
	}
	setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));

	connection = must_alloc(calloc(1, sizeof(Connection)));
	connection->client.connection = connection;
	connection->client.in = connection->server.out = &connection->up;
	connection->server.connection = connection;
	connection->server.in = connection->client.out = &connection->down;
	connection->up.from = connection->down.to = &connection->client;
	connection->up.to = connection->down.from = &connection->server;
	grow_ring(&connection->up);
	grow_ring(&connection->down);
	watch_new(&connection->client, client, EPOLLIN);
	watch_new(&connection->server, server, EPOLLIN);
}

static void
handle_socket(Socket *socket, uint32_t events)
{
	Connection *connection = socket->connection;

	if (connection->closed)
		return;
	if ((events & EPOLLOUT) && !flush_stream(connection, socket->out))
		return;
	if (!socket->in->eof_read && socket->in->used < RING_MAX &&
		(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
	{
		read_stream(connection, socket->in);
		return;
	}

	/*
	 * HUP and ERR are reported whether asked for or not, and again and again.
	 * What was read before is still on its way to the other side, so this is
	 * no reason to close.
	 */
	if (socket->in->eof_read && (events & (EPOLLHUP | EPOLLERR)))
	{
		epoll_ctl(epoll_fd, EPOLL_CTL_DEL, socket->fd, NULL);
		socket->hung_up = true;
	}
}

static void
start_listening(int port)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	int			one = 1;
	int			fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	address.sin_port = htons(port);
	if (fd < 0 ||
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
		bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0 ||
		listen(fd, 1024) < 0)
		die("cannot listen");
	watch_new(&listener, fd, EPOLLIN);
}

static void
write_pid(const char *path)
{
	FILE	   *file = fopen(path, "w");

	if (file == NULL || fprintf(file, "%d\n", (int) getpid()) < 0 ||
		fclose(file) != 0)
		die(path);
}

static void
raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
	{
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

int
main(int argc, char **argv)
{
	struct epoll_event events[EVENTS_MAX];

	if (argc < 4 || argc > 5)
	{
		fprintf(stderr, "usage: delay_proxy LISTEN_PORT TARGET_PORT DELAY_US [PIDFILE]\n");
		return 2;
	}
	target.sin_family = AF_INET;
	target.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	target.sin_port = htons(atoi(argv[2]));
	delay_ns = atoll(argv[3]) * 1000;
	signal(SIGPIPE, SIG_IGN);
	raise_descriptor_limit();

	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_fd < 0)
		die("epoll_create1");

	/* Edge-triggered, so that setting it anew does for reading it. */
	watch_new(&timer, timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK),
			  EPOLLIN | EPOLLET);
	start_listening(atoi(argv[1]));
	if (argc == 5)
		write_pid(argv[4]);

	for (;;)
	{
		int			n = epoll_wait(epoll_fd, events, EVENTS_MAX, -1);

		if (n < 0 && errno != EINTR)
			die("epoll_wait");
		release_due_marks();
		for (int i = 0; i < n; i++)
		{
			Socket	   *socket = events[i].data.ptr;

			if (socket == &listener)
				accept_connection();
			else if (socket != &timer)
				handle_socket(socket, events[i].events);
		}
		release_due_marks();
		free_closed_connections();
		set_timer();
	}
}
