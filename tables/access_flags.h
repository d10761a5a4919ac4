/* access_flags: the flags that access tables can answer with, as rows: which table knows
 * them, what they take from the output, and what of them is not honoured. The order of
 * the rows is the order of the arguments, whatever that of the flags in an entry (PMDF
 * 16.1; Oracle's later flags). Internal to tables/access*. */
#ifndef TABLES_ACCESS_FLAGS_H
#define TABLES_ACCESS_FLAGS_H

#include "parser/keywords.h"
#include "tables/access.h"

enum access_argument {
    ACCESS_ARG_NONE, /* the flag takes no text */
    ACCESS_ARG_LOST, /* it does, and nothing is done with that */
    ACCESS_ARG_SENDER,
    ACCESS_ARG_LOG_MATCH,
    ACCESS_ARG_LOG_REJECT,
    ACCESS_ARG_DELAY,
    ACCESS_ARG_HEADER,
    ACCESS_ARG_LIMITS,
    ACCESS_ARG_STATUS,
    ACCESS_ARG_REASON,
    ACCESS_ARG_LOG_TAG,
    ACCESS_ARG_IP,
    ACCESS_ARG_CHANNEL
};

struct access_flag {
    char letter;
    enum access_argument argument;
    unsigned pieces; /* of the output, which '|' separates */
    unsigned tables; /* bits 1 << enum access_table */
    enum keyword_status status;
    const char *text; /* where not HONOURED: what is lost */
};

/* The row of a flag in a table, or NULL: it means nothing there. */
const struct access_flag *access_flag_find(enum access_table t, char letter);
/* Reads the output and the flags that are in *v, as access_ask() does. */
void access_read(const struct access_question *q, struct arena *a,
                 struct access_verdict *v);
/* The rows of a table in the order of their arguments; NULL behind the last. */
const struct access_flag *access_flag_next(enum access_table t,
                                           const struct access_flag *before);

/* tls_access_check.c: what is wrong with an entry of a table about TLS. */
struct compile;
struct mapping_entry;
void tls_access_check(struct compile *c, enum access_table t,
                      const struct mapping_entry *e);

#endif
