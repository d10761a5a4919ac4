/* tls_identity: may sessions of an older context of the profile be resumed under this
 * one? Yes if all that the profile says is the same and the CAs hold the same
 * certificates. Then ticket keys and sessions with next hops are taken over from it, else
 * they are new. */
#include <openssl/err.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "channels/tls_context.h"
#include "channels/tls_sessions.h"
#include "channels/tls_tickets.h"

/* --- what makes it the same --- */

/* The length before each text: no two lists of texts look alike. */
static void add_text(EVP_MD_CTX *md, str text)
{
    uint64_t len = text.len;
    EVP_DigestUpdate(md, &len, sizeof len);
    EVP_DigestUpdate(md, text.ptr, text.len);
}

static void add_settings(EVP_MD_CTX *md, const struct tls_profile *p)
{
    for (unsigned o = 0; o < TLS_OPTIONS; o++) {
        const struct tls_item *item = p->settings[o].items;
        for (; item != NULL; item = item->next) {
            EVP_DigestUpdate(md, &o, sizeof o);
            add_text(md, item->text);
            add_text(md, item->cert);
            add_text(md, item->key);
        }
    }
}

static int by_digest(const void *a, const void *b)
{
    return memcmp(a, b, TLS_FINGERPRINT_BYTES);
}

/* In an order of their own: that in which files are read says nothing. */
static void add_cas(EVP_MD_CTX *md, SSL_CTX *ssl)
{
    STACK_OF(X509_OBJECT) *all = X509_STORE_get0_objects(SSL_CTX_get_cert_store(ssl));
    int count = sk_X509_OBJECT_num(all);
    unsigned char(*digests)[TLS_FINGERPRINT_BYTES] =
        calloc((size_t)(count < 0 ? 0 : count) + 1, sizeof *digests);
    size_t n = 0;
    check(digests != NULL);
    for (int i = 0; i < count; i++) {
        X509 *ca = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(all, i));
        n += ca != NULL && X509_digest(ca, EVP_sha256(), digests[n], NULL) == 1;
    }
    qsort(digests, n, sizeof *digests, by_digest);
    EVP_DigestUpdate(md, digests, n * sizeof *digests);
    free(digests);
}

void tls_identify(struct tls_context *c, const struct tls_profile *p)
{
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    unsigned len = 0;
    check(md != NULL && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1);
    EVP_DigestUpdate(md, &c->server, sizeof c->server);
    add_text(md, p->name);
    add_settings(md, p);
    add_cas(md, c->ssl);
    /* A next hop remembers who we were; a server's own certificate may be renewed. */
    for (size_t i = 0; !c->server && i < c->certificates.n; i++) {
        add_text(md, c->certificates.at[i].fingerprint);
    }
    check(EVP_DigestFinal_ex(md, c->identity, &len) == 1 && len == sizeof c->identity);
    EVP_MD_CTX_free(md);
    ERR_clear_error();
}

/* --- what is taken over --- */

bool tls_same_identity(const struct tls_context *a, const struct tls_context *b)
{
    return a->server == b->server &&
           memcmp(a->identity, b->identity, sizeof a->identity) == 0;
}

/* Sessions hold certificates that belong to the library context they came from. */
static bool may_share_sessions(const struct tls_context *a, const struct tls_context *b)
{
    return a->library == NULL && b->library == NULL;
}

void tls_inherit(struct tls_context *c, const struct tls_profile *p)
{
    if (!p->session_tickets) {
        return;
    }
    for (const struct tls_context *x = c->registry->first; x != NULL; x = x->next) {
        if (!tls_same_identity(x, c)) {
            continue;
        }
        if (c->tickets == NULL && x->tickets != NULL) {
            c->tickets = tls_tickets_ref(x->tickets);
        }
        if (c->resumable == NULL && x->resumable != NULL && may_share_sessions(x, c)) {
            c->resumable = tls_sessions_ref(x->resumable);
        }
    }
    if (c->server && c->tickets == NULL) {
        c->tickets = tls_tickets_new();
    }
    if (!c->server && c->resumable == NULL) {
        c->resumable = tls_sessions_new();
    }
}
