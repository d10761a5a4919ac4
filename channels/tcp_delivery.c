/* tcp_delivery: one outbound delivery: next-hop addresses one after another, a stream,
 * the client machine and, when the channel says so, TLS. A connection serves further
 * ready jobs for the same channel and next hop before it ends. The outcome of every
 * recipient starts as deferred, so a path that forgets one can only cause a retry. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "base/check.h"
#include "router/dispatch.h"
#include "channels/tcp_delivery.h"
#include "tables/shown.h"

enum {
    CONNECT_TIMEOUT_MS = 30 * 1000,
    CLOSE_LINGER_MS = 5000,
    DEAD_MAX_MS = 5 * 60 * 1000, /* a host that cannot be reached is left alone so long */
    CHUNK = 64 * 1024,           /* body octets given to the machine at a time */
    OUTPUT_HIGH_WATER = 256 * 1024,
    MESSAGES_PER_CONNECTION = 100, /* unless the channel's option file says otherwise */
    ADDRESSES_TRIED_MAX = 16       /* in one attempt; the rest waits for the next */
};

static void delivery_run(struct tcp_delivery *d, const char *data, size_t len);
static void delivery_next_address(struct tcp_delivery *d);

/* --- settling --- */

static void free_message(struct tcp_delivery *d)
{
    body_reader_free(&d->reader);
    free(d->recipients);
    d->recipients = NULL;
    d->message = (struct smtp_client_message){0};
}

static void take_message(struct tcp_delivery *d, struct job *job)
{
    const struct snapshot *s = d->runtime->snapshot;
    free_message(d);
    arena_reset(d->arena, d->empty);
    d->job = job;
    d->offset = 0;
    d->reading = false;
    d->recipients = calloc(job->recipient_count, sizeof *d->recipients);
    check(d->recipients);
    for (unsigned i = 0; i < job->recipient_count; i++) {
        d->recipients[i].address =
            shown_recipient(s, d->channel, job->recipients[i].address, d->arena);
        d->recipients[i].asked = job->recipients[i].asked;
        outcome_init(&d->recipients[i].outcome);
    }
    d->message = (struct smtp_client_message){
        .sender = shown_sender(s, d->channel, job->sender, d->arena),
        .recipients = d->recipients,
        .recipient_count = job->recipient_count,
        .size_bytes = body_size(job->body),
        .eight_bit = job->eight_bit,
        .ret = job->ret,
        .envid = job->envid,
    };
}

/* Behind LMTP is a mailbox (RFC 2033); behind SMTP another system. */
static enum job_success success_of(const struct tcp_delivery *d,
                                   const struct smtp_client_recipient *r)
{
    if (d->channel->opts.protocol == PROTOCOL_LMTP) {
        return JOB_SUCCESS_DELIVERED;
    }
    return r->passed_on ? JOB_SUCCESS_PASSED_ON : JOB_SUCCESS_RELAYED;
}

static void settle_from_machine(struct tcp_delivery *d)
{
    struct job *job = d->job;
    for (unsigned i = 0; i < job->recipient_count; i++) {
        job->recipients[i].outcome = d->recipients[i].outcome;
        job->recipients[i].success = success_of(d, &d->recipients[i]);
        delivery_note_speaker(d, &job->recipients[i].outcome);
    }
    delivery_remember_worked(d);
    delivery_note_connection(d, job);
}

/* Gives the job back; the connection, if any, may go on to its end. */
static void finish_job(struct tcp_delivery *d)
{
    struct job *job = d->job;
    free_message(d);
    d->job = NULL;
    job_done(job);
}

static void delivery_free(struct tcp_delivery *d)
{
    check(!d->job && !d->stream);
    tcp_hosts_free(&d->hosts);
    smtp_client_free(&d->machine);
    runtime_unref(&d->runtime);
    arena_free(&d->arena);
    free(d->chunk);
    free(d);
}

/* No address is left, or there never was one. */
static void fail_all(struct tcp_delivery *d, const struct outcome *o)
{
    for (unsigned i = 0; i < d->job->recipient_count; i++) {
        d->job->recipients[i].outcome = *o;
    }
    finish_job(d);
    delivery_free(d);
}

/* --- the connection ends --- */

static bool was_reused(const struct tcp_delivery *d)
{
    return d->messages > 1;
}

static bool nothing_settled(const struct tcp_delivery *d)
{
    for (unsigned i = 0; i < d->job->recipient_count; i++) {
        if (d->recipients[i].outcome.class != OUTCOME_DEFERRED) {
            return false;
        }
    }
    return true;
}

/* --- hosts that cannot be reached --- */

static int64_t loop_ms(const struct tcp_delivery *d)
{
    return (int64_t)uv_now(&d->worker->loop);
}

static bool remembers_failures(const struct tcp_delivery *d)
{
    enum cache_mode mode = d->channel->opts.cache;
    return mode == CACHE_EVERYTHING || mode == CACHE_FAILURES;
}

/* Nobody is there. Not for longer than half of the shortest wait of the channel, so that
 * a message is not put off twice by one failure. */
static void note_dead(struct tcp_delivery *d, const char *reason)
{
    if (!remembers_failures(d)) {
        return;
    }
    int64_t for_ms = dispatch_retry_ms(d->worker, d->channel) / 2;
    for_ms = for_ms < DEAD_MAX_MS ? for_ms : DEAD_MAX_MS;
    tcp_dead_note(d->state->dead, (const struct sockaddr *)&d->address, loop_ms(d),
                  for_ms, reason);
}

/* No connection was begun for want of something here, which says nothing about there. */
static bool ours(int error)
{
    return error == UV_EMFILE || error == UV_ENFILE || error == UV_ENOBUFS ||
           error == UV_ENOMEM || error == UV_EADDRNOTAVAIL;
}

static void note_answer(struct tcp_delivery *d)
{
    if (!d->answered && smtp_client_replies(d->machine) > 0) {
        d->answered = true;
        tcp_dead_clear(d->state->dead, (const struct sockaddr *)&d->address);
    }
}

/* True: the address is not tried, because another delivery has just found nobody there.
 */
static bool pass_over(struct tcp_delivery *d)
{
    char why[TCP_DEAD_TEXT_MAX];
    if (!remembers_failures(d) ||
        !tcp_dead_check(d->state->dead, (const struct sockaddr *)&d->address, loop_ms(d),
                        CONNECT_TIMEOUT_MS, why)) {
        return false;
    }
    d->passed_over = true;
    d->all_refused_for_good = false;
    for (unsigned i = 0; i < d->job->recipient_count; i++) {
        struct outcome *o = &d->job->recipients[i].outcome;
        outcome_set(o, OUTCOME_DEFERRED, 0, 4, 4, 1, "not tried: %s", why);
        delivery_note_speaker(d, o);
    }
    return true;
}

/* The connection is closed; what is to come of the job? */
static void delivery_after_close(struct tcp_delivery *d)
{
    if (!d->job) {
        delivery_free(d);
        return;
    }
    if (d->clear || d->retry_fresh) {
        delivery_next_address(d);
        return;
    }
    struct outcome o;
    delivery_host_outcome(d, &o);
    d->all_refused_for_good = d->all_refused_for_good && o.class == OUTCOME_FAILED;
    for (unsigned i = 0; i < d->job->recipient_count; i++) {
        d->job->recipients[i].outcome = o;
        delivery_note_speaker(d, &d->job->recipients[i].outcome);
    }
    delivery_next_address(d);
}

static void on_closed(struct stream *stream, void *arg)
{
    struct tcp_delivery *d = arg;
    (void)stream;
    d->stream = NULL;
    delivery_after_close(d);
}

static void delivery_log_host(struct tcp_delivery *d)
{
    struct outcome o;
    delivery_host_outcome(d, &o);
    if (delivery_was_stripped(d)) {
        delivery_log_stripped(d, &o);
    }
    delivery_log_attempt(d, &o);
}

/* The machine has ended. Decides whether the job goes on elsewhere. */
static void delivery_close(struct tcp_delivery *d)
{
    if (d->reading) { /* the read buffer is not ours to free yet */
        d->close_after_read = true;
        return;
    }
    bool dirty = d->job && !smtp_client_after_dot(d->machine) && nothing_settled(d);
    d->clear = false;
    d->retry_fresh = false;
    if (smtp_client_injected(d->machine)) {
        delivery_log_injection(d);
    }
    if (smtp_client_tls_failed(d->machine)) {
        delivery_tls_failed(d);
    }
    if (d->job && d->regroup) {
        d->regroup = false;
        d->other_groups = d->retry_fresh = true;
    } else if (d->job && smtp_client_wants_clear(d->machine)) {
        d->clear = true;
        delivery_remember_broken(d);
        delivery_log_downgrade(d, smtp_client_host_outcome(d->machine)->text);
    } else if (dirty && was_reused(d)) {
        /* The peer had enough messages on one connection: that is no failure. */
        d->retry_fresh = true;
    } else if (d->job && smtp_client_try_next_host(d->machine)) {
        delivery_log_host(d);
    } else if (d->job) {
        settle_from_machine(d);
        finish_job(d);
    }
    stream_close(d->stream, CLOSE_LINGER_MS);
}

/* --- questions of the machine --- */

static void on_body_read(struct body_reader *r, long got, void *arg)
{
    struct tcp_delivery *d = arg;
    (void)r;
    d->reading = false;
    if (d->close_after_read) {
        d->close_after_read = false;
        delivery_close(d);
        return;
    }
    if (got <= 0) {
        /* The body is ours, not the peer's: nothing half may be taken as whole. */
        smtp_client_lost(d->machine, "cannot read the message from the queue");
        delivery_close(d);
        return;
    }
    d->offset += (uint64_t)got;
    smtp_client_body(d->machine, d->chunk, (size_t)got,
                     d->offset >= body_size(d->job->body));
    delivery_run(d, "", 0);
}

/* True: answered at once. */
static bool give_body(struct tcp_delivery *d)
{
    if (stream_pending(d->stream) > OUTPUT_HIGH_WATER || d->reading) {
        return false;
    }
    str part = body_part(d->job->body, d->offset);
    if (part.ptr) {
        part = str_sub(part, 0, CHUNK);
        d->offset += part.len;
        smtp_client_body(d->machine, part.ptr, part.len,
                         d->offset >= body_size(d->job->body));
        return true;
    }
    if (!d->chunk) {
        d->chunk = malloc(CHUNK);
    }
    check(d->chunk);
    if (!d->reader) {
        d->reader = body_reader_new(d->worker, d->job->body);
    }
    d->reading = true;
    body_read(d->reader, d->chunk, CHUNK, d->offset, on_body_read, d);
    return false;
}

/* A connection made under one configuration does not carry mail of the next one. */
static bool may_go_on(const struct tcp_delivery *d)
{
    unsigned limit = d->channel->tcp.attempt_transactions;
    limit = limit > 0 ? limit : MESSAGES_PER_CONNECTION;
    return d->messages < limit && !d->worker->stopping &&
           d->worker->current == d->runtime;
}

/* The message is settled: go on with a ready one for the same next hop, or quit. */
static void next_message(struct tcp_delivery *d)
{
    if (was_reused(d) && smtp_client_mail_put_off(d->machine)) {
        /* Enough messages for one connection, perhaps: once more on a new one. */
        smtp_client_quit(d->machine);
        return;
    }
    settle_from_machine(d);
    struct job *next = may_go_on(d) ? job_next(d->job) : NULL;
    finish_job(d);
    if (!next) {
        smtp_client_quit(d->machine);
        return;
    }
    d->messages++;
    take_message(d, next);
    smtp_client_next(d->machine, &d->message);
}

/* True: there was something to be written. */
static bool delivery_flush(struct tcp_delivery *d)
{
    struct buf *out = smtp_client_out(d->machine);
    bool any = out->len > 0;
    if (any) {
        stream_write(d->stream, out->data, out->len);
    }
    buf_clear(out);
    return any;
}

/* True: answered at once. */
static bool delivery_answer(struct tcp_delivery *d)
{
    switch (smtp_client_ask(d->machine)) {
    case CLIENT_ASK_TLS:
        delivery_start_tls(d);
        return false;
    case CLIENT_ASK_BODY:
        return give_body(d);
    case CLIENT_ASK_SETTLED:
        next_message(d);
        return true;
    case CLIENT_ASK_NONE:
        break;
    }
    check(!"the machine waits without a question");
    return false;
}

/* The deadline restarts with every reply and everything sent, not with every octet. */
static void delivery_run(struct tcp_delivery *d, const char *data, size_t len)
{
    bool progress = false;
    unsigned replies = smtp_client_replies(d->machine);
    for (;;) {
        enum smtp_step step = smtp_client_feed(d->machine, data, len);
        data = "";
        len = 0;
        note_answer(d);
        progress = delivery_flush(d) || progress;
        if (step == STEP_CLOSE) {
            delivery_close(d);
            return;
        }
        if (step == STEP_MORE) {
            break;
        }
        if (!delivery_answer(d)) {
            break;
        }
    }
    progress = progress || smtp_client_replies(d->machine) != replies;
    if (progress && smtp_client_ask(d->machine) != CLIENT_ASK_TLS) {
        stream_deadline(d->stream, smtp_client_timeout_ms(d->machine));
    }
}

/* --- events of the stream --- */

static void on_data(struct stream *stream, const char *data, size_t len, void *arg)
{
    struct tcp_delivery *d = arg;
    (void)stream;
    if (!d->close_after_read) {
        delivery_run(d, data, len);
    }
}

static void on_drained(struct stream *stream, void *arg)
{
    struct tcp_delivery *d = arg;
    (void)stream;
    if (d->machine && smtp_client_ask(d->machine) == CLIENT_ASK_BODY && !d->reading) {
        delivery_run(d, "", 0);
    }
}

static void on_connected(struct stream *stream, void *arg)
{
    struct tcp_delivery *d = arg;
    d->connected = true;
    if (d->wanted.policy.implicit) {
        delivery_start_tls(d);
    } else {
        stream_deadline(stream, smtp_client_timeout_ms(d->machine));
    }
    stream_resume(stream);
}

static void on_end(struct stream *stream, const char *reason, void *arg)
{
    struct tcp_delivery *d = arg;
    char text[160];
    (void)stream;
    snprintf(text, sizeof text, "%s: %s",
             d->connected ? "connection lost" : "cannot connect", reason);
    if (!d->answered) {
        note_dead(d, text);
    }
    smtp_client_lost(d->machine, text);
    delivery_close(d);
}

static void on_tls(struct stream *stream, bool ok, const char *error, void *arg)
{
    struct tcp_delivery *d = arg;
    char refusal[160];
    bool for_good = false;
    delivery_log_tls(d, ok ? NULL : error);
    if (ok && !delivery_tls_allowed(d, refusal, sizeof refusal, &for_good)) {
        ok = false;
        error = refusal;
        d->tls_vetoed = true;
    }
    delivery_tls_note(d, ok ? NULL : error);
    d->regroup = !ok && !d->tls_vetoed && delivery_wants_other_groups(d);
    if (for_good) {
        smtp_client_not_in_clear(d->machine);
    }
    counter_add(ok ? &d->worker->counters.tls_out : &d->worker->counters.tls_out_failed,
                1);
    smtp_client_tls_done(d->machine, ok, error);
    if (ok) {
        stream_deadline(stream, smtp_client_timeout_ms(d->machine));
    }
    delivery_run(d, "", 0);
}

static const struct stream_events delivery_events = {
    .on_data = on_data,
    .on_end = on_end,
    .on_drained = on_drained,
    .on_connected = on_connected,
    .on_tls = on_tls,
    .on_closed = on_closed,
};

/* --- addresses --- */

static struct smtp_client_options client_options(const struct tcp_delivery *d)
{
    const struct snapshot *s = d->runtime->snapshot;
    const struct tcp_options *o = &d->channel->tcp;
    const struct tls_policy *tls = &d->wanted.policy;
    bool named = o->banner_host.len > 0;
    return (struct smtp_client_options){
        .helo_name = named ? o->banner_host : channel_local_name(s, d->channel),
        .lmtp = d->channel->opts.protocol == PROTOCOL_LMTP,
        .tls = d->clear          ? TLS_LEVEL_NO
               : d->tls_expected ? TLS_LEVEL_MUST
                                 : tls->level,
        .implicit_tls = tls->implicit,
        .fallback = tls_policy_falls_back(tls) && !d->tls_expected,
        .times = {.reply = o->status_receive_ms,
                  .mail = o->status_mail_receive_ms,
                  .rcpt = o->status_rcpt_receive_ms,
                  .sending = o->data_transmit_ms,
                  .dot = o->status_data_receive_ms,
                  .dot_per_address = o->per_address_ms,
                  .dot_per_block = o->per_block_ms,
                  .dot_per_address_block = o->per_address_block_ms,
                  .block_bytes = s->options.block_size},
    };
}

static void delivery_connect(struct tcp_delivery *d)
{
    int error = 0;
    delivery_recall(d);
    struct smtp_client_options o = client_options(d);
    delivery_tls_begin(d);
    smtp_client_free(&d->machine);
    take_message(d, d->job);
    d->machine = smtp_client_new(&o, &d->message);
    d->messages = 1;
    d->connected = d->answered = false;
    d->stream = stream_connect(d->worker, (const struct sockaddr *)&d->address,
                               d->channel->opts.interfaceaddress, CONNECT_TIMEOUT_MS,
                               &delivery_events, d, &error);
    if (d->stream) {
        return;
    }
    if (!ours(error)) {
        note_dead(d, uv_strerror(error));
    }
    smtp_client_lost(d->machine, uv_strerror(error));
    delivery_log_attempt(d, smtp_client_host_outcome(d->machine));
    d->clear = d->retry_fresh = false;
    delivery_after_close(d);
}

/* No further address is tried now. `left`: there is one, but it has to wait for the next
 * attempt. Only if every host was tried and refused for good is it final. */
static void delivery_give_up(struct tcp_delivery *d, bool left)
{
    struct outcome last = d->job->recipients[0].outcome;
    bool all = d->all_refused_for_good && !left && !tcp_hosts_left_out(d->hosts) &&
               !d->worker->stopping;
    if (last.class == OUTCOME_FAILED && !all) {
        last.class = OUTCOME_DEFERRED;
    }
    delivery_note_connection(d, d->job);
    d->job->nobody_there = d->passed_over && d->addresses_tried == 0;
    fail_all(d, &last);
}

static void on_address(const struct sockaddr *address, const char *name,
                       const struct outcome *why, void *arg);

/* Enough addresses were tried, but not the host of `lastresort`: true, it is next. */
static bool delivery_skip_to_last(struct tcp_delivery *d)
{
    if (d->worker->stopping || !tcp_hosts_skip_to_last(d->hosts)) {
        return false;
    }
    d->addresses_tried = 1; /* its own addresses may all be tried */
    tcp_hosts_next(d->hosts, on_address, d);
    return true;
}

/* What TLS is wanted for this next hop, host and address. False: the table does not say
 * anything that could be used, and nothing is sent. */
static bool find_policy(struct tcp_delivery *d)
{
    char ip[INET6_ADDRSTRLEN];
    delivery_address_text(d, ip);
    struct tls_client_query q = {.snapshot = d->runtime->snapshot,
                                 .channel = d->channel,
                                 .domain = d->job->host,
                                 .mx = str_from(d->name),
                                 .ip = str_from(ip)};
    bool good = tls_client_policy(&q, d->arena, &d->wanted);
    if (!good) {
        delivery_log_policy_fault(d);
    }
    return good;
}

static void fail_policy(struct tcp_delivery *d)
{
    struct outcome o;
    outcome_set(&o, OUTCOME_DEFERRED, 0, 4, 3, 5,
                "what TLS is wanted cannot be told now: TLS_CLIENT_POLICY has no usable "
                "answer");
    fail_all(d, &o);
}

static size_t address_size(const struct sockaddr *address)
{
    switch (address->sa_family) {
    case AF_UNIX:
        return sizeof(struct sockaddr_un);
    case AF_INET6:
        return sizeof(struct sockaddr_in6);
    default:
        return sizeof(struct sockaddr_in);
    }
}

static void on_address(const struct sockaddr *address, const char *name,
                       const struct outcome *why, void *arg)
{
    struct tcp_delivery *d = arg;
    bool begun = d->addresses_tried > 0 || d->passed_over;
    bool enough = d->addresses_tried >= ADDRESSES_TRIED_MAX || d->worker->stopping;
    if (!address && (!begun || tcp_hosts_ended(d->hosts))) {
        fail_all(d, why);
        return;
    }
    if (address && begun && enough && delivery_skip_to_last(d)) {
        return;
    }
    /* a refusal for good by all of them stays one: the last resort is for trouble */
    bool refused = address && begun && tcp_hosts_at_last(d->hosts) &&
                   d->all_refused_for_good && !tcp_hosts_left_out(d->hosts);
    if (!address || refused || (begun && enough)) {
        delivery_give_up(d, address != NULL && !refused);
        return;
    }
    d->other_groups = false;
    memcpy(&d->address, address, address_size(address));
    snprintf(d->name, sizeof d->name, "%s", name);
    if (pass_over(d)) {
        tcp_hosts_next(d->hosts, on_address, d);
        return;
    }
    d->addresses_tried++;
    if (find_policy(d)) {
        delivery_connect(d);
    } else {
        fail_policy(d);
    }
}

/* The same address again (in clear, or fresh), or the next one. */
static void delivery_next_address(struct tcp_delivery *d)
{
    if (d->clear || d->retry_fresh) {
        d->retry_fresh = false;
        delivery_connect(d);
    } else {
        tcp_hosts_next(d->hosts, on_address, d);
    }
}

void tcp_deliver(struct worker *w, void *state, struct job *job)
{
    struct tcp_delivery *d = calloc(1, sizeof *d);
    check(d);
    d->worker = w;
    d->state = state;
    d->runtime = runtime_ref(job->runtime);
    d->channel = job->channel;
    d->job = job;
    d->arena = arena_new();
    d->empty = arena_mark(d->arena);
    d->all_refused_for_good = true;
    d->hosts = tcp_hosts_new(w, job->runtime->snapshot, job->channel, job->host);
    delivery_next_address(d);
}
