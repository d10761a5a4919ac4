/* tls_chain: see tls_chain.h. */
#include "channels/tls_chain.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#include "channels/tls_filter.h"

struct tls_context *tls_context_alone(const struct tls_profile *p, enum tls_files files,
                                      struct diags *d)
{
    const struct tls_build b = {.profile = p, .files = files, .diags = d};
    struct tls_registry *r = tls_registry_new();
    struct tls_context *c = tls_context_new(b, false, r);
    tls_registry_unref(&r);
    return c;
}

bool tls_context_pins(const struct tls_context *c)
{
    return c->fingerprint_count > 0;
}

static str key_text(struct arena *a, const X509 *cert)
{
    const EVP_PKEY *key = X509_get0_pubkey(cert);
    const char *name = key != NULL ? EVP_PKEY_get0_type_name(key) : NULL;
    if (name == NULL) {
        return STR("unknown");
    }
    return arena_printf(a, "%s, %d bits", name, EVP_PKEY_get_bits(key));
}

static str issuer_text(struct arena *a, const X509 *cert)
{
    char text[256];
    tls_print_name(text, sizeof text, X509_get_issuer_name(cert));
    return arena_str(a, str_from(text));
}

unsigned tls_filter_chain(const struct tls_filter *f, struct arena *a,
                          struct tls_peer_certificate *out, unsigned max)
{
    STACK_OF(X509) *chain = SSL_get_peer_cert_chain(f->ssl);
    int count = chain != NULL ? sk_X509_num(chain) : 0;
    unsigned n = 0;
    for (; (int)n < count && n < max; n++) {
        X509 *cert = sk_X509_value(chain, (int)n);
        const char *signature = OBJ_nid2ln(X509_get_signature_nid(cert));
        tls_describe(a, cert, &out[n].is);
        out[n].issuer = issuer_text(a, cert);
        out[n].key = key_text(a, cert);
        out[n].signature = str_from(signature != NULL ? signature : "unknown");
        out[n].spki = tls_spki_text(a, cert);
    }
    ERR_clear_error();
    return n;
}

bool tls_filter_proves(struct tls_filter *f, enum tls_verify level, char *why,
                       size_t size)
{
    enum tls_verify was = f->verify;
    const struct tls_facts facts = f->facts;
    f->verify = level;
    f->facts.verify_error[0] = '\0';
    bool ok = tls_verify_today(f);
    snprintf(why, size, "%s", f->facts.verify_error);
    if (!ok && why[0] == '\0') {
        snprintf(why, size, "no certificate was shown");
    }
    f->verify = was;
    f->facts = facts;
    return ok;
}
