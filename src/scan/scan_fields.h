/*-------------------------------------------------------------------------
 *
 * scan_fields.h
 *	  All the expressions of a plan node, and all its children.
 *
 * PostgreSQL can walk an expression, but has no function that finds the
 * expressions of a plan node.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_SCAN_FIELDS_H
#define CCR_SCAN_FIELDS_H

#include "nodes/plannodes.h"

/*
 * Replace each expression, or list of expressions, by what the function
 * returns. ccr_fields_change_others() leaves target list and qual alone.
 */
typedef Node *(*CcrChange) (Node *node, void *context);
extern void ccr_fields_change(Plan *plan, CcrChange change, void *context);
extern void ccr_fields_change_others(Plan *plan, CcrChange change, void *context);

/* Visit the places that hold the children, subqueries of scans included. */
typedef void (*CcrVisit) (Plan **child, void *context);
extern void ccr_fields_children(Plan *plan, CcrVisit visit, void *context);

/*
 * Change the expressions of a whole plan tree; of a statement without its
 * sub-plans; or of a statement with them.
 */
extern void ccr_fields_change_tree(Plan *plan, CcrChange change, void *context);
extern void ccr_fields_change_main(PlannedStmt *stmt, CcrChange change,
								   void *context);
extern void ccr_fields_change_statement(PlannedStmt *stmt, CcrChange change,
										void *context);

#endif							/* CCR_SCAN_FIELDS_H */
