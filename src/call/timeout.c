/*-------------------------------------------------------------------------
 *
 * timeout.c
 *	  How long a session waits.
 *
 * The ceiling is that of the moment in which a wait begins, and whoever has
 * set the session's own timeout, be it a lookup's SET clause or its definer.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "call/timeout.h"
#include "shared/settings.h"

CcrTimeout
ccr_timeout_of(int ms)
{
	CcrTimeout	timeout = {.ms = ms};

	if (ccr_settings.max_timeout > 0 && (ms == 0 || ms > ccr_settings.max_timeout))
	{
		timeout.ms = ccr_settings.max_timeout;
		timeout.ceiling = true;
	}
	return timeout;
}

CcrTimeout
ccr_timeout_present(void)
{
	return ccr_timeout_of(ccr_settings.timeout);
}

CcrTime
ccr_timeout_end(CcrTimeout timeout, CcrTime begin)
{
	return timeout.ms > 0 ? ccr_after(begin, timeout.ms) : 0;
}

int
ccr_timeout_detail(CcrTimeout timeout, const char *waited_for, const char *more)
{
	return errdetail("It waited %d ms for %s%s.%s%s", timeout.ms, waited_for,
					 timeout.ceiling ? ", which is the ceiling, \"concresce.max_timeout\"" : "",
					 more ? " " : "", more ? more : "");
}

int
ccr_timeout_hint(CcrTimeout timeout)
{
	return timeout.ceiling ?
		errhint("A superuser can raise \"concresce.max_timeout\".") :
		errhint("The limit is set by \"concresce.timeout\".");
}
