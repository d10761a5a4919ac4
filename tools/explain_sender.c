/* explain: the envelope sender as the next hop sees it: rewritten, reversed, in the form
 * of the channel; with the line of the reverse database or table that replaced it. */
#include <stdio.h>

#include "tables/shown.h"
#include "tools/addresses.h"
#include "tools/explain.h"
#include "tools/record.h"
#include "tools/text.h"

/* What is shown, or STR_NONE: no sender was given, it has no host (what completes it
 * depends on what the client says), or the message goes nowhere. */
static str shown(const struct explaining *x, struct reversal *r)
{
    const struct snapshot *s = x->c->snapshot;
    const struct channel *to = x->e.leaf.channel;
    struct arena *a = x->c->arena;
    struct address given, out;
    const char *text = x->in->options.sender;

    *r = (struct reversal){.work = REVERSE_WORK_MAX};
    str sender = text ? address_bare(str_from(text)) : STR("");
    sender = x->e.leaf_sender.ptr ? x->e.leaf_sender : sender;
    if (!text || x->e.refused || address_parse(sender, &given) || given.domain.len == 0) {
        return STR_NONE;
    }
    if (x->e.from.new_sender && !x->e.leaf_sender.ptr) {
        given = x->e.from.sender;
    }
    struct rewrite_context ctx = {.source = x->e.source,
                                  .direction = ROUTE_BACKWARD,
                                  .form = ROUTE_ENVELOPE,
                                  .destination = to};
    if (!shown_address(s, &ctx, &given, a, r, &out)) {
        out = given;
    }
    return shown_sender(s, to, address_print(a, &out), a);
}

void explain_sender_text(const struct explaining *x)
{
    struct reversal r;
    struct arena *a = x->c->arena;
    const struct sources *sources = x->c->snapshot->sources;
    str text = shown(x, &r);

    if (!text.ptr) {
        return;
    }
    printf("sender       %.*s\n", STR_ARG(text_plain(a, text)));
    if (r.by.source != 0) {
        printf("  reversed   %.*s   %.*s\n", STR_ARG(text_column(a, sources, r.by)),
               STR_ARG(text_written(a, sources, r.by)));
    }
    if (r.problem) {
        printf("  not reversed: %s   %.*s\n", r.problem,
               STR_ARG(text_column(a, sources, r.problem_at)));
    }
}

void explain_sender_json(const struct explaining *x, struct record *out)
{
    struct reversal r;
    str text = shown(x, &r);

    if (!text.ptr) {
        record_null(out, "sender");
        return;
    }
    record_open(out, "sender", '{');
    record_str(out, "shown", text);
    record_place(out, "reversed", x->c->snapshot->sources, r.by);
    record_str(out, "problem", r.problem ? str_from(r.problem) : STR_NONE);
    record_place(out, "problem_at", x->c->snapshot->sources, r.problem_at);
    record_close(out, '}');
}
