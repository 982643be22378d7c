/*-------------------------------------------------------------------------
 *
 * binary.c
 *	  Types whose values travel in binary.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "shared/binary.h"
#include "utils/fmgroids.h"

const CcrBinaryType ccr_binary_types[] = {
	{BOOLOID, F_BOOLRECV, F_BOOLOUT},
	{INT2OID, F_INT2RECV, F_INT2OUT},
	{INT4OID, F_INT4RECV, F_INT4OUT},
	{INT8OID, F_INT8RECV, F_INT8OUT},
	{OIDOID, F_OIDRECV, F_OIDOUT},
	{FLOAT4OID, F_FLOAT4RECV, F_FLOAT4OUT},
	{FLOAT8OID, F_FLOAT8RECV, F_FLOAT8OUT},
	{NUMERICOID, F_NUMERIC_RECV, F_NUMERIC_OUT},
	{BYTEAOID, F_BYTEARECV, F_BYTEAOUT},
	{DATEOID, F_DATE_RECV, F_DATE_OUT},
	{TIMEOID, F_TIME_RECV, F_TIME_OUT},
	{TIMETZOID, F_TIMETZ_RECV, F_TIMETZ_OUT},
	{TIMESTAMPOID, F_TIMESTAMP_RECV, F_TIMESTAMP_OUT},
	{TIMESTAMPTZOID, F_TIMESTAMPTZ_RECV, F_TIMESTAMPTZ_OUT},
	{INTERVALOID, F_INTERVAL_RECV, F_INTERVAL_OUT},
	{UUIDOID, F_UUID_RECV, F_UUID_OUT},
	{INETOID, F_INET_RECV, F_INET_OUT},
	{CIDROID, F_CIDR_RECV, F_CIDR_OUT},
	{MACADDROID, F_MACADDR_RECV, F_MACADDR_OUT},
	{MACADDR8OID, F_MACADDR8_RECV, F_MACADDR8_OUT},
	{BITOID, F_BIT_RECV, F_BIT_OUT},
	{VARBITOID, F_VARBIT_RECV, F_VARBIT_OUT}
};

const int	ccr_nbinary_types = lengthof(ccr_binary_types);

const CcrBinaryType *
ccr_binary_type(Oid type)
{
	for (int i = 0; i < ccr_nbinary_types; i++)
		if (ccr_binary_types[i].type == type)
			return &ccr_binary_types[i];
	return NULL;
}
