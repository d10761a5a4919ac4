/* reverse: the reverse database and the REVERSE mapping (PMDF 3.3, 7.3.1): they turn the
 * address of a sender, or any address of a header, into the one the world is to see.
 * Never recipients of an envelope. The text database `reverse` holds an address, blanks,
 * and the address to put in its place. Pure. */
#ifndef TABLES_REVERSE_H
#define TABLES_REVERSE_H

#include "tables/route.h"

/* Bits of USE_REVERSE_DATABASE. */
enum {
    REVERSE_AFTER = 1,    /* addresses are reversed when they have been rewritten */
    REVERSE_BEFORE = 2,   /* and before that */
    REVERSE_FORWARD = 4,  /* forward-pointing ones, too */
    REVERSE_CHANNELS = 8, /* the table is asked for "source|destination|address" */
    REVERSE_DATABASE_CHANNELS = 16, /* and so is the database */
    REVERSE_BOTH = 32,              /* the table also when the database has answered */
    REVERSE_BITS = 63
};
/* Steps of matching that all addresses of one message may take, see mapping.h. */
enum { REVERSE_WORK_MAX = 20000000 };

struct reverse_entry {
    str value; /* an address */
    struct span at;
};

/* What happens to the addresses of one message. */
struct reversal {
    long work;      /* steps that are left; begin with REVERSE_WORK_MAX */
    struct span by; /* the line that replaced an address last; SPAN_NONE: none did */
    struct span problem_at; /* the first line whose answer could not be used */
    const char *problem;    /* what was wrong with it, or NULL */
};

/* Reverses *addr, which is asked for as an address of ctx->form on its way from
 * ctx->source (not NULL) to ctx->destination (not NULL); `phase` is REVERSE_BEFORE or
 * REVERSE_AFTER. Only the mailbox is asked for: a source route stays, unless the answer
 * has one. True when another address stands there now, with slices of the snapshot and
 * the arena. An answer that is no whole address changes nothing, and *r says so. */
bool reverse_address(const struct snapshot *s, const struct rewrite_context *ctx,
                     unsigned phase, struct arena *a, struct reversal *r,
                     struct address *addr);

#endif
