/*-------------------------------------------------------------------------
 *
 * sockets.h
 *	  What a collector waits for: its latch, a timer, and the sockets of its
 *	  carriers.
 *
 * The owner of a socket says which events it waits for, and says so again with
 * each change.  A change costs the same however many sockets there are.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_SOCKETS_H
#define CCR_SOCKETS_H

#include "lib/ilist.h"

typedef struct CcrSocket
{
	void	   *owner;
	int			fd;				/* -1: none */
	int			events;			/* wanted: WL_SOCKET_READABLE or WRITEABLE */

	/* For sockets.c alone: */
	int			watched;		/* events that the kernel was told of last */
	bool		renewed;		/* the kernel may not know this socket */
	bool		changed;		/* is on the list of sockets about which the
								 * kernel must be told */
	dlist_node	node;
} CcrSocket;

/* timer: a descriptor that becomes readable when the next timer is due. */
extern void ccr_sockets_init(int timer, uint32 wait_event);

extern void ccr_socket_init(CcrSocket *socket, void *owner);

/*
 * From now on wait for these events on this descriptor, and for no others.
 * renewed: the descriptor may be another socket than before, with the same
 * number.
 */
extern void ccr_socket_watch(CcrSocket *socket, int fd, int events, bool renewed);

/*
 * Stop waiting for it; to be called before it is closed, or just afterwards.
 */
extern void ccr_socket_forget(CcrSocket *socket);

/*
 * ccr_sockets_wait() waits for events; without limit if timeout (in ms) is
 * negative.  ccr_sockets_look() does not wait, which costs less, and returns
 * whether there was any.  Both hand sockets that are ready to ready(), and
 * reset the latch.
 */
typedef void (*CcrSocketReady) (CcrSocket *socket, int events);

extern void ccr_sockets_wait(long timeout, CcrSocketReady ready);
extern bool ccr_sockets_look(CcrSocketReady ready);

#endif							/* CCR_SOCKETS_H */
