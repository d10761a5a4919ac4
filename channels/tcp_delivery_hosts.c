/* tcp_delivery_hosts: where a delivery goes: the addresses of its next hop one after
 * another, those passed over because nobody was there just before, the connection to
 * each, and what it comes to when none is left; see tcp_delivery.h. */
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "channels/tcp_delivery.h"
#include "router/dispatch.h"

enum {
    CONNECT_TIMEOUT_MS = 30 * 1000,
    DEAD_MAX_MS = 5 * 60 * 1000, /* a host that cannot be reached is left alone so long */
    ADDRESSES_TRIED_MAX = 16     /* in one attempt; the rest waits for the next */
};

/* No address is left, or there never was one. */
static void fail_all(struct tcp_delivery *d, const struct outcome *o)
{
    for (unsigned i = 0; i < d->job->recipient_count; i++) {
        d->job->recipients[i].outcome = *o;
    }
    delivery_finish_job(d);
    delivery_free(d);
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
void delivery_note_dead(struct tcp_delivery *d, const char *reason)
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

void delivery_note_answer(struct tcp_delivery *d)
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
    delivery_take(d, d->job);
    d->machine = smtp_client_new(&o, &d->message);
    d->messages = 1;
    d->began_ms = loop_ms(d);
    d->silent_since = 0;
    d->connected = d->answered = d->restart = false;
    tls_context_unref(&d->tls_context);
    d->stream = stream_connect(d->worker, (const struct sockaddr *)&d->address,
                               d->channel->opts.interfaceaddress, CONNECT_TIMEOUT_MS,
                               &delivery_events, d, &error);
    if (d->stream) {
        return;
    }
    if (!ours(error)) {
        delivery_note_dead(d, uv_strerror(error));
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

/* TLS_CLIENT_POLICY says nothing that could be used: nothing is sent. */
static void fail_policy(struct tcp_delivery *d)
{
    struct outcome o;
    delivery_log_policy_fault(d);
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
    if (delivery_tls_policy(d, &d->wanted)) {
        delivery_connect(d);
    } else {
        fail_policy(d);
    }
}

void delivery_walk(struct tcp_delivery *d)
{
    d->restart = d->retry_fresh = d->clear = d->passed_over = false;
    d->all_refused_for_good = true;
    d->addresses_tried = d->messages = 0;
    d->tls = (struct job_tls){0}; /* that of a connection that is no more */
    tcp_hosts_free(&d->hosts);
    d->hosts = tcp_hosts_new(d->worker, d->runtime->snapshot, d->channel, d->job->host);
    tcp_hosts_next(d->hosts, on_address, d);
}

static void delivery_next_address(struct tcp_delivery *d)
{
    if (d->restart) {
        delivery_walk(d);
    } else if (d->clear || d->retry_fresh) {
        d->retry_fresh = false;
        delivery_connect(d);
    } else {
        tcp_hosts_next(d->hosts, on_address, d);
    }
}

/* The connection is closed; what is to come of the job? */
void delivery_after_close(struct tcp_delivery *d)
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
