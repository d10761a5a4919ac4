/* template: the right side of a rewrite rule (PMDF 2.2.5) as a flat list of ops that
 * is run from left to right: text and substitutions append to the current field, a
 * separator opens the next one, a control decides whether the rule applies.
 * The letters after '$' are rows of a table at the top of template.c. */
#ifndef TABLES_TEMPLATE_H
#define TABLES_TEMPLATE_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/diag.h"
#include "tables/hostspec.h"
#include "tables/pattern.h"

enum { TEMPLATE_FIELD_MAX = 1024, TEMPLATE_FIELDS = 3 };

enum template_form {
    TEMPLATE_SHORT, /* A@C   the same as A%C@C */
    TEMPLATE_FULL,  /* A%B@C */
    TEMPLATE_REPEAT /* A%B   start again with the new address */
};

struct template_op;
struct template
{
    enum template_form form;
    const struct template_op *ops;
    size_t op_count;
    bool may_fail;    /* some control or substitution can make the rule fail */
    bool never;       /* its controls contradict each other */
    bool uses_labels; /* $&n or $!n */
    bool uses_rest;   /* $L */
    bool for_clients; /* can apply in an IP switch: neither $B nor $F */
    str routing_host; /* the last field, if it is literal text only; else empty */
};

/* Understands a template; `at` is the span of text. Reports every fault and returns
 * NULL if there was one. */
const struct template *template_parse(struct arena *a, str text, struct span at,
                                      struct diags *diags);
/* Calls each(arg, channel, at) for every channel named by a control ($M, $N). */
void template_channels(const struct template *t, struct span at,
                       void (*each)(void *arg, str channel, struct span at), void *arg);

/* What a template is applied to. */
struct template_input {
    const struct pattern_match *match;
    const struct hostspec *spec;
    bool envelope;      /* $E, else $B */
    bool forward;       /* $F, else $R */
    str source_channel; /* $M, $N */
};

enum template_result {
    TEMPLATE_APPLIES,
    TEMPLATE_FAILS,   /* the next rule is tried */
    TEMPLATE_TOO_LONG /* a field grew past TEMPLATE_FIELD_MAX */
};
struct template_output {
    str user, domain; /* A, B */
    str routing_host; /* C; empty for TEMPLATE_REPEAT */
    str failed;       /* TEMPLATE_FAILS: the sequence that failed, e.g. "$E" */
};
/* Runs it. Results are in the arena. */
enum template_result template_run(const struct template *t,
                                  const struct template_input *in, struct arena *a,
                                  struct template_output *out);

#endif
