/* tls_resume: sessions that are resumed: a server's by tickets under keys of the profile,
 * a client's by what it kept of an earlier session for the same host, names and kind of
 * verification. No early data in either direction. */
#include <openssl/err.h>
#include <openssl/evp.h>

#include "base/check.h"
#include "channels/tls_filter.h"
#include "channels/tls_sessions.h"
#include "channels/tls_tickets.h"

/* --- server --- */

/* TLS 1.2 without it lets a third one join two sessions (RFC 7627 5.3). What the client
 * says is known as long as its first message is being read. */
static bool lacks_master_secret(SSL *ssl)
{
    const unsigned char *data;
    size_t len;
    return SSL_version(ssl) < TLS1_3_VERSION &&
           SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_extended_master_secret, &data,
                                     &len) != 1;
}

static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv,
                     EVP_CIPHER_CTX *crypt, EVP_MAC_CTX *mac, int wrap)
{
    const struct tls_filter *f = SSL_get_app_data(ssl);
    if (!wrap && lacks_master_secret(ssl)) {
        return 0; /* a full handshake */
    }
    int found = tls_tickets_apply(f->context->tickets, f->context->ticket_cipher, name,
                                  iv, crypt, mac, wrap);
    /* 2: and a new one. Tickets of TLS 1.3 are for one use (RFC 8446 C.4). */
    return !wrap && found == 1 && SSL_version(ssl) >= TLS1_3_VERSION ? 2 : found;
}

/* --- client --- */

/* 1: the reference is ours. */
static int on_session(SSL *ssl, SSL_SESSION *session)
{
    const struct tls_filter *f = SSL_get_app_data(ssl);
    if (!f->may_resume || f->failed || !SSL_SESSION_is_resumable(session)) {
        return 0;
    }
    tls_sessions_put(f->context->resumable, f->session_key, session,
                     SSL_session_reused(ssl) ? f->session_began_s : 0);
    return 1;
}

static void make_key(struct tls_filter *f, str host)
{
    unsigned len = 0;
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    check(md != NULL && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1);
    EVP_DigestUpdate(md, &f->verify, sizeof f->verify);
    EVP_DigestUpdate(md, f->reference, sizeof f->reference); /* calloc: zeros behind */
    EVP_DigestUpdate(md, host.ptr, host.len);
    check(EVP_DigestFinal_ex(md, f->session_key, &len) == 1 &&
          len == sizeof f->session_key);
    EVP_MD_CTX_free(md);
}

void tls_resume_offer(struct tls_filter *f, str host)
{
    if (f->context->resumable == NULL || str_empty(host)) {
        return;
    }
    f->may_resume = true;
    make_key(f, host);
    SSL_SESSION *kept =
        tls_sessions_take(f->context->resumable, f->session_key, &f->session_began_s);
    if (kept != NULL && SSL_set_session(f->ssl, kept) == 1 &&
        !tls_verify_again(f, &f->session_verified)) {
        SSL_set_session(f->ssl, NULL); /* a full handshake tells what is wrong */
        tls_sessions_drop(f->context->resumable, f->session_key);
    }
    SSL_SESSION_free(kept);
    ERR_clear_error();
}

void tls_resume_done(struct tls_filter *f)
{
    if (f->may_resume && SSL_session_reused(f->ssl)) {
        f->facts.verified = f->session_verified;
    }
    if (f->may_resume && SSL_version(f->ssl) < TLS1_3_VERSION &&
        SSL_get_extms_support(f->ssl) != 1) { /* RFC 7627 5.4 */
        tls_sessions_drop(f->context->resumable, f->session_key);
    }
}

void tls_resume_failed(struct tls_filter *f)
{
    if (f->may_resume) {
        tls_sessions_drop(f->context->resumable, f->session_key);
    }
}

/* --- both --- */

void tls_resume_prepare(struct tls_build *b)
{
    struct tls_context *c = b->context;
    if (!b->profile->session_tickets) {
        return; /* tls_params.c has seen to it */
    }
    if (!c->server) {
        SSL_CTX_set_session_cache_mode(c->ssl, SSL_SESS_CACHE_CLIENT |
                                                   SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(c->ssl, on_session);
        return;
    }
    c->ticket_cipher = EVP_CIPHER_fetch(c->library, "AES-256-CBC", tls_propquery(b));
    ERR_clear_error();
    if (c->ticket_cipher == NULL) { /* the providers of the profile have none */
        SSL_CTX_set_options(c->ssl, SSL_OP_NO_TICKET);
        SSL_CTX_set_num_tickets(c->ssl, 0);
        return;
    }
    SSL_CTX_set_timeout(c->ssl, TLS_TICKET_LIFE_S);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(c->ssl, on_ticket);
}
