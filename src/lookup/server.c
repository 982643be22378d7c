/*-------------------------------------------------------------------------
 *
 * server.c
 *	  From the name of a foreign server to what libpq needs to connect.
 *
 * Three parties write the options of a connection: whoever owns the server,
 * whoever owns the user mapping, and libpq itself, which gains options with
 * every release.  Some options let the connection act with the rights of the
 * operating system user that runs PostgreSQL (read its files, use its
 * identity), so only those on the list below are passed on, and each only
 * from the place where it belongs.  The list holds for every wrapper, since
 * not every wrapper's validator is as strict.
 *
 * For the same reason a role that is no superuser has to bring a password of
 * its own.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>
#include <netdb.h>
#include <sys/socket.h>

#include "access/reloptions.h"
#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "fmgr.h"
#include "foreign/foreign.h"
#include "lib/stringinfo.h"
#include "libpq-fe.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

#include "lookup/server.h"
#include "shared/compat.h"
#include "shared/settings.h"

/* Where an option may be given. */
#define IN_SERVER	0x01
#define IN_MAPPING	0x02
#define BY_SUPERUSER 0x04		/* in the mapping: only by a superuser */
#define A_FILE		0x08		/* of the server: only a superuser's server,
								 * as reading it could block the collector */

typedef enum OptionKind
{
	OPTION_TEXT,
	OPTION_NUMBER,				/* 0 or more */
	OPTION_PORTS,				/* comma-separated port numbers */
	OPTION_OURS,				/* a boolean that libpq does not see */
	OPTION_RATE					/* a number that it does not see either */
} OptionKind;

typedef struct OptionRule
{
	const char *keyword;
	int			where;
	OptionKind	kind;
} OptionRule;

/*
 * The options that may be given, if the libpq in use knows them: see
 * allowed_option().
 */
static const OptionRule option_rules[] = {
	{"host", IN_SERVER, OPTION_TEXT},
	{"hostaddr", IN_SERVER, OPTION_TEXT},
	{"port", IN_SERVER, OPTION_PORTS},
	{"dbname", IN_SERVER, OPTION_TEXT},
	{"user", IN_MAPPING, OPTION_TEXT},
	{"password", IN_MAPPING, OPTION_TEXT},
	{"passfile", IN_SERVER | A_FILE, OPTION_TEXT},
	{"options", IN_SERVER, OPTION_TEXT},
	{"application_name", IN_SERVER, OPTION_TEXT},
	{"target_session_attrs", IN_SERVER, OPTION_TEXT},
	{"load_balance_hosts", IN_SERVER, OPTION_TEXT},
	{"connect_timeout", IN_SERVER, OPTION_NUMBER},
	{"keepalives", IN_SERVER, OPTION_NUMBER},
	{"keepalives_idle", IN_SERVER, OPTION_NUMBER},
	{"keepalives_interval", IN_SERVER, OPTION_NUMBER},
	{"keepalives_count", IN_SERVER, OPTION_NUMBER},
	{"tcp_user_timeout", IN_SERVER, OPTION_NUMBER},
	{"channel_binding", IN_SERVER, OPTION_TEXT},
	{"require_auth", IN_SERVER, OPTION_TEXT},
	{"requirepeer", IN_SERVER, OPTION_TEXT},
	{"gssencmode", IN_SERVER, OPTION_TEXT},
	{"krbsrvname", IN_SERVER, OPTION_TEXT},
	{"gsslib", IN_SERVER, OPTION_TEXT},
	{"min_protocol_version", IN_SERVER, OPTION_TEXT},
	{"max_protocol_version", IN_SERVER, OPTION_TEXT},
	{"sslmode", IN_SERVER, OPTION_TEXT},
	{"sslnegotiation", IN_SERVER, OPTION_TEXT},
	{"sslcompression", IN_SERVER, OPTION_TEXT},
	{"sslcert", IN_SERVER | IN_MAPPING | BY_SUPERUSER | A_FILE, OPTION_TEXT},
	{"sslkey", IN_SERVER | IN_MAPPING | BY_SUPERUSER | A_FILE, OPTION_TEXT},
	{"sslpassword", IN_MAPPING, OPTION_TEXT},
	{"sslcertmode", IN_SERVER, OPTION_TEXT},
	{"sslrootcert", IN_SERVER | A_FILE, OPTION_TEXT},
	{"sslcrl", IN_SERVER | A_FILE, OPTION_TEXT},
	{"sslcrldir", IN_SERVER | A_FILE, OPTION_TEXT},
	{"sslsni", IN_SERVER, OPTION_TEXT},
	{"ssl_min_protocol_version", IN_SERVER, OPTION_TEXT},
	{"ssl_max_protocol_version", IN_SERVER, OPTION_TEXT},
	{"max_batches_per_second", IN_SERVER, OPTION_RATE},
	{"max_items_per_second", IN_SERVER, OPTION_RATE},
	{"fail_fast", IN_SERVER, OPTION_OURS},
	{"password_required", IN_MAPPING | BY_SUPERUSER, OPTION_OURS}
};

#define NUM_OPTION_RULES ((int) lengthof(option_rules))

/* What the server may leave out. */
static const struct
{
	const char *keyword;
	const char *value;
}			option_defaults[] = {
	{"fallback_application_name", "concresce"},
	/* talking to a Kerberos server would block the collector */
	{"gssencmode", "disable"},
	/* a peer that has gone without a word is noticed within 1.5 minutes */
	{"keepalives_idle", "60"},
	{"keepalives_interval", "10"},
	{"keepalives_count", "3"},
	{"tcp_user_timeout", "30000"}
};

/* Addresses looked up for one host, at most, and the length of one. */
#define MAX_ADDRESSES	16
#define ADDRESS_LEN		64

PG_FUNCTION_INFO_V1(concresce_fdw_validator);


/*
 * Is this an option of the libpq that we run with?
 */
static bool
is_libpq_option(const char *keyword)
{
	/* kept for the process's life; without values, unlike PQconndefaults() */
	static PQconninfoOption *libpq_options = NULL;

	if (libpq_options == NULL)
		libpq_options = PQconninfoParse("", NULL);
	if (libpq_options == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_OUT_OF_MEMORY),
				 errmsg("out of memory"),
				 errdetail("Could not get libpq's connection options.")));

	for (PQconninfoOption *option = libpq_options; option->keyword; option++)
	{
		if (strcmp(option->keyword, keyword) == 0)
			return true;
	}
	return false;
}

/*
 * May the option be given in one of these places?
 */
static bool
is_allowed(const OptionRule *rule, int where)
{
	return (rule->where & where) &&
		(rule->kind == OPTION_OURS || rule->kind == OPTION_RATE ||
		 is_libpq_option(rule->keyword));
}

/* The rule of an option that may be given somewhere, or NULL. */
static const OptionRule *
allowed_option(const char *keyword)
{
	for (int i = 0; i < NUM_OPTION_RULES; i++)
	{
		if (strcmp(option_rules[i].keyword, keyword) == 0)
			return is_allowed(&option_rules[i], IN_SERVER | IN_MAPPING) ?
				&option_rules[i] : NULL;
	}
	return NULL;
}

/*
 * The option that was probably meant, or NULL.
 */
static const char *
closest_option(const char *keyword, int where)
{
	int			len = strlen(keyword);
	int			best_distance = Min(4, len / 2);
	const char *best = NULL;

	/* the time this takes grows with the square of the length */
	if (len > NAMEDATALEN)
		return NULL;

	for (int i = 0; i < NUM_OPTION_RULES; i++)
	{
		const char *candidate = option_rules[i].keyword;
		int			distance;

		if (!is_allowed(&option_rules[i], where))
			continue;
		distance = varstr_levenshtein_less_equal(keyword, len, candidate,
												 strlen(candidate), 1, 1, 1,
												 best_distance, true);
		if (distance <= best_distance &&
			(best == NULL || distance < best_distance))
		{
			best = candidate;
			best_distance = distance;
		}
	}
	return best;
}

/*
 * Hint at what may be given instead of an option.
 */
static int
hint_options(const char *keyword, const OptionRule *rule, int where)
{
	const char *closest;
	StringInfoData names;

	if (where == 0)
		return errhint("There are no valid options in this context.");
	if (rule != NULL)
		return (where & IN_SERVER) ?
			errhint("\"%s\" is an option of the user mapping.", keyword) :
			errhint("\"%s\" is an option of the server.", keyword);

	closest = closest_option(keyword, where);
	if (closest != NULL)
		return errhint("Perhaps you meant the option \"%s\".", closest);

	initStringInfo(&names);
	for (int i = 0; i < NUM_OPTION_RULES; i++)
	{
		if (is_allowed(&option_rules[i], where))
			appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "",
							 option_rules[i].keyword);
	}
	return errhint("Valid options in this context are: %s", names.data);
}

/*
 * A whole number from min to max, with white space around it as libpq
 * accepts it.
 */
static bool
is_number(const char *value, long min, long max)
{
	char	   *end;
	long		number;

	errno = 0;
	number = strtol(value, &end, 10);
	if (end == value || errno != 0)
		return false;
	while (isspace((unsigned char) *end))
		end++;
	return *end == '\0' && number >= min && number <= max;
}

/* Split at commas, as libpq does: empty items count, white space stays. */
static List *
split_list(const char *value)
{
	List	   *items = NIL;

	for (;;)
	{
		int			len = strcspn(value, ",");

		items = lappend(items, pnstrdup(value, len));
		if (value[len] == '\0')
			return items;
		value += len + 1;
	}
}

static void
check_option_value(const OptionRule *rule, const char *value)
{
	if (rule->kind == OPTION_NUMBER && !is_number(value, 0, PG_INT32_MAX))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for option \"%s\": \"%s\"",
						rule->keyword, value),
				 errhint("The value must be an integer that is not negative.")));

	if (rule->kind == OPTION_RATE && !is_number(value, 0, CCR_MAX_RATE))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for option \"%s\": \"%s\"",
						rule->keyword, value),
				 errhint("The value must be an integer from 0, which is no limit, to %d.",
						 CCR_MAX_RATE)));

	if (rule->kind == OPTION_PORTS)
	{
		ListCell   *lc;

		foreach(lc, split_list(value))
		{
			const char *port = lfirst(lc);

			/* an empty one is libpq's default */
			if (port[0] != '\0' && !is_number(port, 1, 65535))
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("invalid value for option \"%s\": \"%s\"",
								rule->keyword, value),
						 errhint("The value must be a port number from 1 to 65535, or one for each host, separated by commas.")));
		}
	}
}

/*
 * The validator sees all options that a mapping is going to have, so this
 * also keeps others from changing a mapping that a superuser has freed.
 */
static void
check_superuser_option(DefElem *option, const OptionRule *rule)
{
	/* what asks for a password is everybody's */
	if (rule->kind == OPTION_OURS && defGetBoolean(option))
		return;
	if (superuser())
		return;

	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 rule->kind == OPTION_OURS ?
			 errmsg("permission denied to set option \"%s\" to false",
					rule->keyword) :
			 errmsg("permission denied to set option \"%s\" of a user mapping",
					rule->keyword),
			 errdetail("Only superusers may create or alter a user mapping with this option.")));
}

/*
 * The options of the foreign-data wrapper concresce.
 */
Datum
concresce_fdw_validator(PG_FUNCTION_ARGS)
{
	List	   *options = untransformRelOptions(PG_GETARG_DATUM(0));
	Oid			catalog = PG_GETARG_OID(1);
	int			where = 0;
	ListCell   *lc;

	if (catalog == ForeignServerRelationId)
		where = IN_SERVER;
	else if (catalog == UserMappingRelationId)
		where = IN_MAPPING;

	foreach(lc, options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);
		const OptionRule *rule = allowed_option(option->defname);

		if (rule == NULL || !(rule->where & where))
			ereport(ERROR,
					(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
					 errmsg("invalid option \"%s\"", option->defname),
					 hint_options(option->defname, rule, where)));
		if (where == IN_MAPPING && (rule->where & BY_SUPERUSER))
			check_superuser_option(option, rule);
		if (rule->kind == OPTION_OURS)
			(void) defGetBoolean(option);
		check_option_value(rule, defGetString(option));
	}

	PG_RETURN_VOID();
}

/*
 * Does the wrapper's validator keep the BY_SUPERUSER options for superusers?
 * Only a superuser can give a validator to a wrapper, so its name can be
 * trusted.
 */
static bool
has_strict_validator(const ForeignDataWrapper *wrapper)
{
	char	   *name = NULL;

	if (OidIsValid(wrapper->fdwvalidator))
		name = get_func_name(wrapper->fdwvalidator);
	return name != NULL &&
		(strcmp(name, "concresce_fdw_validator") == 0 ||
		 strcmp(name, "postgres_fdw_validator") == 0);
}

static void
set_option(CcrServer *server, const char *keyword, const char *value)
{
	int			i;

	for (i = 0; i < server->noptions; i++)
	{
		if (strcmp(server->keywords[i], keyword) == 0)
			break;
	}
	server->keywords[i] = keyword;
	server->values[i] = value;
	server->noptions = Max(server->noptions, i + 1);
}

static const char *
get_option(const CcrServer *server, const char *keyword)
{
	for (int i = 0; i < server->noptions; i++)
	{
		if (strcmp(server->keywords[i], keyword) == 0)
			return server->values[i];
	}
	return NULL;
}

/*
 * Take over libpq's options out of a list.  What only the wrapper understands
 * is ignored.  strict: the BY_SUPERUSER options come from a superuser.
 */
static void
take_options(CcrServer *server, List *options, int where, bool strict)
{
	ListCell   *lc;

	foreach(lc, options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);
		const OptionRule *rule = allowed_option(option->defname);

		if (!is_libpq_option(option->defname))
			continue;
		if (rule == NULL || !(rule->where & where) ||
			(where == IN_MAPPING && (rule->where & BY_SUPERUSER) &&
			 !strict))
			ereport(ERROR,
					(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
					 where == IN_MAPPING ?
					 errmsg("option \"%s\" in the user mapping for server \"%s\" is not allowed",
							option->defname, server->name) :
					 errmsg("option \"%s\" of server \"%s\" is not allowed",
							option->defname, server->name),
					 errdetail("concresce does not pass this option on to libpq."),
					 where == IN_MAPPING ?
					 errhint("Use ALTER USER MAPPING to drop it.") :
					 errhint("Use ALTER SERVER to drop it.")));
		set_option(server, option->defname, defGetString(option));
	}
}

/*
 * What the collector goes by.  Where the wrapper is not ours, nobody has looked
 * at the values.
 */
static void
take_limits(CcrServer *server, List *options)
{
	ListCell   *lc;

	foreach(lc, options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);
		const OptionRule *rule = allowed_option(option->defname);

		if (rule == NULL)
			continue;
		if (rule->kind == OPTION_RATE)
			check_option_value(rule, defGetString(option));
		if (strcmp(option->defname, "max_batches_per_second") == 0)
			server->limits.batches = atoi(defGetString(option));
		else if (strcmp(option->defname, "max_items_per_second") == 0)
			server->limits.items = atoi(defGetString(option));
		else if (strcmp(option->defname, "fail_fast") == 0)
			server->fail_fast = defGetBoolean(option);
	}
}

static void
check_files(ForeignServer *foreign)
{
	ListCell   *lc;

	if (superuser_arg(foreign->owner))
		return;
	foreach(lc, foreign->options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);
		const OptionRule *rule = allowed_option(option->defname);

		if (rule && (rule->where & A_FILE))
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("option \"%s\" of server \"%s\" is not allowed",
							option->defname, foreign->servername),
					 errdetail("Files are only read for servers that a superuser owns."),
					 errhint("Drop the option, or have a superuser own the server.")));
	}
}

/* Whoever gives one of these wants GSSAPI, or has said what else. */
static bool
mentions_authentication(const CcrServer *server)
{
	static const char *const keywords[] = {
		"require_auth", "gssencmode", "krbsrvname", "gsslib"
	};

	for (size_t i = 0; i < lengthof(keywords); i++)
		if (get_option(server, keywords[i]) != NULL)
			return true;
	return false;
}

static void
add_defaults(CcrServer *server)
{
	/* the server could ask for it: libpq then asks a Kerberos server */
	if (!mentions_authentication(server) && is_libpq_option("require_auth"))
		set_option(server, "require_auth", "!gss,!sspi");
	set_option(server, "client_encoding", GetDatabaseEncodingName());
	for (size_t i = 0; i < lengthof(option_defaults); i++)
	{
		const char *keyword = option_defaults[i].keyword;

		if (get_option(server, keyword) == NULL && is_libpq_option(keyword))
			set_option(server, keyword, option_defaults[i].value);
	}
}

/*
 * A role that is no superuser needs a password in the user mapping, lest it
 * connect with the identity, the passfile or the environment of the operating
 * system user.  A superuser may waive that with password_required 'false'.
 */
static void
apply_password_rule(CcrServer *server, Oid roleid, List *mapping, bool strict)
{
	const char *password = get_option(server, "password");
	ListCell   *lc;

	server->password_required = !superuser_arg(roleid);
	foreach(lc, mapping)
	{
		DefElem    *option = lfirst_node(DefElem, lc);

		if (strict &&
			strcmp(option->defname, "password_required") == 0 &&
			!defGetBoolean(option))
			server->password_required = false;
	}

	if (server->password_required &&
		(password == NULL || password[0] == '\0'))
		ereport(ERROR,
				(errcode(ERRCODE_S_R_E_PROHIBITED_SQL_STATEMENT_ATTEMPTED),
				 errmsg("password is required"),
				 errdetail("Role \"%s\" is not a superuser, and its user mapping for server \"%s\" has no password.",
						   GetUserNameFromId(roleid, false), server->name),
				 errhint("Set the option \"password\" of the user mapping, or have a superuser set its option \"password_required\" to false.")));
}

/* A server of that name as the catalog has it now, or NULL. */
static ForeignServer *
server_by_name(const char *name)
{
	ForeignServer *foreign = NULL;
	Oid			serverid;

	while (foreign == NULL &&
		   OidIsValid(serverid = get_foreign_server_oid(name, true)))
	{
		CHECK_FOR_INTERRUPTS();
		foreign = GetForeignServerExtended(serverid, FSV_MISSING_OK);
	}
	return foreign;
}

static bool
has_mapping(Oid roleid, Oid serverid)
{
	return SearchSysCacheExists2(USERMAPPINGUSERSERVER, ObjectIdGetDatum(roleid),
								 ObjectIdGetDatum(serverid)) ||
		SearchSysCacheExists2(USERMAPPINGUSERSERVER, ObjectIdGetDatum(InvalidOid),
							  ObjectIdGetDatum(serverid));
}

/*
 * Nothing locks them, so all three may be dropped, and made anew, between two
 * looks at the catalog.  What is missing is an error only if the server is still
 * the one of that name.
 */
static ForeignServer *
find_server(const char *name, Oid roleid, ForeignDataWrapper **wrapper)
{
	for (;;)
	{
		ForeignServer *foreign = server_by_name(name);
		AclResult	aclresult;

		if (foreign == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_OBJECT),
					 errmsg("server \"%s\" does not exist", name),
					 errhint("Set \"concresce.server\" to the name of a foreign server, or create this one.")));
		aclresult = ccr_server_aclcheck(foreign->serverid, roleid, ACL_USAGE);
		if (aclresult != ACLCHECK_OK)
			aclcheck_error(aclresult, OBJECT_FOREIGN_SERVER, foreign->servername);
		*wrapper = GetForeignDataWrapperExtended(foreign->fdwid, FDW_MISSING_OK);
		if (*wrapper && has_mapping(roleid, foreign->serverid))
			return foreign;
		AcceptInvalidationMessages();
		if (get_foreign_server_oid(name, true) == foreign->serverid && *wrapper)
			return foreign;
		CHECK_FOR_INTERRUPTS();
	}
}

CcrServer *
ccr_server_resolve(const char *name, Oid roleid)
{
	ForeignDataWrapper *wrapper;
	ForeignServer *foreign = find_server(name, roleid, &wrapper);
	UserMapping *mapping = GetUserMapping(roleid, foreign->serverid);
	bool		strict = has_strict_validator(wrapper);
	CcrServer  *server;
	int			size;

	server = palloc0(sizeof(CcrServer));
	server->serverid = foreign->serverid;
	server->umid = mapping->umid;
	server->name = foreign->servername;

	/* all options at most, client_encoding and require_auth */
	size = list_length(wrapper->options) + list_length(foreign->options) +
		list_length(mapping->options) + lengthof(option_defaults) + 2;
	server->keywords = palloc(size * sizeof(char *));
	server->values = palloc(size * sizeof(char *));

	take_options(server, wrapper->options, IN_SERVER, true);
	check_files(foreign);
	take_options(server, foreign->options, IN_SERVER, true);
	take_limits(server, foreign->options);
	take_options(server, mapping->options, IN_MAPPING, strict);
	apply_password_rule(server, roleid, mapping->options, strict);
	add_defaults(server);

	server->user = pstrdup(get_option(server, "user") ?
						   get_option(server, "user") : "");
	return server;
}

/*
 * Numeric addresses of a host name or address, without duplicates.  Returns
 * getaddrinfo()'s error code.
 */
static int
look_up_host(const char *host, int flags,
			 char addresses[MAX_ADDRESSES][ADDRESS_LEN], int *naddresses)
{
	struct addrinfo hints = {0};
	struct addrinfo *found = NULL;
	int			error;
	int			n = 0;

	hints.ai_family = AF_UNSPEC;
	hints.ai_socktype = SOCK_STREAM;
	hints.ai_flags = flags;
	error = getaddrinfo(host, NULL, &hints, &found);

	/* nothing in here may throw, or "found" would leak */
	for (struct addrinfo *info = found; error == 0 && info != NULL;
		 info = info->ai_next)
	{
		int			i = 0;

		if (n == MAX_ADDRESSES)
			break;
		if (getnameinfo(info->ai_addr, info->ai_addrlen, addresses[n],
						ADDRESS_LEN, NULL, 0, NI_NUMERICHOST) != 0)
			continue;
		while (strcmp(addresses[i], addresses[n]) != 0)
			i++;
		if (i == n)
			n++;
	}
	if (found != NULL)
		freeaddrinfo(found);

	*naddresses = n;
	return (error == 0 && n == 0) ? EAI_NONAME : error;
}

/* libpq connects without looking anything up. */
static bool
needs_no_lookup(const char *host, const char *hostaddr)
{
	return hostaddr[0] != '\0' ||
		host[0] == '\0' || host[0] == '/' || host[0] == '@';
}

/* The lists of host, hostaddr and port that are being made. */
typedef struct AddressLists
{
	int			nentries;
	StringInfoData host;
	StringInfoData hostaddr;
	StringInfoData port;
} AddressLists;

static void
add_address(AddressLists *lists, const char *host, const char *hostaddr,
			const char *port)
{
	const char *comma = (lists->nentries++ > 0) ? "," : "";

	appendStringInfo(&lists->host, "%s%s", comma, host);
	appendStringInfo(&lists->hostaddr, "%s%s", comma, hostaddr);
	appendStringInfo(&lists->port, "%s%s", comma, port);
}

/*
 * Add all addresses of a host.  Returns getaddrinfo()'s error code.
 */
static int
add_host(AddressLists *lists, const char *host, const char *hostaddr,
		 const char *port)
{
	char		addresses[MAX_ADDRESSES][ADDRESS_LEN];
	int			naddresses;
	int			error;

	if (needs_no_lookup(host, hostaddr))
	{
		add_address(lists, host, hostaddr, port);
		return 0;
	}

	CHECK_FOR_INTERRUPTS();
	error = look_up_host(host, 0, addresses, &naddresses);
	for (int i = 0; i < naddresses; i++)
		add_address(lists, host, addresses[i], port);
	return error;
}

/*
 * Is there a host that libpq would have to look up?
 */
static bool
any_lookup_needed(List *hosts, List *hostaddrs)
{
	for (int i = 0; i < list_length(hosts); i++)
	{
		char		addresses[MAX_ADDRESSES][ADDRESS_LEN];
		int			naddresses;
		const char *host = list_nth(hosts, i);
		const char *addr = hostaddrs ? list_nth(hostaddrs, i) : "";

		if (!needs_no_lookup(host, addr) &&
			look_up_host(host, AI_NUMERICHOST, addresses, &naddresses) != 0)
			return true;
	}
	return false;
}

bool
ccr_server_addresses(const CcrServer *server, char **host, char **hostaddr,
					 char **port, bool missing_ok)
{
	const char *host_option = get_option(server, "host");
	const char *hostaddr_option = get_option(server, "hostaddr");
	const char *port_option = get_option(server, "port");
	List	   *hosts = host_option ? split_list(host_option) : NIL;
	List	   *hostaddrs = NIL;
	List	   *ports = split_list(port_option ? port_option : "");
	AddressLists lists = {0};
	const char *failed_host = NULL;
	int			failure = 0;

	if (hostaddr_option != NULL && hostaddr_option[0] != '\0')
		hostaddrs = split_list(hostaddr_option);

	/*
	 * Lists that do not match are libpq's to complain about, at once.  A list
	 * of several is needed to go on to the next should one not answer.
	 */
	if ((hostaddrs != NIL && list_length(hostaddrs) != list_length(hosts)) ||
		(list_length(ports) != 1 &&
		 list_length(ports) != list_length(hosts)) ||
		(list_length(hosts) < 2 && !any_lookup_needed(hosts, hostaddrs)))
		return false;

	initStringInfo(&lists.host);
	initStringInfo(&lists.hostaddr);
	initStringInfo(&lists.port);
	for (int i = 0; i < list_length(hosts); i++)
	{
		const char *name = list_nth(hosts, i);
		const char *addr = hostaddrs ? list_nth(hostaddrs, i) : "";
		const char *number = list_nth(ports, list_length(ports) > 1 ? i : 0);
		int			error = add_host(&lists, name, addr, number);

		if (error != 0 && failed_host == NULL)
		{
			failed_host = name;
			failure = error;
		}
	}

	if (lists.nentries == 0 && missing_ok)
		return false;
	if (lists.nentries == 0)
		ereport(ERROR,
				(errcode(ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION),
				 errmsg("could not translate host name \"%s\" to address: %s",
						failed_host, gai_strerror(failure)),
				 errdetail("No host of server \"%s\" could be found.",
						   server->name)));

	*host = lists.host.data;
	*hostaddr = lists.hostaddr.data;
	/* a single port is that of all hosts, and "" is libpq's default */
	*port = (list_length(ports) > 1) ? lists.port.data : linitial(ports);
	return true;
}
