/*-------------------------------------------------------------------------
 *
 * sockets.h
 *	  What a collector waits for: its latch, a timer, and the sockets of its
 *	  carriers.
 *
 * Whoever has a socket says what is wanted of it, and says so again with each
 * change; a change costs the same however many there are.
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
	bool		renewed;		/* it may not know of this one */
	bool		changed;		/* is on the list of those to be told to it */
	dlist_node	node;
} CcrSocket;

/* timer: a descriptor that becomes readable when it is time for something. */
extern void ccr_sockets_init(int timer, uint32 wait_event);

extern void ccr_socket_init(CcrSocket *socket, void *owner);

/*
 * Wait for these events on this descriptor from now on, and for no other.
 * renewed: it may be another socket than before, under the same number.
 */
extern void ccr_socket_watch(CcrSocket *socket, int fd, int events, bool renewed);

/* Before it is closed, or when it was. */
extern void ccr_socket_forget(CcrSocket *socket);

/*
 * Wait, for ever if timeout (in ms) is negative; or only look, which costs
 * less, and return whether there was anything.  Sockets that are ready are
 * handed over, the latch is reset.
 */
typedef void (*CcrSocketReady) (CcrSocket *socket, int events);

extern void ccr_sockets_wait(long timeout, CcrSocketReady ready);
extern bool ccr_sockets_look(CcrSocketReady ready);

#endif							/* CCR_SOCKETS_H */
