/* mapping_pattern: patterns of mapping entries: compiled to a list of elements, and
 * matched without ever taking more steps than (length of the text) x (length of the
 * pattern), unless a back match stands in it. Internal to the mapping engine. */
#ifndef TABLES_MAPPING_PATTERN_H
#define TABLES_MAPPING_PATTERN_H

#include "base/diag.h"
#include "tables/mapping_ip.h"

enum { MAPPING_WILDCARDS_MAX = 256 };

enum mapping_element_kind {
    ELEMENT_LITERAL, /* .text, folded; never empty */
    ELEMENT_ONE,     /* one character of .set */
    ELEMENT_RUN,     /* any number of characters of .set */
    ELEMENT_BACK,    /* what wildcard .number matched */
    ELEMENT_IP       /* an address of .ip */
};

/* Characters, folded. */
struct mapping_set {
    uint64_t bits[4];
};

struct mapping_element {
    enum mapping_element_kind kind;
    bool lazy;       /* RUN: as little as possible first */
    bool saves;      /* ONE, RUN, IP */
    unsigned number; /* what saves: the number of the text; BACK: of which */
    union {          /* small: a table has very many, and they are what is read */
        str text;    /* LITERAL */
        const struct mapping_set *set; /* ONE, RUN; NULL: any character */
        const struct mapping_ip *ip;   /* IP */
    };
};

struct mapping_pattern {
    const struct mapping_element *elements;
    unsigned count;
    unsigned saved; /* how many texts it saves */
    unsigned runs;
    unsigned backs; /* elements before this one can be seen by a back match behind */
    size_t length_min;
    str prefix, suffix; /* literal text it begins and ends with, folded */
    str needle;         /* the longest literal text in it, folded */
};

/* Compiles text into a; scratch is for what is not kept. Faults are reported with slug
 * "mapping-pattern" at the place in `at`, the span of the text. False when there was an
 * error. */
bool mapping_pattern_compile(struct arena *a, struct arena *scratch, str text,
                             struct span at, struct diags *d,
                             struct mapping_pattern *out);
struct mapping_saved {
    size_t from, length;
};

/* Storage for matching, used again and again. */
struct mapping_matcher {
    struct arena *arena; /* storage grows here */
    long work;           /* steps that may still be taken; negative: given up */
    struct mapping_saved *saved;
    size_t saved_cap;
    struct mapping_choice *choices;
    size_t choices_cap;
    uint64_t *failed; /* bits: run x position */
    size_t failed_cap;
};

/* Does the folded text match, wholly? Then m->saved[0 .. saved) are the saved texts.
 * When m->work is used up it is negative, and the result means nothing. */
bool mapping_pattern_match(const struct mapping_pattern *p, str folded,
                           struct mapping_matcher *m);

#endif
