/* tcp_delivery_access: TLS_ACCESS after a handshake with a next hop; see tcp_delivery.h.
 */
#include <stdio.h>

#include "channels/tcp_delivery.h"
#include "channels/tls.h"
#include "router/admission.h"

static unsigned remote_port(const struct tcp_delivery *d)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&d->address;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&d->address;
    switch (d->address.ss_family) {
    case AF_INET6:
        return ntohs(v6->sin6_port);
    case AF_INET:
        return ntohs(v4->sin_port);
    default:
        return 0;
    }
}

/* The server is the one that is connected to, the client is us. */
static void ask(const struct tcp_delivery *d, str ip, struct arena *a,
                struct access_verdict *out)
{
    const struct tls_facts *f = stream_tls(d->stream);
    struct access_peer peer = {.server_ip = ip,
                               .server_port = remote_port(d),
                               .client_ip = stream_local_ip(d->stream),
                               .client_port = stream_local_port(d->stream),
                               .lmtp = d->channel->opts.protocol == PROTOCOL_LMTP,
                               .tls = true,
                               .tls_version = str_from(f->version),
                               .tls_cipher = str_from(f->cipher)};
    struct access_tls tls = {.verified = f->verified != TLS_VERIFY_NO,
                             .subject = str_from(f->subject),
                             .issuer = str_from(f->issuer),
                             .names_cut = f->names_cut};
    struct access_question q = {.snapshot = d->runtime->snapshot,
                                .table = ACCESS_TLS,
                                .peer = &peer,
                                .source = d->channel,
                                .tls = &tls};
    access_ask(&q, a, out);
}

static void log_verdict(const struct tcp_delivery *d, str ip,
                        const struct access_verdict *v)
{
    struct admission_place place = {.log = d->worker->daemon->log,
                                    .snapshot = d->runtime->snapshot,
                                    .id = d->job ? d->job->message_id.ptr : NULL,
                                    .channel = d->channel->name,
                                    .peer = ip};
    admission_log(&place, v);
}

bool delivery_tls_allowed(const struct tcp_delivery *d, char *why, size_t size,
                          bool *for_good)
{
    struct access_verdict v;
    struct arena *a = arena_new();
    char text[INET6_ADDRSTRLEN];
    delivery_address_text(d, text);
    ask(d, str_from(text), a, &v);
    log_verdict(d, str_from(text), &v);
    bool fault = v.answer == ACCESS_FAULT;
    bool allowed = !fault && v.answer != ACCESS_REJECT;
    *for_good = v.no_fallback;
    if (!allowed) {
        str at = snapshot_where(a, d->runtime->snapshot, v.entry);
        snprintf(why, size, "TLS_ACCESS %s (%.*s)", fault ? "has no answer" : "refuses",
                 STR_ARG(at));
    }
    arena_free(&a);
    return allowed;
}
