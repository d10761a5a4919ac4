/* mapping: the tables of `mappings`, compiled, and running one over a string. A table is
 * scanned from its top; the template of the first entry whose pattern matches makes the
 * output and sets flags for the caller, and may go on in this table, begin it again, or
 * call another one (PMDF 5.3). Compiled tables are immutable: threads may share them.
 * docs/mapping.md tells the language. */
#ifndef TABLES_MAPPING_H
#define TABLES_MAPPING_H

#include "tables/snapshot.h"

enum {
    MAPPING_TEXT_MAX = 16384,  /* bytes of a string, put in or come out */
    MAPPING_DEPTH_MAX = 16,    /* tables that call each other */
    MAPPING_RESTARTS_MAX = 10, /* passes in a row that did not shorten the string */
    MAPPING_WORK_MAX = 2000000 /* steps of matching in one run, calls included; and 100
                                  for each entry of the table */
};

struct mapping;

/* The flags that an entry can set for the caller, or a caller for $: and $; tests: one
 * bit for each letter (case-blind) and for '!', ',', '<' and '>'. 0: c is no flag. */
uint64_t mapping_flag(char c);
/* All flags of the set, in the order of the alphabet, "!,<>" last. */
str mapping_flags_text(struct arena *a, uint64_t flags);

struct mapping_input {
    const struct snapshot *snapshot; /* for tables and data that entries call */
    str probe;
    uint64_t flags; /* for $: and $; */
    bool trace;     /* fill in steps */
    bool strict;    /* what cannot be done (unsupported sequences, tables that are not
                       there, values that are no templates) is a fault: the entry does
                       not just fail */
};

/* One entry that was tried because its pattern matched, in order of time. */
struct mapping_step {
    unsigned depth; /* 0: of the table itself; each call is one deeper */
    str table;
    str probe; /* what the pattern was compared with */
    struct span entry;
    str text;    /* what came out; empty when the entry failed */
    str outcome; /* "end", "continue", "restart", "last pass", "failed: SEQUENCE",
                     or "not met: SEQUENCE" for a condition ($? $: $;) */
    struct mapping_step *next;
};

struct mapping_output {
    str text;          /* the probe itself when nothing matched or there is a fault */
    uint64_t flags;    /* of all entries that took part; not of those that failed */
    struct span entry; /* the deciding entry: the last one that matched */
    const char *fault; /* NULL, or why the run was given up: a limit was reached */
    long work;         /* steps it took */
    struct mapping_step *steps;
};

/* The table of that name (case-blind), or NULL. */
const struct mapping *mapping_find(const struct snapshot *s, str table);
str mapping_name(const struct mapping *t);
/* Does an entry of some table ask the general database? */
bool mapping_asks_general(const struct snapshot *s);
/* Runs the table. True when an entry matched, also if a call-out of it failed then: text
 * is what went into that entry, and it set no flags. An entry with a condition that does
 * not hold counts as one that did not match. False when none
 * matched, or with a fault: then nothing can be said, and who asks on behalf of a peer
 * must refuse for the time being. Results are in the arena. */
bool mapping_run(const struct mapping *t, const struct mapping_input *in, struct arena *a,
                 struct mapping_output *out);

/* One entry that matched, and what it makes of the string by itself. */
struct mapping_hit {
    unsigned number; /* of the entry, from 0 */
    struct span entry;
    str text;
    uint64_t flags;
};
/* False: that is enough. */
typedef bool mapping_each_fn(const struct mapping_hit *hit, void *arg);
/* Calls `each` for every entry that matches, from the top, as if each stood alone: that
 * of another one is not its string. $E ends the walk behind its entry; entries of which a
 * condition or a call-out fails are passed over, their $E too. NULL, or why the run was
 * given up: what was told by then is not the whole. Texts are in the arena. */
const char *mapping_each(const struct mapping *t, const struct mapping_input *in,
                         struct arena *a, mapping_each_fn *each, void *arg);

#endif
