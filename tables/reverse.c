/* reverse: see reverse.h. */
#include "tables/reverse.h"

#include "tables/access.h"
#include "tables/compile.h"
#include "tables/mapping_view.h"

/* ---- compiling the database ---- */

static void check_value(struct compile *c, const struct ast_entry *e)
{
    struct address addr;
    const char *reason = address_parse(e->template, &addr);
    if (reason == NULL && (addr.local.len == 0 || addr.domain.len == 0)) {
        reason = "has no domain";
    }
    if (reason != NULL) {
        diag_error(c->diags, e->template_at, "reverse-address",
                   "an address must stand here: '%.*s' %s", STR_ARG(e->template), reason);
    }
}

void reverse_compile(struct compile *c, const struct ast *ast)
{
    for (const struct ast_table *t = ast != NULL ? ast->tables : NULL; t; t = t->next) {
        for (const struct ast_entry *e = t->entries; e != NULL; e = e->next) {
            struct reverse_entry *made = arena_new_of(c->arena, struct reverse_entry);
            *made = (struct reverse_entry){e->template, e->template_at};
            check_value(c, e);
            const struct reverse_entry *first = map_add(c->s->reverse, e->pattern, made);
            if (first != made) {
                struct diag *d =
                    diag_warning(c->diags, e->pattern_at, "duplicate-key",
                                 "'%.*s' stands in the reverse database already; this "
                                 "line is passed over",
                                 STR_ARG(e->pattern));
                diag_note(c->diags, d, first->at, "the line that counts");
            }
        }
    }
}

/* ---- one address ---- */

struct reversing {
    const struct snapshot *s;
    const struct rewrite_context *ctx;
    struct arena *arena;
    struct reversal *result;
};

static void problem(struct reversing *r, struct span at, const char *text)
{
    if (r->result->problem == NULL) {
        r->result->problem = text;
        r->result->problem_at = at;
    }
}

/* Takes the answer in the place of the address. */
static bool take(struct reversing *r, str answer, struct span at, struct address *addr)
{
    struct address new;
    answer = str_trim(arena_str(r->arena, answer));
    if (address_parse(answer, &new) != NULL || new.local.len == 0 ||
        new.domain.len == 0) {
        problem(r, at, "the answer is no whole address");
        return false;
    }
    if (new.route.len == 0) {
        new.route = addr->route;
    }
    bool other = !address_eq(addr, &new) || !str_eq(addr->route, new.route);
    *addr = new;
    r->result->by = other ? at : r->result->by;
    return true;
}

static str mailbox(struct reversing *r, const struct address *addr)
{
    struct address bare = *addr;
    bare.route = STR("");
    bare.local = address_canonical_local(r->arena, addr->local);
    return address_print(r->arena, &bare);
}

static str with_channels(struct reversing *r, str address)
{
    return arena_printf(r->arena, "%.*s|%.*s|%.*s", STR_ARG(r->ctx->source->name),
                        STR_ARG(r->ctx->destination->name), STR_ARG(address));
}

/* True when the database has the address. */
static bool ask_database(struct reversing *r, struct address *addr)
{
    unsigned use = r->s->options.use_reverse_database;
    if (map_count(r->s->reverse) == 0) {
        return false;
    }
    str key = mailbox(r, addr);
    if ((use & REVERSE_DATABASE_CHANNELS) != 0) {
        key = with_channels(r, key);
    }
    const struct reverse_entry *e = map_get(r->s->reverse, key);
    return e != NULL && take(r, e->value, e->at, addr);
}

/* What the table is asked for. Fields must not be shifted by an address with a '|' in it,
 * and an address made of a changed one would be somebody else's: false. */
static bool table_probe(struct reversing *r, const struct address *addr, str *probe)
{
    *probe = mailbox(r, addr);
    if ((r->s->options.use_reverse_database & REVERSE_CHANNELS) == 0) {
        return true;
    }
    bool plain = str_eq(access_escape(r->s, r->arena, *probe), *probe) ||
                 r->s->options.mapping_paranoia == '\0';
    *probe = with_channels(r, *probe);
    return plain;
}

static void ask_table(struct reversing *r, struct address *addr)
{
    const struct mapping *t = mapping_find(r->s, STR("REVERSE"));
    struct mapping_input in = {.snapshot = r->s};
    struct mapping_output out;
    if (t == NULL || !table_probe(r, addr, &in.probe)) {
        return;
    }
    if (r->result->work <= 0) {
        problem(r, mapping_span(t), "too many steps for the addresses of one message");
        return;
    }
    in.flags = mapping_flag(r->ctx->form == ROUTE_ENVELOPE ? 'E' : 'B');
    bool matched = mapping_run(t, &in, r->arena, &out);
    r->result->work -= out.work;
    if (out.fault != NULL) {
        problem(r, mapping_span(t), out.fault);
    }
    if (!matched || (out.flags & mapping_flag('N')) != 0 ||
        (out.flags & mapping_flag('Y')) == 0) {
        return;
    }
    if (take(r, out.text, out.entry, addr) && (out.flags & mapping_flag('D')) != 0) {
        ask_database(r, addr);
    }
}

/* Is this a kind of address that is reversed, there and now? */
static bool wanted(const struct snapshot *s, const struct rewrite_context *ctx,
                   unsigned phase)
{
    unsigned use = s->options.use_reverse_database;
    bool envelope = ctx->form == ROUTE_ENVELOPE;
    return (use & phase) != 0 && ctx->destination->opts.reverse &&
           (envelope ? s->options.reverse_envelope > 0 : true) &&
           (ctx->direction == ROUTE_BACKWARD ||
            ((use & REVERSE_FORWARD) != 0 && !envelope));
}

bool reverse_address(const struct snapshot *s, const struct rewrite_context *ctx,
                     unsigned phase, struct arena *a, struct reversal *r,
                     struct address *addr)
{
    struct reversing reversing = {s, ctx, a, r};
    struct address before = *addr;
    if (!wanted(s, ctx, phase) || addr->local.len == 0 || addr->domain.len == 0) {
        return false;
    }
    if (!ask_database(&reversing, addr) ||
        (s->options.use_reverse_database & REVERSE_BOTH) != 0) {
        ask_table(&reversing, addr);
    }
    return !address_eq(&before, addr) || !str_eq(before.route, addr->route);
}
