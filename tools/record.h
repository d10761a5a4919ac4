/* record: one JSON object on one line of standard output, member by member. The names
 * given must need no escaping. */
#ifndef TOOLS_RECORD_H
#define TOOLS_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/diag.h"

struct record {
    struct buf out;
};

void record_begin(struct record *r);
/* Members of the object that is open; name is NULL in an array. A str whose pointer is
 * NULL becomes null. */
void record_str(struct record *r, const char *name, str value);
void record_uint(struct record *r, const char *name, uint64_t value);
void record_int(struct record *r, const char *name, int64_t value);
void record_bool(struct record *r, const char *name, bool value);
void record_null(struct record *r, const char *name);
/* {"file":...,"line":...}, or null for SPAN_NONE. */
void record_place(struct record *r, const char *name, const struct sources *sources,
                  struct span at);
/* Opens an object ('{') or an array ('['), and closes what was opened last. */
void record_open(struct record *r, const char *name, char bracket);
void record_close(struct record *r, char bracket);
/* Closes the record, prints it with a line feed, and frees it. */
void record_print(struct record *r);

#endif
