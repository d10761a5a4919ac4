/* tls_probe_verdict: what a channel makes of a host, by the table in docs/tls.md, "When
 * TLS fails", which is what channels/smtp_client.c does. */
#include <stdio.h>

#include "tools/tls_probe.h"

static void sent(struct probe_verdict *v, enum tls_outcome got, const char *why)
{
    v->sent = true;
    v->got = got;
    snprintf(v->why, sizeof v->why, "%s", why);
}

static void not_sent(struct probe_verdict *v, const char *status, const char *why)
{
    v->status = status;
    snprintf(v->why, sizeof v->why, "%s", why);
}

/* The best that the certificate proves. */
static enum tls_outcome proven(const struct probe_found *f)
{
    if (!f->tls) {
        return TLS_OUTCOME_CLEAR;
    }
    return f->pinned.proven    ? TLS_OUTCOME_PINNED
           : f->is_host.proven ? TLS_OUTCOME_HOST
           : f->ca.proven      ? TLS_OUTCOME_CA
                               : TLS_OUTCOME_TLS;
}

/* TLS was to be, and did not come about. */
static void broken(const struct tls_policy *p, const struct probe_found *f,
                   struct probe_verdict *v)
{
    bool refused = f->stage == PROBE_STARTTLS && !f->injected && !f->lost;
    if (tls_policy_falls_back(p)) {
        sent(v, TLS_OUTCOME_CLEAR, f->failure);
        v->again = true;
    } else {
        not_sent(v, refused ? "4.7.10" : "4.7.5", f->failure);
    }
}

static void certified(const struct probe_level *l, enum tls_outcome got,
                      struct probe_verdict *v)
{
    if (l->proven) {
        sent(v, got, "");
    } else {
        not_sent(v, "4.7.5", l->why[0] ? l->why : "the profile lists no fingerprint");
    }
}

static void judge_certificate(const struct tls_policy *p, const struct probe_found *f,
                              struct probe_verdict *v)
{
    switch (p->verify) {
    case TLS_VERIFY_NO:
        sent(v, TLS_OUTCOME_TLS, "");
        break;
    case TLS_VERIFY_TRY:
        sent(v, f->is_host.proven ? TLS_OUTCOME_HOST : TLS_OUTCOME_TLS, f->is_host.why);
        break;
    case TLS_VERIFY_CA:
        certified(&f->ca, TLS_OUTCOME_CA, v);
        break;
    case TLS_VERIFY_HOST:
        certified(&f->is_host, TLS_OUTCOME_HOST, v);
        break;
    case TLS_VERIFY_FP:
        certified(&f->pinned, TLS_OUTCOME_PINNED, v);
        break;
    }
}

/* The greeting or EHLO, in clear: of no use, whatever TLS would have been. */
static void judge_unheard(const struct probe_found *f, struct probe_verdict *v)
{
    not_sent(v, f->stage == PROBE_CONNECTING ? "4.4.1" : "4.0.0", f->failure);
}

static void judge_clear(const struct tls_policy *p, const struct probe_found *f,
                        struct probe_verdict *v)
{
    if (p->level == TLS_LEVEL_NO) {
        sent(v, TLS_OUTCOME_CLEAR, f->offered ? "STARTTLS is offered, and not used" : "");
    } else if (p->level == TLS_LEVEL_MAY) {
        sent(v, TLS_OUTCOME_CLEAR, "STARTTLS is not offered");
    } else if (f->ehlo_code / 100 == 5) {
        not_sent(v, "4.7.0", "TLS is a must, and EHLO was refused");
    } else {
        not_sent(v, "4.7.10", "TLS is a must and not offered");
    }
}

/* TLS_ACCESS is asked when the handshake has succeeded, the certificate included. */
static void judge_veto(const struct tls_policy *p, const struct probe_found *f,
                       struct probe_verdict *v)
{
    *v = (struct probe_verdict){.got = TLS_OUTCOME_CLEAR};
    if (tls_policy_falls_back(p) && !f->veto_for_good) {
        sent(v, TLS_OUTCOME_CLEAR, f->veto);
        v->again = true;
    } else {
        not_sent(v, "4.7.5", f->veto);
    }
}

/* A host that does not like our certificate hangs up only now (TLS 1.3): that is TLS
 * that broke. One that answers and will not go on is not. */
static void judge_after(const struct tls_policy *p, const struct probe_found *f,
                        struct probe_verdict *v)
{
    if (f->lost && !p->implicit) {
        broken(p, f, v);
    } else {
        not_sent(v, f->lost ? "4.4.2" : "4.0.0", f->failure);
    }
}

void probe_judge(const struct tls_policy *p, const struct probe_found *f,
                 struct probe_verdict *out)
{
    bool done = f->stage == PROBE_DONE;
    *out = (struct probe_verdict){.got = TLS_OUTCOME_CLEAR};
    if (f->stage < PROBE_STARTTLS) {
        judge_unheard(f, out);
    } else if (!p) {
        out->sent = done && f->tls;
        out->got = done ? proven(f) : TLS_OUTCOME_CLEAR;
        snprintf(out->why, sizeof out->why, "%s",
                 done && !f->tls ? "STARTTLS is not offered" : f->failure);
    } else if (p->level == TLS_LEVEL_NO || (done && !f->tls)) {
        judge_clear(p, f, out);
    } else if (!f->tls) {
        broken(p, f, out);
    } else {
        judge_certificate(p, f, out);
        if (out->sent && f->veto[0]) {
            judge_veto(p, f, out);
        } else if (!done && out->sent) { /* what came behind the handshake was no good */
            *out = (struct probe_verdict){.got = TLS_OUTCOME_CLEAR};
            judge_after(p, f, out);
        }
    }
}
