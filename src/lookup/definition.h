/*-------------------------------------------------------------------------
 *
 * definition.h
 *	  A compiled lookup: its row of pg_proc, body and types.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_DEFINITION_H
#define CCR_DEFINITION_H

#include "access/tupdesc.h"
#include "lookup/body.h"
#include "lookup/clauses.h"
#include "lookup/wire.h"
#include "nodes/pg_list.h"
#include "utils/array.h"

/* What a call returns, and how it is read from a row of the far side. */
typedef struct CcrResult
{
	bool		is_void;
	bool		returns_set;
	Oid			type;
	Oid			domain;			/* over a composite type, or InvalidOid */
	TupleDesc	tupdesc;		/* NULL unless composite */
	int			ncolumns;		/* without dropped ones; 1 if not composite */
	CcrResultWire *columns;
	int		   *attributes;		/* 0-based, of each column; composite only */
	CcrResultWire whole;		/* composite only: one column that is all */
	uint32		layout;			/* hash of all that tells how rows are read */
} CcrResult;

/* A hash that is the same for equal values of an argument. */
typedef struct CcrArgHash
{
	FmgrInfo	function;		/* fn_oid: InvalidOid if that of the bytes is */
	Oid			collation;
} CcrArgHash;

/* It does not change once it is made, except for the caches at its end. */
typedef struct CcrDefinition
{
	Oid			function;
	MemoryContext context;
	int			references;
	bool		valid;			/* nothing that it was made of has changed */

	const char *name;			/* qualified, with argument types */
	char		volatility;
	Oid			owner;
	bool		security_definer;
	bool		strict;
	ArrayType  *config;			/* its SET clauses, or NULL */
	CcrClauses	clauses;		/* what these say about its meaning */
	int			nargs;
	Oid		   *argtypes;
	char	  **argnames;		/* NULL or "" where unnamed */
	CcrArgWire *args;
	CcrArgHash *hashes;			/* NULL unless rows may be matched by key */
	bool		styled;			/* the text of some argument depends on
								 * settings: see ccr_wire_begin_style() */
	CcrBody    *body;
	char	   *sql;			/* bulk query, as written */
	CcrResult  *result;			/* NULL if each call says what it expects */
	Oid			typrelid;		/* of a composite result, or InvalidOid */
	int			ntypes;
	uint32	   *type_hashes;	/* of the syscache entries it depends on */

	List	   *routes;			/* kept by route.c */
	void	   *key;			/* kept by key.c */
	void	   *override;		/* kept by override.c */
} CcrDefinition;

/*
 * Compile a lookup from its row of pg_proc.  Raises an error that says what is
 * wrong.
 */
extern CcrDefinition *ccr_definition_compile(Oid function, MemoryContext context);

/*
 * ccr_definition_get() returns the current definition, compiled if necessary,
 * with a reference that the caller must release.  Nobody may keep a definition
 * without such a reference or a CcrDefinitionRef.
 */
extern CcrDefinition *ccr_definition_get(Oid function);
extern void ccr_definition_release(CcrDefinition *definition);

/* A definition that is kept until a memory context is reset. */
typedef struct CcrDefinitionRef
{
	CcrDefinition *definition;	/* NULL: none yet, or it is being replaced */
	MemoryContextCallback release;
} CcrDefinitionRef;

/* The CcrDefinitionRef must live as long as the context. */
extern void ccr_definition_ref_init(CcrDefinitionRef *ref, MemoryContext context);

/*
 * Return the current definition.  If the one that is kept is no longer valid,
 * replace it.
 */
extern CcrDefinition *ccr_definition_ref_get(CcrDefinitionRef *ref, Oid function);

/* If the definition is no longer valid, release it and return true. */
extern bool ccr_definition_ref_drop_stale(CcrDefinitionRef *ref);

/*
 * Code that does a part of a call's work outside of the call must take on the
 * rights and settings that the call would run with: the owner's rights if the
 * lookup is SECURITY DEFINER, and its SET clauses.  An error undoes this, as
 * it does for a call.  ccr_definition_enter_as() does the same for a caller
 * with the given rights.  To read a value it is enough to enter a lookup for
 * which ccr_definition_has_scope() is true: clauses of concresce.* change no
 * value.
 */
typedef struct CcrScope
{
	int			level;			/* GUC nest level; 0: no settings were made */
	Oid			roleid;			/* role to return to */
	int			sec_context;
} CcrScope;

static inline bool
ccr_definition_has_scope(const CcrDefinition *definition)
{
	return definition->security_definer || !definition->clauses.only_own;
}

extern void ccr_definition_enter(const CcrDefinition *definition,
								 CcrScope *scope);
extern void ccr_definition_enter_as(const CcrDefinition *definition,
									Oid roleid, int sec_context,
									CcrScope *scope);
extern void ccr_definition_leave(const CcrScope *scope);

/* The SQL that is sent, as far as it is known without asking the far side. */
extern char *ccr_definition_remote_sql(const CcrDefinition *definition);

/* The result of a call that returns record, as the call site expects it. */
extern CcrResult *ccr_result_from_tupdesc(TupleDesc tupdesc, bool returns_set,
										  MemoryContext context);

#endif							/* CCR_DEFINITION_H */
