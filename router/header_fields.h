/* header_fields: the fields of a header one after another (RFC 5322 2.2, 4.5). Nothing is
 * refused: what is no field comes out as one without a name, so that the raw texts put
 * together are always the header. */
#ifndef ROUTER_HEADER_FIELDS_H
#define ROUTER_HEADER_FIELDS_H

#include <stdbool.h>

#include "base/str.h"

struct header_field {
    str raw;   /* everything, line ends included */
    str name;  /* without blanks before the colon; empty: this is no field */
    str value; /* behind the colon, folds included, without the last line end */
};

/* Takes the next field with its continuation lines off *rest; false at the end. Lines
 * end in LF or CR LF. Slices of *rest. */
bool header_field_next(str *rest, struct header_field *f);

/* How long the header is that stands at the beginning of a message, without the empty
 * line that ends it; all of it when there is no such line. */
size_t header_length(str message);

#endif
