/* header_fold: header fields put together anew: folded (RFC 5322 2.2.3), aligned, and
 * lists of addresses split into several fields (PMDF 2.3.4: headerlinelength,
 * headerlabelalign, maxheaderaddrs, maxheaderchars). */
#ifndef ROUTER_HEADER_FOLD_H
#define ROUTER_HEADER_FOLD_H

#include "base/buf.h"

struct header_shape {
    unsigned width;         /* columns of a line */
    unsigned align;         /* where values begin; 0: one blank behind the colon */
    unsigned max_addresses; /* of one field; 0: no limit */
    unsigned max_chars; /* of the value of one field, folds not counted; 0: no limit */
};

/* One element of a list. Its text is empty only at the end of a group. */
struct header_piece {
    str text;           /* may hold folds; blanks at its ends do not count */
    char end;           /* ',' ';' ':' or 0 behind it */
    bool whole;         /* the next piece belongs to it: no field ends here (groups) */
    unsigned addresses; /* 0 or 1 */
};

/* Writes the list as one field or several. false: the cap of out was reached. */
bool header_fold_list(struct buf *out, str name, const struct header_piece *pieces,
                      size_t count, const struct header_shape *shape);
/* Would header_fold_list() make several fields of it? */
bool header_fold_splits(const struct header_piece *pieces, size_t count,
                        const struct header_shape *shape);

/* Writes any field. It is folded only where it has blanks, outside of quotes; the blanks
 * stay. false: the cap of out was reached. */
bool header_fold_text(struct buf *out, str name, str value,
                      const struct header_shape *shape);

#endif
