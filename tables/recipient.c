/* recipient: see recipient.h. Each step is one function; the order of the steps is in
 * recipient_resolve(). */
#include "tables/recipient.h"

#include "tables/relay.h"

struct deciding {
    const struct recipient_request *q;
    const struct snapshot *s;
    struct arena *arena;
    struct recipient_answer *out;
};

/* ---- the host it is completed with ----------------------------------------------- */

static str bare_recipient_host(const struct snapshot *s, const struct channel *source)
{
    bool given = source->opts.bare == BARE_DOMAIN && source->opts.defaulthost[1].len > 0;
    return given ? source->opts.defaulthost[1] : s->local_host;
}

static struct address completed(const struct recipient_request *q)
{
    struct address full = q->to;
    if (full.domain.len == 0) {
        full.domain = str_ieq(full.local, STR("postmaster"))
                          ? q->snapshot->local_host
                          : bare_recipient_host(q->snapshot, q->source);
    }
    return full;
}

/* ---- refusals ---------------------------------------------------------------------- */

static enum recipient_verdict refuse_route(struct deciding *d)
{
    const struct route *r = &d->out->route;
    struct recipient_reply *reply = &d->out->reply;
    reply->code = r->status[0] == 4 ? 450 : 550;
    memcpy(reply->status, r->status, sizeof reply->status);
    reply->text = r->error;
    return RECIPIENT_NO_ROUTE;
}

/* What a refusal to relay is about: the domain, or the whole address when that names more
 * hosts, because its domain may well be ours then. */
static str relay_target(const struct address *to, struct arena *a)
{
    bool more = to->route.len > 0 || str_find(to->local, '%') >= 0 ||
                str_find(to->local, '!') >= 0 || str_find(to->local, '@') >= 0;
    return str_empty(to->domain) ? STR("that address")
           : more                ? address_print(a, to)
                                 : to->domain;
}

static enum recipient_verdict refuse_relay(struct deciding *d)
{
    str target = relay_target(&d->q->to, d->arena);
    d->out->reply = (struct recipient_reply){
        .code = 550,
        .status = {5, 7, 1},
        .text =
            arena_printf(d->arena, "relaying to %.*s is not allowed", STR_ARG(target)),
    };
    return RECIPIENT_RELAY;
}

/* ---- the steps -----------------------------------------------------------------------
 */

static enum recipient_verdict step_rewrite(struct deciding *d)
{
    struct recipient_answer *out = d->out;
    bool found =
        route_envelope_to(d->s, d->q->source, &out->completed, d->arena, &out->route);
    return found ? RECIPIENT_TAKEN : refuse_route(d);
}

/* Judges the address that the client gave; before its host gets its proper name, which
 * may be one that is not ours. */
static enum recipient_verdict step_relay(struct deciding *d)
{
    const struct recipient_answer *out = d->out;
    bool may = d->q->trusted || relay_is_ours(d->s, out->route.channel, &out->completed,
                                              &out->route.address, d->arena);
    return may ? RECIPIENT_TAKEN : refuse_relay(d);
}

static enum recipient_verdict step_leaves(struct deciding *d)
{
    struct recipient_answer *out = d->out;
    route_proper_name(d->arena, &out->route);
    out->leaves = arena_new_of(d->arena, struct recipient_leaf);
    out->leaves[0].route = out->route;
    out->leaf_count = 1;
    return RECIPIENT_TAKEN;
}

enum recipient_verdict recipient_resolve(const struct recipient_request *q,
                                         struct arena *a, struct recipient_answer *out)
{
    static enum recipient_verdict (*const steps[])(struct deciding *) = {
        step_rewrite, step_relay, step_leaves};
    struct deciding d = {q, q->snapshot, a, out};
    *out = (struct recipient_answer){.completed = completed(q)};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        out->verdict = steps[i](&d);
        if (out->verdict != RECIPIENT_TAKEN) {
            break;
        }
    }
    return out->verdict;
}
