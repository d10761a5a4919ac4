/* alias: the alias file, compiled: names of the local channel, and of channels with
 * aliaslocal, that stand for other addresses (PMDF 3.1, 4.1). Immutable. What becomes of
 * an address that is one is in tables/expand.h. docs/aliases.md tells the language. */
#ifndef TABLES_ALIAS_H
#define TABLES_ALIAS_H

#include "base/address.h"
#include "tables/snapshot.h"

enum { ALIAS_LEVELS_DEFAULT = 10, ALIAS_LEVELS_MAX = 2000 };

/* One address that an alias stands for. */
struct alias_member {
    str text;               /* as written */
    struct address address; /* when it is one; without a host: of this system */
    const char *bad;        /* why it is none, or NULL */
    struct span at;
};

/* A file with addresses: the members of a list, or senders. */
struct alias_file {
    str name;    /* as written */
    str missing; /* why it could not be read; ptr NULL: it could */
    struct span at;
    struct alias_member *members;
    unsigned count;
    struct map *mailboxes; /* of the members that are good, as "local@domain" */
};

enum alias_clause_kind {
    ALIAS_CLAUSE_CHANNELS,
    ALIAS_CLAUSE_SENDERS,
    ALIAS_CLAUSE_TABLE
};

/* Who may post to a list. */
struct alias_clause {
    enum alias_clause_kind kind;
    bool cant;                     /* who it names may not */
    bool either;                   /* it or those before it must hold; else both */
    str channels;                  /* names with wildcards, between blanks */
    const struct alias_file *file; /* senders */
    const struct mapping *table;
    str name; /* of the parameter */
    struct span at;
};

struct alias {
    str name; /* as written */
    struct span at;
    const struct ast_alias *written;
    struct alias_member *members; /* its own addresses */
    unsigned count;
    const struct alias_file *file; /* and those of its file; NULL: it has none */
    bool list;                     /* it has a file, a sender, an owner or clauses */
    str failed;                    /* why it cannot be expanded now; ptr NULL: it can */
    str closed;                    /* the parameter that nobody can satisfy; else empty */
    struct alias_clause *clauses;
    unsigned clause_count;
    str sender; /* of the envelope to the members; empty: null; ptr NULL: as it came */
    str owner;  /* as written: who is told of bad members; empty: sender, or postmaster */
    unsigned block_limit, line_limit; /* 0: none */
};

/* What an address was found as. */
struct alias_found {
    const struct alias *alias;
    str subaddress; /* behind '+', when the alias was found without it; ptr NULL: none */
};

/* Looks up an address as rewritten, on its channel: on the local one, and on those with
 * aliaslocal. The probes, in order, by the bits of ALIAS_DOMAINS: the whole address (2),
 * "*@domain" (4), the local part (1, and always on the local channel); each first with
 * the subaddress, then as the channel's subaddress* keyword says. false: it is no alias.
 */
bool alias_find(const struct snapshot *s, const struct channel *c,
                const struct address *addr, struct arena *a, struct alias_found *out);
/* The address of a member for a subaddress: "name+*" becomes "name+subaddress", or "name"
 * without one. */
struct address alias_member_address(const struct alias_member *m, str subaddress,
                                    struct arena *a);
/* "local@domain" with the local part unquoted, all in lower case: what is compared. */
str alias_mailbox(struct arena *a, const struct address *addr, str local_host);

#endif
