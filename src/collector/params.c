/*-------------------------------------------------------------------------
 *
 * params.c
 *	  From the items of a batch to the parameters of its bulk query.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "collector/params.h"
#include "port/pg_bswap.h"

bool
ccr_params_have_null(const CcrSource *source, CcrFlight **flights, int n)
{
	for (int i = 0; i < n; i++)
	{
		const char *p = flights[i]->item->data;

		for (int arg = 0; arg < source->nargs; arg++)
		{
			int32		length;

			memcpy(&length, p, sizeof(length));
			if (length < 0)
				return true;
			p += sizeof(length) + length;
		}
	}
	return false;
}

/* A parameter as it is written: it has as much room as it needs. */
typedef struct Draft
{
	Size		size;
	char	   *data;
	char	   *p;
} Draft;

static void
put_int32(Draft *draft, int32 n)
{
	uint32		v = pg_hton32((uint32) n);

	memcpy(draft->p, &v, sizeof(v));
	draft->p += sizeof(v);
}

/* The header of a one-dimensional array, as array_recv() reads it. */
#define ARRAY_HEADER	(5 * sizeof(int32))

static void
put_array_header(Draft *draft, Oid element, int n)
{
	put_int32(draft, 1);
	put_int32(draft, 1);		/* may contain NULLs */
	put_int32(draft, element);
	put_int32(draft, n);
	put_int32(draft, 1);		/* lower bound */
}

static void
measure_items(CcrFlight **flights, int n, Draft *drafts, int nargs)
{
	for (int i = 0; i < n; i++)
	{
		const char *p = flights[i]->item->data;

		for (int arg = 0; arg < nargs; arg++)
		{
			int32		length;

			memcpy(&length, p, sizeof(length));
			p += sizeof(length) + Max(length, 0);
			drafts[arg].size += sizeof(length) + Max(length, 0);
		}
	}
}

static void
put_items(CcrFlight **flights, int n, Draft *drafts, int nargs)
{
	for (int i = 0; i < n; i++)
	{
		const char *p = flights[i]->item->data;

		for (int arg = 0; arg < nargs; arg++)
		{
			int32		length;

			memcpy(&length, p, sizeof(length));
			p += sizeof(length);
			put_int32(&drafts[arg], length);
			if (length <= 0)
				continue;
			memcpy(drafts[arg].p, p, length);
			drafts[arg].p += length;
			p += length;
		}
	}
}

Size
ccr_params_build(CcrParams *params, const CcrSource *source, CcrFlight **flights, int n)
{
	static const Oid count_type = INT4OID;
	int			nparams = Max(source->nargs, 1);
	Draft	   *drafts = palloc(nparams * sizeof(Draft));
	const char **values = palloc(nparams * sizeof(char *));
	int		   *lengths = palloc(nparams * sizeof(int));
	Size		bytes = 0;

	for (int i = 0; i < nparams; i++)
		drafts[i].size = source->nargs ? ARRAY_HEADER : sizeof(int32);
	measure_items(flights, n, drafts, source->nargs);
	for (int i = 0; i < nparams; i++)
	{
		drafts[i].data = drafts[i].p = palloc(drafts[i].size);
		if (source->nargs)
			put_array_header(&drafts[i], source->arg_elements[i], n);
		else
			put_int32(&drafts[i], n);
	}
	put_items(flights, n, drafts, source->nargs);
	for (int i = 0; i < nparams; i++)
	{
		values[i] = drafts[i].data;
		lengths[i] = drafts[i].size;
		bytes += drafts[i].size;
	}
	params->n = nparams;
	params->types = source->nargs ? source->arg_arrays : &count_type;
	params->values = values;
	params->lengths = lengths;
	return bytes;
}
