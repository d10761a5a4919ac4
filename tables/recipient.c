/* recipient: see recipient.h. Each step is one function; the order of the steps is in
 * recipient_resolve(). */
#include "tables/recipient.h"

#include "tables/relay.h"

struct deciding {
    const struct recipient_request *q;
    const struct snapshot *s;
    struct arena *arena;
    struct recipient_answer *out;
    struct recipient_access **access_end;
    unsigned kept;               /* of what was asked about leaves */
    struct access_verdict other; /* what was said last and is not kept */
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

/* ---- access tables ----------------------------------------------------------------- */

static const struct access_peer no_peer;

static bool is_refusal(const struct access_verdict *v)
{
    return v->answer == ACCESS_REJECT || v->answer == ACCESS_FAULT;
}

/* Does it say more than yes? */
static bool has_effects(const struct access_verdict *v)
{
    const struct access_limits *l = &v->limits;
    return is_refusal(v) || v->hold || v->discard || v->discard_all || v->delay_cs != 0 ||
           v->log_match.len > 0 || v->header.len > 0 ||
           (l->blocks | l->recipients | l->cutoff) != 0;
}

/* Asks one table about an address. The verdict is kept in the answer, unless it is one of
 * very many and says nothing but yes; it is good until the next question then. */
static const struct access_verdict *ask(struct deciding *d, enum access_table t,
                                        const struct route *route, bool of_leaf)
{
    struct arena_mark mark = arena_mark(d->arena);
    struct recipient_access *a = arena_new_of(d->arena, struct recipient_access);
    a->of_leaf = of_leaf;
    a->to = route->address;
    struct access_question question = {.snapshot = d->s,
                                       .table = t,
                                       .peer = d->q->peer ? d->q->peer : &no_peer,
                                       .source = d->q->source,
                                       .sender = &d->q->sender,
                                       .destination = route->channel,
                                       .to = &a->to,
                                       .given = &d->out->completed};
    access_ask(&question, d->arena, &a->verdict);
    bool kept = !of_leaf || d->kept < RECIPIENT_ACCESS_KEPT || has_effects(&a->verdict);
    if (!kept || !a->verdict.asked) {
        d->other = a->verdict;
        arena_reset(d->arena, mark);
        return &d->other;
    }
    d->kept += of_leaf;
    *d->access_end = a;
    d->access_end = &a->next;
    return &a->verdict;
}

static struct recipient_reply access_reply(const struct access_verdict *v)
{
    return (struct recipient_reply){
        v->code, {v->status[0], v->status[1], v->status[2]}, v->text};
}

/* ---- the steps --------------------------------------------------------------------- */

static enum recipient_verdict step_rewrite(struct deciding *d)
{
    struct recipient_answer *out = d->out;
    bool found =
        route_envelope_to(d->s, d->q->source, &out->completed, d->arena, &out->route);
    return found ? RECIPIENT_TAKEN : refuse_route(d);
}

/* The tables see the host's proper name. */
static enum recipient_verdict step_access_given(struct deciding *d)
{
    static const enum access_table tables[] = {ACCESS_ORIG_SEND, ACCESS_ORIG_MAIL};
    struct route route = d->out->route;
    route_proper_name(d->arena, &route);
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        const struct access_verdict *v = ask(d, tables[i], &route, false);
        if (is_refusal(v)) {
            d->out->reply = access_reply(v);
            return RECIPIENT_ACCESS;
        }
        d->out->decided |= v->decides;
        d->out->discard |= v->discard || v->discard_all;
    }
    return RECIPIENT_TAKEN;
}

static bool has_table(const struct deciding *d, enum access_table t)
{
    return map_get(d->s->mappings, str_from(access_table_name(t))) != NULL;
}

/* Judges the address that the client gave; before its host gets its proper name, which
 * may be one that is not ours. What it refuses the tables for leaves may still decide. */
static enum recipient_verdict step_relay(struct deciding *d)
{
    struct recipient_answer *out = d->out;
    if (out->decided || d->q->trusted ||
        relay_is_ours(d->s, out->route.channel, &out->completed, &out->route.address,
                      d->arena)) {
        return RECIPIENT_TAKEN;
    }
    out->relay_open = has_table(d, ACCESS_SEND) || has_table(d, ACCESS_MAIL);
    return out->relay_open ? RECIPIENT_TAKEN : refuse_relay(d);
}

static enum recipient_verdict refuse_node(struct deciding *d, const struct expand_node *n)
{
    struct recipient_reply *reply = &d->out->reply;
    reply->code = n->code;
    memcpy(reply->status, n->status, sizeof reply->status);
    reply->text = n->reason;
    return RECIPIENT_ALIAS;
}

static enum recipient_verdict refuse_list(struct deciding *d, const char *text)
{
    d->out->reply = (struct recipient_reply){
        .code = 550, .status = {5, 2, 4}, .text = str_from(text)};
    return RECIPIENT_ALIAS;
}

/* Why is for the log: names of files are nobody's business. */
static enum recipient_verdict refuse_later(struct deciding *d)
{
    d->out->reply = (struct recipient_reply){
        .code = 451, .status = {4, 3, 5}, .text = STR("it cannot be expanded now")};
    return RECIPIENT_ALIAS;
}

/* Nobody is left. One address that an alias stands for may be told why; who is on a list
 * is nobody's business. */
static enum recipient_verdict refuse_nobody(struct deciding *d)
{
    const struct expand_node *bad = NULL;
    for (const struct expand_node *n = d->out->expansion.first; n; n = n->next) {
        bad = n->kind == EXPAND_BAD ? n : bad;
    }
    bool told = bad != NULL && d->out->expansion.bad == 1 &&
                (bad->list == NULL || bad->parent == NULL);
    return told ? refuse_node(d, bad)
                : refuse_list(d, "no address it stands for can be reached");
}

/* Where one member cannot be told about now, nobody gets the message yet: a later try
 * then reaches all, and each once. */
static enum recipient_verdict step_expand(struct deciding *d)
{
    struct recipient_answer *out = d->out;
    struct expansion *e = &out->expansion;
    const struct access_peer *peer = d->q->peer ? d->q->peer : &no_peer;
    struct expand_query q = {.snapshot = d->s,
                             .source = d->q->source,
                             .sender = address_print(d->arena, &d->q->sender),
                             .flags = access_recipient_flags(peer),
                             .to = out->completed,
                             .route = &out->route};
    expand(&q, d->arena, e);
    out->route = e->first->route;
    if (e->too_many) {
        return refuse_list(d, "it stands for too many addresses");
    }
    if (e->later != NULL) {
        return refuse_later(d);
    }
    return e->leaves > 0 ? RECIPIENT_TAKEN : refuse_nobody(d);
}

static enum recipient_verdict step_leaves(struct deciding *d)
{
    struct recipient_answer *out = d->out;
    out->leaves = arena_array(d->arena, struct recipient_leaf, out->expansion.leaves);
    for (struct expand_node *n = out->expansion.first; n; n = n->next) {
        if (n->kind == EXPAND_LEAF) {
            out->leaves[out->leaf_count++] =
                (struct recipient_leaf){n->route, n, out->discard};
        }
    }
    return RECIPIENT_TAKEN;
}

/* A host in the local part that the client gave, handed on by an alias or FORWARD, to
 * where it may be read as one. What delivers here never does that. */
static bool names_others(struct deciding *d, const struct recipient_leaf *leaf)
{
    const struct recipient_answer *out = d->out;
    return !d->q->trusted && leaf->node->parent != NULL && !leaf->route.channel->final &&
           !relay_local_is_ours(d->s, out->completed.local, d->arena) &&
           !relay_local_is_ours(d->s, leaf->route.address.local, d->arena);
}

/* What the tables for leaves say of one. */
static enum recipient_verdict leaf_access(struct deciding *d, struct recipient_leaf *leaf,
                                          struct recipient_reply *reply)
{
    static const enum access_table tables[] = {ACCESS_SEND, ACCESS_MAIL};
    bool decided = false;
    if (names_others(d, leaf)) {
        return RECIPIENT_RELAY;
    }
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        const struct access_verdict *v = ask(d, tables[i], &leaf->route, true);
        if (is_refusal(v)) {
            *reply = access_reply(v);
            return RECIPIENT_ACCESS;
        }
        decided |= v->decides;
        leaf->discard |= v->discard || v->discard_all;
    }
    d->out->decided |= decided;
    return d->out->relay_open && !decided ? RECIPIENT_RELAY : RECIPIENT_TAKEN;
}

/* A leaf that is refused is a bad one; or one of later, if it is refused only for now. */
static void leaf_refused(struct deciding *d, struct recipient_leaf *leaf,
                         enum recipient_verdict why, const struct recipient_reply *reply)
{
    struct expand_node *n = leaf->node;
    n->code = why == RECIPIENT_RELAY ? 550 : reply->code;
    n->kind = n->code < 500 ? EXPAND_LATER : EXPAND_BAD;
    n->reason = why == RECIPIENT_RELAY ? STR("relaying is not allowed") : reply->text;
    static const unsigned relay[] = {5, 7, 1};
    memcpy(n->status, why == RECIPIENT_RELAY ? relay : reply->status, sizeof n->status);
    d->out->expansion.leaves--;
    d->out->expansion.bad += n->kind == EXPAND_BAD;
}

/* Leaves that are refused drop out. With none left, or with one that is refused only for
 * now, the recipient is refused; with what the first of those was told. */
static enum recipient_verdict step_access_leaves(struct deciding *d)
{
    struct recipient_answer *out = d->out;
    enum recipient_verdict why = RECIPIENT_TAKEN;
    unsigned left = 0;
    for (unsigned i = 0; i < out->leaf_count; i++) {
        struct recipient_reply reply = {0};
        struct recipient_access **begin = d->access_end;
        enum recipient_verdict v = leaf_access(d, &out->leaves[i], &reply);
        if (v == RECIPIENT_TAKEN) {
            out->leaves[left++] = out->leaves[i];
            continue;
        }
        for (struct recipient_access *a = *begin; a != NULL; a = a->next) {
            a->dropped = true;
        }
        leaf_refused(d, &out->leaves[i], v, &reply);
        bool sooner =
            why == RECIPIENT_TAKEN || (reply.status[0] == 4 && out->reply.status[0] != 4);
        why = sooner ? v : why;
        out->reply = sooner ? reply : out->reply;
    }
    out->leaf_count = left;
    if (left > 0 && out->reply.status[0] != 4) {
        return RECIPIENT_TAKEN;
    }
    return why == RECIPIENT_RELAY ? refuse_relay(d) : why;
}

enum recipient_verdict recipient_resolve(const struct recipient_request *q,
                                         struct arena *a, struct recipient_answer *out)
{
    static enum recipient_verdict (*const steps[])(struct deciding *) = {
        step_rewrite, step_access_given, step_relay,
        step_expand,  step_leaves,       step_access_leaves};
    struct deciding d = {
        .q = q, .s = q->snapshot, .arena = a, .out = out, .access_end = &out->access};
    *out = (struct recipient_answer){.completed = completed(q)};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        out->verdict = steps[i](&d);
        if (out->verdict != RECIPIENT_TAKEN) {
            break;
        }
    }
    return out->verdict;
}
