/* pattern: the left side of a rewrite rule (PMDF 2.2.4), brought to the one form it
 * is looked up by, and the probe sequence of a host spec (PMDF 2.2.3.2, 2.2.3.7).
 * Also the canonical form of domain literals, which patterns and addresses share. */
#ifndef TABLES_PATTERN_H
#define TABLES_PATTERN_H

#include <stdbool.h>

#include "base/arena.h"

enum pattern_kind {
    PATTERN_EXACT,          /* host.dom */
    PATTERN_LITERAL,        /* [1.2.3.4], [IPv6:...] */
    PATTERN_STARS,          /* *.dom, *.*.dom: each star is one label */
    PATTERN_SUFFIX,         /* .dom */
    PATTERN_LITERAL_PREFIX, /* [1.2.] */
    PATTERN_LITERAL_ANY,    /* [] */
    PATTERN_LITERAL_STARS,  /* [*.*.*.*] */
    PATTERN_ALL_STARS,      /* *.*: any name of so many labels */
    PATTERN_ALL,            /* . */
    PATTERN_FIRST,          /* $*: anything, before all others */
    PATTERN_PERCENT,        /* $%: a host behind a '%' that leads nowhere */
    PATTERN_BANG,           /* $!: the same before a '!' */
    PATTERN_KINDS
};

enum { PATTERN_TAG_MAX = 100 };

struct pattern {
    enum pattern_kind kind;
    str tag; /* with its '|'; empty if there is none */
    str key; /* what is looked up, case-blind: tag and pattern, literals canonical */
};

/* Understands the text of a pattern (PMDF 2.2.4). False: it is none; *reason is an
 * English text then. Slices of out and reason point into text or the arena. */
bool pattern_parse(struct arena *a, str text, struct pattern *out, str *reason);

/* How a host spec met a pattern: what the substitutions of the template see. */
struct pattern_match {
    enum pattern_kind kind;
    str spec;      /* the whole host spec */
    str matched;   /* $D */
    str unmatched; /* $H */
    str rest;      /* $L: the part of a literal that was not matched, no brackets */
};

/* The probes of one host spec, most specific first: exact, then for each level the form
 * with stars and the one with the dot, then all stars. Around them come $* and ".", which
 * are given only when asked for. */
struct pattern_probe {
    struct pattern_match match;
    str key;        /* look this up, behind the tag */
    bool stars;     /* give the probes with stars, too */
    size_t at;      /* where the part not yet worn down ends or begins */
    unsigned level; /* labels in front of it */
    int state;
    char text[2 * 128 + 256]; /* storage for what is no slice of the spec */
};
/* spec is a domain name or a canonical literal; borrowed while the probe is used. stars:
 * probes with stars are wanted. */
void pattern_probe_start(struct pattern_probe *p, str spec, bool stars);
/* Advances to the next probe; false when only "." is left. p->key and p->match are
 * valid until the next call. */
bool pattern_probe_next(struct pattern_probe *p);
/* The probe of a pattern that takes anything: ALL, FIRST, PERCENT or BANG. */
void pattern_probe_any(struct pattern_probe *p, enum pattern_kind kind);

/* The one form of a domain literal: "[1.2.3.4]" or "[IPv6:2001:db8::1]" with the
 * address as RFC 5952 prints it; an IPv4-mapped IPv6 address becomes the IPv4 one.
 * False when literal is no good address literal. */
bool literal_canonical(struct arena *a, str literal, str *out);
/* The same from an IP as getnameinfo prints it ("192.0.2.7", "fe80::1%eth0"). */
bool literal_from_ip(struct arena *a, str ip, str *out);

#endif
