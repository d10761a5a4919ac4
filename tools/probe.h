/* probe: what `map`, `match` and their classic forms share: table names, sets of flags
 * and strings as they are given on the command line or in lines of standard input. */
#ifndef TOOLS_PROBE_H
#define TOOLS_PROBE_H

#include <stdio.h>

#include "tables/mapping.h"

/* The table of that name (case-blind). NULL after saying on standard error that there is
 * none, with the name probably meant. */
const struct mapping *table_given(const struct snapshot *s, str name);
/* The set of flags that is written as "EB" or, as PMDF does, "(E,B)"; NULL: none. Returns
 * false after saying on standard error which character is no flag. */
bool flags_given(const char *text, uint64_t *out);

typedef void (*string_fn)(str string, void *arg);
/* Calls fn for each line of the file as it is, without its end: blanks and empty lines
 * are strings, too. The line lives for the call. False after saying on standard error
 * that reading failed. */
bool strings_of(FILE *in, string_fn fn, void *arg);

#endif
