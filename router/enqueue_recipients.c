/* enqueue_recipients: RCPT: decides (tables/recipient.h), asks the drivers, groups what
 * came of it by channel and next hop, and tells the owners of lists what did not. */
#include "base/check.h"
#include "router/channel.h"
#include "router/enqueue_state.h"

/* What access tables say of so many leaves is told in one transaction. */
enum { LEAVES_TOLD_MAX = 100 };

/* Asks the driver of the channel. */
static bool verified(struct enqueue *e, const struct route *route, struct outcome *out)
{
    const struct channel_kind *kind = runtime_kind(e->runtime, route->channel);
    if (kind->verify == NULL) {
        return true;
    }
    outcome_set(out, OUTCOME_DEFERRED, 451, 4, 3, 0, "cannot check the recipient now");
    return kind->verify(runtime_state(e->runtime, route->channel), route->channel,
                        &route->address, out);
}

/* The limit that a message of this size exceeds on its way there, or NULL. */
static const char *leaf_over(struct enqueue *e, const struct recipient_leaf *leaf,
                             const struct message_size *size)
{
    const struct snapshot *s = e->runtime->snapshot;
    const struct expand_node *n = leaf->node;
    const char *limit = message_over_list(s, n->block_limit, n->line_limit, size);
    return limit != NULL ? limit : message_over_channel(s, leaf->route.channel, size);
}

/* Where a mailbox that was taken is. */
struct taken {
    struct group *group;
    size_t index;
};

/* The place of this mailbox when it has been taken for this channel before, else a new
 * one to be filled in: local parts are compared exactly, domains case-blind. */
static struct taken *taken_at(struct enqueue *e, const struct route *route)
{
    const struct address *to = &route->address;
    str key = arena_printf(e->scratch, "%u %.*s@%.*s", route->channel->index,
                           STR_ARG(address_unquote_local(e->scratch, to->local)),
                           STR_ARG(to->domain));
    char *domain = (char *)key.ptr + key.len - to->domain.len;
    for (size_t i = 0; i < to->domain.len; i++) {
        domain[i] = ascii_lower(domain[i]);
    }
    struct taken *place = map_get(e->seen, key);
    if (place == NULL) {
        place = arena_new_of(e->arena, struct taken);
        map_add(e->seen, enqueue_copied(e, key), place);
    }
    return place;
}

static str group_key(struct enqueue *e, const struct recipient_leaf *leaf, str host)
{
    const struct expand_node *n = leaf->node;
    str key =
        arena_printf(e->scratch, "%u %.*s", leaf->route.channel->index, STR_ARG(host));
    if (leaf->route.channel->opts.filesplit == FILESPLIT_DOMAIN) {
        str domain = leaf->route.address.domain;
        char *lower = (char *)arena_str(e->scratch, domain).ptr;
        for (size_t i = 0; i < domain.len; i++) {
            lower[i] = ascii_lower(lower[i]);
        }
        key = arena_printf(e->scratch, "%.*s@%.*s", STR_ARG(key), (int)domain.len, lower);
    }
    if (n->sender.ptr != NULL || n->block_limit > 0 || n->line_limit > 0) {
        key = arena_printf(e->scratch, "%.*s\n%u %u%s%.*s", STR_ARG(key), n->block_limit,
                           n->line_limit, n->sender.ptr != NULL ? " " : "",
                           STR_ARG(n->sender));
    }
    return key;
}

static struct group *group_find(struct enqueue *e, const struct recipient_leaf *leaf)
{
    const struct route *route = &leaf->route;
    const struct expand_node *n = leaf->node;
    str host = route_next_hop(route->channel, &route->address);
    str key = group_key(e, leaf, host);
    struct group *g = map_get(e->groups_by_key, key);
    if (g == NULL) {
        g = arena_new_of(e->arena, struct group);
        g->channel = route->channel;
        g->host = arena_str(e->message->arena, host);
        g->sender =
            n->sender.ptr != NULL ? arena_str(e->message->arena, n->sender) : STR_NONE;
        g->block_limit = n->block_limit;
        g->line_limit = n->line_limit;
        *vec_add(e->arena, &e->groups) = g;
        map_add(e->groups_by_key, enqueue_copied(e, key), g);
    }
    return g;
}

static void log_route(struct enqueue *e, const struct address *to,
                      const struct recipient_leaf *leaf)
{
    struct log_line line;
    const struct route *route = &leaf->route;
    const struct snapshot *s = e->runtime->snapshot;
    struct span rule = route->rule.length > 0 ? route->rule : route->host;
    log_begin(&line, e->worker->daemon->log, LOG_ROUTE);
    log_str(&line, "session", e->session.session);
    log_cstr(&line, "id", e->id);
    log_str(&line, "from", e->message->sender);
    log_str(&line, "to", address_print(e->scratch, to));
    log_str(&line, "rewritten", address_print(e->scratch, &route->address));
    log_str(&line, "channel", route->channel->name);
    log_str(&line, "rule", snapshot_where(e->scratch, s, rule));
    if (leaf->node->at.source != 0) {
        log_str(&line, "by", snapshot_where(e->scratch, s, leaf->node->at));
    }
    log_end(&line);
}

/* ---- what is asked for about it (RFC 3461) ----------------------------------------- */

/* A member of a list that has its own return path: the list answers for it, and what the
 * sender asked for does not concern it (RFC 3461 5.2.7.1). */
static bool leaf_of_list(const struct recipient_leaf *leaf)
{
    return leaf->node->sender.ptr != NULL;
}

/* What is stored with a leaf. Where the client gave no ORCPT and the address is not the
 * one it wrote any more, ORCPT says what it wrote. */
static struct queue_recipient leaf_recipient(struct enqueue *e, const struct address *to,
                                             const struct recipient_leaf *leaf,
                                             const struct dsn_request *request)
{
    struct arena *a = e->message->arena;
    struct queue_recipient r = {.address = address_print(a, &leaf->route.address)};
    if (leaf_of_list(leaf)) {
        return r;
    }
    r.notify = request->notify;
    if (request->orcpt.ptr != NULL) {
        r.orcpt = arena_str(a, request->orcpt);
    } else {
        str written = address_print(e->scratch, to);
        r.orcpt = str_ieq(written, r.address) ? STR_NONE : dsn_orcpt_make(a, written);
    }
    return r;
}

/* A mailbox that comes a second time: who is told of it by either request is told. */
static void request_join(struct queue_recipient *r, const struct queue_recipient *again)
{
    enum { USUAL = QUEUE_NOTIFY_FAILURE | QUEUE_NOTIFY_DELAY };
    if (r->notify == again->notify) {
        return;
    }
    unsigned first = dsn_notify_stored(r->notify, false);
    unsigned second = dsn_notify_stored(again->notify, false);
    if (first == second) {
        r->notify = first;
        return;
    }
    unsigned both = first | second | (first == 0 || second == 0 ? USUAL : 0);
    r->notify = both & ~(unsigned)QUEUE_NOTIFY_NEVER;
}

/* What the leaves get of the request; and where a list or an alias is the end of it, or
 * a success of its own, that is noted for the report that is made with the message (RFC
 * 3461 5.2.7.1, 5.2.7.3). */
static struct dsn_request request_expand(struct enqueue *e, const struct address *to,
                                         const struct recipient_answer *answer,
                                         unsigned good, const struct dsn_request *request)
{
    struct dsn_request left = *request;
    unsigned members = 0;
    for (unsigned i = 0; i < answer->leaf_count; i++) {
        members += leaf_of_list(&answer->leaves[i]);
    }
    bool list = members == answer->leaf_count;
    if (!list && good < 2 && answer->leaf_count < 2) {
        return left;
    }
    if (dsn_wants_success(request->notify)) {
        *vec_add(e->arena, &e->expanded) = (struct expanded){
            .address = address_print(e->arena, to),
            .orcpt =
                request->orcpt.ptr != NULL ? enqueue_copied(e, request->orcpt) : STR_NONE,
            .list = list};
    }
    left.notify = request->notify | QUEUE_NOTIFY_EXPANDED;
    return left;
}

/* Returns the group that it is in; NULL: nobody gets it. */
static const struct group *leaf_take(struct enqueue *e, const struct address *to,
                                     const struct recipient_leaf *leaf,
                                     const struct dsn_request *request)
{
    const struct route *route = &leaf->route;
    struct arena_mark mark = arena_mark(e->scratch);
    struct taken *place = leaf->discard ? NULL : taken_at(e, route);
    if (leaf->discard) {
        e->recipients++; /* taken, but nobody gets it */
    } else if (place->group == NULL) {
        struct group *g = group_find(e, leaf);
        *place = (struct taken){g, g->recipients.n};
        *vec_add(e->arena, &g->recipients) = leaf_recipient(e, to, leaf, request);
        e->recipients++;
        if (e->session.source->opts.logging || route->channel->opts.logging) {
            e->logged = true;
            log_route(e, to, leaf);
        }
    } else if (place->group->sender.ptr == NULL) {
        struct queue_recipient again = leaf_recipient(e, to, leaf, request);
        request_join(&place->group->recipients.at[place->index], &again);
    }
    if (leaf->node->hold && !leaf->discard) {
        e->admission.hold = "FORWARD, by $I";
    }
    const struct group *g = place != NULL ? place->group : NULL;
    arena_reset(e->scratch, mark);
    return g;
}

/* A group that the recipient at hand leads to, whose success is told of by itself. */
static void expanded_note(struct enqueue *e, const struct group *g)
{
    struct expanded *x = &e->expanded.at[e->expanded.n - 1];
    if (g != NULL && (x->groups.n == 0 || x->groups.at[x->groups.n - 1] != g)) {
        *vec_add(e->arena, &x->groups) = g;
    }
}

/* ---- what access tables ask for ---------------------------------------------------- */

/* How much of what tables said was not told. */
static void log_more(struct enqueue *e, unsigned more)
{
    struct log_line line;
    if (more > 0) {
        log_begin(&line, e->worker->daemon->log, LOG_ACCESS);
        log_str(&line, "session", e->session.session);
        log_cstr(&line, "id", e->id);
        log_int(&line, "more", more);
        log_end(&line);
    }
}

/* Tells the log what the tables said, and takes the delays they ask for. A client who
 * names a large list again and again fills no log. */
static void access_note(struct enqueue *e, const struct recipient_answer *answer)
{
    unsigned more = 0;
    for (const struct recipient_access *a = answer->access; a != NULL; a = a->next) {
        bool leaf = a->of_leaf && admission_worth_telling(&a->verdict);
        if (leaf && e->told >= LEAVES_TOLD_MAX) {
            more++;
        } else {
            e->told += leaf;
            enqueue_log_verdict(e, &a->verdict, address_print(e->scratch, &a->to));
        }
        admission_delay(&e->admission, &a->verdict);
    }
    log_more(e, more);
}

/* What else they ask for, now that the recipient is taken. */
static void access_take(struct enqueue *e, const struct recipient_answer *answer)
{
    e->admission.taken++;
    for (const struct recipient_access *a = answer->access; a != NULL; a = a->next) {
        if (!a->dropped) {
            admission_take(&e->admission, e->runtime->snapshot, &a->verdict);
        }
    }
}

/* Limits that the tables set for this recipient hold for it already. */
static bool access_size_taken(struct enqueue *e, const struct recipient_answer *answer,
                              struct outcome *out)
{
    const struct snapshot *s = e->runtime->snapshot;
    struct admission m = e->admission;
    for (const struct recipient_access *a = answer->access; a != NULL; a = a->next) {
        struct admission alone = {.limits = a->verdict.limits};
        if (!a->dropped && admission_too_large(&alone, s, e->session.declared_size)) {
            return enqueue_refused_block_limit(out);
        }
    }
    return !admission_too_large(&m, s, e->session.declared_size) ||
           enqueue_refused_block_limit(out);
}

/* ---- what it stands for ------------------------------------------------------------ */

/* What is known of the leaves of one recipient. */
struct leaves {
    const struct recipient_answer *answer;
    struct outcome *outcomes; /* one for each; DELIVERED: it can be taken */
    unsigned good, large;     /* of the good ones: too large for, as the client says */
    const char *limit;
};

/* Asks for each leaf. false: one cannot be told about now, or nobody is left; *out says
 * so. */
static bool leaves_check(struct enqueue *e, struct leaves *l, struct outcome *out)
{
    const struct recipient_answer *answer = l->answer;
    const struct message_size told = {.bytes = e->session.declared_size};
    for (unsigned i = 0; i < answer->leaf_count; i++) {
        const struct recipient_leaf *leaf = &answer->leaves[i];
        struct outcome *o = &l->outcomes[i];
        if (leaf->discard || verified(e, &leaf->route, o)) {
            const char *limit = leaf->discard ? NULL : leaf_over(e, leaf, &told);
            o->class = OUTCOME_DELIVERED;
            l->good++;
            l->large += limit != NULL;
            l->limit = limit != NULL ? limit : l->limit;
        } else if (o->class == OUTCOME_DEFERRED) {
            *out = *o;
            return false;
        }
    }
    if (l->good > 0) {
        return l->large < l->good || enqueue_refused_size(l->limit, out);
    }
    *out = l->outcomes[0];
    if (answer->leaf_count + answer->expansion.bad > 1 ||
        (answer->leaves[0].node->list != NULL)) {
        outcome_set(out, OUTCOME_FAILED, 550, 5, 2, 4,
                    "no address it stands for can be reached");
    }
    return false;
}

static void bad_member(struct enqueue *e, const struct expand_node *n,
                       const struct outcome *why)
{
    if (e->lists == NULL) {
        e->lists = list_report_new(e->arena, e->session.session);
    }
    list_report_add(e->lists, e->runtime->snapshot, n, why);
}

/* Takes the good ones; the bad ones are for the owner of their list. */
static void leaves_take(struct enqueue *e, const struct address *to,
                        const struct leaves *l, const struct dsn_request *request)
{
    const struct recipient_answer *answer = l->answer;
    size_t before = e->expanded.n;
    struct dsn_request each = request_expand(e, to, answer, l->good, request);
    for (unsigned i = 0; i < answer->leaf_count; i++) {
        if (l->outcomes[i].class == OUTCOME_DELIVERED) {
            const struct group *g = leaf_take(e, to, &answer->leaves[i], &each);
            if (e->expanded.n > before) {
                expanded_note(e, g);
            }
        } else {
            bad_member(e, answer->leaves[i].node, &l->outcomes[i]);
        }
    }
    const struct expand_node *n =
        answer->expansion.bad > 0 ? answer->expansion.first : NULL;
    for (; n != NULL; n = n->next) {
        if (n->kind == EXPAND_BAD) {
            struct outcome why;
            outcome_set(&why, OUTCOME_FAILED, n->code, n->status[0], n->status[1],
                        n->status[2], "%.*s", STR_ARG(n->reason));
            bad_member(e, n, &why);
        }
    }
}

/* The client is told no more than that it is so; here is why. */
static void log_not_expanded(struct enqueue *e, const struct address *to,
                             const struct expand_node *n)
{
    struct log_line line;
    log_begin(&line, e->worker->daemon->log, LOG_ERROR);
    log_cstr(&line, "what", "recipient not expanded");
    log_str(&line, "session", e->session.session);
    log_cstr(&line, "id", e->id);
    log_str(&line, "to", address_print(e->scratch, to));
    log_str(&line, "at", snapshot_where(e->scratch, e->runtime->snapshot, n->reason_at));
    log_str(&line, "reason", n->reason);
    log_end(&line);
}

static bool refuse_too_many(struct outcome *out)
{
    outcome_set(out, OUTCOME_DEFERRED, 452, 4, 5, 3,
                "too many recipients; send to this one by itself");
    return false;
}

static bool recipient_decide(struct enqueue *e, const struct address *to,
                             const struct dsn_request *asked, struct outcome *out)
{
    struct recipient_request request = {.snapshot = e->runtime->snapshot,
                                        .source = e->session.source,
                                        .trusted = e->session.trusted,
                                        .to = *to,
                                        .sender = e->access_sender,
                                        .peer = &e->peer};
    struct recipient_answer answer;
    if (e->looked >= EXPAND_MAX) { /* one list many times is much work, too */
        return refuse_too_many(out);
    }
    enum recipient_verdict verdict = recipient_resolve(&request, e->scratch, &answer);
    e->looked += answer.expansion.count > 1 ? answer.expansion.count : 0;
    access_note(e, &answer);
    if (verdict != RECIPIENT_TAKEN) {
        refusal_outcome(&answer.reply, out);
        if (answer.expansion.later != NULL) {
            log_not_expanded(e, to, answer.expansion.later);
        }
        return false;
    }
    struct leaves l = {.answer = &answer};
    l.outcomes = arena_array(e->scratch, struct outcome, answer.leaf_count);
    if (!leaves_check(e, &l, out) || !access_size_taken(e, &answer, out)) {
        return false;
    }
    if (e->recipients + l.good > EXPAND_MAX) {
        return refuse_too_many(out);
    }
    unsigned before = e->recipients;
    leaves_take(e, to, &l, asked);
    if (e->recipients > before && e->given++ == 0) {
        e->only = address_print(e->arena, to);
    }
    access_take(e, &answer);
    outcome_set(out, OUTCOME_DELIVERED, 250, 2, 1, 5, "recipient ok");
    return true;
}

bool enqueue_recipient(struct enqueue *e, const struct address *to,
                       const struct dsn_request *request, struct outcome *out)
{
    static const struct dsn_request nothing = {0};
    struct arena_mark mark = arena_mark(e->scratch);
    check(!e->begun && !e->committing);
    admission_command(&e->admission);
    if (!admission_recipient(&e->admission) || e->given >= ENQUEUE_RECIPIENTS_MAX) {
        outcome_set(out, OUTCOME_DEFERRED, 452, 4, 5, 3, "too many recipients");
        return false;
    }
    bool taken = recipient_decide(e, to, request != NULL ? request : &nothing, out);
    arena_reset(e->scratch, mark);
    return taken;
}

bool enqueue_data(struct enqueue *e, struct outcome *out)
{
    admission_command(&e->admission);
    if (admission_cutoff(&e->admission)) {
        outcome_set(out, OUTCOME_DEFERRED, 451, 4, 5, 3, "too many recipients");
        return false;
    }
    return true;
}

unsigned enqueue_delay_ms(const struct enqueue *e)
{
    const struct admission *m = &e->admission;
    return m->delay_once_ms > m->delay_ms ? m->delay_once_ms : m->delay_ms;
}
