/*-------------------------------------------------------------------------
 *
 * fuzz.h
 *	  What the fuzzing targets and their driver share.
 *
 * A target reads the input with one of the extension's readers. It may raise
 * errors, which mean that the reader has refused it; what it must not do is
 * read beyond the input, overflow, or get the better of an assertion of ours.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_FUZZ_H
#define CCR_FUZZ_H

#include "lib/stringinfo.h"

typedef struct CcrFuzzTarget
{
	const char *name;
	void		(*read) (const char *data, Size size);
	void		(*example) (StringInfo buf);	/* NULL: seeds are files */
} CcrFuzzTarget;

extern const CcrFuzzTarget ccr_fuzz_bodies;
extern const CcrFuzzTarget ccr_fuzz_discarded;
extern const CcrFuzzTarget ccr_fuzz_errors;
extern const CcrFuzzTarget ccr_fuzz_jobs;
extern const CcrFuzzTarget ccr_fuzz_lockfile;
extern const CcrFuzzTarget ccr_fuzz_numbers;
extern const CcrFuzzTarget ccr_fuzz_options;
extern const CcrFuzzTarget ccr_fuzz_replies;
extern const CcrFuzzTarget ccr_fuzz_sources;
extern const CcrFuzzTarget ccr_fuzz_values;

/* Look at all the bytes, so that what lies outside is noticed. */
extern void ccr_fuzz_touch(const char *data, Size size);

/* Something that must be so, for any input. */
#define CCR_FUZZ_MUST(condition) \
	do { if (!(condition)) ccr_fuzz_fail(#condition, __FILE__, __LINE__); } while (0)
extern void ccr_fuzz_fail(const char *condition, const char *file, int line);

#endif							/* CCR_FUZZ_H */
