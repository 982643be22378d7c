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
 * Bytes that have come in since the socket was connected, and those of them
 * that nobody has read.  0 where the kernel does not tell, as of a socket that
 * is not TCP's.
 */
extern uint64 ccr_socket_received(int fd);
extern uint64 ccr_socket_unread(int fd);

/* Neither has the other side closed it, nor is there anything to read. */
extern bool ccr_socket_is_silent(int fd);

#endif							/* CCR_RECEIVED_H */
