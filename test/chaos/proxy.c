/*-------------------------------------------------------------------------
 *
 * proxy.c
 *	  TCP proxies on the loopback interface that do to their connections what
 *	  networks do, when they are told to.
 *
 * proxy SEED NAME:LISTEN_PORT:TARGET_PORT...
 *
 * Commands come on standard input, "NAME ACTION [NUMBER]" a line; the end of
 * the input is the end of the program.  What is for all connections, those to
 * come included, lasts until "pass":
 *
 *	silent		nothing goes in any direction
 *	mute		answers do not come through, requests do
 *	hole		new connections are taken, and never answered
 *	refuse		new connections are refused
 *	delay N		up to N milliseconds for each piece, in order
 *	dribble		a few bytes at a time
 *	lottery N	one piece in N has its connection cut, muted or reset
 *	garble N	one byte in N that comes back is another one
 *
 * What happens once, to all that are open:
 *
 *	reset		RST on both sides
 *	close		FIN on both sides
 *	half		FIN to the client, which may go on sending
 *	truncate	some bytes more of what comes back, then FIN
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
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PIECE_MAX	16384
#define HELD_MAX	(1024 * 1024)	/* of one stream, before it is not read */
#define PROXIES_MAX	16
#define EVENTS_MAX	64
#define FOREVER		INT64_MAX

typedef struct Piece
{
	struct Piece *next;
	int64_t		due_ms;
	size_t		start;
	size_t		end;			/* 0: end of file */
	char		bytes[];
} Piece;

struct Connection;

/* What an epoll event points to: one side of a connection, or a listener. */
typedef struct Side
{
	struct Connection *connection;
	struct Proxy *proxy;
	struct Side *other;
	int			fd;
	uint32_t	events;
	bool		is_client;
	bool		ended;			/* nothing more comes from here */
	bool		told;			/* it was told the end of the other one */
	Piece	   *first;			/* what is to be written here */
	Piece	   *last;
	size_t		held;
} Side;

typedef struct Connection
{
	struct Connection *next;
	struct Proxy *proxy;
	Side		client;
	Side		server;
	bool		muted;
	int64_t		budget;			/* bytes that may still come back */
	bool		closed;
} Connection;

typedef struct Proxy
{
	const char *name;
	struct sockaddr_in address;
	struct sockaddr_in target;
	Side		listener;
	Connection *connections;
	bool		silent;
	bool		mute;
	bool		hole;
	bool		dribble;
	int			delay_ms;
	int			lottery;
	int			garble;
} Proxy;

static Proxy proxies[PROXIES_MAX];
static int	nproxies;
static int	epoll_fd;
static uint64_t random_state;

static void
die(const char *what)
{
	fprintf(stderr, "proxy: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void *
must_alloc(void *pointer)
{
	if (pointer == NULL)
		die("memory");
	return pointer;
}

/* From 0 to n - 1. */
static int64_t
random_below(int64_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (int64_t) (random_state >> 1) % n;
}

static int64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000) + ts.tv_nsec / 1000000;
}

/* ---- one connection ----------------------------------------------------- */

static bool
stalled(const Side *to)
{
	const Connection *connection = to->connection;

	return connection->proxy->silent ||
		(to->is_client && (connection->proxy->mute || connection->muted));
}

static void
watch(Side *side)
{
	const Side *other = side->other;
	uint32_t	events = 0;
	struct epoll_event event = {.data.ptr = side};

	if (side->connection->closed)
		return;
	if (!side->ended && !side->connection->proxy->silent &&
		(other == NULL || other->held < HELD_MAX))
		events |= EPOLLIN;
	if (side->first != NULL && !stalled(side) &&
		side->first->due_ms <= now_ms() &&
		!side->connection->proxy->dribble)
		events |= EPOLLOUT;
	if (events == side->events)
		return;

	/* HUP comes whether it is asked for or not. */
	event.events = side->events = events;
	if (epoll_ctl(epoll_fd, EPOLL_CTL_DEL, side->fd, NULL) < 0 &&
		errno != ENOENT)
		die("epoll_ctl");
	if (events != 0 &&
		epoll_ctl(epoll_fd, EPOLL_CTL_ADD, side->fd, &event) < 0)
		die("epoll_ctl");
}

/* Freed in the main loop: events of this round may point there. */
static void
close_connection(Connection *connection, bool reset)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};
	Side	   *sides[] = {&connection->client, &connection->server};

	if (connection->closed)
		return;
	connection->closed = true;
	for (int i = 0; i < 2; i++)
	{
		if (sides[i]->fd < 0)
			continue;
		if (reset)
			setsockopt(sides[i]->fd, SOL_SOCKET, SO_LINGER, &linger,
					   sizeof(linger));
		close(sides[i]->fd);
	}
}

static void
free_closed(Proxy *proxy)
{
	Connection **link = &proxy->connections;

	while (*link != NULL)
	{
		Connection *connection = *link;

		if (!connection->closed)
		{
			link = &connection->next;
			continue;
		}
		*link = connection->next;
		for (int i = 0; i < 2; i++)
		{
			Side	   *side = i ? &connection->server : &connection->client;

			while (side->first != NULL)
			{
				Piece	   *next = side->first->next;

				free(side->first);
				side->first = next;
			}
		}
		free(connection);
	}
}

static void
push_piece(Side *to, const char *bytes, size_t nbytes)
{
	const Proxy *proxy = to->connection->proxy;
	Piece	   *piece = must_alloc(malloc(sizeof(Piece) + nbytes));

	piece->next = NULL;
	piece->start = 0;
	piece->end = nbytes;
	piece->due_ms = proxy->delay_ms == 0 ? 0 :
		now_ms() + random_below(proxy->delay_ms + 1);
	memcpy(piece->bytes, bytes, nbytes);
	if (to->last != NULL)
		to->last->next = piece;
	else
		to->first = piece;
	to->last = piece;
	to->held += nbytes;
}

/* Write what is due. */
static void
write_pieces(Side *to)
{
	Connection *connection = to->connection;
	bool		dribble = connection->proxy->dribble;
	int64_t		now = now_ms();

	while (!connection->closed && to->first != NULL && !stalled(to) &&
		   to->first->due_ms <= now)
	{
		Piece	   *piece = to->first;
		size_t		wanted = piece->end - piece->start;
		ssize_t		n;

		if (piece->end == 0)
		{
			shutdown(to->fd, SHUT_WR);
			to->told = true;
			if (to->other->told)
				close_connection(connection, false);
		}
		else
		{
			if (dribble && wanted > 16)
				wanted = 1 + random_below(random_below(4) ? 16 : wanted);
			if (to->is_client && connection->budget < (int64_t) wanted)
				wanted = connection->budget;
			n = wanted == 0 ? 0 :
				send(to->fd, piece->bytes + piece->start, wanted, MSG_NOSIGNAL);
			if (n < 0 && (errno == EAGAIN || errno == EINTR))
				break;
			if (n < 0)
			{
				close_connection(connection, false);
				return;
			}
			piece->start += n;
			to->held -= n;
			if (to->is_client && connection->budget != FOREVER)
			{
				connection->budget -= n;
				if (connection->budget == 0)
				{
					close_connection(connection, false);
					return;
				}
			}
			if (piece->start < piece->end)
			{
				if (dribble)
					break;
				continue;
			}
		}
		to->first = piece->next;
		if (to->first == NULL)
			to->last = NULL;
		free(piece);
		if (dribble)
			break;
	}
	watch(to);
	watch(to->other);
}

static void
draw_lot(Connection *connection)
{
	switch (random_below(4))
	{
		case 0:
			close_connection(connection, true);
			break;
		case 1:
			close_connection(connection, false);
			break;
		case 2:
			connection->budget = 1 + random_below(100);
			break;
		default:
			connection->muted = true;
	}
}

static void
read_side(Side *from)
{
	Connection *connection = from->connection;
	const Proxy *proxy = connection->proxy;
	char		bytes[PIECE_MAX];
	ssize_t		n = recv(from->fd, bytes, sizeof(bytes), 0);

	if (n < 0)
	{
		if (errno != EAGAIN && errno != EINTR)
			close_connection(connection, errno == ECONNRESET);
		return;
	}
	if (from->other->fd < 0)
	{
		/* a hole */
		if (n == 0)
			close_connection(connection, false);
		return;
	}
	if (n == 0)
		from->ended = true;
	else if (proxy->lottery > 0 && random_below(proxy->lottery) == 0)
		draw_lot(connection);
	if (connection->closed)
		return;
	if (!from->is_client && proxy->garble > 0)
	{
		for (int64_t at = random_below(2 * proxy->garble); at < n;
			 at += 1 + random_below(2 * proxy->garble))
			bytes[at] = random_below(256);
	}
	push_piece(from->other, bytes, n);
	write_pieces(from->other);
}

static void
init_side(Side *side, Connection *connection, int fd, Side *other)
{
	int			one = 1;

	side->connection = connection;
	side->fd = fd;
	side->other = other;
	if (fd >= 0)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

static void
accept_connection(Proxy *proxy)
{
	int			client = accept4(proxy->listener.fd, NULL, NULL,
								 SOCK_NONBLOCK | SOCK_CLOEXEC);
	int			server = -1;
	Connection *connection;

	if (client < 0)
		return;
	if (!proxy->hole)
	{
		server = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (server < 0)
			die("socket");
		if (connect(server, (struct sockaddr *) &proxy->target,
					sizeof(proxy->target)) < 0 && errno != EINPROGRESS)
		{
			close(server);
			close(client);
			return;
		}
	}
	connection = must_alloc(calloc(1, sizeof(Connection)));
	connection->proxy = proxy;
	connection->budget = FOREVER;
	connection->client.is_client = true;
	init_side(&connection->client, connection, client, &connection->server);
	init_side(&connection->server, connection, server, &connection->client);
	connection->next = proxy->connections;
	proxy->connections = connection;
	watch(&connection->client);
	if (server >= 0)
		watch(&connection->server);
}

/* ---- commands ----------------------------------------------------------- */

static void
listen_again(Proxy *proxy)
{
	int			one = 1;
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = &proxy->listener};

	if (proxy->listener.fd >= 0)
		return;
	proxy->listener.proxy = proxy;
	proxy->listener.fd = socket(AF_INET,
								SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (proxy->listener.fd < 0 ||
		setsockopt(proxy->listener.fd, SOL_SOCKET, SO_REUSEADDR, &one,
				   sizeof(one)) < 0 ||
		bind(proxy->listener.fd, (struct sockaddr *) &proxy->address,
			 sizeof(proxy->address)) < 0 ||
		listen(proxy->listener.fd, 128) < 0 ||
		epoll_ctl(epoll_fd, EPOLL_CTL_ADD, proxy->listener.fd, &event) < 0)
		die("cannot listen");
}

static void
once(Proxy *proxy, const char *action)
{
	for (Connection *c = proxy->connections; c != NULL; c = c->next)
	{
		if (c->closed)
			continue;
		if (strcmp(action, "reset") == 0)
			close_connection(c, true);
		else if (strcmp(action, "close") == 0)
			close_connection(c, false);
		else if (strcmp(action, "half") == 0)
			shutdown(c->client.fd, SHUT_WR);
		else if (strcmp(action, "truncate") == 0)
			c->budget = 1 + random_below(300);
	}
}

static void
command(char *line)
{
	char		name[32];
	char		action[32];
	int			number = 0;
	Proxy	   *proxy = NULL;

	if (sscanf(line, "%31s %31s %d", name, action, &number) < 2)
		return;
	for (int i = 0; i < nproxies; i++)
	{
		if (strcmp(proxies[i].name, name) == 0)
			proxy = &proxies[i];
	}
	if (proxy == NULL)
		return;
	if (strcmp(action, "pass") == 0)
	{
		proxy->silent = proxy->mute = proxy->hole = proxy->dribble = false;
		proxy->delay_ms = proxy->lottery = proxy->garble = 0;
		listen_again(proxy);
	}
	else if (strcmp(action, "silent") == 0)
		proxy->silent = true;
	else if (strcmp(action, "mute") == 0)
		proxy->mute = true;
	else if (strcmp(action, "hole") == 0)
		proxy->hole = true;
	else if (strcmp(action, "dribble") == 0)
		proxy->dribble = true;
	else if (strcmp(action, "delay") == 0)
		proxy->delay_ms = number;
	else if (strcmp(action, "lottery") == 0)
		proxy->lottery = number;
	else if (strcmp(action, "garble") == 0)
		proxy->garble = number;
	else if (strcmp(action, "refuse") == 0)
	{
		if (proxy->listener.fd >= 0)
			close(proxy->listener.fd);
		proxy->listener.fd = -1;
	}
	else
		once(proxy, action);
	for (Connection *c = proxy->connections; c != NULL; c = c->next)
	{
		if (c->closed)
			continue;
		watch(&c->client);
		if (c->server.fd >= 0)
			watch(&c->server);
	}
}

/* False at the end of the input. */
static bool
read_commands(void)
{
	static char buffer[4096];
	static size_t used;
	ssize_t		n = read(STDIN_FILENO, buffer + used, sizeof(buffer) - used - 1);
	char	   *start = buffer;
	char	   *end;

	if (n <= 0)
		return n < 0 && errno == EINTR;
	used += n;
	buffer[used] = '\0';
	while ((end = strchr(start, '\n')) != NULL)
	{
		*end = '\0';
		command(start);
		start = end + 1;
	}
	used -= start - buffer;
	memmove(buffer, start, used);
	return true;
}

/* ---- the loop ----------------------------------------------------------- */

/* What waits for its time, or for its turn in a dribble; until when. */
static int
write_due(void)
{
	int64_t		now = now_ms();
	int64_t		next = now + 1000;

	for (int i = 0; i < nproxies; i++)
	{
		for (Connection *c = proxies[i].connections; c != NULL; c = c->next)
		{
			for (int j = 0; j < 2; j++)
			{
				Side	   *to = j ? &c->server : &c->client;

				if (c->closed || to->first == NULL || stalled(to))
					continue;
				if (to->first->due_ms > now)
				{
					if (to->first->due_ms < next)
						next = to->first->due_ms;
				}
				else if (proxies[i].dribble ||
						 (to->events & EPOLLOUT) == 0)
				{
					write_pieces(to);
					if (proxies[i].dribble)
						next = now + 1;
				}
			}
		}
		free_closed(&proxies[i]);
	}
	return (int) (next - now);
}

static void
handle(Side *side, uint32_t events)
{
	if (side->connection == NULL)
	{
		if (side->fd >= 0)
			accept_connection(side->proxy);
		return;
	}
	if (!side->connection->closed && (events & EPOLLOUT))
		write_pieces(side);
	if (!side->connection->closed && (events & ~EPOLLOUT) && !side->ended)
		read_side(side);
	if (!side->connection->closed)
		watch(side);
}

static void
add_proxy(char *text)
{
	Proxy	   *proxy = &proxies[nproxies];
	char	   *listen_port = strchr(text, ':');
	char	   *target_port = listen_port ? strchr(listen_port + 1, ':') : NULL;

	if (target_port == NULL || nproxies == PROXIES_MAX)
		die("NAME:LISTEN_PORT:TARGET_PORT");
	nproxies++;
	*listen_port++ = *target_port++ = '\0';
	proxy->name = text;
	proxy->address.sin_family = proxy->target.sin_family = AF_INET;
	proxy->address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	proxy->target.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	proxy->address.sin_port = htons(atoi(listen_port));
	proxy->target.sin_port = htons(atoi(target_port));
	proxy->listener.fd = -1;
	listen_again(proxy);
}

int
main(int argc, char **argv)
{
	struct epoll_event input = {.events = EPOLLIN};

	if (argc < 3)
		die("usage: proxy SEED NAME:LISTEN_PORT:TARGET_PORT...");
	signal(SIGPIPE, SIG_IGN);
	random_state = strtoull(argv[1], NULL, 10) * 2 + 1;
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_fd < 0 ||
		epoll_ctl(epoll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &input) < 0)
		die("epoll");
	for (int i = 2; i < argc; i++)
		add_proxy(argv[i]);
	puts("ready");
	fflush(stdout);

	while (true)
	{
		struct epoll_event events[EVENTS_MAX];
		int			n = epoll_wait(epoll_fd, events, EVENTS_MAX, write_due());
		bool		told = false;

		for (int i = 0; i < n; i++)
		{
			if (events[i].data.ptr == NULL)
				told = true;
			else
				handle(events[i].data.ptr, events[i].events);
		}
		/* Last, as it may close what others of these events point to. */
		if (told && !read_commands())
			return 0;
	}
}
