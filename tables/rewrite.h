/* rewrite: rewrite rules compiled and matched (PMDF 2.2): one look-up of one host spec.
 * The iteration over an address is route.c; what can be said against rules before any
 * mail comes is lint_rules.c. */
#ifndef TABLES_REWRITE_H
#define TABLES_REWRITE_H

#include "parser/ast.h"
#include "tables/hostspec.h"
#include "tables/route.h"
#include "tables/rule_table.h"
#include "tables/snapshot.h"

/* Compiles the rules into a table in the snapshot's arena; reports bad patterns and
 * templates (every one). Never NULL. Sets s->rule_count, which counts bad ones, too. */
struct rule_table *rewrite_compile(struct snapshot *s, const struct ast_rule *rules,
                                   struct diags *diags);

/* The steps of a trace as they are collected. */
struct rewrite_trace {
    struct route_step *first;
    struct route_step **end;
};

/* What rules leave behind for the rest of one address ($T, $?). Begins with empty texts.
 */
struct rewrite_state {
    str tag;
    str error; /* ptr NULL: none was set */
    unsigned status[3];
};

/* One question: which rule for this host spec? */
struct rewrite_query {
    const struct snapshot *snapshot;
    const struct rewrite_context *ctx;
    const struct hostspec *spec;   /* host is a domain name or a canonical literal */
    const struct address *address; /* the whole of it, as it stands */
    struct rewrite_state *state;   /* changed by a rule that applies */
    struct rewrite_trace *trace;   /* may be NULL */
    struct arena *arena;           /* results live here */
};

enum rewrite_result {
    REWRITE_AS_IS,  /* the host spec itself is domain and routing host */
    REWRITE_REPEAT, /* start again with user@domain */
    REWRITE_DONE,   /* user@domain by way of routing_host */
    REWRITE_BAD     /* a rule applied, but made no good address: see reason */
};
struct rewrite_found {
    enum rewrite_result result;
    const struct rule_record *rule; /* NULL: no rule applied */
    str user, domain, routing_host;
    str source_route; /* a host to go by, or empty */
    str reason;
};
/* Looks the host spec up (PMDF 2.2.3.2) and applies the first rule that does not fail. */
void rewrite_match(const struct rewrite_query *q, struct rewrite_found *out);
/* The rules for $% or $! (kind PATTERN_PERCENT, PATTERN_BANG) only. False: none applied.
 */
bool rewrite_match_special(const struct rewrite_query *q, enum pattern_kind kind,
                           struct rewrite_found *out);

#endif
