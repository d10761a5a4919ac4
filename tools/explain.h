/* explain: what the command has found out, for printing. */
#ifndef TOOLS_EXPLAIN_H
#define TOOLS_EXPLAIN_H

#include "base/vec.h"
#include "tools/configuration.h"
#include "tools/explanation.h"

typedef VEC(str) note_list;

struct explaining {
    const struct invocation *in;
    const struct configuration *c;
    struct explanation_request request;
    struct explanation e;
    note_list guesses; /* what of the client tables look at and was not told */
    note_list notes;   /* what the configuration asks for and nobody looks at yet */
};

/* explain_access.c: what an access table was asked, and said: two lines of text, one
 * object of an array. Nothing for a table there is
 * not. */
void explain_access_print(const struct explaining *x, const struct access_verdict *v);
struct record;
void explain_access_record(const struct explaining *x, struct record *out,
                           const struct access_verdict *v);

/* Prints it as one JSON object. */
void explain_json(const struct explaining *x);

struct record;
/* explain_sender.c: the envelope sender on its way out; nothing, or null, when none was
 * given or the recipient is refused. */
void explain_sender_text(const struct explaining *x);
void explain_sender_json(const struct explaining *x, struct record *out);

#endif
