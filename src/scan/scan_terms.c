/*-------------------------------------------------------------------------
 *
 * scan_terms.c
 *	  Expressions in other terms: with cells in place of calls, and columns in
 *	  place of the values that come from below.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "scan/scan_terms.h"
#include "shared/compat.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

static Node *
cell_of(const CcrTerms *terms, const CcrCall *call)
{
	if (call->cell)
		return copyObject(call->cell);
	return (Node *) makeVar(terms->cell_varno, call->column, BYTEAOID, -1, InvalidOid, 0);
}

/* The schema of the extension, by whatever name: that of the language's handler. */
static Oid
our_schema(void)
{
	HeapTuple	tuple = SearchSysCache1(LANGNAME, CStringGetDatum("concresce"));
	Oid			handler;

	if (!HeapTupleIsValid(tuple))
		return InvalidOid;
	handler = ((Form_pg_language) GETSTRUCT(tuple))->lanplcallfoid;
	ReleaseSysCache(tuple);
	return get_func_namespace(handler);
}

static Oid
reader_function(Oid schema, const char *name, Oid *types, int n)
{
	return GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid, PointerGetDatum(name),
						   PointerGetDatum(buildoidvector(types, n)),
						   ObjectIdGetDatum(schema));
}

/*
 * All roles may, unless that was revoked.  One role's right is not enough: the
 * plan may be run by another.
 */
static bool
may_read(Oid function)
{
	return OidIsValid(function) &&
		ccr_proc_aclcheck(function, ACL_ID_PUBLIC, ACL_EXECUTE) == ACLCHECK_OK;
}

bool
ccr_readers_find(CcrReaders *readers)
{
	Oid			types[] = {INTERNALOID, OIDOID, ANYELEMENTOID};
	Oid			field_types[] = {INTERNALOID, OIDOID, INT4OID, ANYELEMENTOID};
	Oid			schema = our_schema();

	readers->value = reader_function(schema, "batch_value", types, lengthof(types));
	readers->rows = reader_function(schema, "batch_rows", types, lengthof(types));
	readers->field = reader_function(schema, "batch_field", field_types, lengthof(field_types));
	return may_read(readers->value) && may_read(readers->rows) && may_read(readers->field);
}

static void
terms_depend_on(PlannedStmt *stmt, Oid function)
{
	PlanInvalItem *item = makeNode(PlanInvalItem);

	item->cacheId = PROCOID;
	item->hashValue = GetSysCacheHashValue1(PROCOID, ObjectIdGetDatum(function));
	stmt->invalItems = lappend(stmt->invalItems, item);
}

void
ccr_readers_depend(PlannedStmt *stmt, const CcrReaders *readers)
{
	terms_depend_on(stmt, readers->value);
	terms_depend_on(stmt, readers->rows);
	terms_depend_on(stmt, readers->field);
}

static Node *
oid_const(Oid value)
{
	return (Node *) makeConst(OIDOID, -1, InvalidOid, sizeof(Oid), ObjectIdGetDatum(value),
							  false, true);
}

static Node *terms_mutator(Node *node, void *context);

/* As an implicit cast it is shown by EXPLAIN as its first argument: the call. */
static Node *
read_cell_term(const CcrTerms *terms, const CcrCall *call, FuncExpr *expr)
{
	List	   *args = (List *) terms_mutator((Node *) expr->args,
											  unconstify(CcrTerms *, terms));
	FuncExpr   *read = makeFuncExpr(expr->funcretset ? terms->readers->rows :
									terms->readers->value, expr->funcresulttype,
									list_concat(list_make2(cell_of(terms, call),
														   oid_const(expr->funcid)), args),
									expr->funccollid, expr->inputcollid,
									COERCE_IMPLICIT_CAST);

	read->funcretset = expr->funcretset;
	read->location = expr->location;
	return (Node *) read;
}

/* A field of a record. */
static Node *
read_field(const CcrTerms *terms, const CcrCall *call, FieldSelect *select)
{
	FuncExpr   *read = (FuncExpr *) read_cell_term(terms, call, (FuncExpr *) select->arg);
	Const	   *field = makeConst(INT4OID, -1, InvalidOid, sizeof(int32),
								  Int32GetDatum(select->fieldnum), false, true);

	read->funcid = terms->readers->field;
	read->funcresulttype = select->resulttype;
	read->funccollid = select->resultcollid;
	read->args = list_insert_nth(read->args, 2, field);
	return (Node *) read;
}

static bool
is_atom(Node *node)
{
	return IsA(node, Var) || IsA(node, Aggref) || IsA(node, GroupingFunc) ||
		IsA(node, WindowFunc);
}

static Node *
column_for(const CcrTerms *terms, Node *atom)
{
	ListCell   *lc;
	ListCell   *column;

	forboth(lc, terms->atoms, column, terms->columns)
	{
		if (equal(lfirst(lc), atom))
			return lfirst(column);
	}
	elog(ERROR, "expression needs a value that its rows do not have");
	return NULL;
}

void
ccr_terms_of_atoms(CcrTerms *terms, List *atoms, int varno)
{
	ListCell   *lc;

	terms->atoms = atoms;
	terms->to_varno = varno;
	foreach(lc, atoms)
	{
		Node	   *atom = lfirst(lc);

		terms->columns = lappend(terms->columns,
								 makeVar(varno, foreach_current_index(lc) + 1, exprType(atom),
										 exprTypmod(atom), exprCollation(atom), 0));
	}
}

/* Not its direct arguments: these belong to a group, not to a row. */
static Node *
aggregate_in_terms(Node *node, const CcrTerms *terms)
{
	CcrTerms	inside = *terms;
	Node	   *copy = copyObject(node);
	List	  **args;
	Expr	  **filter;

	inside.in_aggregates = false;
	args = IsA(node, Aggref) ? &((Aggref *) copy)->args : &((WindowFunc *) copy)->args;
	filter = IsA(node, Aggref) ? &((Aggref *) copy)->aggfilter :
		&((WindowFunc *) copy)->aggfilter;
	*args = (List *) terms_mutator((Node *) *args, &inside);
	*filter = (Expr *) terms_mutator((Node *) *filter, &inside);
	return copy;
}

/* Of some calls that return a record only the fields are replaced. */
static bool
stays_whole(const CcrTerms *terms, Node *node)
{
	return !terms->calls->records && IsA(node, FuncExpr) &&
		((FuncExpr *) node)->funcresulttype == RECORDOID;
}

static CcrCall *
member_called(const CcrTerms *terms, Expr *expr)
{
	return IsA(expr, FuncExpr) ? ccr_calls_member(terms->calls, (FuncExpr *) expr) : NULL;
}

/* As expression_tree_mutator() would, which appends to a list one by one. */
static List *
list_in_terms(List *list, const CcrTerms *terms)
{
	List	   *result = list_copy(list);
	ListCell   *lc;

	foreach(lc, result)
		lfirst(lc) = terms_mutator(lfirst(lc), unconstify(CcrTerms *, terms));
	return result;
}

static Node *
terms_mutator(Node *node, void *context)
{
	const CcrTerms *terms = context;

	if (node == NULL)
		return NULL;

	if (IsA(node, List))
		return (Node *) list_in_terms((List *) node, terms);

	/* they are the same in any terms, so there is no need of copies */
	if (IsA(node, Const) || IsA(node, Param))
		return node;
	if (terms->in_aggregates)
	{
		if (IsA(node, Aggref) || IsA(node, WindowFunc))
			return aggregate_in_terms(node, terms);
		return expression_tree_mutator(node, terms_mutator, context);
	}
	if (terms->atoms && is_atom(node))
		return column_for(terms, node);
	if (IsA(node, Var) && terms->from_varno != 0 &&
		((Var *) node)->varno == terms->from_varno)
	{
		Var		   *var = copyObject((Var *) node);

		var->varno = terms->to_varno;
		return (Node *) var;
	}
	if (terms->calls)
	{
		CcrCall    *call;

		if (ccr_is_cell_wanted(node) &&
			(call = member_called(terms, (Expr *) ccr_call_of_wanted(node))) != NULL)
			return cell_of(terms, call);
		if (stays_whole(terms, node))
			return expression_tree_mutator(node, terms_mutator, context);
		if ((call = member_called(terms, (Expr *) node)) != NULL)
			return read_cell_term(terms, call, (FuncExpr *) node);
		if (IsA(node, RangeTblFunction) &&
			(call = member_called(terms, (Expr *) ((RangeTblFunction *) node)->funcexpr)) != NULL)
		{
			RangeTblFunction *copy = copyObject((RangeTblFunction *) node);

			copy->funcexpr = read_cell_term(terms, call, (FuncExpr *) copy->funcexpr);
			return (Node *) copy;
		}
		if (IsA(node, FieldSelect) &&
			exprType((Node *) ((FieldSelect *) node)->arg) == RECORDOID &&
			(call = member_called(terms, ((FieldSelect *) node)->arg)) != NULL)
			return read_field(terms, call, (FieldSelect *) node);
	}
	return expression_tree_mutator(node, terms_mutator, context);
}

Node *
ccr_terms_apply(const CcrTerms *terms, Node *node)
{
	return terms_mutator(node, unconstify(CcrTerms *, terms));
}

static bool
atoms_walker(Node *node, void *context)
{
	List	  **atoms = context;

	if (node == NULL)
		return false;
	if (is_atom(node))
	{
		*atoms = list_append_unique(*atoms, node);
		return false;
	}
	return expression_tree_walker(node, atoms_walker, context);
}

List *
ccr_atoms_add(List *atoms, Node *node)
{
	(void) atoms_walker(node, &atoms);
	return atoms;
}
