/*-------------------------------------------------------------------------
 *
 * landing.h
 *	  Landing: the outcomes of flights go to those who wait for them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_LANDING_H
#define CCR_LANDING_H

#include "collector/flight.h"

/*
 * Hand the outcomes of flights to those who wait for them, and free the
 * flights.  ncolumns and binary describe the rows.
 */
extern void ccr_flights_land(CcrFlight **flights, int n, int ncolumns,
							 bool binary);

/*
 * As the collector exits: let go of the rows that flights share whose landing
 * was ended by an error.
 */
extern void ccr_landing_give_up(void);

#endif							/* CCR_LANDING_H */
