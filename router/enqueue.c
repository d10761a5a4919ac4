/* enqueue: one transaction on its way into the queue: its sender here, its recipients in
 * enqueue_recipients.c; the body goes to body.c behind a Received field; the commit
 * (enqueue_commit.c) hands the message to the store and then to dispatch. One request is
 * outstanding at a time; a session that goes away meanwhile leaves the transaction to end
 * by itself. */
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "router/enqueue_state.h"
#include "router/header_fields.h"
#include "router/header_rewrite.h"

/* --- life --- */

str enqueue_copied(struct enqueue *e, str text)
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
    m->ret = s->ret;
    m->envid = s->envid.ptr != NULL ? arena_str(m->arena, s->envid) : STR_NONE;
    memcpy(e->id, m->id, sizeof e->id);
    e->arena = arena_new();
    e->scratch = arena_new();
    e->groups_by_key = map_new(e->arena, MAP_NOCASE);
    e->seen = map_new(e->arena, MAP_CASE);
    e->session = *s;
    e->session.session = enqueue_copied(e, s->session);
    e->session.peer_ip = enqueue_copied(e, s->peer_ip);
    e->session.server_ip = enqueue_copied(e, s->server_ip);
    e->session.helo = enqueue_copied(e, s->helo);
    e->session.peer_name = enqueue_copied(e, s->peer_name);
    e->session.tls_version = enqueue_copied(e, s->tls_version);
    e->session.tls_cipher = enqueue_copied(e, s->tls_cipher);
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
    return e->given;
}

/* --- sender --- */

/* What came of a verdict; to empty: it is about the sender. */
void enqueue_log_verdict(struct enqueue *e, const struct access_verdict *v, str to)
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

bool enqueue_refused_block_limit(struct outcome *out)
{
    outcome_set(out, OUTCOME_FAILED, 552, 5, 3, 4,
                "the message is larger than this system takes from you");
    return false;
}

/* What a recipient is told whose channel does not take messages of that size. */
bool enqueue_refused_size(const char *limit, struct outcome *out)
{
    outcome_set(out, OUTCOME_FAILED, 552, 5, 3, 4,
                "the message is larger than its way to the recipient allows (%s)", limit);
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
    enqueue_log_verdict(e, &v, STR(""));
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
           enqueue_refused_block_limit(out);
}

/* --- answers --- */

/* What the client is told when the disk does not take the message; the log has why. */
void enqueue_storage_failed(struct enqueue *e, const char *reason, struct outcome *out)
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

void enqueue_answer(struct enqueue *e, const struct outcome *outcome)
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
    enqueue_answer(e, &e->outcome);
}

/* Answers e->outcome on a later turn of the loop. */
void enqueue_answer_later(struct enqueue *e)
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
        enqueue_storage_failed(e, uv_strerror(error), &e->outcome);
    }
    enqueue_answer(e, &e->outcome);
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
    bool changed = (!str_eq(e->given_sender, e->message->sender) ||
                    outgoings_sender_changed(e->outgoings)) &&
                   !outgoings_sender_reversed(e->outgoings);
    struct header_received r = {
        .helo = s->helo,
        .peer_ip = s->peer_ip,
        .peer_name = s->peer_name,
        .name_doubted = s->name_doubted,
        .name_only = s->name_only,
        .by = str_empty(own) ? channel_local_name(snapshot, s->source) : own,
        .channel = s->source->name,
        .internal = s->internal,
        .esmtp = s->esmtp,
        .tls = s->tls,
        .tls_version = s->tls_version,
        .tls_cipher = s->tls_cipher,
        .id = str_from(e->id),
        .recipient = e->given == 1 && names_for(e) ? e->only : STR_NONE,
        .sender = changed && names_from(e) ? e->given_sender : STR_NONE,
        .now_ms = e->message->created_ms,
    };
    return header_received(e->arena, &r);
}

/* Puts the Received field in front. It is the first thing in the body, so it always
 * stays in memory. */
void enqueue_body_begin(struct enqueue *e)
{
    int error;
    if (e->begun) {
        return;
    }
    e->begun = true;
    for (size_t i = 0; i < e->groups.n; i++) {
        const struct group *g = e->groups.at[i];
        outgoings_get(e->outgoings, g->channel, g->sender, e->message->arena);
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

unsigned enqueue_received_limit(const struct enqueue *e, const char **option)
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
    check(!e->busy && !e->committing && e->given > 0);
    enqueue_body_begin(e);
    message_size_add(&e->size, data);
    header_take(e, data);
    if (e->scan.received > HEADER_RECEIVED_MAX && enqueue_received_limit(e, NULL) == 0) {
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
        enqueue_storage_failed(e, uv_strerror(error), out);
    }
    return true;
}
