/* tcp_switch: which channel a session has, and what of its client's name is looked up and
 * shown there; see tcp_session.h. */
#include <stdio.h>

#include "channels/tcp_session.h"

enum { RECIPIENT_LIMIT = 1000, MESSAGE_SIZE_LIMIT = 100 * 1024 * 1024 };

/* The smallest of what the program, the site and the channel say. */
static uint64_t size_limit(const struct tcp_session *s)
{
    const struct site_options *site = &s->runtime->snapshot->options;
    uint64_t limit = MESSAGE_SIZE_LIMIT;
    const uint64_t blocks[] = {site->block_limit, s->channel->opts.sourceblocklimit};
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
        uint64_t bytes = blocks[i] * site->block_size;
        limit = bytes > 0 && bytes < limit ? bytes : limit;
    }
    return limit;
}

/* A certificate counts where the CAs are those it was verified against. */
static enum smtp_peer peer_state(const struct tcp_session *s)
{
    const struct tls_policy *t = &s->channel->tls_server;
    bool fine = t->peer != TLS_PEER_MUST ||
                (s->verified_by != NULL &&
                 tls_profile_same_client_cas(s->verified_by, t->profile));
    if (fine || t->profile->peer_fail == TLS_PEER_FAIL_NOTE) {
        return SMTP_PEER_FINE;
    }
    return t->profile->peer_fail == TLS_PEER_FAIL_REJECT ? SMTP_PEER_REJECT
                                                         : SMTP_PEER_TEMPFAIL;
}

struct smtp_server_policy session_policy(struct tcp_session *s)
{
    const struct tcp_options *options = &s->channel->tcp;
    str name = options->banner_host.len > 0
                   ? options->banner_host
                   : channel_local_name(s->runtime->snapshot, s->channel);
    snprintf(s->local_name, sizeof s->local_name, "%.*s", STR_ARG(name));
    return (struct smtp_server_policy){
        .local_name = str_from(s->local_name),
        .tls = s->channel->tls_server.level,
        .injection = s->channel->tls_server.injection,
        .peer = peer_state(s),
        .size_limit_bytes = size_limit(s),
        .hidden = s->channel->opts.ehlohide,
        .bare_addresses = s->channel->opts.bare != BARE_REFUSED,
        .recipient_limit = RECIPIENT_LIMIT,
        .limits = smtp_limits_of(s->channel),
        .banner_addition = options->banner_addition,
        .helo_max = options->max_helo_length,
    };
}

void session_switch_by_ip(struct tcp_session *s)
{
    struct span rule = SPAN_NONE;
    struct arena *a = arena_new();
    const struct channel *from = s->channel;
    s->channel =
        route_ip_switch(s->runtime->snapshot, from, str_from(s->peer_ip), a, &rule);
    if (s->channel != from) {
        s->trusted = true;
        session_log_switch(s, from, "ip", rule);
    }
    arena_free(&a);
}

/* The name that a switch may be made by: only one that leads back to its address. */
static str confirmed_name(const struct tcp_session *s)
{
    return tcp_ident_confirmed(s->ident) ? str_from(tcp_ident_name(s->ident)) : STR_NONE;
}

static bool same_name(const struct channel *a, const struct channel *b)
{
    return a && b && str_ieq(a->name, b->name);
}

static const struct tcp_state *state_of(const struct runtime *r,
                                        const struct channel *service)
{
    return runtime_state(r, service);
}

struct tls_context *session_tls_context(const struct runtime *r,
                                        const struct channel *service,
                                        const struct channel *channel)
{
    return tls_contexts_server(state_of(r, service)->tls, channel->tls_server.profile);
}

/* False: a handshake is due or offered on the channel, but nothing listens there (any
 * more), and so the configuration needed no certificate. */
static bool can_offer(const struct runtime *r, const struct channel *service,
                      const struct channel *channel, bool implicit_tls)
{
    return (channel->opts.tls_server == TLS_LEVEL_NO && !implicit_tls) ||
           tls_contexts_serves(state_of(r, service)->tls, channel->tls_server.profile);
}

/* Gives nobody trust, and leads to no channel that would offer TLS without a certificate:
 * whether it needs one was decided without knowing anybody's name. */
static const struct channel *name_switch(struct tcp_session *s, const struct runtime *r,
                                         const struct channel *from, struct span *rule)
{
    struct arena *a = arena_new();
    const struct channel *to =
        route_name_switch(r->snapshot, from, confirmed_name(s), a, rule);
    arena_free(&a);
    return can_offer(r, from, to, s->implicit_tls) ? to : from;
}

void session_switch_by_name(struct tcp_session *s)
{
    struct span rule = SPAN_NONE;
    const struct channel *from = s->channel;
    s->channel = name_switch(s, s->runtime, from, &rule);
    if (s->channel != from) {
        session_log_switch(s, from, "name", rule);
    }
}

static bool name_counts(const struct tcp_session *s, const struct runtime *r,
                        const struct channel *service)
{
    struct arena *a = arena_new();
    bool counts = route_name_counts(r->snapshot, service, str_from(s->peer_ip), a);
    arena_free(&a);
    return counts;
}

bool session_name_counts(const struct tcp_session *s)
{
    return s->channel == s->service_channel && name_counts(s, s->runtime, s->channel);
}

/* Do Received fields show names of clients? */
static bool shows_names(const struct channel *c)
{
    return c->opts.ident != IDENT_NUMERIC && c->tcp.check_source;
}

bool session_name_known(struct tcp_session *s)
{
    const struct channel_opts *o = &s->channel->opts;
    return !shows_names(s->channel) ||
           tcp_ident_want(s->ident, s->runtime, s->channel,
                          o->forward_check != FORWARD_CHECK_NONE);
}

/* The channel before TLS that the session would have got under the configuration r; NULL
 * if its name would count, but has not been looked up. *trusted: by its address. */
static const struct channel *channel_under(struct tcp_session *s, const struct runtime *r,
                                           const struct channel *service, bool *trusted)
{
    struct span rule;
    struct arena *a = arena_new();
    const struct channel *c =
        route_ip_switch(r->snapshot, service, str_from(s->peer_ip), a, &rule);
    arena_free(&a);
    *trusted = c != service;
    if (c != service || !name_counts(s, r, service)) {
        return c;
    }
    return tcp_ident_known(s->ident, true) ? name_switch(s, r, service, &rule) : NULL;
}

/* A CA that is taken away takes away whom it had verified. */
static bool still_verified(const struct tcp_session *s)
{
    return !s->verified_by ||
           tls_contexts_alike(state_of(s->runtime, s->service_channel)->tls,
                              s->verified_by, s->tls);
}

bool session_renew(struct tcp_session *s)
{
    struct runtime *now = s->worker->current;
    if (now == s->runtime) {
        return still_verified(s);
    }
    if (s->verified_by) {
        return false; /* whom the CAs verify now is seen in a handshake only */
    }
    const struct snapshot *snap = now->snapshot;
    const struct channel *service = snapshot_channel(snap, s->service_channel->name);
    const struct channel *channel = snapshot_channel(snap, s->channel->name);
    if (!service || !channel || service->type != CHANNEL_TCP ||
        !can_offer(now, service, channel, false)) {
        return false;
    }
    bool trusted, tls = smtp_server_is_tls(s->machine);
    const struct channel *begin = channel_under(s, now, service, &trusted);
    if (!begin || trusted != s->trusted ||
        !same_name(tls ? session_tls_channel(s, snap, begin) : begin, channel)) {
        return false;
    }
    runtime_unref(&s->runtime);
    s->runtime = runtime_ref(now);
    s->service_channel = service;
    s->channel = channel;
    struct smtp_server_policy policy = session_policy(s);
    smtp_server_set_policy(s->machine, &policy);
    return true;
}

void session_name_facts(const struct tcp_session *s, struct enqueue_session *facts)
{
    const struct channel_opts *o = &s->channel->opts;
    bool doubted =
        o->forward_check != FORWARD_CHECK_NONE && !tcp_ident_confirmed(s->ident);
    if (!shows_names(s->channel) ||
        (doubted && o->forward_check == FORWARD_CHECK_DELETE)) {
        return;
    }
    facts->peer_name = str_from(tcp_ident_name(s->ident));
    facts->name_doubted = doubted;
    facts->name_only = o->ident == IDENT_SYMBOLIC;
}
