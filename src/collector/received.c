/*-------------------------------------------------------------------------
 *
 * received.c
 *	  How many bytes a socket has brought.
 *
 * libpq does not say how much it has read, nor how much of that it holds.  The
 * kernel counts for each TCP connection.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "collector/received.h"

uint64
ccr_socket_received(int fd)
{
	struct tcp_info info;
	socklen_t	length = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) != 0 ||
		length < offsetof(struct tcp_info, tcpi_bytes_received) + sizeof(info.tcpi_bytes_received))
		return 0;
	return info.tcpi_bytes_received;
}

uint64
ccr_socket_unread(int fd)
{
	int			n = 0;

	return ioctl(fd, FIONREAD, &n) == 0 && n > 0 ? n : 0;
}

bool
ccr_socket_is_silent(int fd)
{
	char		c;

	return recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
		(errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
}
