/* tls_policy: see tls_policy.h. */
#include "tables/tls_policy.h"

void tls_policy_server(struct tls_policy *p, const struct channel_opts *o,
                       const struct tls_profile *profile)
{
    *p = (struct tls_policy){.profile = profile,
                             .profile_at = o->tlsprofile_at,
                             .level = o->tls_server,
                             .level_at = o->tls_server_at,
                             .injection = o->tlsinjection,
                             .injection_at = o->tlsinjection_at,
                             .peer = o->tls_peer,
                             .peer_at = o->tls_peer_at};
    if (p->peer_at.source == 0 && o->tlspeerswitchchannel.len > 0) {
        p->peer = TLS_PEER_MAY;
        p->peer_at = o->tlspeerswitchchannel_at;
    }
    /* In clear there is no certificate: say so when mail begins. */
    if (p->peer == TLS_PEER_MUST && profile->peer_fail != TLS_PEER_FAIL_NOTE &&
        p->level == TLS_LEVEL_MAY) {
        p->level = TLS_LEVEL_MUST;
        p->level_at = p->peer_at;
    }
}

void tls_policy_client(struct tls_policy *p, const struct channel_opts *o,
                       const struct tls_profile *profile)
{
    *p = (struct tls_policy){.profile = profile,
                             .profile_at = o->tlsprofile_at,
                             .level = o->tls_client,
                             .level_at = o->tls_client_at,
                             .implicit = o->tls_implicit_client,
                             .implicit_at = o->tls_implicit_client_at,
                             .verify = o->tls_verify,
                             .verify_at = o->tls_verify_at,
                             .fallback = o->tls_fallback,
                             .fallback_at = o->tls_fallback_at};
    if (p->implicit) {
        p->level = TLS_LEVEL_MUST;
        p->level_at = p->implicit_at;
    }
}

bool tls_policy_falls_back(const struct tls_policy *p)
{
    return p->level == TLS_LEVEL_MAY && p->fallback && p->verify <= TLS_VERIFY_TRY;
}

const char *tls_level_name(enum tls_level level)
{
    static const char *const names[] = {"no", "may", "must"};
    return names[level];
}

const char *tls_verify_name(enum tls_verify verify)
{
    static const char *const names[] = {"no", "try", "ca", "host", "fp"};
    return names[verify];
}
