/* mapping_view: a mapping table as it is written, for reports: its entries, and what each
 * of them can say to who asks. */
#ifndef TABLES_MAPPING_VIEW_H
#define TABLES_MAPPING_VIEW_H

#include "tables/mapping.h"

/* Does the template of an entry set a flag? Nothing is run: with $C or $R an entry says
 * only a part of the answer, and a condition or call-out can make it fail. */
enum mapping_says {
    MAPPING_SAYS_NOT,
    MAPPING_SAYS_PERHAPS, /* it asks the general database, whose values can set flags */
    MAPPING_SAYS_YES
};

struct mapping_view {
    str pattern, template; /* as written */
    struct span at;
    const struct mapping_template *compiled;
};

/* The line of its name. */
struct span mapping_span(const struct mapping *t);
unsigned mapping_entry_count(const struct mapping *t);
/* The entry of that number, from 0, in the order of the file. */
struct mapping_view mapping_entry_view(const struct mapping *t, unsigned n);
/* Does the entry set that flag? */
enum mapping_says mapping_entry_says(const struct mapping_view *e, char flag);
/* True: whenever the entry matches and does not fail it says exactly this, and the table
 * is left. The text is in the arena. */
bool mapping_entry_constant(const struct mapping_view *e, struct arena *a, str *text,
                            uint64_t *flags);
/* How many fields a pattern has, parted by the '|' that stand for themselves; the first
 * `max` of them are slices of it. */
unsigned mapping_fields(str pattern, str *fields, unsigned max);
/* Is a piece of a pattern plain text, which matches nothing but itself? */
bool mapping_is_plain(str piece);
/* Can a piece of a pattern match an empty text? It errs on the side of "can". */
bool mapping_may_be_empty(str piece);
/* Can a piece of a pattern match this text? It errs on the side of "can". */
bool mapping_may_match(str piece, str text);
/* Can the entry answer with a text that is not empty? */
bool mapping_entry_has_text(const struct mapping_view *e);

#endif
