/* enqueue: one transaction on its way into the queue. RCPT routes and groups, the body
 * goes to body.c behind a Received field, the commit hands the message to the store
 * and then to dispatch. One request is outstanding at a time; a session that goes away
 * meanwhile leaves the transaction to end by itself. */
#include "router/enqueue.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/map.h"
#include "base/vec.h"
#include "router/admission.h"
#include "router/channel.h"
#include "router/dispatch.h"
#include "router/header.h"
#include "router/header_fields.h"
#include "router/header_rewrite.h"
#include "router/message_limits.h"
#include "router/outgoing.h"
#include "router/refusal.h"

/* Recipients of one channel and next hop. */
struct group {
    const struct channel *channel;
    str host;
    const char *over; /* the limit the message exceeds, or NULL */
    VEC(str) recipients;
};

struct enqueue {
    struct worker *worker;
    struct runtime *runtime;
    struct enqueue_session session; /* its texts are in m's arena, but for TLS and IP */
    struct queue_message *message;  /* NULL once dispatch has it */
    struct body *body;
    char id[QUEUE_ID_MAX];
    struct arena *arena;   /* dies with the transaction */
    struct arena *scratch; /* reset after each recipient */
    VEC(struct group *) groups;
    struct map *groups_by_key, *seen;
    struct admission admission;
    struct access_peer peer;      /* as access tables see it */
    struct address access_sender; /* likewise */
    unsigned recipients;
    str given_sender; /* as the client wrote it: message->sender may differ */
    str only;         /* as the client wrote it, the first recipient */
    bool logged;      /* a channel concerned has the logging keyword */
    struct header_scan scan;
    struct message_size size; /* as the client sent it */
    struct outgoings *outgoings;
    struct buf header; /* the header of the body, the empty line included */
    bool header_left;  /* it was too large for that */
    bool begun, committing, busy, dead;
    uint64_t started_ns; /* of the commit */
    struct task task;    /* an answer that was there at once */
    struct outcome outcome;
    enqueue_cb cb;
    void *arg;
};

/* --- life --- */

static str copied(struct enqueue *e, str text)
{
    return arena_str(e->arena, text);
}

/* The sender with a host; the null sender has none. */
static str sender_completed(struct enqueue *e, const struct address *sender,
                            str bare_domain)
{
    struct address full = *sender;
    if (full.local.len > 0 && full.domain.len == 0) {
        full.domain = bare_domain;
    }
    return address_print(e->message->arena, &full);
}

/* What access tables know of the session. */
static void peer_take(struct enqueue *e)
{
    const struct enqueue_session *s = &e->session;
    e->peer = (struct access_peer){
        .server_ip = s->server_ip,
        .server_port = s->server_port,
        .client_ip = s->peer_ip,
        .client_port = s->peer_port,
        .helo = s->helo,
        .tls_version = s->tls_version,
        .tls_cipher = s->tls_cipher,
        .esmtp = s->esmtp,
        .tls = s->tls,
    };
}

/* The sender as access tables see it, from the message's. */
static void access_sender_take(struct enqueue *e)
{
    struct address sender;
    if (address_parse(e->message->sender, &sender) != NULL) { /* completed with rubbish */
        e->access_sender = (struct address){.local = e->message->sender};
        return;
    }
    access_sender(e->runtime->snapshot, e->session.source, &sender, e->arena,
                  &e->access_sender);
}

static void sender_take(struct enqueue *e, const struct address *sender)
{
    const struct enqueue_session *s = &e->session;
    const struct snapshot *snapshot = e->runtime->snapshot;
    struct outgoing_facts facts = {.snapshot = snapshot, .source = s->source};
    facts.bare_domain = outgoing_bare_domain(snapshot, s->source, s->helo, s->peer_name,
                                             s->peer_ip, e->arena);
    e->given_sender = address_print(e->arena, sender);
    facts.sender = e->message->sender = sender_completed(e, sender, facts.bare_domain);
    e->outgoings = outgoings_new(e->arena, &facts);
    access_sender_take(e);
}

struct enqueue *enqueue_begin(const struct enqueue_session *s,
                              const struct address *sender)
{
    struct enqueue *e = calloc(1, sizeof *e);
    check(e != NULL);
    struct queue *queue = s->worker->daemon->queue;
    struct queue_message *m = queue_message_new(queue, worker_now_ms(s->worker));
    e->worker = s->worker;
    e->runtime = runtime_ref(s->runtime);
    e->message = m;
    e->body = m->body = body_new(m->number, queue_body_directory(queue));
    m->source_channel = arena_str(m->arena, s->source->name);
    memcpy(e->id, m->id, sizeof e->id);
    e->arena = arena_new();
    e->scratch = arena_new();
    e->groups_by_key = map_new(e->arena, MAP_NOCASE);
    e->seen = map_new(e->arena, MAP_CASE);
    e->session = *s;
    e->session.session = copied(e, s->session);
    e->session.peer_ip = copied(e, s->peer_ip);
    e->session.server_ip = copied(e, s->server_ip);
    e->session.helo = copied(e, s->helo);
    e->session.peer_name = copied(e, s->peer_name);
    e->session.tls_version = copied(e, s->tls_version);
    e->session.tls_cipher = copied(e, s->tls_cipher);
    e->logged = s->source->opts.logging;
    buf_init(&e->header, HEADER_PROCESSED_MAX);
    admission_init(&e->admission, e->arena);
    peer_take(e);
    sender_take(e, sender);
    return e;
}

static void enqueue_free(struct enqueue *e)
{
    queue_message_free(&e->message);
    buf_free(&e->header);
    admission_free(&e->admission);
    runtime_unref(&e->runtime);
    arena_free(&e->scratch);
    arena_free(&e->arena);
    free(e);
}

void enqueue_abort(struct enqueue **e)
{
    struct enqueue *gone = *e;
    *e = NULL;
    if (gone == NULL) {
        return;
    }
    if (gone->busy) {
        gone->dead = true; /* the answer frees it */
    } else {
        enqueue_free(gone);
    }
}

const char *enqueue_id(const struct enqueue *e)
{
    return e->id;
}

unsigned enqueue_recipients(const struct enqueue *e)
{
    return e->recipients;
}

/* --- sender --- */

/* What came of a verdict; to empty: it is about the sender. */
static void log_verdict(struct enqueue *e, const struct access_verdict *v, str to)
{
    struct admission_place place = {.log = e->worker->daemon->log,
                                    .snapshot = e->runtime->snapshot,
                                    .session = e->session.session,
                                    .channel = e->session.source->name,
                                    .peer = e->session.peer_ip,
                                    .from = e->given_sender,
                                    .to = to,
                                    .id = e->id};
    admission_log(&place, v);
}

static void verdict_outcome(const struct access_verdict *v, struct outcome *out)
{
    struct recipient_reply reply = {
        v->code, {v->status[0], v->status[1], v->status[2]}, v->text};
    refusal_outcome(&reply, out);
}

static bool refused_block_limit(struct outcome *out)
{
    outcome_set(out, OUTCOME_FAILED, 552, 5, 3, 4,
                "the message is larger than this system takes from you");
    return false;
}

bool enqueue_sender(struct enqueue *e, struct outcome *out)
{
    struct access_verdict v;
    const struct snapshot *s = e->runtime->snapshot;
    struct access_question q = {.snapshot = s,
                                .table = ACCESS_FROM,
                                .peer = &e->peer,
                                .source = e->session.source,
                                .sender = &e->access_sender};
    access_ask(&q, e->arena, &v);
    log_verdict(e, &v, STR(""));
    admission_delay(&e->admission, &v);
    if (v.answer == ACCESS_REJECT || v.answer == ACCESS_FAULT) {
        verdict_outcome(&v, out);
        return false;
    }
    admission_take(&e->admission, s, &v);
    if (v.new_sender) {
        str given = e->given_sender;
        sender_take(e, &v.sender);
        e->given_sender = given;
    }
    return !admission_too_large(&e->admission, s, e->session.declared_size) ||
           refused_block_limit(out);
}

/* --- recipients --- */

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

/* What a recipient is told whose channel does not take messages of that size. */
static bool refused_size(const char *limit, struct outcome *out)
{
    outcome_set(out, OUTCOME_FAILED, 552, 5, 3, 4,
                "the message is larger than its way to the recipient allows (%s)", limit);
    return false;
}

/* May it go there, by the size the client has told? */
static bool size_taken(struct enqueue *e, const struct channel *c, struct outcome *out)
{
    struct message_size told = {.bytes = e->session.declared_size};
    const char *limit = message_over_channel(e->runtime->snapshot, c, &told);
    return limit == NULL || refused_size(limit, out);
}

/* True when this mailbox has been taken for this channel before: local parts are
 * compared exactly, domains case-blind. */
static bool seen_before(struct enqueue *e, const struct route *route)
{
    const struct address *to = &route->address;
    str key = arena_printf(e->scratch, "%u %.*s@%.*s", route->channel->index,
                           STR_ARG(address_unquote_local(e->scratch, to->local)),
                           STR_ARG(to->domain));
    char *domain = (char *)key.ptr + key.len - to->domain.len;
    for (size_t i = 0; i < to->domain.len; i++) {
        domain[i] = ascii_lower(domain[i]);
    }
    if (map_get(e->seen, key) != NULL) {
        return true;
    }
    map_add(e->seen, copied(e, key), e);
    return false;
}

static struct group *group_find(struct enqueue *e, const struct route *route)
{
    str host = route_next_hop(route->channel, &route->address);
    str key = arena_printf(e->scratch, "%u %.*s", route->channel->index, STR_ARG(host));
    struct group *g = map_get(e->groups_by_key, key);
    if (g == NULL) {
        g = arena_new_of(e->arena, struct group);
        g->channel = route->channel;
        g->host = arena_str(e->message->arena, host);
        *vec_add(e->arena, &e->groups) = g;
        map_add(e->groups_by_key, copied(e, key), g);
    }
    return g;
}

static void log_route(struct enqueue *e, const struct address *to,
                      const struct route *route)
{
    struct log_line line;
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
    log_end(&line);
}

static void recipient_take(struct enqueue *e, const struct address *to,
                           const struct route *route)
{
    struct group *g = group_find(e, route);
    struct arena *a = e->message->arena;
    *vec_add(e->arena, &g->recipients) = address_print(a, &route->address);
    if (e->recipients++ == 0) {
        e->only = address_print(e->arena, to);
    }
    if (e->session.source->opts.logging || route->channel->opts.logging) {
        e->logged = true;
        log_route(e, to, route);
    }
}

/* One address that gets the message. */
static bool leaf_taken(struct enqueue *e, const struct recipient_leaf *leaf,
                       struct outcome *out)
{
    return leaf->discard ||
           (size_taken(e, leaf->route.channel, out) && verified(e, &leaf->route, out));
}

/* Tells the log what the tables said, and takes the delays they ask for. */
static void access_note(struct enqueue *e, const struct recipient_answer *answer)
{
    for (const struct recipient_access *a = answer->access; a != NULL; a = a->next) {
        log_verdict(e, &a->verdict, address_print(e->scratch, &a->to));
        admission_delay(&e->admission, &a->verdict);
    }
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
        if (!a->dropped &&
            admission_too_large(&alone, s, e->session.declared_size)) {
            return refused_block_limit(out);
        }
    }
    return !admission_too_large(&m, s, e->session.declared_size) ||
           refused_block_limit(out);
}

static void leaf_take(struct enqueue *e, const struct address *to,
                      const struct recipient_leaf *leaf)
{
    if (leaf->discard) {
        e->recipients++; /* taken, but nobody gets it */
    } else if (!seen_before(e, &leaf->route)) {
        recipient_take(e, to, &leaf->route);
    }
}

static bool recipient_decide(struct enqueue *e, const struct address *to,
                             struct outcome *out)
{
    struct recipient_request request = {.snapshot = e->runtime->snapshot,
                                        .source = e->session.source,
                                        .trusted = e->session.trusted,
                                        .to = *to,
                                        .sender = e->access_sender,
                                        .peer = &e->peer};
    struct recipient_answer answer;
    enum recipient_verdict verdict = recipient_resolve(&request, e->scratch, &answer);
    access_note(e, &answer);
    if (verdict != RECIPIENT_TAKEN) {
        refusal_outcome(&answer.reply, out);
        return false;
    }
    const struct recipient_leaf *leaf = &answer.leaves[0];
    if (!leaf_taken(e, leaf, out) || !access_size_taken(e, &answer, out)) {
        return false;
    }
    leaf_take(e, to, leaf);
    access_take(e, &answer);
    outcome_set(out, OUTCOME_DELIVERED, 250, 2, 1, 5, "recipient ok");
    return true;
}

bool enqueue_recipient(struct enqueue *e, const struct address *to, struct outcome *out)
{
    struct arena_mark mark = arena_mark(e->scratch);
    check(!e->begun && !e->committing);
    admission_command(&e->admission);
    if (!admission_recipient(&e->admission) ||
        e->recipients >= ENQUEUE_RECIPIENTS_MAX) {
        outcome_set(out, OUTCOME_DEFERRED, 452, 4, 5, 3, "too many recipients");
        return false;
    }
    bool taken = recipient_decide(e, to, out);
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

/* --- answers --- */

/* What the client is told when the disk does not take the message; the log has why. */
static void storage_failed(struct enqueue *e, const char *reason, struct outcome *out)
{
    struct log_line line;
    log_begin(&line, e->worker->daemon->log, LOG_ERROR);
    log_cstr(&line, "what", "message not stored");
    log_str(&line, "session", e->session.session);
    log_cstr(&line, "id", e->id);
    log_cstr(&line, "reason", reason);
    log_end(&line);
    outcome_set(out, OUTCOME_DEFERRED, 452, 4, 3, 1,
                "cannot store the message now, try again later");
}

static void answer(struct enqueue *e, const struct outcome *outcome)
{
    e->busy = false;
    if (e->dead) {
        enqueue_free(e);
        return;
    }
    struct outcome copy = *outcome; /* e may be gone before the callback returns */
    e->cb(e, &copy, e->arg);
}

static void on_answer_task(struct worker *w, struct task *t)
{
    (void)w;
    struct enqueue *e =
        (struct enqueue *)(void *)((char *)t - offsetof(struct enqueue, task));
    answer(e, &e->outcome);
}

/* Answers e->outcome on a later turn of the loop. */
static void answer_later(struct enqueue *e)
{
    e->task.run = on_answer_task;
    worker_post(e->worker, &e->task);
}

/* --- body --- */

static void outcome_go_on(struct outcome *out)
{
    outcome_set(out, OUTCOME_DELIVERED, 0, 2, 0, 0, "go on");
}

static void on_body_appended(struct body *b, int error, void *arg)
{
    (void)b;
    struct enqueue *e = arg;
    outcome_go_on(&e->outcome);
    if (error != 0) {
        storage_failed(e, uv_strerror(error), &e->outcome);
    }
    answer(e, &e->outcome);
}

/* Both ends may want the recipient or the sender left out of the one field there is. */
static bool names_for(const struct enqueue *e)
{
    bool named = e->session.source->opts.received_for;
    for (size_t i = 0; i < e->groups.n; i++) {
        named = named && e->groups.at[i]->channel->opts.received_for;
    }
    return named;
}

static bool names_from(const struct enqueue *e)
{
    bool named = e->session.source->opts.received_from;
    for (size_t i = 0; i < e->groups.n; i++) {
        named = named && e->groups.at[i]->channel->opts.received_from;
    }
    return named;
}

static str received_field(struct enqueue *e)
{
    const struct enqueue_session *s = &e->session;
    const struct snapshot *snapshot = e->runtime->snapshot;
    str own = snapshot->options.received_domain;
    bool changed = !str_eq(e->given_sender, e->message->sender) ||
                   outgoings_sender_changed(e->outgoings);
    struct header_received r = {
        .helo = s->helo,
        .peer_ip = s->peer_ip,
        .peer_name = s->peer_name,
        .name_doubted = s->name_doubted,
        .name_only = s->name_only,
        .by = str_empty(own) ? channel_local_name(snapshot, s->source) : own,
        .channel = s->source->name,
        .esmtp = s->esmtp,
        .tls = s->tls,
        .tls_version = s->tls_version,
        .tls_cipher = s->tls_cipher,
        .id = str_from(e->id),
        .recipient = e->recipients == 1 && names_for(e) ? e->only : STR_NONE,
        .sender = changed && names_from(e) ? e->given_sender : STR_NONE,
        .now_ms = e->message->created_ms,
    };
    return header_received(e->arena, &r);
}

/* Puts the Received field in front. It is the first thing in the body, so it always
 * stays in memory. */
static void body_begin(struct enqueue *e)
{
    int error;
    if (e->begun) {
        return;
    }
    e->begun = true;
    for (size_t i = 0; i < e->groups.n; i++) {
        outgoings_get(e->outgoings, e->groups.at[i]->channel, e->message->arena);
    }
    str lines = buf_slice(&e->admission.header);
    str received = received_field(e);
    received = arena_printf(e->arena, "%.*s%.*s", STR_ARG(received), STR_ARG(lines));
    check(body_append(e->worker, e->body, received, NULL, NULL, &error));
    check(error == 0 && buf_str(&e->header, received));
}

/* Looks at the header as it passes, and keeps it. */
static void header_take(struct enqueue *e, str data)
{
    uint64_t before = e->scan.size;
    header_scan(&e->scan, data);
    str part = str_sub(data, 0, (size_t)(e->scan.size - before));
    e->header_left = e->header_left || !buf_str(&e->header, part);
}

/* How many Received fields the site lets a message have before it is set aside, and the
 * option that says so (may be NULL). 0: it does not say. */
static unsigned received_limit(const struct enqueue *e, const char **option)
{
    const struct site_options *o = &e->session.runtime->snapshot->options;
    unsigned all = o->max_total_received_lines, some = o->max_received_lines;
    bool total = some == 0 || (all > 0 && all < some);
    if (option != NULL) {
        *option = total ? "MAX_TOTAL_RECEIVED_LINES" : "MAX_RECEIVED_LINES";
    }
    return total ? all : some;
}

bool enqueue_body(struct enqueue *e, str data, enqueue_cb cb, void *arg,
                  struct outcome *out)
{
    int error;
    check(!e->busy && !e->committing && e->recipients > 0);
    body_begin(e);
    message_size_add(&e->size, data);
    header_take(e, data);
    if (e->scan.received > HEADER_RECEIVED_MAX && received_limit(e, NULL) == 0) {
        outcome_set(out, OUTCOME_FAILED, 554, 5, 4, 6,
                    "too many hops: more than %d Received fields", HEADER_RECEIVED_MAX);
        return true;
    }
    e->cb = cb;
    e->arg = arg;
    e->busy = true;
    if (!body_append(e->worker, e->body, data, on_body_appended, e, &error)) {
        return false;
    }
    e->busy = false;
    outcome_go_on(out);
    if (error != 0) {
        storage_failed(e, uv_strerror(error), out);
    }
    return true;
}

/* --- commit: seal the body, store the message, hand it to dispatch --- */

static void log_enqueue(struct enqueue *e, unsigned recipients, uint64_t size)
{
    struct log_line line;
    log_begin(&line, e->worker->daemon->log, LOG_ENQUEUE);
    log_str(&line, "session", e->session.session);
    log_cstr(&line, "id", e->id);
    log_str(&line, "from", e->message->sender);
    log_int(&line, "size", (int64_t)size);
    log_str(&line, "channel", e->session.source->name);
    log_int(&line, "recipients", recipients);
    log_duration_ms(&line, "ms", uv_hrtime() - e->started_ns);
    log_end(&line);
}

static void log_hold(struct enqueue *e, const struct queue_message *m)
{
    struct log_line line;
    log_begin(&line, e->worker->daemon->log, LOG_HOLD);
    log_cstr(&line, "id", m->id);
    log_str(&line, "channel", e->session.source->name);
    log_cstr(&line, "reason", m->hold);
    log_end(&line);
}

static void log_discard(struct enqueue *e)
{
    struct log_line line;
    log_begin(&line, e->worker->daemon->log, LOG_DISCARD);
    log_str(&line, "session", e->session.session);
    log_cstr(&line, "id", e->id);
    log_str(&line, "from", e->message->sender);
    log_str(&line, "channel", e->session.source->name);
    log_int(&line, "recipients", e->recipients);
    log_cstr(&line, "reason",
             e->admission.discard != NULL ? e->admission.discard
                                          : "each recipient, by $B of access tables");
    log_end(&line);
}

/* Nobody gets it: it is accepted, and not even stored. */
static bool discarded(struct enqueue *e)
{
    if (e->admission.discard == NULL && e->groups.n > 0) {
        return false;
    }
    log_discard(e);
    outcome_set(&e->outcome, OUTCOME_DELIVERED, 250, 2, 0, 0, "queued as %s", e->id);
    answer_later(e);
    return true;
}

static void on_committed(struct worker *w, struct queue_message *m,
                         const struct queue_result *r, void *arg)
{
    struct enqueue *e = arg;
    if (!r->ok) {
        storage_failed(e, r->reason, &e->outcome);
        answer(e, &e->outcome);
        return;
    }
    if (e->logged) {
        log_enqueue(e, e->recipients, body_size(m->body));
    }
    /* Also when the session is gone: the message is ours now, and may be the client's
     * too; twice is allowed, never is not (RFC 5321 4.5.4.1, RFC 1047). */
    e->message = NULL;
    if (m->hold != NULL) {
        log_hold(e, m);
        queue_message_free(&m);
    } else {
        dispatch_add(w, m);
    }
    outcome_set(&e->outcome, OUTCOME_DELIVERED, 250, 2, 0, 0, "queued as %s", e->id);
    answer(e, &e->outcome);
}

/* The size is known now. True: for the site, or for all recipients, it is too much, and
 * *out says so. Where only some channels do not take it, their recipients fail at the
 * first attempt, which tells the sender. */
static bool too_large(struct enqueue *e, struct outcome *out)
{
    const struct snapshot *s = e->runtime->snapshot;
    const char *limit = message_over_site(s, &e->size);
    size_t over = 0;
    if (admission_too_large(&e->admission, s, e->size.bytes)) {
        return !refused_block_limit(out);
    }
    if (limit != NULL) {
        outcome_set(out, OUTCOME_FAILED, 552, 5, 3, 4, "the message is too large (%s)",
                    limit);
        return true;
    }
    for (size_t i = 0; i < e->groups.n; i++) {
        struct group *g = e->groups.at[i];
        g->over = message_over_channel(s, g->channel, &e->size);
        limit = g->over != NULL ? g->over : limit;
        over += g->over != NULL;
    }
    return over > 0 && over == e->groups.n && !refused_size(limit, out);
}

/* A message that has been through too many systems probably goes round: set aside, so
 * that it neither goes on nor is lost. */
static void hold_looping(struct enqueue *e)
{
    const char *option;
    unsigned limit = received_limit(e, &option);
    if (limit > 0 && e->scan.received > limit && e->message->hold == NULL) {
        e->message->hold = arena_printf(e->message->arena, "%u Received fields, %s is %u",
                                        e->scan.received, option, limit)
                               .ptr;
    }
}

/* An access table said $H, or there are more recipients than holdlimit of the source
 * channel: set aside until an operator has looked at it. */
static void hold_message(struct enqueue *e)
{
    unsigned limit = e->session.source->opts.holdlimit;
    if (e->admission.hold != NULL) {
        e->message->hold = arena_strdup(e->message->arena, e->admission.hold);
    } else if (limit > 0 && e->recipients > limit) {
        e->message->hold =
            arena_printf(e->message->arena, "%u recipients, holdlimit of %.*s is %u",
                         e->recipients, STR_ARG(e->session.source->name), limit)
                .ptr;
    }
}

/* The header goes out as it came where it is too much to be looked at. */
static void log_header_left(struct enqueue *e)
{
    struct log_line line;
    log_begin(&line, e->worker->daemon->log, LOG_ERROR);
    log_cstr(&line, "what", "header not rewritten");
    log_str(&line, "session", e->session.session);
    log_cstr(&line, "id", e->id);
    log_cstr(&line, "reason", "it is too long, or has too many addresses");
    log_end(&line);
}

/* The first answer of the reverse database or table that could not be used; the address
 * stayed as it was. */
static void log_reversal(struct enqueue *e)
{
    const struct reversal *r = outgoings_reversal(e->outgoings);
    struct log_line line;
    if (r->problem == NULL) {
        return;
    }
    log_begin(&line, e->worker->daemon->log, LOG_ERROR);
    log_cstr(&line, "what", "address not reversed");
    log_str(&line, "session", e->session.session);
    log_cstr(&line, "id", e->id);
    log_str(&line, "rule",
            snapshot_where(e->scratch, e->runtime->snapshot, r->problem_at));
    log_cstr(&line, "reason", r->problem);
    log_end(&line);
}

static void headers_make(struct enqueue *e)
{
    str header = buf_slice(&e->header);
    header = str_sub(header, 0, header_length(header));
    if (e->header_left || !outgoings_headers(e->outgoings, header, e->message)) {
        log_header_left(e);
    }
    log_reversal(e);
    buf_free(&e->header);
}

/* Turns the groups into the entries of the message. */
static void entries_make(struct enqueue *e)
{
    struct queue_message *m = e->message;
    m->eight_bit = e->scan.eight_bit;
    m->entry_count = (unsigned)e->groups.n;
    m->entries = arena_array(m->arena, struct queue_entry, e->groups.n);
    for (size_t i = 0; i < e->groups.n; i++) {
        const struct group *g = e->groups.at[i];
        const struct outgoing *o = outgoings_get(e->outgoings, g->channel, m->arena);
        struct queue_entry *entry = &m->entries[i];
        entry->sender = o->sender;
        entry->header = o->header;
        size_t n = g->recipients.n;
        entry->channel = arena_str(m->arena, g->channel->name);
        entry->host = g->host;
        entry->too_large = g->over;
        entry->recipients = arena_array(m->arena, str, n);
        memcpy(entry->recipients, g->recipients.at, n * sizeof(str));
        entry->recipient_count = (unsigned)n;
    }
}

static void on_sealed(struct body *b, int error, void *arg)
{
    (void)b;
    struct enqueue *e = arg;
    if (error != 0) {
        storage_failed(e, uv_strerror(error), &e->outcome);
        answer(e, &e->outcome);
    } else if (e->dead) {
        answer(e, &e->outcome); /* nobody was told anything: it may be forgotten */
    } else {
        queue_commit(e->worker->daemon->queue, e->worker, e->message, on_committed, e);
    }
}

void enqueue_commit(struct enqueue *e, enqueue_cb cb, void *arg)
{
    int error;
    check(!e->busy && !e->committing && e->recipients > 0);
    admission_command(&e->admission);
    body_begin(e); /* an empty message has only our field */
    e->committing = true;
    e->started_ns = uv_hrtime();
    e->cb = cb;
    e->arg = arg;
    e->busy = true;
    if (too_large(e, &e->outcome)) {
        answer_later(e);
        return;
    }
    if (discarded(e)) {
        return;
    }
    hold_message(e);
    hold_looping(e);
    headers_make(e);
    entries_make(e);
    if (!body_seal(e->worker, e->body, on_sealed, e, &error)) {
        return;
    }
    if (error != 0) {
        storage_failed(e, uv_strerror(error), &e->outcome);
        answer_later(e);
        return;
    }
    queue_commit(e->worker->daemon->queue, e->worker, e->message, on_committed, e);
}
