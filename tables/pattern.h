/* pattern: the left side of a rewrite rule (PMDF 2.2.4), brought to the one form it
 * is looked up by, and the probe sequence of a host spec (PMDF 2.2.3.2, 2.2.3.7).
 * Also the canonical form of domain literals, which patterns and addresses share. */
#ifndef TABLES_PATTERN_H
#define TABLES_PATTERN_H

#include <stdbool.h>

#include "base/arena.h"

enum pattern_kind {
    PATTERN_EXACT,          /* host.dom */
    PATTERN_SUFFIX,         /* .dom */
    PATTERN_LITERAL,        /* [1.2.3.4], [IPv6:...] */
    PATTERN_LITERAL_PREFIX, /* [1.2.] */
    PATTERN_LITERAL_ANY,    /* [] */
    PATTERN_ALL             /* . */
};

struct pattern {
    enum pattern_kind kind;
    str key; /* what is looked up, case-blind; literals canonical */
};

enum pattern_result { PATTERN_OK, PATTERN_LATER, PATTERN_BAD };
/* Understands the text of a pattern. PATTERN_LATER: a form of the language that is not
 * supported yet; PATTERN_BAD: no form at all. For both *reason is an English text in
 * the arena. Slices of out point into text or the arena. */
enum pattern_result pattern_parse(struct arena *a, str text, struct pattern *out,
                                  str *reason);

/* How a host spec met a pattern: what the substitutions of the template see. */
struct pattern_match {
    enum pattern_kind kind;
    str spec;      /* the whole host spec */
    str matched;   /* $D */
    str unmatched; /* $H */
    str rest;      /* $L: the part of a literal that was not matched, no brackets */
};

/* The probes of one host spec, most specific first. The last one, ".", is given only
 * when asked for with pattern_probe_all(), because the host table comes before it. */
struct pattern_probe {
    struct pattern_match match;
    str key;       /* look this up */
    char text[64]; /* storage for the shortened literals */
    size_t at;     /* where the part not yet worn down ends or begins */
    int state;
};
/* spec is a domain name or a canonical literal; borrowed while the probe is used. */
void pattern_probe_start(struct pattern_probe *p, str spec);
/* Advances to the next probe; false when only "." is left. p->key and p->match are
 * valid until the next call. */
bool pattern_probe_next(struct pattern_probe *p);
void pattern_probe_all(struct pattern_probe *p);

/* The one form of a domain literal: "[1.2.3.4]" or "[IPv6:2001:db8::1]" with the
 * address as RFC 5952 prints it; an IPv4-mapped IPv6 address becomes the IPv4 one.
 * False when literal is no good address literal. */
bool literal_canonical(struct arena *a, str literal, str *out);
/* The same from an IP as getnameinfo prints it ("192.0.2.7", "fe80::1%eth0"). */
bool literal_from_ip(struct arena *a, str ip, str *out);

#endif
