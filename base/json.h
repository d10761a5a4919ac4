/* json: just enough of RFC 8259 for the control socket: one object a line, strict. A
 * nested value is checked and handed over as text. Pure. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"

enum json_type { JSON_NULL, JSON_BOOL, JSON_INTEGER, JSON_STRING, JSON_OTHER };

struct json_member {
    str name;
    enum json_type type;
    bool truth;      /* JSON_BOOL */
    int64_t integer; /* JSON_INTEGER: a number without fraction or exponent that fits */
    str text;        /* JSON_STRING: decoded UTF-8; JSON_OTHER: as written */
};

struct json_object {
    struct json_member *members;
    size_t count;
};

enum { JSON_MEMBERS_MAX = 256, JSON_DEPTH_MAX = 16 };

/* Reads text, which must be one object and nothing else but blanks. False with a
 * constant reason when it is malformed, has a name twice, a \u0000, bytes that are not
 * UTF-8, or exceeds a limit. All memory is from a. */
bool json_parse(struct arena *a, str text, struct json_object *out, const char **reason);
/* NULL when there is none of that name and type. */
const struct json_member *json_get(const struct json_object *o, const char *name,
                                   enum json_type type);

/* Appends a quoted string; bytes that are not UTF-8 become U+FFFD. False past the cap
 * of out, which then holds a part. */
bool json_put_string(struct buf *out, str s);

#endif
