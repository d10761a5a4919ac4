/* tcp_delivery_tls: what a delivery remembers of TLS with its host (`tlsremember`); see
 * tcp_delivery.h and tls_memory.h. */
#include <stdio.h>
#include <string.h>

#include "channels/tcp_delivery.h"

/* Broken TLS is believed for no longer, whatever the channel says: what somebody in
 * between breaks once is not to stay broken for days. */
enum { BROKEN_MAX_S = 3600 };

static uint32_t remember_s(const struct tcp_delivery *d)
{
    return d->channel->opts.tlsremember;
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
