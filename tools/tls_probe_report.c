/* tls_probe_report: see tls_probe_report.h. All texts of the host are shown with control
 * bytes replaced. */
#include "tools/tls_probe_report.h"

#include <stdarg.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "channels/smtp_reply.h"
#include "tools/record.h"
#include "tools/text.h"

enum { DAY_MS = 24 * 60 * 60 * 1000 };

bool probe_below(const struct probe_report *r)
{
    return r->required && r->verdict->got < *r->required;
}

/* --- text --- */

static void row(const struct probe_report *r, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static void row(const struct probe_report *r, const char *name, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    str text = text_plain(r->arena, arena_vprintf(r->arena, fmt, ap));
    va_end(ap);
    printf("  %-16s %.*s\n", name, STR_ARG(text));
}

/* Lines with a separator in between. */
static str joined(struct arena *a, str lines)
{
    str all = STR(""), line;
    while (smtp_reply_line_take(&lines, &line)) {
        all = arena_printf(a, "%.*s%s%.*s", STR_ARG(all), all.len > 0 ? ", " : "",
                           STR_ARG(line));
    }
    return all.len > 0 ? all : STR("none");
}

static void print_clear(const struct probe_report *r)
{
    const struct probe_found *f = r->found;
    if (f->greeting.ptr) {
        row(r, "greeting", "%u %.*s", f->greeting_code,
            STR_ARG(joined(r->arena, f->greeting)));
    }
    if (f->clear.ptr) {
        row(r, "in clear", "%.*s", STR_ARG(joined(r->arena, f->clear)));
    }
    if (f->starttls_code != 0) {
        row(r, "STARTTLS", "%u %.*s%s", f->starttls_code,
            STR_ARG(joined(r->arena, f->starttls)),
            f->injected ? ", and more behind it in clear" : "");
    } else if (f->clear.ptr && !r->target->implicit) {
        row(r, "STARTTLS", "%s", f->offered ? "offered" : "not offered");
    }
}

static void date_text(int64_t ms, char out[16])
{
    time_t at = (time_t)(ms / 1000);
    struct tm tm;
    if (!gmtime_r(&at, &tm) || strftime(out, 16, "%Y-%m-%d", &tm) == 0) {
        snprintf(out, 16, "?");
    }
}

static str validity(const struct probe_report *r, const struct tls_view_certificate *c)
{
    char from[16], to[16];
    int64_t now = clock_now_ms(&clock_system);
    int64_t days = (c->not_after_ms - now) / DAY_MS;
    date_text(c->not_before_ms, from);
    date_text(c->not_after_ms, to);
    if (now >= c->not_after_ms) {
        return arena_printf(r->arena, "%s to %s, EXPIRED", from, to);
    }
    if (now < c->not_before_ms) {
        return arena_printf(r->arena, "%s to %s, NOT YET", from, to);
    }
    return arena_printf(r->arena, "%s to %s, %lld day%s left", from, to, (long long)days,
                        days == 1 ? "" : "s");
}

static void print_certificate(const struct probe_report *r,
                              const struct tls_peer_certificate *c, bool first)
{
    row(r, first ? "certificate" : "issuer", "%.*s", STR_ARG(c->is.subject));
    if (first) {
        row(r, "  names", "%.*s",
            STR_ARG(c->is.names.len > 0 ? c->is.names : STR("none")));
    }
    row(r, "  issued by", "%.*s", STR_ARG(c->issuer));
    row(r, "  valid", "%.*s", STR_ARG(validity(r, &c->is)));
    row(r, "  key", "%.*s, signed with %.*s", STR_ARG(c->key), STR_ARG(c->signature));
    row(r, "  fingerprint", "%.*s", STR_ARG(c->is.fingerprint));
    if (first) {
        row(r, "  public key", "%.*s", STR_ARG(c->spki));
    }
}

static void print_level(const struct probe_report *r, const char *name,
                        const struct probe_level *l)
{
    if (l->asked) {
        row(r, name, "%s%s", l->proven ? "proven" : "no: ", l->proven ? "" : l->why);
    }
}

static void print_tls(const struct probe_report *r)
{
    const struct probe_found *f = r->found;
    const struct tls_facts *t = &f->facts;
    if (!f->tls) {
        return;
    }
    row(r, "TLS", "%s, %s, %d bits, %s%s%s, in %llu ms", t->version, t->cipher, t->bits,
        t->group[0] ? t->group : "no group", t->pq ? " (post-quantum)" : "",
        r->target->other_groups ? ", by groups_retry" : "",
        (unsigned long long)(t->handshake_ns / 1000000));
    for (unsigned i = 0; i < f->chain_count; i++) {
        print_certificate(r, &f->chain[i], i == 0);
    }
    if (f->under_tls.ptr) {
        row(r, "under TLS", "%.*s", STR_ARG(joined(r->arena, f->under_tls)));
    }
    print_level(r, "CA", &f->ca);
    print_level(r, "host", &f->is_host);
    print_level(r, "pinned", &f->pinned);
}

static void print_wanted(const struct probe_report *r, const char *name,
                         const char *value, struct span at)
{
    str where =
        at.source == 0 ? STR("built in") : snapshot_where(r->arena, r->snapshot, at);
    row(r, name, "%-16s %.*s", value, STR_ARG(where));
}

static void print_policy(const struct probe_report *r)
{
    const struct tls_policy *p = &r->policy->policy;
    printf("channel %.*s\n", STR_ARG(r->channel->name));
    if (r->policy->fault.ptr) {
        return;
    }
    print_wanted(r, "level", tls_level_name(p->level), p->level_at);
    print_wanted(r, "verify", tls_verify_name(p->verify), p->verify_at);
    print_wanted(r, "fallback", tls_policy_falls_back(p) ? "yes" : "no", p->fallback_at);
    print_wanted(r, "profile", arena_str(r->arena, p->profile->name).ptr, p->profile_at);
}

static void print_verdict(const struct probe_report *r)
{
    const struct probe_verdict *v = r->verdict;
    const char *between = v->why[0] ? ": " : "";
    if (!r->channel) {
        row(r, "verdict", "%s%s%s", v->sent ? tls_outcome_name(v->got) : "no TLS",
            between, v->why);
    } else if (!v->sent) {
        row(r, "verdict", "not sent, %s%s%s", v->status, between, v->why);
    } else if (v->got == TLS_OUTCOME_CLEAR) {
        row(r, "verdict", "sent in CLEAR%s%s%s", v->again ? " by a new connection" : "",
            between, v->why);
    } else {
        row(r, "verdict", "sent, %s%s%s", tls_outcome_name(v->got), between, v->why);
    }
    if (probe_below(r)) {
        row(r, "required", "%s: this is less", tls_outcome_name(*r->required));
    }
}

void probe_print(const struct probe_report *r)
{
    const struct probe_found *f = r->found;
    printf("%s port %u%s%s\n", r->target->host, r->target->port, f->ip[0] ? ", " : "",
           f->ip);
    if (f->stage > PROBE_CONNECTING) {
        row(r, "connected", "in %lld ms%s", (long long)f->connect_ms,
            r->target->implicit ? ", TLS from the first byte" : "");
    }
    print_clear(r);
    print_tls(r);
    if (f->failure[0]) {
        row(r, "failed", "%s", f->failure);
    }
    if (r->channel) {
        print_policy(r);
    }
    print_verdict(r);
}

/* --- JSON --- */

static str text_or_null(const char *text)
{
    return text && text[0] ? str_from(text) : STR_NONE;
}

static void json_lines(struct record *out, const char *name, str lines)
{
    str line;
    if (!lines.ptr) {
        record_null(out, name);
        return;
    }
    record_open(out, name, '[');
    while (smtp_reply_line_take(&lines, &line)) {
        record_str(out, NULL, line);
    }
    record_close(out, ']');
}

static void json_starttls(const struct probe_report *r, struct record *out)
{
    const struct probe_found *f = r->found;
    record_open(out, "starttls", '{');
    record_bool(out, "offered", f->offered);
    record_uint(out, "code", f->starttls_code);
    record_str(out, "text", f->starttls);
    record_bool(out, "injected", f->injected);
    record_close(out, '}');
}

static void json_time(struct record *out, const char *name, int64_t ms)
{
    char text[48];
    clock_rfc3339(ms, text, sizeof text);
    record_str(out, name, str_from(text));
}

static void json_certificate(struct record *out, const struct tls_peer_certificate *c)
{
    record_open(out, NULL, '{');
    record_str(out, "subject", c->is.subject);
    record_str(out, "issuer", c->issuer);
    record_str(out, "names", c->is.names);
    json_time(out, "not_before", c->is.not_before_ms);
    json_time(out, "not_after", c->is.not_after_ms);
    record_str(out, "key", c->key);
    record_str(out, "signature", c->signature);
    record_str(out, "fingerprint", c->is.fingerprint);
    record_str(out, "spki", c->spki);
    record_close(out, '}');
}

static void json_level(struct record *out, const char *name, const struct probe_level *l)
{
    if (!l->asked) {
        record_null(out, name);
        return;
    }
    record_open(out, name, '{');
    record_bool(out, "proven", l->proven);
    record_str(out, "why", l->proven ? STR_NONE : str_from(l->why));
    record_close(out, '}');
}

static void json_tls(const struct probe_report *r, struct record *out)
{
    const struct probe_found *f = r->found;
    const struct tls_facts *t = &f->facts;
    if (!f->tls) {
        record_null(out, "tls");
        return;
    }
    record_open(out, "tls", '{');
    record_str(out, "version", str_from(t->version));
    record_str(out, "cipher", str_from(t->cipher));
    record_int(out, "bits", t->bits);
    record_str(out, "group", text_or_null(t->group));
    record_bool(out, "pq", t->pq);
    record_bool(out, "groups_retry", r->target->other_groups);
    record_uint(out, "handshake_ms", t->handshake_ns / 1000000);
    record_open(out, "certificates", '[');
    for (unsigned i = 0; i < f->chain_count; i++) {
        json_certificate(out, &f->chain[i]);
    }
    record_close(out, ']');
    json_level(out, "ca", &f->ca);
    json_level(out, "host", &f->is_host);
    json_level(out, "pinned", &f->pinned);
    record_close(out, '}');
}

static void json_wanted(const struct probe_report *r, struct record *out,
                        const char *name, str value, struct span at)
{
    record_open(out, name, '{');
    record_str(out, "value", value);
    record_place(out, "at", r->snapshot->sources, at);
    record_close(out, '}');
}

static void json_policy(const struct probe_report *r, struct record *out)
{
    if (!r->channel || r->policy->fault.ptr) {
        record_null(out, "policy");
        return;
    }
    const struct tls_policy *p = &r->policy->policy;
    record_open(out, "policy", '{');
    json_wanted(r, out, "level", str_from(tls_level_name(p->level)), p->level_at);
    json_wanted(r, out, "verify", str_from(tls_verify_name(p->verify)), p->verify_at);
    json_wanted(r, out, "fallback", tls_policy_falls_back(p) ? STR("yes") : STR("no"),
                p->fallback_at);
    json_wanted(r, out, "profile", p->profile->name, p->profile_at);
    record_close(out, '}');
}

static void json_verdict(const struct probe_report *r, struct record *out)
{
    const struct probe_verdict *v = r->verdict;
    if (r->channel) {
        record_bool(out, "sent", v->sent);
        record_bool(out, "new_connection", v->again);
    } else {
        record_null(out, "sent");
        record_null(out, "new_connection");
    }
    record_str(out, "outcome", str_from(tls_outcome_name(v->got)));
    record_str(out, "status", text_or_null(v->status));
    record_str(out, "why", text_or_null(v->why));
    record_bool(out, "below", probe_below(r));
}

void probe_print_json(const struct probe_report *r)
{
    const struct probe_found *f = r->found;
    struct record out;
    record_begin(&out);
    record_str(&out, "host", str_from(r->target->host));
    record_uint(&out, "port", r->target->port);
    record_bool(&out, "implicit", r->target->implicit);
    record_str(&out, "ip", text_or_null(f->ip));
    record_int(&out, "connect_ms", f->connect_ms);
    record_uint(&out, "greeting_code", f->greeting_code);
    json_lines(&out, "greeting", f->greeting);
    json_lines(&out, "extensions_clear", f->clear);
    json_starttls(r, &out);
    json_tls(r, &out);
    json_lines(&out, "extensions", f->under_tls);
    record_str(&out, "failure", text_or_null(f->failure));
    record_str(&out, "channel", r->channel ? r->channel->name : STR_NONE);
    json_policy(r, &out);
    json_verdict(r, &out);
    record_print(&out);
}
