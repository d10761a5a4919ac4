/* access_probe: the strings that access tables are asked for. What a peer can choose goes
 * through access_escape(), and addresses have one spelling only. */
#include "base/buf.h"
#include "base/check.h"
#include "tables/access.h"
#include "tables/route.h"

enum { PROBE_MAX = 8192 }; /* more than all fields together can have */

static str replaced(struct arena *a, str text, char bar, char slash)
{
    char *out = arena_strndup(a, text.ptr, text.len);
    for (size_t i = 0; i < text.len; i++) {
        if (out[i] == '|') {
            out[i] = bar;
        } else if (out[i] == '/') {
            out[i] = slash;
        } else if (out[i] < ' ' || out[i] > '~') {
            out[i] = '?';
        }
    }
    return str_n(out, text.len);
}

static char bar_of(const struct snapshot *s)
{
    return s->options.mapping_paranoia != '\0' ? s->options.mapping_paranoia : '|';
}

str access_escape(const struct snapshot *s, struct arena *a, str text)
{
    return replaced(a, text, bar_of(s), '/');
}

/* What a certificate or a TLS hello says can shift no fields, whatever the option says:
 * it would decide who the peer is. */
static str tls_field(const struct access_question *q, struct arena *a, str text)
{
    char bar = q->snapshot->options.mapping_paranoia;
    return replaced(a, text, bar != '\0' && bar != '|' ? bar : '?', '/');
}

static str address_field(const struct access_question *q, struct arena *a,
                         const struct address *from)
{
    struct address canonical;
    if (from == NULL || address_is_null(from)) {
        return STR("");
    }
    canonical = *from;
    canonical.local = address_canonical_local(a, from->local);
    return access_escape(q->snapshot, a, address_print(a, &canonical));
}

void access_sender(const struct snapshot *s, const struct channel *source,
                   const struct address *given, struct arena *a, struct address *out)
{
    struct rewrite_context ctx = {source, ROUTE_BACKWARD, ROUTE_ENVELOPE, NULL};
    struct route route;
    *out = *given;
    if (address_is_null(given)) {
        return;
    }
    route_rewrite(s, &ctx, given, false, a, &route);
    if (route.channel != NULL) {
        *out = route.address;
    }
    out->route = STR(""); /* who sends it is at its end */
    out->local = address_canonical_local(a, out->local);
}

static void put_port(const struct access_peer *p, struct buf *out)
{
    if (p->client_ip.len > 0) {
        buf_printf(out, "TCP|%.*s|%u|%.*s|%u", STR_ARG(p->server_ip), p->server_port,
                   STR_ARG(p->client_ip), p->client_port);
    }
}

/* SMTP/HELO or SMTP/VERSION:CIPHER/HELO; a '/' of the peer's is none. */
static void put_application(const struct access_question *q, struct arena *a,
                            struct buf *out)
{
    const struct access_peer *p = q->peer;
    if (p->client_ip.len == 0) {
        return;
    }
    buf_puts(out, p->lmtp ? "LMTP" : "SMTP");
    if (p->tls) {
        buf_printf(out, "/%.*s:%.*s", STR_ARG(p->tls_version), STR_ARG(p->tls_cipher));
    }
    if (q->table == ACCESS_TLS) {
        return; /* what was said in clear is forgotten, and nothing has been said since */
    }
    str helo = replaced(a, p->helo, bar_of(q->snapshot), '?');
    buf_printf(out, "/%.*s", STR_ARG(helo));
}

/* What stands in front of the channel in the larger probes. */
static void put_transport(const struct access_question *q, struct arena *a,
                          struct buf *out)
{
    put_port(q->peer, out);
    buf_putc(out, '|');
    put_application(q, a, out);
    buf_puts(out, "|MAIL|");
}

static bool wants_given(const struct access_question *q)
{
    static const unsigned bits[ACCESS_TABLES] = {[ACCESS_ORIG_SEND] = 2,
                                                 [ACCESS_SEND] = 4,
                                                 [ACCESS_ORIG_MAIL] = 8,
                                                 [ACCESS_MAIL] = 16};
    return (q->snapshot->options.access_orcpt & bits[q->table]) != 0;
}

static void put_recipient(const struct access_question *q, struct arena *a,
                          struct buf *out)
{
    buf_printf(out, "%.*s|%.*s|%.*s|%.*s", STR_ARG(q->source->name),
               STR_ARG(address_field(q, a, q->sender)), STR_ARG(q->destination->name),
               STR_ARG(address_field(q, a, q->to)));
    if (wants_given(q)) {
        buf_printf(out, "|rfc822;%.*s", STR_ARG(address_field(q, a, q->given)));
    }
}

static void put_sender(const struct access_question *q, struct arena *a, struct buf *out)
{
    buf_printf(out, "%.*s|%.*s|%.*s", STR_ARG(q->source->name),
               STR_ARG(address_field(q, a, q->sender)),
               STR_ARG(access_escape(q->snapshot, a, q->peer->auth)));
}

static void put_next_hop(const struct access_question *q, struct arena *a,
                         struct buf *out)
{
    buf_printf(out, "%.*s|%u|%u|%.*s|%.*s", STR_ARG(q->source->name), q->address_count,
               q->address_index, STR_ARG(q->ip),
               STR_ARG(access_escape(q->snapshot, a, q->host)));
}

static void put_tls(const struct access_question *q, struct arena *a, struct buf *out)
{
    const struct access_tls *t = q->tls;
    put_port(q->peer, out);
    buf_putc(out, '|');
    put_application(q, a, out);
    buf_printf(out, "|%.*s|%.*s|%.*s|", STR_ARG(q->source->name),
               STR_ARG(tls_field(q, a, t->verified ? t->subject : STR(""))),
               STR_ARG(tls_field(q, a, t->verified ? t->issuer : STR(""))));
}

static void put_tls_peer(const struct access_question *q, struct arena *a,
                         struct buf *out)
{
    const struct access_tls *t = q->tls;
    buf_printf(out, "%.*s|%.*s|%.*s|%.*s|%c|%.*s|%.*s|%.*s|%.*s",
               STR_ARG(q->source->name), STR_ARG(q->peer->tls_version),
               STR_ARG(q->peer->tls_cipher), STR_ARG(t->group), t->verified ? 'Y' : 'N',
               STR_ARG(tls_field(q, a, t->verified ? t->subject : STR(""))),
               STR_ARG(t->spki), STR_ARG(tls_field(q, a, t->sni)),
               STR_ARG(q->peer->client_ip));
}

str access_probe(const struct access_question *q, struct arena *a)
{
    struct buf out;
    buf_init(&out, PROBE_MAX);
    switch (q->table) {
    case ACCESS_PORT:
        put_port(q->peer, &out);
        break;
    case ACCESS_FROM:
        put_transport(q, a, &out);
        put_sender(q, a, &out);
        break;
    case ACCESS_ORIG_MAIL:
    case ACCESS_MAIL:
        put_transport(q, a, &out);
        put_recipient(q, a, &out);
        break;
    case ACCESS_ORIG_SEND:
    case ACCESS_SEND:
        put_recipient(q, a, &out);
        break;
    case ACCESS_IP:
        put_next_hop(q, a, &out);
        break;
    case ACCESS_TLS:
        put_tls(q, a, &out);
        break;
    case ACCESS_TLS_PEER:
        put_tls_peer(q, a, &out);
        break;
    case ACCESS_TABLES:
        check(q->table < ACCESS_TABLES);
    }
    str probe = arena_str(a, buf_slice(&out));
    buf_free(&out);
    return probe;
}
