/*-------------------------------------------------------------------------
 *
 * textform.c
 *	  The settings that decide how values are written as text and read from it.
 *
 * Gone through was every parameter of guc.c that an input or output function
 * looks at.  Those that are not in the table:
 *
 *	bytea_output			either form is read by every server
 *	TimeZone				times travel with their offset; it is the bodies' own
 *	client_encoding			a startup parameter; a connection on which it has
 *							changed is closed (carrier_remote.c)
 *	standard_conforming_strings		the same; off is refused (carrier_remote.c)
 *	search_path				of the far side: the bodies' own
 *	lc_numeric, lc_time		only of to_char() and its like
 *	xmlbinary				only of the functions that make XML of other values
 *	quote_all_identifiers	names are read with quotes and without
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "shared/textform.h"
#include "utils/builtins.h"

const CcrTextSetting ccr_text_settings[] = {
	/* dates, timestamps, their ranges, ...: 03/02 is read in two ways */
	{"DateStyle", "ISO", CCR_TEXT_WRITE | CCR_TEXT_FAR},
	/* under sql_standard, signs are written and read in another way */
	{"IntervalStyle", "postgres", CCR_TEXT_WRITE | CCR_TEXT_FAR},
	/* floats within composites, points, ranges, ... to the last digit */
	{"extra_float_digits", "3", CCR_TEXT_WRITE | CCR_TEXT_FAR},
	/* off: an element NULL is the word */
	{"array_nulls", "on", CCR_TEXT_READ | CCR_TEXT_FAR},
	/* document: content that is no document is refused */
	{"xmloption", "content", CCR_TEXT_READ | CCR_TEXT_FAR},
	/* the sign, the decimal point, the number of decimals */
	{"lc_monetary", NULL, CCR_TEXT_FAR},

	/*
	 * names of objects come out qualified, none is found in a session's
	 * choice
	 */
	{"search_path", "pg_catalog, pg_temp", CCR_TEXT_WRITE}
};

const int	ccr_ntext_settings = lengthof(ccr_text_settings);

char *
ccr_text_settings_sql(const char *lc_monetary)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < ccr_ntext_settings; i++)
	{
		const CcrTextSetting *setting = &ccr_text_settings[i];
		const char *value = setting->value ? setting->value : lc_monetary;

		if ((setting->where & CCR_TEXT_FAR) && value)
			appendStringInfo(&buf, "%s pg_catalog.set_config('%s', %s, true)",
							 buf.len > 0 ? "," : "SELECT", setting->name,
							 quote_literal_cstr(value));
	}
	return buf.data;
}

bool
ccr_text_is_plain(Oid type)
{
	switch (type)
	{
		case BOOLOID:
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case OIDOID:
		case NUMERICOID:
		case UUIDOID:
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
		case NAMEOID:
		case JSONOID:
		case JSONBOID:
		case VOIDOID:
			return true;
		default:
			return false;
	}
}
