/*-------------------------------------------------------------------------
 *
 * scan_fields.h
 *	  All the expressions of a plan node, and all its children.
 *
 * PostgreSQL can walk an expression, but has nothing that knows where in a
 * plan node they are.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_SCAN_FIELDS_H
#define CCR_SCAN_FIELDS_H

#include "nodes/plannodes.h"

/*
 * Replace each expression, or list of them, by what the function returns;
 * or only those other than target list and qual.
 */
typedef Node *(*CcrChange) (Node *node, void *context);
extern void ccr_fields_change(Plan *plan, CcrChange change, void *context);
extern void ccr_fields_change_others(Plan *plan, CcrChange change, void *context);

/* Visit the places that hold the children, subqueries of scans included. */
typedef void (*CcrVisit) (Plan **child, void *context);
extern void ccr_fields_children(Plan *plan, CcrVisit visit, void *context);

/*
 * Change the expressions of a whole tree, of a statement but for its sub-plans,
 * or of all that is in it.
 */
extern void ccr_fields_change_tree(Plan *plan, CcrChange change, void *context);
extern void ccr_fields_change_main(PlannedStmt *stmt, CcrChange change,
								   void *context);
extern void ccr_fields_change_statement(PlannedStmt *stmt, CcrChange change,
										void *context);

#endif							/* CCR_SCAN_FIELDS_H */
