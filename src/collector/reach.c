/*-------------------------------------------------------------------------
 *
 * reach.c
 *	  How to connect to a foreign server.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "collector/reach.h"
#include "common/hashfn.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "postmaster/postmaster.h"

#define CCR_CONNECT_TIMEOUT		10	/* s, without connect_timeout */
#define CCR_CONNECT_TIMEOUT_MAX	300 /* s, for what says: for ever */

/* ------------------------------------------------------------ address lists */

static int
count_entries(const char *list)
{
	int			n = 1;

	for (; *list; list++)
		if (*list == ',')
			n++;
	return n;
}

static const char *
nth_entry(const char *list, int n)
{
	while (n-- > 0)
	{
		list = strchr(list, ',');
		if (list == NULL)
			return "";
		list++;
	}
	return list;
}

static bool
is_entry(const char *list, int n, const char *value)
{
	const char *entry = nth_entry(list, n);
	size_t		length = strcspn(entry, ",");

	return value && strlen(value) == length && strncmp(entry, value, length) == 0;
}

/* The list without the entries that did not answer. */
static char *
remaining_entries(const char *list, const Bitmapset *silent)
{
	StringInfoData buf;
	const char *comma = "";

	initStringInfo(&buf);
	for (int i = 0; i < count_entries(list); i++)
	{
		const char *entry = nth_entry(list, i);

		if (bms_is_member(i, silent))
			continue;
		appendStringInfo(&buf, "%s%.*s", comma, (int) strcspn(entry, ","), entry);
		comma = ",";
	}
	return buf.data;
}

/* ---------------------------------------------------------------- connecting */

static const char *
option_of(const CcrReach *reach, const char *keyword)
{
	for (int i = 0; i < reach->noptions; i++)
		if (strcmp(reach->keywords[i], keyword) == 0)
			return reach->values[i];
	return NULL;
}

int
ccr_reach_timeout(const CcrReach *reach)
{
	const char *value = option_of(reach, "connect_timeout");
	int			timeout = value ? atoi(value) : CCR_CONNECT_TIMEOUT;

	return timeout > 0 ? timeout : CCR_CONNECT_TIMEOUT_MAX;
}

PGconn *
ccr_reach_connect(const CcrReach *reach, const Bitmapset *silent)
{
	int			n = 0;
	const char **keywords = palloc((reach->noptions + 4) * sizeof(char *));
	const char **values = palloc((reach->noptions + 4) * sizeof(char *));
	PGconn	   *conn;

	for (int i = 0; i < reach->noptions; i++)
	{
		const char *keyword = reach->keywords[i];

		if (reach->hosts && (strcmp(keyword, "host") == 0 ||
							 strcmp(keyword, "hostaddr") == 0 ||
							 strcmp(keyword, "port") == 0))
			continue;
		keywords[n] = keyword;
		values[n++] = reach->values[i];
	}
	if (reach->hosts)
	{
		keywords[n] = "host";
		values[n++] = remaining_entries(reach->hosts, silent);
		keywords[n] = "hostaddr";
		values[n++] = remaining_entries(reach->hostaddrs, silent);
		keywords[n] = "port";
		values[n++] = count_entries(reach->ports) == 1 ? reach->ports :
			remaining_entries(reach->ports, silent);
	}
	keywords[n] = NULL;
	values[n] = NULL;
	conn = PQconnectStartParams(keywords, values, 0);
	pfree(keywords);
	pfree(values);
	return conn;
}

int
ccr_reach_entry(const CcrReach *reach, const Bitmapset *silent, const PGconn *conn)
{
	int			nports;
	int			first = -1;

	if (reach->hosts == NULL)
		return 0;
	nports = count_entries(reach->ports);
	for (int i = 0; i < count_entries(reach->hostaddrs); i++)
	{
		if (bms_is_member(i, silent))
			continue;
		if (first < 0)
			first = i;
		if (is_entry(reach->hostaddrs, i, PQhostaddr(conn)) &&
			(nports == 1 || is_entry(reach->ports, i, PQport(conn))))
			return i;
	}
	return Max(first, 0);
}

Bitmapset *
ccr_reach_silence(const CcrReach *reach, Bitmapset *silent, int entry)
{
	const char *order = option_of(reach, "load_balance_hosts");
	bool		in_order = order == NULL || strcmp(order, "random") != 0;

	for (int i = in_order ? 0 : entry; i <= entry; i++)
		silent = bms_add_member(silent, i);
	return silent;
}

bool
ccr_reach_any_left(const CcrReach *reach, const Bitmapset *silent)
{
	return bms_num_members(silent) < count_entries(reach->hostaddrs);
}

uint64
ccr_reach_peer(const CcrReach *reach, int entry)
{
	uint64		hash = hash_bytes_extended((const unsigned char *) &reach, sizeof(reach), 0);

	if (reach->hosts)
	{
		const char *address = nth_entry(reach->hostaddrs, entry);
		const char *port = nth_entry(reach->ports, count_entries(reach->ports) == 1 ?
									 0 : entry);

		hash = hash_bytes_extended((const unsigned char *) address, strcspn(address, ","), hash);
		hash = hash_bytes_extended((const unsigned char *) port, strcspn(port, ","), hash);
	}
	return hash;
}

/* --------------------------------------------------------------- own server */

static const char *
filled_option(const CcrReach *reach, const char *keyword)
{
	const char *value = option_of(reach, keyword);

	return value && value[0] ? value : NULL;
}

/* Every element of a list, which an empty one has none of. */
static bool
all_are(const char *list, bool (*test) (const char *))
{
	char	   *copy = pstrdup(list);
	char	   *rest = copy;
	char	   *element;
	bool		result = true;

	while ((element = strsep(&rest, ",")) != NULL)
		result = result && test(element);
	pfree(copy);
	return result;
}

static bool
is_this_machine(const char *host)
{
	return host[0] == '/' || strncmp(host, "127.", 4) == 0 ||
		strcmp(host, "localhost") == 0 || strcmp(host, "::1") == 0;
}

static bool
is_own_port(const char *port)
{
	return atoi(port[0] ? port : DEF_PGPORT_STR) == PostPortNumber;
}

bool
ccr_reach_is_own_server(const CcrReach *reach)
{
	const char *hosts = reach->hostaddrs ? reach->hostaddrs : filled_option(reach, "hostaddr");
	const char *ports = reach->hosts ? reach->ports : filled_option(reach, "port");

	/* without one libpq takes the socket */
	if (hosts == NULL || hosts[0] == '\0')
		hosts = filled_option(reach, "host");
	if (hosts && !all_are(hosts, is_this_machine))
		return false;
	return all_are(ports ? ports : DEF_PGPORT_STR, is_own_port);
}
