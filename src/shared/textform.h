/*-------------------------------------------------------------------------
 *
 * textform.h
 *	  The settings that decide how values are written as text and read from it.
 *
 * Values that travel in binary depend on no setting.  For the others, one
 * table in textform.c says what is done about each setting; doc/reference.md
 * has the same in words.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_TEXTFORM_H
#define CCR_TEXTFORM_H

/* Where a setting is put in force. */
#define CCR_TEXT_WRITE	0x01	/* here, while values are written */
#define CCR_TEXT_READ	0x02	/* here, while values are read */
#define CCR_TEXT_FAR	0x04	/* the far side, within the transaction */

typedef struct CcrTextSetting
{
	const char *name;
	const char *value;			/* NULL: the value that the caller has */
	int			where;
} CcrTextSetting;

extern const CcrTextSetting ccr_text_settings[];
extern const int ccr_ntext_settings;

/*
 * The statement that puts these settings in force on the far side until the
 * end of the transaction.  lc_monetary: NULL unless there is money among the
 * values.
 */
extern char *ccr_text_settings_sql(const char *lc_monetary);

/* Is the text of this built-in type the same under all settings? */
extern bool ccr_text_is_plain(Oid type);

#endif							/* CCR_TEXTFORM_H */
