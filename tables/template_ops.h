/* template_ops: the ops of rewrite templates and the letters they are written with; what
 * the parser, the checks and the machine of templates share. Internal to tables/. */
#ifndef TABLES_TEMPLATE_OPS_H
#define TABLES_TEMPLATE_OPS_H

#include "tables/template.h"

/* Ops up to OP_HOST_LABEL put text into a field; of those, and of all others, the ones
 * from OP_LABEL_LEFT on can make a rule fail unless op_can_fail() knows better. */
enum template_op_kind {
    OP_TEXT,            /* .text */
    OP_PERCENT,         /* separator % */
    OP_AT,              /* separator @ */
    OP_USER,            /* $U $0U $1U */
    OP_UNMATCHED,       /* $H, .number labels dropped */
    OP_MATCHED,         /* $D, .number labels dropped */
    OP_REST,            /* $L */
    OP_UNIQUE,          /* $W */
    OP_LABEL_LEFT,      /* $&n of $H */
    OP_LABEL_RIGHT,     /* $!n of $H */
    OP_MATCHED_LEFT,    /* $*n of $D */
    OP_MATCHED_RIGHT,   /* $#n of $D */
    OP_CHARACTER,       /* $nA: of the address */
    OP_HOST_LABEL,      /* $nX: of the host spec */
    OP_CASE,            /* $\ $^ $_: .number is enum template_case */
    OP_QUOTE,           /* $= */
    OP_FORM,            /* $E $B: .number is `envelope` */
    OP_DIRECTION,       /* $F $R: .number is `forward` */
    OP_LOCATION,        /* $S $A $P $X: .number is the hostspec kind */
    OP_SOURCE,          /* $M */
    OP_NOT_SOURCE,      /* $N */
    OP_REPROCESS,       /* $1M $1N: .number is 1 for "is" */
    OP_DESTINATION,     /* $Q */
    OP_NOT_DESTINATION, /* $C */
    OP_TAG,             /* $T */
    OP_ERROR,           /* $? $n?: .number is the status */
    OP_STOP,            /* $1~ */
    OP_LOCAL,           /* $V, $Z: .number is 1 for "is"; the argument's ops follow */
    OP_GENERAL,         /* $(: the key's ops follow, then OP_CALL_END */
    OP_MAPPING,         /* ${table,: .text is the table; the argument's ops follow, ... */
    OP_CALL_END,        /* ) or }: .length is that of the whole call-out */
    OP_ROUTINE,         /* $[...], $]...[: always fails */
    OP_IGNORED,         /* $. $, */
    OP_KINDS
};

enum template_case { CASE_KEPT, CASE_LOWER, CASE_UPPER };

/* The digits a sequence takes. */
enum letter_digits {
    DIGITS_NONE,   /* $E */
    DIGITS_BEFORE, /* $2A: needed */
    DIGITS_EITHER, /* $U, $0U */
    DIGITS_AFTER   /* $&0: one digit, needed */
};

/* What follows the letter. */
enum letter_argument {
    ARGUMENT_NONE,
    ARGUMENT_NAME,    /* up to the next '$', '%' or '@'; not empty */
    ARGUMENT_TEXT,    /* the same, may be empty; blanks are allowed */
    ARGUMENT_ERROR,   /* the same; when nothing stands before it, the whole rest */
    ARGUMENT_KEY,     /* up to ')', substitutions in it */
    ARGUMENT_TABLE,   /* "table,argument" up to '}', substitutions in the argument */
    ARGUMENT_BRACKET, /* up to ']' */
    ARGUMENT_URL      /* up to '[' */
};

struct letter {
    char letter; /* upper case */
    enum letter_digits digits;
    enum template_op_kind op;
    unsigned number; /* fixed operand where no digits are taken */
    enum letter_argument argument;
};
/* The row for a letter in any case, or NULL. */
const struct letter *letter_find(char c, bool digits_before);

static inline bool op_is_separator(unsigned kind)
{
    return kind == OP_PERCENT || kind == OP_AT;
}
/* True for what can put text into a field by itself. */
static inline bool op_is_material(unsigned kind)
{
    return kind <= OP_HOST_LABEL && !op_is_separator(kind);
}
/* Its answer is put back as more template. */
static inline bool op_is_reexpanded(unsigned kind)
{
    return kind == OP_GENERAL || kind == OP_MAPPING;
}
/* "x.y.z" from x*10^6 + y*10^3 + z (PMDF 2.2.6); false when it is no status of an error.
 */
bool template_status(uint32_t number, unsigned status[3]);

/* The form that a row of separators ("%@") makes; false if none does. */
bool template_form_of(const char *separators, enum template_form *form);

/* template_words.c. A local part without its subaddress, or only that (empty if there is
 * none). Slices of it. */
str template_user_part(str local, bool subaddress);
/* A name without its n leftmost labels; a leading dot stays. A slice of it. */
str template_drop_labels(str name, unsigned n);
/* The n-th label of a name from the left or the right; false if there is none. */
bool template_label(str name, unsigned n, bool from_right, str *label);
/* The text of an error as written, without the '$' before a '$', '%' or '@'. */
str template_error_text(struct arena *a, str written);

struct template_parser;
/* template_check.c: faults of the whole, the form, what can be known before. False and
 * reported when it is of no use. */
bool template_check(struct template_parser *p, struct template *t);

/* What template_parse.c and template_check.c share. */
struct template_parser {
    struct arena *arena;
    struct diags *diags; /* may be NULL */
    str text;
    struct span at;
    size_t pos;
    bool failed;
    struct template_op *ops;
    size_t op_count, op_cap;
};
/* Reports a fault of the text from `from` to p->pos (or the end); p has failed then. */
void template_error(struct template_parser *p, size_t from, const char *slug,
                    const char *fmt, ...) __attribute__((format(printf, 4, 5)));

#endif
