/* diff: what the comparison of two configurations is made of: one function per part, and
 * how a change is told. Each part is linear in the size of both. */
#ifndef TOOLS_DIFF_H
#define TOOLS_DIFF_H

#include "base/vec.h"
#include "tools/configuration.h"

enum change { CHANGE_REMOVED, CHANGE_ADDED, CHANGE_CHANGED, CHANGE_ORDER };

struct diff {
    const struct invocation *in;
    struct configuration old, new;
    struct arena *arena;
    unsigned changes;
    unsigned addresses, rerouted; /* of --addresses */
};

/* One change. Texts are as in the canonical form; a pointer that is NULL: not there. */
struct diff_change {
    const char *kind; /* "rule", "channel", ... */
    str name;
    enum change change;
    str what;             /* which property of it, STR_NONE: all of it */
    str old, new;         /* values */
    struct span was, now; /* places in the old and the new configuration */
};
/* Counts it, and prints it as a line or as a JSON object. */
void diff_tell(struct diff *d, const struct diff_change *c);
/* A column for kind and name: "rule .old.test". */
void diff_label(const char *kind, str name);

/* A list whose order may matter, and how two of them differ. */
struct diff_item {
    str text; /* what is compared */
    struct span at;
    bool gone; /* set when two lists are compared: it has no counterpart */
};
typedef VEC(struct diff_item) diff_list;
/* Tells the difference of two such lists as changes like *c: one by one, or as one
 * changed item when there is one on either side; and the order when it matters. */
void diff_tell_lists(struct diff *d, const struct diff_change *c, diff_list *old,
                     diff_list *new, bool order);

void diff_channels(struct diff *d); /* channels, host lines, keywords */
void diff_rules(struct diff *d);
void diff_services(struct diff *d);
void diff_files(struct diff *d); /* the other files, in their canonical form */
/* The routes of the addresses in a file. False after saying that it cannot be read, or
 * that a channel does not exist. */
bool diff_routes(struct diff *d, const char *path);

#endif
