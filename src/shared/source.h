/*-------------------------------------------------------------------------
 *
 * source.h
 *	  A source: bulk query and connection identity.
 *
 * A backend describes a source once, along with a request.  Later requests
 * name the source by its fingerprint: a hash over everything that could change
 * what is asked, of whom, or with which rights.  A collector that does not
 * know a fingerprint says so, and the backend describes the source again.  So
 * nobody needs to unregister a source.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_SOURCE_H
#define CCR_SOURCE_H

#include "lib/stringinfo.h"

#define CCR_FINGERPRINT_LEN		32

typedef struct CcrFingerprint
{
	uint8		bytes[CCR_FINGERPRINT_LEN];
} CcrFingerprint;

/* What may be sent in any second; 0: there is no limit. */
typedef struct CcrLimits
{
	int			batches;
	int			items;
} CcrLimits;

typedef struct CcrSource
{
	/* who asks */
	Oid			dbid;
	Oid			function;
	Oid			owner;			/* of the function: who wrote the body */
	Oid			serverid;
	Oid			umid;
	const char *key;			/* concresce.key, or "" */
	const char *function_name;	/* as shown in errors; no part of the
								 * fingerprint */
	const char *server_name;	/* "": none, a local lookup */
	const char *user;			/* on the far side, or "" */

	/* in this database, where there is no server: */
	Oid			roleid;			/* whose rights it runs with */
	const char *search_path;	/* else NULL */
	int			nsettings;		/* the lookup's own, as name=value */
	const char **settings;

	/* what is asked */
	bool		bulk;			/* sql is the bulk form: how rows find items
								 * depends on the columns that come back */
	bool		resend;			/* may be sent twice: not VOLATILE */
	bool		returns_set;
	bool		returns_void;
	bool		composite;		/* the result is composite: one column may
								 * contain all of it */
	bool		prepare;
	bool		isolate_errors;
	bool		undivided;		/* after an error of its data a batch must not
								 * be divided and sent again: the lookup is
								 * VOLATILE, and says isolate_errors = off */
	const char *text_settings;	/* SQL that makes the settings which values
								 * need that travel as text; or NULL */
	bool		text_args;		/* some argument travels as text */
	bool		enqueued;		/* its items are enqueued ones; not part of
								 * the description */
	const char *sql;
	const char *keyed_sql;		/* bulk form only, else NULL: first part of
								 * the keyed form, and the variants of the */
	const char *match_sql[2][2];	/* second, by [null_keys][numbered]: see
									 * ccr_body_match_sql() */
	bool		may_be_loose;	/* where rows are not numbered, the sign of
								 * the ordinality counts: see the same */
	const char *unequal;		/* type of an argument that has no equality,
								 * so that there is no keyed form; or NULL */
	Oid		   *key_types;		/* see ccr_equality_column() */
	int			nargs;
	Oid		   *arg_elements;	/* element type of each parameter */
	Oid		   *arg_arrays;		/* its array type */
	int			ncolumns;		/* of a result row */
	Oid		   *column_types;	/* base types */
	bool	   *column_enum;
	bool	   *column_binary;	/* can be read in binary, if the far side
								 * sends exactly this type */

	/* how much may be sent, and what becomes of calls that cannot be sent */
	CcrLimits	server_limits;
	CcrLimits	own_limits;		/* of the lookup at this server */
	bool		fail_fast;

	/* how it is reached */
	bool		password_required;
	int			noptions;
	const char **keywords;
	const char **values;
	const char *hosts;			/* addresses that a backend looked up, or NULL */
	const char *hostaddrs;		/* these three are no part of the fingerprint */
	const char *ports;
} CcrSource;

static inline bool
ccr_source_is_local(const CcrSource *source)
{
	return !OidIsValid(source->serverid);
}

/*
 * Append the source to buf as bytes, and compute its fingerprint: a hash of
 * all but the function's name and the addresses.
 */
extern void ccr_source_flatten(StringInfo buf, const CcrSource *source,
							   CcrFingerprint *fingerprint);

/* Read a source from such bytes, into the current memory context. */
extern CcrSource *ccr_source_restore(const char *data, Size length);

/* The fingerprint of a source's enqueued items, which have their own queue. */
extern CcrFingerprint ccr_source_enqueued(const CcrFingerprint *fingerprint);

/* Hash of what identifies a pool of connections. */
extern void ccr_source_pool_key(const CcrSource *source, CcrFingerprint *key);

#endif							/* CCR_SOURCE_H */
