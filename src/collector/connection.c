/*-------------------------------------------------------------------------
 *
 * connection.c
 *	  The rows of concresce.connections, as a collector writes them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "collector/connection.h"
#include "utils/timestamp.h"

/* Where the last one was free, the next one may be, too. */
CcrConnection *
ccr_connection_allot(const CcrSource *source)
{
	static uint32 last = 0;

	if (pg_atomic_read_u32(&ccr_shared->nconnections) >= CCR_MAX_CONNECTIONS)
		return NULL;
	for (int i = 0; i < CCR_MAX_CONNECTIONS; i++)
	{
		CcrConnection *c = &ccr_connections[last++ % CCR_MAX_CONNECTIONS];
		bool		mine = false;

		SpinLockAcquire(&c->mutex);
		if (!c->used)
		{
			c->used = mine = true;
			c->dbid = source->dbid;
			c->serverid = source->serverid;
			c->umid = ccr_source_is_local(source) ? source->roleid : source->umid;
			strlcpy(c->server, source->server_name, NAMEDATALEN);
			strlcpy(c->user, source->user, NAMEDATALEN);
			c->batches = c->lost = 0;
			c->state[0] = '\0';
			c->connected_at = c->last_error_at = 0;
			c->last_error.message[0] = '\0';
		}
		SpinLockRelease(&c->mutex);
		if (mine)
		{
			pg_atomic_fetch_add_u32(&ccr_shared->nconnections, 1);
			return c;
		}
	}
	return NULL;
}

void
ccr_connection_release(CcrConnection *c)
{
	if (c == NULL)
		return;
	SpinLockAcquire(&c->mutex);
	c->used = false;
	SpinLockRelease(&c->mutex);
	pg_atomic_fetch_sub_u32(&ccr_shared->nconnections, 1);
}

void
ccr_connection_show(CcrConnection *c, const char *state, int64 batches, int64 lost,
					const CcrLastError *error)
{
	TimestampTz now = error ? GetCurrentTimestamp() : 0;

	if (c == NULL)
		return;
	SpinLockAcquire(&c->mutex);
	strlcpy(c->state, state, sizeof(c->state));
	c->batches = batches;
	c->lost = lost;
	if (error)
	{
		c->last_error = *error;
		c->last_error_at = now;
	}
	SpinLockRelease(&c->mutex);
}

void
ccr_connection_show_connected(CcrConnection *c, bool connected)
{
	TimestampTz at = connected ? GetCurrentTimestamp() : 0;

	if (c == NULL)
		return;
	SpinLockAcquire(&c->mutex);
	c->connected_at = at;
	SpinLockRelease(&c->mutex);
}

void
ccr_connection_show_lost(CcrConnection *c, int64 lost)
{
	if (c == NULL)
		return;
	SpinLockAcquire(&c->mutex);
	c->lost = lost;
	SpinLockRelease(&c->mutex);
}
