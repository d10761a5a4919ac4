/* rewrite: rewrite rules compiled and matched (PMDF 2.2). Lookup is by hash of the
 * pattern, so its cost does not grow with the number of rules. */
#ifndef TABLES_REWRITE_H
#define TABLES_REWRITE_H

#include "parser/ast.h"
#include "tables/nearest.h"
#include "tables/hostspec.h"
#include "tables/pattern.h"
#include "tables/route.h"
#include "tables/snapshot.h"
#include "tables/template.h"

/* One rule, compiled. Immutable. */
struct rewrite_rule {
    struct pattern pattern;
    const struct template *template;
    str pattern_text, template_text; /* as written */
    struct span span;                /* pattern to template */
    struct span pattern_at, template_at;
    const struct rewrite_rule *next;       /* in file order */
    const struct rewrite_rule *next_equal; /* the next one with the same pattern */
};

/* Compiles the rules into the snapshot's arena; reports bad patterns and templates
 * (every one). Sets s->rule_count. Never NULL. Routing hosts are checked by
 * rewrite_check_hosts() once the host table is complete. The texts of the rules are
 * borrowed: they must live as long as the snapshot. */
struct rewrite_rules *rewrite_compile(struct snapshot *s, const struct ast_rule *rules,
                                      struct diags *diags);
/* Warns of rules whose literal routing host no channel owns, of rules that can never
 * be reached or never apply, and of channels named by $M and $N that do not exist.
 * Needs s->rules, s->hosts, s->channels and s->channels_by_name. */
void rewrite_check_hosts(const struct snapshot *s, struct nearest_budget *nearest,
                         struct diags *diags);
/* The first rule in file order, for dumps; NULL when there is none. */
const struct rewrite_rule *rewrite_first(const struct rewrite_rules *rules);

/* The steps of a trace as they are collected. */
struct rewrite_trace {
    struct route_step *first;
    struct route_step **end;
};

enum rewrite_result {
    REWRITE_AS_IS,  /* no rule: the host spec itself is domain and routing host */
    REWRITE_REPEAT, /* start again with user@domain */
    REWRITE_DONE,   /* user@domain by way of routing_host */
    REWRITE_BAD     /* a rule applied, but made no good address: see reason */
};
struct rewrite_found {
    enum rewrite_result result;
    const struct rewrite_rule *rule; /* NULL: REWRITE_AS_IS */
    str user, domain, routing_host;
    str reason;
};
/* Looks one host spec up (PMDF 2.2.3.2) and applies the first rule that does not fail.
 * spec->host is a domain name or a canonical literal. trace may be NULL. Results live
 * in the arena. */
void rewrite_match(const struct snapshot *s, const struct rewrite_context *ctx,
                   const struct hostspec *spec, struct rewrite_trace *trace,
                   struct arena *a, struct rewrite_found *out);

#endif
