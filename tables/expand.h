/* expand: what one recipient becomes by aliases and FORWARD: addresses that get the
 * message, and those that cannot (PMDF 3.1; "theory1"). Each address is rewritten; if it
 * is an alias, its members go through the same again; if not, FORWARD is asked. Pure.
 *
 * Level by level, so each alias is expanded once, where it is reached on the shortest
 * way; what is reached again is a duplicate. An alias that names itself is the mailbox of
 * that name; any longer circle is an error. All is bounded: levels by MAX_ALIAS_LEVELS,
 * addresses by EXPAND_MAX. */
#ifndef TABLES_EXPAND_H
#define TABLES_EXPAND_H

#include "tables/alias.h"
#include "tables/route.h"

enum { EXPAND_MAX = 100000 };

enum expand_kind {
    EXPAND_LEAF,      /* gets the message */
    EXPAND_ALIAS,     /* stands for its children */
    EXPAND_FORWARDED, /* stands for its child */
    EXPAND_DUPLICATE, /* it, or the alias it is, was there before */
    EXPAND_BAD,       /* cannot get it: code and reason */
    EXPAND_LATER      /* cannot be told now: the same */
};

struct expand_node {
    enum expand_kind kind;
    struct expand_node *parent; /* NULL: the recipient itself */
    struct expand_node *child;  /* the first one; the others follow it by next */
    unsigned children;
    unsigned level; /* aliases and forwards above it */
    str text;       /* as written */
    struct span at; /* where; SPAN_NONE: the recipient */
    struct address address;
    struct route route;
    const struct alias *alias; /* of EXPAND_ALIAS, and its duplicates */
    struct span forward;       /* of EXPAND_FORWARDED: the entry */
    const struct alias *list; /* whose member it is, at any depth; the nearest; or NULL */
    str sender;               /* of the envelope for it; ptr NULL: as it came */
    unsigned block_limit, line_limit; /* the least of the lists above; 0: none */
    bool hold;                        /* $I of FORWARD */
    unsigned code, status[3];         /* of EXPAND_BAD and EXPAND_LATER */
    str reason;
    struct span reason_at; /* the place that is to blame, or SPAN_NONE */
    bool plain;            /* neither alias nor FORWARD is asked (any more) */
    bool last;             /* FORWARD is not asked */
    struct expand_node *next;
};

struct expand_query {
    const struct snapshot *snapshot;
    const struct channel *source;
    str sender;                /* of the envelope, empty: null */
    uint64_t flags;            /* of mapping tables: A T E L and so on (mapping_flag()) */
    struct address to;         /* with a host */
    const struct route *route; /* where `to` leads, as route_envelope_to() found it */
};

struct expansion {
    struct expand_node *first; /* in the order they were looked at; the recipient first */
    unsigned count, leaves, bad;
    const struct expand_node *later; /* the first EXPAND_LATER, or NULL */
    bool too_many;                   /* it was given up at EXPAND_MAX */
};

/* Expands. Results live in the arena, and point into the snapshot and the query. */
void expand(const struct expand_query *q, struct arena *a, struct expansion *out);

#endif
