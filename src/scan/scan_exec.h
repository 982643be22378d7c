/*-------------------------------------------------------------------------
 *
 * scan_exec.h
 *	  The batch node at work.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_SCAN_EXEC_H
#define CCR_SCAN_EXEC_H

/* Make the node known, in every process that may run a plan. */
extern void ccr_scan_init(void);

#endif							/* CCR_SCAN_EXEC_H */
