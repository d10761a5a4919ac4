/* tcp_delivery_tls: how a delivery begins TLS, what it remembers of TLS with its host
 * (`tlsremember`), and whether it tries again with other groups; see tcp_delivery.h and
 * tls_memory.h. */
#include <stdio.h>
#include <string.h>

#include "channels/tcp_delivery.h"
#include "channels/tls.h"

/* Broken TLS is believed for no longer, whatever the channel says: what somebody in
 * between breaks once is not to stay broken for days. */
enum { BROKEN_MAX_S = 3600, TLS_TIMEOUT_MS = 60 * 1000 };

bool delivery_tls_policy(const struct tcp_delivery *d, struct tls_client_answer *out)
{
    char ip[INET6_ADDRSTRLEN];
    delivery_address_text(d, ip);
    struct tls_client_query q = {.snapshot = d->runtime->snapshot,
                                 .channel = d->channel,
                                 .domain = str_from(d->next_hop),
                                 .mx = str_from(d->name),
                                 .ip = str_from(ip)};
    return tls_client_policy(&q, d->arena, out);
}

/* The certificate is to be for the host we think we talk to; a literal next hop is one by
 * the will of the configuration, or of who addressed the mail. Behind a socket of this
 * machine is this machine. */
void delivery_start_tls(struct tcp_delivery *d)
{
    const struct tls_policy *p = &d->wanted.policy;
    char ip[INET6_ADDRSTRLEN];
    delivery_address_text(d, ip);
    str name = str_from(d->name[0] ? d->name : ip);
    if (d->address.ss_family == AF_UNIX) {
        name = channel_local_name(d->runtime->snapshot, d->channel);
    }
    struct tls_wish wish = {
        .host = str_from(d->name),
        .verify = p->verify,
        .names = {name, str_from(tcp_hosts_secure_domain(d->hosts))},
        .other_groups = d->other_groups,
    };
    stream_deadline(d->stream, TLS_TIMEOUT_MS);
    tls_context_unref(&d->tls_context);
    d->tls_context = tls_contexts_client(d->state->tls, p->profile);
    stream_start_tls(d->stream, d->tls_context, &wish);
}

bool delivery_tls_is_current(const struct tcp_delivery *d)
{
    if (!d->tls_context) {
        return true;
    }
    struct tls_context *now =
        tls_contexts_client(d->state->tls, d->wanted.policy.profile);
    bool current = now == d->tls_context;
    tls_context_unref(&now);
    return current;
}

/* A socket of this machine is no host, and nobody is in between. */
static uint32_t remember_s(const struct tcp_delivery *d)
{
    return d->address.ss_family == AF_UNIX ? 0 : d->channel->opts.tlsremember;
}

/* ip: INET6_ADDRSTRLEN bytes that the result points to. */
static struct tls_memory_host host_now(const struct tcp_delivery *d,
                                       enum tls_memory_kind kind, char *ip)
{
    delivery_address_text(d, ip);
    return (struct tls_memory_host){.kind = kind,
                                    .name = str_from(d->name[0] ? d->name : ip),
                                    .port = d->channel->opts.port,
                                    .ip = str_from(ip),
                                    .profile = d->wanted.policy.profile->name};
}

static bool happened(struct tcp_delivery *d, enum tls_memory_kind kind, uint32_t within_s)
{
    char ip[INET6_ADDRSTRLEN];
    const struct tls_memory_host h = host_now(d, kind, ip);
    d->tls_age_s = tls_memory_age_s(d->state->memory, &h);
    return d->tls_age_s >= 0 && d->tls_age_s < (int64_t)within_s;
}

void delivery_recall(struct tcp_delivery *d)
{
    const struct tls_policy *p = &d->wanted.policy;
    uint32_t broken_s = remember_s(d) < BROKEN_MAX_S ? remember_s(d) : BROKEN_MAX_S;
    d->tls_expected = d->tls_vetoed = false;
    if (remember_s(d) == 0 || p->level != TLS_LEVEL_MAY || d->clear) {
        return;
    }
    if (happened(d, TLS_MEMORY_WORKED, remember_s(d))) {
        d->tls_expected = true;
    } else if (tls_policy_falls_back(p) && happened(d, TLS_MEMORY_BROKEN, broken_s)) {
        char why[128];
        snprintf(why, sizeof why, "TLS failed %lld s ago and is not tried (tlsremember)",
                 (long long)d->tls_age_s);
        d->clear = true;
        delivery_log_downgrade(d, why);
    }
}

bool delivery_tls_is_as_wanted(struct tcp_delivery *d)
{
    struct tls_client_answer answer;
    const struct tls_policy *was = &d->wanted.policy, *now = &answer.policy;
    if (!delivery_tls_policy(d, &answer) || now->profile != was->profile ||
        now->level != was->level || now->verify != was->verify ||
        now->implicit != was->implicit || now->fallback != was->fallback) {
        return false;
    }
    if (smtp_client_is_tls(d->machine)) {
        return delivery_tls_is_current(d);
    }
    bool expected = now->level == TLS_LEVEL_MAY && remember_s(d) > 0 &&
                    happened(d, TLS_MEMORY_WORKED, remember_s(d));
    return now->level != TLS_LEVEL_MUST && !expected;
}

static void remember(struct tcp_delivery *d, enum tls_memory_kind kind)
{
    char ip[INET6_ADDRSTRLEN];
    if (remember_s(d) > 0) {
        const struct tls_memory_host h = host_now(d, kind, ip);
        tls_memory_note(d->state->memory, &h);
    }
}

/* A handshake alone tells little: with TLS 1.3 a host that does not like us says so only
 * after it. */
void delivery_remember_worked(struct tcp_delivery *d)
{
    if (smtp_client_is_tls(d->machine)) {
        remember(d, TLS_MEMORY_WORKED);
    }
}

/* What somebody in between has certainly done is no fact about the host, nor is what a
 * table of ours says. */
void delivery_remember_broken(struct tcp_delivery *d)
{
    if (!smtp_client_injected(d->machine) && !d->tls_vetoed) {
        remember(d, TLS_MEMORY_BROKEN);
    }
}

bool delivery_was_stripped(const struct tcp_delivery *d)
{
    const struct outcome *o = smtp_client_host_outcome(d->machine);
    bool by_tls = o->enhanced[1] == 7 && (o->enhanced[2] == 5 || o->enhanced[2] == 10);
    return d->tls_expected && !d->tls_vetoed && !smtp_client_is_tls(d->machine) && by_tls;
}

void delivery_host_outcome(const struct tcp_delivery *d, struct outcome *out)
{
    const struct outcome *o = smtp_client_host_outcome(d->machine);
    *out = *o;
    if (delivery_was_stripped(d)) {
        outcome_set(out, OUTCOME_DEFERRED, o->code, 4, 7, o->enhanced[2],
                    "%.250s; TLS worked with this host %lld s ago (tlsremember)", o->text,
                    (long long)d->tls_age_s);
    }
}

/* A ClientHello with large key shares is lost in some networks, and some hosts answer it
 * with nothing but an end. Behind a ServerHello the groups are agreed on. */
bool delivery_wants_other_groups(const struct tcp_delivery *d)
{
    const struct tls_facts *f = stream_tls_attempt(d->stream);
    if (f == NULL || f->answered || d->other_groups) {
        return false;
    }
    struct tls_context *c = tls_contexts_client(d->state->tls, d->wanted.policy.profile);
    bool wants = tls_context_has_other_groups(c);
    tls_context_unref(&c);
    return wants;
}
