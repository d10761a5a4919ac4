/* mapping_template: templates of mapping entries: compiled to a list of operations that
 * are done from left to right. Internal to the mapping engine. */
#ifndef TABLES_MAPPING_TEMPLATE_H
#define TABLES_MAPPING_TEMPLATE_H

#include "base/diag.h"

enum { MAPPING_NESTING_MAX = 8 }; /* call-outs inside the arguments of call-outs */

enum mapping_op_kind {
    MAPPING_OP_TEXT,    /* .text */
    MAPPING_OP_SAVED,   /* $n: .number */
    MAPPING_OP_CASE,    /* $\ $^ $_: .number is that character */
    MAPPING_OP_LDAP,    /* $=: substituted text is quoted for an LDAP filter */
    MAPPING_OP_RANDOM,  /* $?x?: .number percent */
    MAPPING_OP_IF,      /* $:f: .flags must be set */
    MAPPING_OP_UNLESS,  /* $;f: .flags must be clear */
    MAPPING_OP_CONTROL, /* $C $E $L $R: .number is that letter */
    MAPPING_OP_EXIT,    /* $+1E: end, and nothing to the right is done */
    MAPPING_OP_FLAG,    /* $Y and others: .flags is set */
    MAPPING_OP_TABLE,   /* $|.text;.argument| */
    MAPPING_OP_GENERAL, /* ${.argument} */
    MAPPING_OP_FAIL     /* what is not supported: the entry fails */
};

struct mapping_op;
struct mapping_template {
    const struct mapping_op *ops;
    unsigned count;
};

struct mapping_op {
    enum mapping_op_kind kind;
    unsigned number;
    uint64_t flags;
    str text;
    struct span at; /* of the sequence */
    str written;    /* the sequence, for traces */
    struct mapping_template argument;
};

/* Compiles text into a; scratch is for what is not kept. saved is how many texts the
 * pattern saves; at is the span of the text. Faults are reported with slugs
 * "mapping-template" (an error), "unsupported-callout", "mapping-metacharacter" and
 * "mapping-substitution" (warnings). d may be NULL: then nothing is reported. False when
 * there was an error. */
bool mapping_template_compile(struct arena *a, struct arena *scratch, str text,
                              struct span at, unsigned saved, struct diags *d,
                              struct mapping_template *out);
/* The same for a value of the general database that an entry asks for: it is done as if
 * it stood in the template, so that it can set flags, but it cannot ask the database
 * again (slug "general-recursion"). */
bool mapping_value_compile(struct arena *a, struct arena *scratch, str text,
                           struct span at, struct diags *d, struct mapping_template *out);
/* Does the template ask the general database? */
bool mapping_template_asks(const struct mapping_template *t);

#endif
