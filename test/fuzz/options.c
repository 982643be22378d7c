/* Options of servers and user mappings: name=value, each ended by a newline. */
#include "../../src/lookup/server.c"

#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "fuzz.h"
#include "utils/array.h"

static char *
next_line(const char **p, const char *end)
{
	const char *start = *p;

	while (*p < end && **p != '\n' && **p != '\0')
		(*p)++;
	*p += 1;
	return pnstrdup(start, *p - 1 - start);
}

static void
read_options(const char *data, Size size)
{
	const char *end = data + size;
	ArrayBuildState *options = NULL;
	Oid			catalog = size > 0 && data[0] == 'u' ? UserMappingRelationId : ForeignServerRelationId;
	CcrServer	server = {.name = "s"};
	List	   *list = NIL;

	for (const char *p = data + Min(size, 1); p < end;)
	{
		char	   *option = next_line(&p, end);
		char	   *equals = strchr(option, '=');

		if (equals == NULL || equals == option)
			continue;
		options = accumArrayResult(options, CStringGetTextDatum(option), false,
								   TEXTOID, CurrentMemoryContext);
		*equals = '\0';
		list = lappend(list, makeDefElem(option, (Node *) makeString(equals + 1), -1));
	}
	if (options == NULL)
		return;
	server.keywords = palloc0((list_length(list) + lengthof(option_defaults) + 1) * sizeof(char *));
	server.values = palloc0((list_length(list) + lengthof(option_defaults) + 1) * sizeof(char *));
	(void) DirectFunctionCall2(concresce_fdw_validator,
							   makeArrayResult(options, CurrentMemoryContext),
							   ObjectIdGetDatum(catalog));
	take_options(&server, list, catalog == UserMappingRelationId ? IN_MAPPING : IN_SERVER, false);
	add_defaults(&server);
}

const CcrFuzzTarget ccr_fuzz_options = {"options", read_options, NULL};
