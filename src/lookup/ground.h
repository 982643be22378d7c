/*-------------------------------------------------------------------------
 *
 * ground.h
 *	  The schema of the extension, which must be nobody else's.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_GROUND_H
#define CCR_GROUND_H

extern void ccr_ground_init(void);

#endif							/* CCR_GROUND_H */
