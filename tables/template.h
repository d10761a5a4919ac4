/* template: the right side of a rewrite rule (PMDF 2.2.5) as a flat list of ops that
 * is run from left to right: text and substitutions append to the current field, a
 * separator opens the next one, a control decides whether the rule applies, a call-out
 * asks a table and puts the answer back as more template.
 * The letters after '$' are rows of a table in template_letters.c; template_parse.c
 * makes the ops, template_check.c looks at the whole, template_run.c runs them. */
#ifndef TABLES_TEMPLATE_H
#define TABLES_TEMPLATE_H

#include <stdbool.h>

#include "base/address.h"
#include "base/arena.h"
#include "base/diag.h"
#include "tables/hostspec.h"
#include "tables/pattern.h"

enum {
    TEMPLATE_FIELD_MAX = 1024,
    TEMPLATE_FIELDS = 4,
    TEMPLATE_TEXT_MAX = 4096 /* also of what a call-out answers */
};

enum template_form {
    TEMPLATE_SHORT,  /* A@C      the same as A%C@C */
    TEMPLATE_FULL,   /* A%B@C */
    TEMPLATE_REPEAT, /* A%B      start again with the new address */
    TEMPLATE_ROUTED, /* A@B@C    the same as A@B@C@C */
    TEMPLATE_VIA,    /* A@B@C@D  A@B by the source route C, routing host D */
    TEMPLATE_AS_IS,  /* $?text   the address as it is, with that error text */
    TEMPLATE_OPEN,   /* a call-out has a say in the form */
    TEMPLATE_FORMS
};

/* What can be known of a template before any address comes. */
enum template_trait {
    TEMPLATE_MAY_FAIL = 1 << 0,    /* a control or substitution can make the rule fail */
    TEMPLATE_NEVER = 1 << 1,       /* its controls contradict each other */
    TEMPLATE_LABELS = 1 << 2,      /* uses $&n or $!n */
    TEMPLATE_REST = 1 << 3,        /* uses $L */
    TEMPLATE_FOR_CLIENTS = 1 << 4, /* can apply in an IP switch: neither $B nor $F */
    TEMPLATE_SETS_TAG = 1 << 5,    /* uses $T */
    TEMPLATE_CALLS = 1 << 6,       /* asks a table or the general database */
    TEMPLATE_TRAITS = (1 << 7) - 1
};

/* One step; offsets are into the text of the template. */
struct template_op {
    uint8_t kind;               /* enum template_op_kind */
    uint8_t numbered;           /* digits were written before the letter */
    uint16_t at, length;        /* the sequence as written */
    uint16_t text_at, text_len; /* plain text, or the argument of a control */
    uint16_t zero;
    uint32_t number;
};

struct template
{
    str text; /* as written, continuation lines joined */
    const struct template_op *ops;
    size_t op_count;
    enum template_form form;
    unsigned traits;
    str routing_host; /* the last field, if it is literal text only; else empty. With a
                         call-out before it: what it is when the answer has no separator
                       */
};

/* Understands a template; `at` is the span of text. Reports every fault and returns
 * false if there was one. diags may be NULL: nothing is reported (the answer of a
 * call-out). Ops are in the arena, texts are slices of text. */
bool template_parse(struct arena *a, str text, struct span at, struct diags *diags,
                    struct template *out);
/* The same for a piece of a template, as call-outs answer with: no form is asked of it.
 */
bool template_parse_part(struct arena *a, str text, struct span at, struct diags *diags,
                         struct template *out);
/* What a control or call-out names: a channel ($M $N $Q $C), or a mapping table. */
enum template_name { TEMPLATE_NAMES_CHANNEL, TEMPLATE_NAMES_TABLE };
/* Calls each(arg, what, name, at) for every name in the template. */
void template_names(const struct template *t, struct span at,
                    void (*each)(void *arg, enum template_name what, str name,
                                 struct span at),
                    void *arg);
/* Does it use $(...)? */
bool template_asks_general(const struct template *t);
/* Is this op one that template_run() can run on a text of that length? For images. */
bool template_op_valid(const struct template_op *op, size_t text_len);

struct snapshot;
struct channel;
/* What a template is applied to. */
struct template_input {
    const struct snapshot *snapshot; /* tables for the call-outs */
    const struct pattern_match *match;
    const struct hostspec *spec;
    const struct address *address;     /* the whole address as it stands */
    bool envelope;                     /* $E, else $B */
    bool forward;                      /* $F, else $R */
    const struct channel *source;      /* $M, $N; NULL: no such test applies */
    const struct channel *destination; /* $Q, $C; NULL: they are passed over */
};

enum template_result {
    TEMPLATE_APPLIES,
    TEMPLATE_FAILS,    /* the next rule is tried */
    TEMPLATE_TOO_LONG, /* a field grew past TEMPLATE_FIELD_MAX */
    TEMPLATE_BAD_FORM  /* with what the call-outs answered it has none of the forms */
};
struct template_output {
    enum template_form form; /* never TEMPLATE_OPEN */
    str user, domain;        /* A, B */
    str routing_host;        /* C or D; empty for REPEAT and AS_IS */
    str source_route;        /* C of the routed forms, else empty */
    str failed;              /* TEMPLATE_FAILS: what failed, as written, e.g. "$E" */
    str tag;                 /* ptr NULL: the tag stays as it is */
    str error;               /* ptr NULL: none was set */
    unsigned status[3];      /* of error */
};
/* Runs it. Results are in the arena. */
enum template_result template_run(const struct template *t,
                                  const struct template_input *in, struct arena *a,
                                  struct template_output *out);

#endif
