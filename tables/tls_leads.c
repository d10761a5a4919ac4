/* tls_leads: where mail for a domain can go; see tls_audit.h. The rules are asked as they
 * are for a message, from every channel and in every form an address for that domain can
 * have; where what they do hangs on something else, that is noted. */
#include "tables/alias.h"
#include "tables/forward.h"
#include "tables/mapping_table.h"
#include "tables/route.h"
#include "tables/template_ops.h"
#include "tables/tls_audit.h"

enum { ITEMS_MAX = 10000 };

/* A recipient whose way is followed. */
struct item {
    struct address address;
    bool any;               /* it stands for all of its domain */
    bool plain;             /* FORWARD's last word: no alias, not forwarded again */
    struct span by;         /* the alias or entry it comes from */
    const struct alias *of; /* in whose value it stands, where it is the mailbox */
    struct item *next;
};

struct following {
    const struct snapshot *s;
    struct arena *arena;
    struct tls_leads *out;
    struct tls_lead **lead_end;
    struct tls_unknown **unknown_end;
    struct item *first, **item_end;
    struct map *seen; /* items, leads and places, as text */
    unsigned items;
};

/* True for the first time. */
static bool is_new(struct following *f, str key)
{
    if (map_get(f->seen, key) != NULL) {
        return false;
    }
    map_add(f->seen, key, f);
    return true;
}

static void note_unknown(struct following *f, struct span at, const char *why)
{
    if (!is_new(f, arena_printf(f->arena, "?%u:%u", at.source, at.offset))) {
        return;
    }
    struct tls_unknown *u = arena_new_of(f->arena, struct tls_unknown);
    *u = (struct tls_unknown){.at = at, .why = why};
    *f->unknown_end = u;
    f->unknown_end = &u->next;
}

static void add_item(struct following *f, const struct item *given)
{
    struct item *i = arena_new_of(f->arena, struct item);
    *i = *given;
    if (i->address.domain.len == 0) {
        i->address.domain = f->s->local_host;
    }
    str key =
        arena_printf(f->arena, "%s%p %.*s",
                     i->any     ? "*"
                     : i->plain ? "+"
                                : "=",
                     (const void *)i->of, STR_ARG(address_print(f->arena, &i->address)));
    if (!is_new(f, key)) {
        return;
    }
    if (f->items++ == ITEMS_MAX) {
        note_unknown(f, i->by, "aliases and FORWARD lead to too many addresses");
        return;
    }
    *f->item_end = i;
    f->item_end = &i->next;
}

/* ---- what rules hang on ------------------------------------------------------------ */

/* Why the rule may do something else for another recipient, or NULL. */
static const char *hangs_on(const struct template *t)
{
    bool host = false;
    if ((t->traits & TEMPLATE_CALLS) != 0) {
        return "a call-out of this rule decides";
    }
    for (size_t i = 0; i < t->op_count; i++) {
        unsigned kind = t->ops[i].kind;
        host = host || op_is_separator(kind);
        if (kind == OP_CHARACTER || kind == OP_LOCAL) {
            return "this rule looks at the local part";
        }
        if (kind == OP_LOCATION) {
            return "this rule looks at how the address is written";
        }
        if (host && (kind == OP_USER || kind == OP_UNIQUE)) {
            return "this rule makes a host of the local part";
        }
    }
    return NULL;
}

static void look_at_steps(struct following *f, const struct route_step *step)
{
    for (; step != NULL; step = step->next) {
        struct template t;
        if (step->rule.source == 0 ||
            !template_parse(f->arena, step->template, SPAN_NONE, NULL, &t)) {
            continue;
        }
        const char *why = hangs_on(&t);
        if (why != NULL) {
            note_unknown(f, step->rule, why);
        }
    }
}

/* ---- aliases ----------------------------------------------------------------------- */

static void add_members(struct following *f, const struct alias_found *found,
                        const struct alias_member *m, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (m[i].bad == NULL) {
            struct item member = {
                .address = alias_member_address(&m[i], found->subaddress, f->arena),
                .by = m[i].at,
                .of = found->alias};
            add_item(f, &member);
        }
    }
}

/* False: it is none, or the one in whose value it stands. */
static bool follow_alias(struct following *f, const struct channel *c,
                         const struct address *address, const struct alias *of)
{
    struct alias_found found;
    if (!alias_find(f->s, c, address, f->arena, &found) || found.alias == of) {
        return false;
    }
    const struct alias_file *file = found.alias->file;
    add_members(f, &found, found.alias->members, found.alias->count);
    if (file != NULL) {
        add_members(f, &found, file->members, file->count);
    }
    return true;
}

/* All aliases that an address of the domain can be. */
static void follow_aliases(struct following *f, const struct channel *c, str domain)
{
    for (size_t i = 0; i < map_count(f->s->aliases); i++) {
        str key;
        map_at(f->s->aliases, i, &key);
        ptrdiff_t line = str_find(key, '\n');
        str local = line < 0 ? key : str_sub(key, 0, (size_t)line);
        str of = line < 0 ? domain : str_from_pos(key, (size_t)line + 1);
        struct address address = {.local = str_eq(local, STR("*")) ? STR("user") : local,
                                  .domain = domain};
        if (str_ieq(of, domain)) {
            follow_alias(f, c, &address, NULL);
        }
    }
}

/* With aliaspostmaster the postmaster at the official host is ours. */
static void follow_postmaster(struct following *f, const struct channel *c,
                              const struct address *address, bool any)
{
    if (c->opts.alias_postmaster && str_ieq(address->domain, c->official_host) &&
        (any || str_ieq(address->local, STR("postmaster")))) {
        struct item ours = {
            .address = {.local = STR("postmaster"), .domain = f->s->local_host},
            .by = c->span};
        add_item(f, &ours);
    }
}

/* ---- FORWARD ----------------------------------------------------------------------- */

/* The plain text behind the last '@' of a key or pattern; false: it may be any domain. */
static bool domain_of(str text, str *domain)
{
    size_t at = text.len;
    while (at > 0 && text.ptr[at - 1] != '@') {
        at--;
    }
    *domain = str_from_pos(text, at);
    for (size_t i = 0; i < domain->len; i++) {
        if (strchr("$*%|", domain->ptr[i]) != NULL) {
            return false;
        }
    }
    return at > 0;
}

static bool may_be(str key, const struct address *to)
{
    str domain;
    return !domain_of(key, &domain) || str_ieq(domain, to->domain);
}

/* Text that an entry of the table always answers with; ptr NULL: that is not so. *plain:
 * what comes of it is not looked at again. */
static str constant_answer(struct arena *a, const struct mapping_template *t, bool *plain)
{
    str text = STR("");
    *plain = true;
    for (unsigned i = 0; i < t->count; i++) {
        const struct mapping_op *op = &t->ops[i];
        if (op->kind == MAPPING_OP_TEXT) {
            text = arena_printf(a, "%.*s%.*s", STR_ARG(text), STR_ARG(op->text));
        } else if (op->kind == MAPPING_OP_FLAG && op->flags == mapping_flag('G')) {
            return STR_NONE; /* the text is a key of the file */
        } else if (op->kind == MAPPING_OP_FLAG && op->flags == mapping_flag('D')) {
            *plain = false;
        } else if (op->kind != MAPPING_OP_FLAG && op->kind != MAPPING_OP_IF &&
                   op->kind != MAPPING_OP_UNLESS && op->kind != MAPPING_OP_RANDOM) {
            return STR_NONE;
        }
    }
    return text;
}

/* An entry that goes on, or asks something, may do anything. */
static void follow_table(struct following *f, const struct mapping *t,
                         const struct address *to)
{
    for (unsigned i = 0; t != NULL && i < t->count; i++) {
        const struct mapping_entry *e = &t->entries[i];
        struct item made = {.by = e->at};
        if (!may_be(e->pattern_text, to)) {
            continue;
        }
        str text = constant_answer(f->arena, &e->template, &made.plain);
        if (text.ptr != NULL && text.len == 0) {
            continue; /* $N and the like: it stays what it is */
        }
        if (text.ptr == NULL || address_parse(text, &made.address) != NULL) {
            note_unknown(f, e->at, "this entry of FORWARD may lead anywhere");
        } else {
            add_item(f, &made);
        }
    }
}

static void follow_forward(struct following *f, const struct address *to)
{
    bool file = (f->s->options.forward_bits & FORWARD_FILE) != 0;
    for (size_t i = 0; file && i < map_count(f->s->forward); i++) {
        str key;
        const struct forward_entry *e = map_at(f->s->forward, i, &key);
        if (may_be(key, to)) {
            add_item(f, &(struct item){.address = e->address, .by = e->at});
        }
    }
    follow_table(f, mapping_find(f->s, STR("FORWARD")), to);
}

/* ---- routes ------------------------------------------------------------------------ */

static void add_lead(struct following *f, const struct item *i, const struct route *r)
{
    str host = route_next_hop(r->channel, &r->address);
    str key = arena_printf(f->arena, ">%.*s %.*s %.*s", STR_ARG(r->channel->name),
                           STR_ARG(host), STR_ARG(i->address.domain));
    if (!tls_channel_sends(r->channel)) {
        f->out->local = true;
        return;
    }
    if (!is_new(f, key)) {
        return;
    }
    struct tls_lead *l = arena_new_of(f->arena, struct tls_lead);
    *l = (struct tls_lead){
        .channel = r->channel,
        .host = host,
        .recipient = i->any ? arena_printf(f->arena, "*@%.*s", STR_ARG(i->address.domain))
                            : address_print(f->arena, &i->address),
        .at = r->rule.source != 0 ? r->rule : r->host,
        .by = i->by};
    *f->lead_end = l;
    f->lead_end = &l->next;
}

static void follow_route(struct following *f, const struct item *i,
                         const struct channel *source, const struct address *address,
                         bool any)
{
    struct rewrite_context ctx = {source, ROUTE_FORWARD, ROUTE_ENVELOPE, NULL};
    struct route r;
    route_rewrite(f->s, &ctx, address, true, f->arena, &r);
    look_at_steps(f, r.steps);
    /* aliases and FORWARD are asked before the host gets its proper name */
    if (!route_envelope_to(f->s, source, address, f->arena, &r)) {
        return;
    }
    struct address before = r.address;
    route_proper_name(f->arena, &r);
    follow_postmaster(f, r.channel, &before, any);
    if (any) {
        follow_aliases(f, r.channel, before.domain);
        follow_aliases(f, r.channel, r.address.domain);
    } else if (!i->plain) {
        bool named = follow_alias(f, r.channel, &before, i->of);
        bool proper = follow_alias(f, r.channel, &r.address, i->of);
        if (named && proper) {
            return;
        }
    }
    if (!i->plain) {
        follow_forward(f, &before);
        follow_forward(f, &r.address);
    }
    add_lead(f, i, &r);
}

/* The forms in which a client can write an address for that domain. */
static void follow_item(struct following *f, const struct item *i)
{
    str local = i->address.local, domain = i->address.domain, here = f->s->local_host;
    struct arena *a = f->arena;
    const struct address forms[] = {
        i->address,
        {.local = arena_printf(a, "%.*s%%%.*s", STR_ARG(local), STR_ARG(domain)),
         .domain = here},
        {.local = arena_printf(a, "%.*s!%.*s", STR_ARG(domain), STR_ARG(local)),
         .domain = here},
        {.route = arena_printf(a, "@%.*s", STR_ARG(here)),
         .local = local,
         .domain = domain},
    };
    /* what we made ourselves has one form */
    size_t count = i->any ? sizeof forms / sizeof *forms : 1;
    for (unsigned n = 0; n < f->s->channel_count; n++) {
        for (size_t k = 0; k < count; k++) {
            follow_route(f, i, f->s->channels[n], &forms[k], i->any && k == 0);
        }
    }
}

void tls_leads_find(const struct snapshot *s, str domain, struct arena *a,
                    struct tls_leads *out)
{
    struct following f = {.s = s, .arena = a, .out = out, .seen = map_new(a, MAP_CASE)};
    struct item any = {.address = {.local = STR("user"), .domain = domain}, .any = true};
    *out = (struct tls_leads){.first = NULL};
    f.lead_end = &out->first;
    f.unknown_end = &out->unknown;
    f.item_end = &f.first;
    add_item(&f, &any);
    for (const struct item *i = f.first; i != NULL; i = i->next) {
        follow_item(&f, i);
    }
}
