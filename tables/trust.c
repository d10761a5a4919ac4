/* trust: see trust.h. */
#include "tables/trust.h"

#include "tables/mapping_view.h"
#include "tables/reach.h"
#include "tables/route.h"
#include "tables/template_ops.h"
#include "tables/tls_access.h"

struct finding {
    const struct snapshot *s;
    struct arena *a;
    struct trust *out;
};

/* Do the tests of the source channel ($M, $N) let the rule apply on `from`? Several $M
 * are alternatives. */
static bool source_allows(const struct template *t, const struct channel *from)
{
    bool wanted = false, hit = false;

    for (size_t i = 0; i < t->op_count; i++) {
        const struct template_op *op = &t->ops[i];
        bool same = str_ieq(str_sub(t->text, op->text_at, op->text_len), from->name);
        if (op->kind == OP_NOT_SOURCE && same) {
            return false;
        }
        wanted = wanted || op->kind == OP_SOURCE;
        hit = hit || (op->kind == OP_SOURCE && same);
    }
    return !wanted || hit;
}

/* The host of a repeat rule when it is literal text, else empty. */
static str repeat_host(const struct template *t)
{
    bool behind = false;
    str host = STR("");

    for (size_t i = 0; i < t->op_count; i++) {
        const struct template_op *op = &t->ops[i];
        if (op->kind == OP_PERCENT) {
            behind = true;
        } else if (behind && op_is_material(op->kind)) {
            bool text = op->kind == OP_TEXT && host.len == 0;
            if (!text) {
                return STR("");
            }
            host = str_sub(t->text, op->text_at, op->text_len);
        }
    }
    return host;
}

/* The channel a client leads to that has got this host instead of its address. */
static const struct channel *channel_of_host(const struct finding *f,
                                             const struct channel *from, str host)
{
    struct rewrite_context ctx = {from, ROUTE_BACKWARD, ROUTE_ENVELOPE, NULL};
    struct address addr = {.route = STR(""), .local = STR(""), .domain = host};
    struct arena_mark mark = arena_mark(f->a);
    struct route found;

    route_rewrite(f->s, &ctx, &addr, false, f->a, &found);
    arena_reset(f->a, mark); /* the channel is the snapshot's */
    return found.channel;
}

/* Where a rule leads clients of `from`; NULL: that cannot be told from it alone. */
static const struct channel *
rule_target(const struct finding *f, const struct channel *from, const struct template *t)
{
    if (t->form == TEMPLATE_REPEAT) {
        str host = repeat_host(t);
        bool plain = host.len > 0 && !(t->traits & TEMPLATE_SETS_TAG);
        return plain ? channel_of_host(f, from, host) : NULL;
    }
    const struct host_entry *h =
        t->routing_host.len > 0 ? snapshot_host(f->s, t->routing_host) : NULL;
    return h ? h->channel : NULL;
}

static struct trust_way *add_way(struct finding *f, const struct channel *to,
                                 const struct trust_way *way)
{
    struct trust_channel *c = &f->out->channels[to->index];
    struct trust_way *added = vec_add(f->a, &c->ways);

    *added = *way;
    c->trusted = c->trusted || way->trusted;
    c->stranger = c->stranger || way->stranger;
    return added;
}

/* The way from one channel to another by address, made when there is none yet. */
static struct trust_way *address_way(struct finding *f, const struct channel *from,
                                     const struct channel *to)
{
    struct trust_channel *c = &f->out->channels[to->index];

    for (size_t i = 0; i < c->ways.n; i++) {
        if (c->ways.at[i].kind == TRUST_ADDRESS && c->ways.at[i].from == from) {
            return &c->ways.at[i];
        }
    }
    return add_way(
        f, to, &(struct trust_way){.kind = TRUST_ADDRESS, .from = from, .trusted = true});
}

/* Can `from` be switched to this channel? Staying is no switch. */
static bool may_switch(const struct channel *from, const struct channel *to)
{
    return to != from && to->opts.ip_switch != IP_SWITCH_NO;
}

struct answers {
    const struct snapshot *s;
    bool text;
};

static void note_answers(void *arg, enum template_name what, str name, struct span at)
{
    struct answers *answers = arg;
    const struct mapping *table =
        what == TEMPLATE_NAMES_TABLE ? mapping_find(answers->s, name) : NULL;

    (void)at;
    for (unsigned i = 0; table && i < mapping_entry_count(table); i++) {
        struct mapping_view e = mapping_entry_view(table, i);
        answers->text = answers->text || mapping_entry_has_text(&e);
    }
}

/* Can what a call-out answers change where the template leads? */
static bool answers_lead(const struct finding *f, const struct template *t)
{
    struct answers answers = {f->s, template_asks_general(t)};

    template_names(t, SPAN_NONE, note_answers, &answers);
    return t->form == TEMPLATE_OPEN && answers.text;
}

/* A reason to come from `from` to `to`, or, where that is not known, to any channel that
 * allows it. */
static void add_reason(struct finding *f, const struct channel *from,
                       const struct channel *to, const struct trust_reason *reason)
{
    for (unsigned i = 0; i < f->s->channel_count; i++) {
        const struct channel *c = f->s->channels[i];
        if (may_switch(from, c) && (!to || to == c)) {
            *vec_add(f->a, &address_way(f, from, c)->reasons) = *reason;
        }
    }
}

static void find_rules(struct finding *f, const struct channel *from)
{
    for (uint32_t number = 1; number <= f->s->rules->rule_count; number++) {
        const struct rule_record *r = rule_table_at(f->s->rules, number);
        struct template t = rule_template(f->s->rules, r);
        if (!reach_takes_clients(r, &t) || !source_allows(&t, from)) {
            continue;
        }
        const struct channel *to = rule_target(f, from, &t);
        bool asks = (t.traits & TEMPLATE_CALLS) != 0;
        bool any = r->kind == PATTERN_LITERAL_ANY || r->kind == PATTERN_LITERAL_STARS;
        if (any && !asks && t.form == TEMPLATE_REPEAT) {
            continue; /* it leads on without saying who it is: nobody is trusted for that
                       */
        }
        add_reason(f, from, to,
                   &(struct trust_reason){.at = rule_span(r),
                                          .pattern = rule_key(f->s->rules, r),
                                          .template = t.text,
                                          .rule = r,
                                          .everybody = any && !asks,
                                          .computed = !to || answers_lead(f, &t)});
    }
}

/* A literal in the channel/host table needs no rule. */
static void find_hosts(struct finding *f, const struct channel *from)
{
    for (size_t i = 0; i < map_count(f->s->hosts); i++) {
        str host;
        const struct host_entry *h = map_at(f->s->hosts, i, &host);
        if (str_starts(host, STR("["))) {
            add_reason(f, from, h->channel,
                       &(struct trust_reason){
                           .at = h->span, .pattern = host, .template = STR("")});
        }
    }
}

/* Marks the channels that some rule that is no literal leads to, or a name in the host
 * table. */
static void mark_named(const struct finding *f, const struct channel *from, bool *named)
{
    bool any = false;

    for (uint32_t number = 1; number <= f->s->rules->rule_count; number++) {
        const struct rule_record *r = rule_table_at(f->s->rules, number);
        struct template t = rule_template(f->s->rules, r);
        bool name = r->kind == PATTERN_EXACT || r->kind == PATTERN_STARS ||
                    r->kind == PATTERN_SUFFIX || r->kind == PATTERN_ALL_STARS;
        bool applies = (t.traits & TEMPLATE_FOR_CLIENTS) &&
                       !(t.traits & TEMPLATE_NEVER) && t.form != TEMPLATE_AS_IS;
        if (name && applies && source_allows(&t, from)) {
            const struct channel *to = rule_target(f, from, &t);
            any = any || !to;
            named[to ? to->index : 0] |= to != NULL;
        }
    }
    for (size_t i = 0; i < map_count(f->s->hosts); i++) {
        str host;
        const struct host_entry *h = map_at(f->s->hosts, i, &host);
        named[h->channel->index] |= str_find(host, '.') >= 0 && host.ptr[0] != '[';
    }
    for (unsigned i = 0; any && i < f->s->channel_count; i++) {
        named[i] = true;
    }
}

static void find_names(struct finding *f, const struct channel *from)
{
    bool *named = arena_array(f->a, bool, f->s->channel_count);

    if (from->opts.ident != IDENT_FULL && from->opts.ident != IDENT_SYMBOLIC) {
        return;
    }
    mark_named(f, from, named);
    for (unsigned i = 0; i < f->s->channel_count; i++) {
        const struct channel *to = f->s->channels[i];
        if (named[i] && may_switch(from, to) && to->type == CHANNEL_TCP) {
            add_way(
                f, to,
                &(struct trust_way){.kind = TRUST_NAME, .from = from, .stranger = true});
        }
    }
}

/* Is TLS turned on in sessions that are on this channel without it? */
static bool turns_tls_on(const struct finding *f, const struct channel *c)
{
    for (unsigned i = 0; i < f->s->service_count; i++) {
        if (f->s->services[i].implicit_tls) {
            return true;
        }
    }
    return c->opts.tls_server != TLS_LEVEL_NO;
}

/* Where entries of TLS_ACCESS and TLS_PEER_ACCESS lead from one channel. */
struct table_finding {
    struct finding *f;
    const struct channel *from;
    const struct trust_channel *before;
};

/* The way by tables from one channel to another, made when there is none yet. */
static struct trust_way *table_way(const struct table_finding *t,
                                   const struct channel *to)
{
    struct trust_channel *c = &t->f->out->channels[to->index];

    for (size_t i = 0; i < c->ways.n; i++) {
        if (c->ways.at[i].kind == TRUST_TABLE && c->ways.at[i].from == t->from) {
            return &c->ways.at[i];
        }
    }
    return add_way(t->f, to,
                   &(struct trust_way){.kind = TRUST_TABLE,
                                       .from = t->from,
                                       .trusted = t->before->trusted,
                                       .stranger = t->before->stranger});
}

static void add_table_reason(const struct table_finding *t,
                             const struct tls_access_entry *e, const struct channel *to)
{
    if (to != t->from) {
        *vec_add(t->f->a, &table_way(t, to)->reasons) =
            (struct trust_reason){.at = e->view.at,
                                  .pattern = e->view.pattern,
                                  .template = e->view.template,
                                  .computed = !e->to};
    }
}

static void add_entry(const struct tls_access_entry *e, void *arg)
{
    const struct table_finding *t = arg;

    if (e->to) {
        add_table_reason(t, e, e->to);
        return;
    }
    for (unsigned i = 0; i < t->f->s->channel_count; i++) {
        if (t->f->s->channels[i]->type == CHANNEL_TCP) {
            add_table_reason(t, e, t->f->s->channels[i]);
        }
    }
}

/* After all others, because it leads on from where they led; and from there no further.
 */
static void find_tls(struct finding *f)
{
    struct trust_channel *before =
        arena_array(f->a, struct trust_channel, f->s->channel_count);

    memcpy(before, f->out->channels, f->s->channel_count * sizeof *before);
    for (unsigned i = 0; i < f->s->channel_count; i++) {
        const struct channel *from = f->s->channels[i];
        const struct channel *const to[] = {from->tls_switch, from->tls_peer_switch};
        for (int n = 0; n < 2; n++) {
            if (before[i].ways.n > 0 && to[n] && to[n] != from && turns_tls_on(f, from)) {
                add_way(f, to[n],
                        &(struct trust_way){.kind = n == 0 ? TRUST_TLS : TRUST_PEER,
                                            .from = from,
                                            .trusted = before[i].trusted,
                                            .stranger = before[i].stranger});
            }
        }
        if (before[i].ways.n > 0 && turns_tls_on(f, from)) {
            tls_access_entries(f->s, from, add_entry,
                               &(struct table_finding){f, from, &before[i]});
        }
    }
}

void trust_find(const struct snapshot *s, struct arena *a, struct trust *out)
{
    struct finding f = {s, a, out};
    bool *switches = arena_array(a, bool, s->channel_count);

    out->channels = arena_array(a, struct trust_channel, s->channel_count);
    for (unsigned i = 0; i < s->channel_count; i++) {
        out->channels[i].channel = s->channels[i];
    }
    for (unsigned i = 0; i < s->service_count; i++) {
        const struct service *v = &s->services[i];
        add_way(
            &f, v->channel,
            &(struct trust_way){.kind = TRUST_SERVICE, .service = v, .stranger = true});
        switches[v->channel->index] = v->channel->opts.ip_switch == IP_SWITCH_START;
    }
    for (unsigned i = 0; i < s->channel_count; i++) {
        if (switches[i]) {
            find_rules(&f, s->channels[i]);
            find_hosts(&f, s->channels[i]);
            find_names(&f, s->channels[i]);
        }
    }
    find_tls(&f);
}
