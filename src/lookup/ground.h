/*-------------------------------------------------------------------------
 *
 * ground.h
 *	  Checks that the extension's schema belongs to nobody but the extension.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_GROUND_H
#define CCR_GROUND_H

extern void ccr_ground_init(void);

#endif							/* CCR_GROUND_H */
