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

/* Immutable once made, but for the caches at its end. */
typedef struct CcrDefinition
{
	Oid			function;
	MemoryContext context;
	int			references;
	bool		valid;			/* as far as invalidations tell */

	const char *name;			/* qualified, with argument types */
	char		volatility;
	Oid			owner;
	bool		security_definer;
	bool		strict;
	ArrayType  *config;			/* its SET clauses, or NULL */
	CcrClauses	clauses;		/* what they say of its meaning */
	int			nargs;
	Oid		   *argtypes;
	char	  **argnames;		/* NULL or "" where unnamed */
	CcrArgWire *args;
	CcrArgHash *hashes;			/* NULL unless rows may be matched by key */
	bool		styled;			/* some argument needs the style of wire.h */
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

/* Compile pg_proc's body, as the validator does; raises what is wrong. */
extern CcrDefinition *ccr_definition_compile(Oid function, MemoryContext context);

/*
 * The current definition, compiled at need, with a reference of the caller's.
 * Other than through these two and a CcrDefinitionRef, it must not be kept.
 */
extern CcrDefinition *ccr_definition_get(Oid function);
extern void ccr_definition_release(CcrDefinition *definition);

/* A definition that is kept until a memory context is reset. */
typedef struct CcrDefinitionRef
{
	CcrDefinition *definition;	/* NULL: none yet, or it is being replaced */
	MemoryContextCallback release;
} CcrDefinitionRef;

/* The reference itself must last as long as the context. */
extern void ccr_definition_ref_init(CcrDefinitionRef *ref, MemoryContext context);

/* The current definition: one that is no longer valid is replaced. */
extern CcrDefinition *ccr_definition_ref_get(CcrDefinitionRef *ref, Oid function);

/* Give up one that is no longer valid.  True: there was such a one. */
extern bool ccr_definition_ref_drop_stale(CcrDefinitionRef *ref);

/*
 * Take on the rights and settings that a call runs with, for those who do a
 * part of its work outside of it: the owner's rights if it is SECURITY
 * DEFINER, and what its SET clauses say.  An error undoes it as it would undo
 * that of a call.  enter_as: as seen by a caller with these rights.  One that
 * has none of its own needs not be entered to read a value: the clauses of
 * concresce.* change no value.
 */
typedef struct CcrScope
{
	int			level;			/* of settings; 0: none were made */
	Oid			roleid;			/* to return to */
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

/* What is sent, as far as that can be told without the far side. */
extern char *ccr_definition_remote_sql(const CcrDefinition *definition);

/* The result of a call that returns record, as the call site expects it. */
extern CcrResult *ccr_result_from_tupdesc(TupleDesc tupdesc, bool returns_set,
										  MemoryContext context);

#endif							/* CCR_DEFINITION_H */
