/*-------------------------------------------------------------------------
 *
 * received.h
 *	  How many bytes a socket has brought.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_RECEIVED_H
#define CCR_RECEIVED_H

/*
 * How many bytes have come in since the socket was connected, and how many of
 * these were not read yet.  0 where the kernel does not tell: if the socket is
 * not a TCP socket, for one.
 */
extern uint64 ccr_socket_received(int fd);
extern uint64 ccr_socket_unread(int fd);

/* Is the socket open at the other side, with nothing to read? */
extern bool ccr_socket_is_silent(int fd);

#endif							/* CCR_RECEIVED_H */
