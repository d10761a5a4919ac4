/* forward: the FORWARD mapping and the file `forward`, asked for each recipient that is
 * no alias (any more): another address instead (Messaging Server 10.9.3). Pure. */
#ifndef TABLES_FORWARD_H
#define TABLES_FORWARD_H

#include "base/address.h"
#include "tables/snapshot.h"

/* Bits of USE_FORWARD_DATABASE. */
enum {
    FORWARD_FILE = 1,        /* the file is asked */
    FORWARD_FILE_FROM = 8,   /* by channel|from|to, not by the address alone */
    FORWARD_TABLE_FROM = 16, /* the same for the mapping table */
    FORWARD_TABLE_TO = 64,   /* with the channel it goes to before the address */
    FORWARD_BITS =
        FORWARD_FILE | FORWARD_FILE_FROM | FORWARD_TABLE_FROM | FORWARD_TABLE_TO,
    FORWARD_BITS_MAX = 1 << 20
};

struct forward_entry {
    str value; /* as written */
    struct address address;
    struct span at;
};

struct forward_query {
    const struct snapshot *snapshot;
    const struct channel *source, *destination;
    str sender;               /* of the envelope */
    uint64_t flags;           /* for $: and $; */
    const struct address *to; /* as rewritten */
};
struct forward_answer {
    bool changed;
    struct address to;
    struct span at; /* of the entry that decided; SPAN_NONE: none matched */
    str probe;      /* what the table was asked */
    bool again;     /* $D: what it is now is rewritten, expanded and forwarded again */
    bool last;      /* $H: but not forwarded again */
    bool hold;      /* $I: the message is to be held */
    str fault;      /* ptr not NULL: it cannot be said now, and why */
};
void forward_ask(const struct forward_query *q, struct arena *a,
                 struct forward_answer *out);

#endif
