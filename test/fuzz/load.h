/* load: what fuzz targets share that load a configuration from their input and
 * then do something with it. */
#ifndef TEST_FUZZ_LOAD_H
#define TEST_FUZZ_LOAD_H

#include <stddef.h>
#include <stdint.h>

#include "tables/snapshot.h"

/* The input up to the line `head` ("\n!== probes\n"); what stands behind it is in *rest,
 * empty without such a line. Slices of data. */
str fuzz_cut(const uint8_t *data, size_t size, const char *head, str *rest);
/* Loads a configuration as the memory loader reads it, with what is not honoured allowed.
 * NULL: it has errors. The text is borrowed for the call. */
struct snapshot *fuzz_load(str text, struct arena *a);
/* May the text be put into a file of such a configuration: no NUL, and no line that
 * begins another file? */
bool fuzz_is_one_file(str text);

#endif
