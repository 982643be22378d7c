/*-------------------------------------------------------------------------
 *
 * scan_alike.c
 *	  What the children of an Append, or the rows of a VALUES list, compute
 *	  alike: one expression over columns, which each of them fills in its way.
 *
 * From each variant of an expression its leaves are taken out: columns and
 * constants.  Variants of which the same is left are of one kind.  A leaf that
 * is the same constant in all of a kind is put back; others become columns, and
 * those that are equal in every variant share one.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_operator_d.h"
#include "catalog/pg_type.h"
#include "lookup/barrier.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "scan/scan_alike.h"
#include "scan/scan_calls.h"
#include "utils/fmgroids.h"

#define CCR_MAX_KINDS	8		/* beyond, a CASE would cost more than it
								 * saves */
#define CCR_MAX_LEAVES	10000	/* of an expression: they are counted as
								 * columns */

/* A column, and what each variant fills it with; NULL: it does not matter. */
typedef struct CcrAlikeColumn
{
	Oid			type;
	int32		typmod;
	Oid			collation;
	Node	  **values;
} CcrAlikeColumn;

/* An expression without its leaves. */
typedef struct Form
{
	Node	   *frame;
	List	   *leaves;
	List	   *own;			/* of its calls: see ccr_barrier_is_own() */
} Form;

typedef struct Taking
{
	int			varno;
	Form	   *form;
} Taking;

/* ------------------------------------------------------------------ leaves */

/* As its parent has it. */
static bool
is_whole_row(Node *node)
{
	while (IsA(node, ConvertRowtypeExpr))
		node = (Node *) ((ConvertRowtypeExpr *) node)->arg;
	return IsA(node, Var);
}

/* What a child computes before its list, or the statement is given. */
static bool
is_leaf(Node *node)
{
	switch (nodeTag(node))
	{
		case T_Aggref:
		case T_GroupingFunc:
		case T_WindowFunc:
		case T_Const:
			return true;
		case T_Param:
			return ((Param *) node)->paramkind == PARAM_EXTERN;
		default:
			return is_whole_row(node);
	}
}

static Node *
take_leaf(Taking *taking, Node *leaf)
{
	taking->form->leaves = lappend(taking->form->leaves, leaf);
	return (Node *) makeVar(taking->varno, Min(list_length(taking->form->leaves), CCR_MAX_LEAVES),
							exprType(leaf), -1, exprCollation(leaf), 0);
}

static Node *
take_mutator(Node *node, void *context)
{
	Taking	   *taking = context;

	if (node == NULL)
		return NULL;
	if (is_leaf(node))
		return take_leaf(taking, node);
	if (IsA(node, FuncExpr))
		taking->form->own = lappend_int(taking->form->own, ccr_barrier_is_own(node));
	return expression_tree_mutator(node, take_mutator, context);
}

static void
take_leaves(const CcrAlike *alike, Node *node, Form *form)
{
	Taking		taking = {alike->varno, form};

	form->leaves = form->own = NIL;
	form->frame = take_mutator(node, &taking);
}

/* ----------------------------------------------------------------- columns */

static bool
fits_column(const CcrAlike *alike, const CcrAlikeColumn *column, Node *const *values)
{
	for (int i = 0; i < alike->n; i++)
		if (values[i] && column->values[i] && !equal(values[i], column->values[i]))
			return false;
	return true;
}

/* What all of them have, or none. */
static int32
common_typmod(const CcrAlike *alike, Node *const *values)
{
	int32		typmod = -1;
	bool		any = false;

	for (int i = 0; i < alike->n; i++)
	{
		if (values[i] == NULL)
			continue;
		if (any && exprTypmod(values[i]) != typmod)
			return -1;
		typmod = exprTypmod(values[i]);
		any = true;
	}
	return typmod;
}

static CcrAlikeColumn *
add_column(CcrAlike *alike, Oid type, int32 typmod, Oid collation)
{
	CcrAlikeColumn *column = palloc(sizeof(CcrAlikeColumn));

	column->type = type;
	column->typmod = typmod;
	column->collation = collation;
	column->values = palloc0(alike->n * sizeof(Node *));
	alike->columns = lappend(alike->columns, column);
	return column;
}

/* The one that others of equal values have, or a new one. */
static Node *
column_for_values(CcrAlike *alike, Node **values, Oid type, Oid collation)
{
	int32		typmod = common_typmod(alike, values);
	CcrAlikeColumn *column = NULL;
	int			number = 0;

	while (column == NULL && number < list_length(alike->columns))
	{
		column = list_nth(alike->columns, number++);
		if (column->type != type || column->typmod != typmod || column->collation != collation ||
			!fits_column(alike, column, values))
			column = NULL;
	}
	if (column == NULL)
	{
		column = add_column(alike, type, typmod, collation);
		number = list_length(alike->columns);
	}
	for (int i = 0; i < alike->n; i++)
		if (values[i])
			column->values[i] = values[i];
	return (Node *) makeVar(alike->varno, number, type, typmod, collation, 0);
}

static bool
may_be_column(Node *node)
{
	return is_leaf(node) ||
		(ccr_infallible(node) && !ccr_holds_lookup(node) && bms_is_empty(ccr_params_of(node)));
}

static bool
have_one_type(const CcrAlike *alike, Node *const *variants)
{
	for (int i = 1; i < alike->n; i++)
		if (exprType(variants[i]) != exprType(variants[0]) ||
			exprCollation(variants[i]) != exprCollation(variants[0]))
			return false;
	return true;
}

Node *
ccr_alike_column(CcrAlike *alike, Node **variants)
{
	for (int i = 0; i < alike->n; i++)
		if (!may_be_column(variants[i]))
			return NULL;
	if (!have_one_type(alike, variants))
		return NULL;
	return column_for_values(alike, variants, exprType(variants[0]), exprCollation(variants[0]));
}

List *
ccr_alike_values(const CcrAlike *alike, int variant)
{
	List	   *values = NIL;
	ListCell   *lc;

	foreach(lc, alike->columns)
	{
		CcrAlikeColumn *column = lfirst(lc);
		Node	   *value = column->values[variant];

		if (value == NULL)
			value = (Node *) makeNullConst(column->type, column->typmod, column->collation);
		values = lappend(values, value);
	}
	return values;
}

/* ------------------------------------------------------------------- kinds */

/* Variants by kind: those of one have one frame. */
typedef struct Kinds
{
	Form	   *forms;			/* by variant */
	int		   *of;				/* the same */
	int			n;				/* CCR_MAX_KINDS + 1: too many */
	int			first[CCR_MAX_KINDS];	/* variant of each */
} Kinds;

static void
find_kinds(const CcrAlike *alike, Node *const *variants, Kinds *kinds)
{
	kinds->forms = palloc(alike->n * sizeof(Form));
	kinds->of = palloc(alike->n * sizeof(int));
	kinds->n = 0;
	for (int i = 0; i < alike->n; i++)
	{
		Form	   *form = &kinds->forms[i];
		int			kind;

		CHECK_FOR_INTERRUPTS();
		take_leaves(alike, variants[i], form);
		for (kind = 0; kind < kinds->n; kind++)
		{
			const Form *first = &kinds->forms[kinds->first[kind]];

			if (equal(form->frame, first->frame) && equal(form->own, first->own))
				break;
		}
		if (kind == CCR_MAX_KINDS || list_length(form->leaves) >= CCR_MAX_LEAVES)
		{
			kinds->n = CCR_MAX_KINDS + 1;
			return;
		}
		if (kind == kinds->n)
			kinds->first[kinds->n++] = i;
		kinds->of[i] = kind;
	}
}

typedef struct Putting
{
	int			varno;
	List	   *leaves;			/* in the places of the frame's */
} Putting;

static Node *
put_mutator(Node *node, void *context)
{
	Putting    *putting = context;

	if (node == NULL)
		return NULL;
	if (IsA(node, Var) && ((Var *) node)->varno == putting->varno)
		return list_nth(putting->leaves, ((Var *) node)->varattno - 1);
	return expression_tree_mutator(node, put_mutator, context);
}

/* A leaf that is one constant is put back as it is. */
static Node *
common_leaf(CcrAlike *alike, const Kinds *kinds, int kind, int number, Node **values)
{
	Node	   *leaf = list_nth(kinds->forms[kinds->first[kind]].leaves, number);
	bool		constant = IsA(leaf, Const) || IsA(leaf, Param);

	for (int i = 0; i < alike->n; i++)
	{
		values[i] = kinds->of[i] == kind ? list_nth(kinds->forms[i].leaves, number) : NULL;
		if (values[i])
			constant = constant && equal(values[i], leaf);
	}
	return constant ? leaf : column_for_values(alike, values, exprType(leaf), exprCollation(leaf));
}

static Node *
expr_of_kind(CcrAlike *alike, const Kinds *kinds, int kind)
{
	const Form *form = &kinds->forms[kinds->first[kind]];
	Putting		putting = {alike->varno, NIL};
	Node	  **values = palloc(alike->n * sizeof(Node *));

	for (int i = 0; i < list_length(form->leaves); i++)
		putting.leaves = lappend(putting.leaves, common_leaf(alike, kinds, kind, i, values));
	pfree(values);
	return put_mutator(form->frame, &putting);
}

static Const *
kind_const(int kind)
{
	return makeConst(INT4OID, -1, InvalidOid, sizeof(int32), Int32GetDatum(kind), false, true);
}

static Node *
column_of_kinds(CcrAlike *alike, const Kinds *kinds)
{
	Node	  **values = palloc(alike->n * sizeof(Node *));

	for (int i = 0; i < alike->n; i++)
		values[i] = (Node *) kind_const(kinds->of[i]);
	return column_for_values(alike, values, INT4OID, InvalidOid);
}

/* CASE WHEN kind = 0 THEN ... WHEN kind = 1 THEN ... ELSE ... END */
static Node *
expr_by_kind(CcrAlike *alike, const Kinds *kinds)
{
	CaseExpr   *choice = makeNode(CaseExpr);
	Expr	   *column = (Expr *) column_of_kinds(alike, kinds);

	for (int kind = 0; kind < kinds->n - 1; kind++)
	{
		CaseWhen   *when = makeNode(CaseWhen);
		OpExpr	   *test = (OpExpr *) make_opclause(Int4EqualOperator, BOOLOID, false,
													copyObject(column),
													(Expr *) kind_const(kind), InvalidOid, InvalidOid);

		test->opfuncid = F_INT4EQ;
		when->expr = (Expr *) test;
		when->result = (Expr *) expr_of_kind(alike, kinds, kind);
		when->location = -1;
		choice->args = lappend(choice->args, when);
	}
	choice->defresult = (Expr *) expr_of_kind(alike, kinds, kinds->n - 1);
	choice->casetype = exprType((Node *) choice->defresult);
	choice->casecollid = exprCollation((Node *) choice->defresult);
	choice->location = -1;
	alike->kinds = true;
	return (Node *) choice;
}

Node *
ccr_alike_expr(CcrAlike *alike, Node **variants)
{
	Kinds		kinds;
	Node	   *column;

	find_kinds(alike, variants, &kinds);
	if (kinds.n == 1)
		return expr_of_kind(alike, &kinds, 0);
	if ((column = ccr_alike_column(alike, variants)) != NULL)
		return column;
	return kinds.n <= CCR_MAX_KINDS && have_one_type(alike, variants) ?
		expr_by_kind(alike, &kinds) : NULL;
}

/* ------------------------------------------------------------------- quals */

/*
 * Conditions as one expression.  An AND would not do: it goes on after one
 * that is NULL.
 */
static Node *
as_one(List *quals)
{
	Node	   *result = (Node *) makeBoolConst(true, false);

	for (int i = list_length(quals) - 1; i >= 0; i--)
	{
		CaseExpr   *choice = makeNode(CaseExpr);
		CaseWhen   *when = makeNode(CaseWhen);

		when->expr = list_nth(quals, i);
		when->result = (Expr *) result;
		when->location = -1;
		choice->casetype = BOOLOID;
		choice->args = list_make1(when);
		choice->defresult = (Expr *) makeBoolConst(false, false);
		choice->location = -1;
		result = (Node *) choice;
	}
	return result;
}

static bool
quals_one_by_one(CcrAlike *alike, List **variants, List **quals)
{
	Node	  **nth = palloc(alike->n * sizeof(Node *));

	*quals = NIL;
	for (int i = 0; i < alike->n; i++)
		if (list_length(variants[i]) != list_length(variants[0]))
			return false;
	for (int q = 0; q < list_length(variants[0]); q++)
	{
		Kinds		kinds;

		for (int i = 0; i < alike->n; i++)
			nth[i] = list_nth(variants[i], q);
		find_kinds(alike, nth, &kinds);
		if (kinds.n != 1)
			return false;
		*quals = lappend(*quals, expr_of_kind(alike, &kinds, 0));
	}
	return true;
}

bool
ccr_alike_quals(CcrAlike *alike, List **variants, List **quals)
{
	Node	  **all;
	Node	   *qual;

	if (quals_one_by_one(alike, variants, quals))
		return true;
	all = palloc(alike->n * sizeof(Node *));
	for (int i = 0; i < alike->n; i++)
		all[i] = as_one(variants[i]);
	qual = ccr_alike_expr(alike, all);
	*quals = list_make1(qual);
	return qual != NULL;
}

/* ---------------------------------------------------------------- counting */

static bool
calls_walker(Node *node, void *context)
{
	List	  **calls = context;

	if (node == NULL)
		return false;
	if (IsA(node, SubPlan) ||
		(IsA(node, FuncExpr) && ccr_is_lookup(((FuncExpr *) node)->funcid)))
		*calls = list_append_unique(*calls, node);
	return expression_tree_walker(node, calls_walker, context);
}

int
ccr_alike_count_calls(Node *node)
{
	List	   *calls = NIL;
	int			n;

	(void) calls_walker(node, &calls);
	n = list_length(calls);
	list_free(calls);
	return n;
}
