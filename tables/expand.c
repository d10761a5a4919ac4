/* expand: see expand.h. */
#include "tables/expand.h"

#include "tables/forward.h"
#include "tables/list_access.h"

struct expanding {
    const struct expand_query *q;
    const struct snapshot *s;
    struct arena *arena;
    struct expansion *out;
    struct expand_node **end;
    struct map *aliases; /* seen: "pointer" -> node */
    struct map *leaves;  /* seen: "channel local@domain" */
};

/* ---- nodes ------------------------------------------------------------------------- */

/* A child takes over what its list says. */
static struct expand_node *node_add(struct expanding *x, struct expand_node *parent,
                                    const struct address *addr)
{
    if (x->out->count == EXPAND_MAX) {
        x->out->too_many = true;
        return NULL;
    }
    struct expand_node *n = arena_new_of(x->arena, struct expand_node);
    *n = (struct expand_node){.parent = parent, .address = *addr, .reason = STR("")};
    if (parent != NULL) {
        n->level = parent->level + 1;
        if (parent->children++ == 0) {
            parent->child = n;
        }
        n->list = parent->list;
        n->sender = parent->sender;
        n->block_limit = parent->block_limit;
        n->line_limit = parent->line_limit;
        n->hold = parent->hold;
    }
    if (n->address.domain.len == 0) {
        n->address.domain = x->s->local_host;
    }
    *x->end = n;
    x->end = &n->next;
    x->out->count++;
    return n;
}

static void node_refuse(struct expanding *x, struct expand_node *n, unsigned code,
                        unsigned subject, unsigned detail, str reason)
{
    bool later = code < 500;
    n->kind = later ? EXPAND_LATER : EXPAND_BAD;
    n->code = code;
    n->status[0] = later ? 4 : 5;
    n->status[1] = subject;
    n->status[2] = detail;
    n->reason = reason;
    n->reason_at = n->at;
    x->out->bad += !later;
    if (later && x->out->later == NULL) {
        x->out->later = n;
    }
}

static void node_no_route(struct expanding *x, struct expand_node *n)
{
    const struct route *r = &n->route;
    node_refuse(x, n, r->status[0] == 4 ? 450 : 550, r->status[1], r->status[2],
                r->error);
}

/* ---- aliases ----------------------------------------------------------------------- */

static str alias_id(struct arena *a, const struct alias *alias)
{
    const struct alias **id = arena_new_of(a, const struct alias *);
    *id = alias;
    return str_n((const char *)id, sizeof *id);
}

/* Is n below this alias? */
static bool is_below(const struct expand_node *n, const struct alias *alias)
{
    for (n = n->parent; n != NULL; n = n->parent) {
        if (n->kind == EXPAND_ALIAS && n->alias == alias) {
            return true;
        }
    }
    return false;
}

/* "a -> b -> a" */
static str circle(struct arena *a, const struct expand_node *n, const struct alias *alias)
{
    enum { NAMED_MAX = 8 };
    str text = alias->name;
    unsigned named = 0;
    for (n = n->parent; n != NULL && named < NAMED_MAX; n = n->parent) {
        if (n->kind != EXPAND_ALIAS) {
            continue;
        }
        named++;
        text = arena_printf(a, "%.*s -> %.*s", STR_ARG(n->alias->name), STR_ARG(text));
        if (n->alias == alias) {
            break;
        }
    }
    return arena_printf(a, "alias loop: %.*s", STR_ARG(text));
}

static void add_members(struct expanding *x, struct expand_node *n,
                        const struct alias_member *members, unsigned count,
                        str subaddress)
{
    for (unsigned i = 0; i < count && !x->out->too_many; i++) {
        const struct alias_member *m = &members[i];
        struct address addr = alias_member_address(m, subaddress, x->arena);
        struct expand_node *child = node_add(x, n, &addr);
        if (child == NULL) {
            return;
        }
        child->text = m->text;
        child->at = m->at;
        if (m->bad != NULL) {
            node_refuse(x, child, 550, 1, 3,
                        arena_printf(x->arena, "the address %s", m->bad));
        }
    }
}

static unsigned least(unsigned a, unsigned b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

/* May it be expanded for this message? If not, n says so. */
static bool may_expand(struct expanding *x, struct expand_node *n)
{
    const struct alias *alias = n->alias;
    struct span at;
    str why;
    enum list_verdict v =
        list_access(x->s, alias, x->q->source, x->q->sender, x->arena, &at, &why);
    if (v == LIST_MAY_NOT) {
        node_refuse(x, n, 550, 7, 2,
                    arena_printf(x->arena, "you are not allowed to send to %.*s",
                                 STR_ARG(alias->name)));
        n->reason_at = at;
    } else if (v == LIST_UNKNOWN) {
        node_refuse(x, n, 451, 3, 5, why);
        n->reason_at = at;
    } else if (alias->failed.ptr != NULL) {
        node_refuse(x, n, 451, 3, 5, alias->failed);
        n->reason_at = alias->at;
    } else if (alias->file != NULL && alias->file->missing.ptr != NULL) {
        node_refuse(x, n, 451, 3, 5,
                    arena_printf(x->arena, "cannot read '%.*s': %.*s",
                                 STR_ARG(alias->file->name),
                                 STR_ARG(alias->file->missing)));
        n->reason_at = alias->at;
    } else if (n->level >= x->s->options.alias_levels) {
        node_refuse(x, n, 550, 4, 6,
                    arena_printf(x->arena, "more than %u levels of aliases",
                                 x->s->options.alias_levels));
    } else {
        return true;
    }
    return false;
}

static void expand_alias(struct expanding *x, struct expand_node *n,
                         const struct alias_found *found)
{
    const struct alias *alias = n->alias = found->alias;
    if (is_below(n, alias)) {
        node_refuse(x, n, 550, 4, 6, circle(x->arena, n, alias));
        return;
    }
    if (map_add(x->aliases, alias_id(x->arena, alias), n) != n) {
        n->kind = EXPAND_DUPLICATE;
        return;
    }
    if (!may_expand(x, n)) {
        return;
    }
    n->kind = EXPAND_ALIAS;
    n->list = alias->list ? alias : n->list;
    n->sender = alias->sender.ptr != NULL ? alias->sender : n->sender;
    n->block_limit = least(n->block_limit, alias->block_limit);
    n->line_limit = least(n->line_limit, alias->line_limit);
    add_members(x, n, alias->members, alias->count, found->subaddress);
    if (alias->file != NULL) {
        add_members(x, n, alias->file->members, alias->file->count, found->subaddress);
    }
}

/* Is it the alias in whose value it stands? Then it is the mailbox. */
static bool is_itself(const struct expand_node *n, const struct alias *alias)
{
    const struct expand_node *holder = n->parent;
    return holder != NULL && holder->kind == EXPAND_ALIAS && holder->alias == alias;
}

/* ---- FORWARD ----------------------------------------------------------------------- */

/* True when another address stands for it, or nothing can be said. */
static bool forwarded(struct expanding *x, struct expand_node *n)
{
    struct forward_query q = {.snapshot = x->s,
                              .source = x->q->source,
                              .destination = n->route.channel,
                              .sender = x->q->sender,
                              .flags = x->q->flags,
                              .to = &n->route.address};
    struct forward_answer f;
    forward_ask(&q, x->arena, &f);
    n->hold = n->hold || f.hold;
    if (f.fault.ptr != NULL) {
        node_refuse(x, n, 451, 3, 5, f.fault);
        n->reason_at = f.at;
        return true;
    }
    if (!f.changed || address_eq(&f.to, &n->route.address)) {
        return false;
    }
    n->forward = f.at;
    if (n->level >= x->s->options.alias_levels) {
        node_refuse(x, n, 550, 4, 6,
                    arena_printf(x->arena, "forwarded more than %u times",
                                 x->s->options.alias_levels));
        n->reason_at = f.at;
        return true;
    }
    n->kind = EXPAND_FORWARDED;
    struct expand_node *child = node_add(x, n, &f.to);
    if (child != NULL) {
        child->text = address_print(x->arena, &f.to);
        child->at = f.at;
        child->plain = !f.again;
        child->last = f.last;
    }
    return true;
}

/* ---- one address ------------------------------------------------------------------- */

/* True when this mailbox is there already: local parts are compared exactly, domains
 * case-blind. */
static bool leaf_seen(struct expanding *x, struct expand_node *n)
{
    const struct address *to = &n->route.address;
    str key = arena_printf(x->arena, "%u %.*s@%.*s", n->route.channel->index,
                           STR_ARG(address_unquote_local(x->arena, to->local)),
                           STR_ARG(to->domain));
    char *domain = (char *)key.ptr + key.len - to->domain.len;
    for (size_t i = 0; i < to->domain.len; i++) {
        domain[i] = ascii_lower(domain[i]);
    }
    return map_add(x->leaves, key, n) != n;
}

static bool below_alias(const struct expand_node *n)
{
    for (n = n->parent; n != NULL; n = n->parent) {
        if (n->kind == EXPAND_ALIAS) {
            return true;
        }
    }
    return false;
}

static void take_leaf(struct expanding *x, struct expand_node *n)
{
    route_proper_name(x->arena, &n->route);
    if (n->route.channel->opts.via_alias && !below_alias(n)) {
        node_refuse(x, n, 550, 1, 1, STR("there is no such user here"));
    } else if (leaf_seen(x, n)) {
        n->kind = EXPAND_DUPLICATE;
    } else {
        n->kind = EXPAND_LEAF;
        x->out->leaves++;
    }
}

/* aliaspostmaster: the postmaster at the official host of the channel is ours. */
static bool is_our_postmaster(const struct snapshot *s, const struct route *r)
{
    return r->channel->opts.alias_postmaster &&
           str_ieq(r->address.local, STR("postmaster")) &&
           str_ieq(r->address.domain, r->channel->official_host) &&
           !str_ieq(r->address.domain, s->local_host);
}

static bool find_route(struct expanding *x, struct expand_node *n)
{
    bool found = n->parent == NULL ? (n->route = *x->q->route, true)
                                   : route_envelope_to(x->s, x->q->source, &n->address,
                                                       x->arena, &n->route);
    if (found && is_our_postmaster(x->s, &n->route)) {
        struct address ours = n->route.address;
        ours.domain = x->s->local_host;
        found = route_envelope_to(x->s, x->q->source, &ours, x->arena, &n->route);
    }
    return found;
}

static void visit(struct expanding *x, struct expand_node *n)
{
    struct alias_found found;
    if (n->kind == EXPAND_BAD) {
        return; /* no address at all */
    }
    if (!find_route(x, n)) {
        node_no_route(x, n);
        return;
    }
    if (!n->plain &&
        alias_find(x->s, n->route.channel, &n->route.address, x->arena, &found) &&
        !is_itself(n, found.alias)) {
        expand_alias(x, n, &found);
        return;
    }
    if (n->plain || n->last || !forwarded(x, n)) {
        take_leaf(x, n);
    }
}

void expand(const struct expand_query *q, struct arena *a, struct expansion *out)
{
    struct expanding x = {.q = q,
                          .s = q->snapshot,
                          .arena = a,
                          .out = out,
                          .end = &out->first,
                          .aliases = map_new(a, MAP_CASE),
                          .leaves = map_new(a, MAP_CASE)};
    *out = (struct expansion){.first = NULL};
    struct expand_node *n = node_add(&x, NULL, &q->to);
    n->at = SPAN_NONE;
    n->text = address_print(a, &q->to);
    for (; n != NULL && !out->too_many; n = n->next) {
        visit(&x, n);
    }
    for (; n != NULL; n = n->next) {
        node_refuse(&x, n, 550, 2, 4, STR("there are too many addresses to look at it"));
    }
}
