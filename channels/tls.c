/* tls: one context, of a profile in a role. Made when a configuration is prepared, when
 * its files have changed, and in `pointsman check`; certificates come in by tls_files.c,
 * parameters by tls_params.c; sessions are in tls_filter.c. */
#include "channels/tls.h"

#include <openssl/err.h>
#include <openssl/provider.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/clock.h"
#include "channels/tls_context.h"
#include "channels/tls_sessions.h"
#include "channels/tls_tickets.h"

static const struct tls_item *item_of(const struct tls_build *b, enum tls_option o)
{
    return b->profile->settings[o].items;
}

/* --- messages --- */

static bool was_told(const struct tls_build *b, struct span at, const char *slug,
                     const char *text)
{
    const struct diag *m = diags_first(b->diags);
    while (m != NULL &&
           (m->span.source != at.source || m->span.offset != at.offset ||
            strcmp(m->slug, slug) != 0 || !str_eq(m->text, str_from(text)))) {
        m = m->next;
    }
    return m != NULL;
}

static void tell(struct tls_build *b, struct span at, const char *slug, bool error,
                 const char *fmt, va_list ap)
{
    char text[1024];
    vsnprintf(text, sizeof text, fmt, ap);
    if (was_told(b, at, slug, text)) {
        return;
    }
    if (error) {
        diag_error(b->diags, at, slug, "%s", text);
    } else {
        diag_warning(b->diags, at, slug, "%s", text);
    }
}

void tls_error(struct tls_build *b, struct span at, const char *slug, const char *fmt,
               ...)
{
    va_list ap;
    va_start(ap, fmt);
    tell(b, at, slug, true, fmt, ap);
    va_end(ap);
}

void tls_warning(struct tls_build *b, struct span at, const char *slug, const char *fmt,
                 ...)
{
    va_list ap;
    va_start(ap, fmt);
    tell(b, at, slug, false, fmt, ap);
    va_end(ap);
}

/* --- what a server answers in the handshake --- */

/* ALPN (RFC 7301): no id is registered for SMTP relay. Who offers only other
 * protocols is a browser led here by somebody (ALPACA): refused. */
static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                   const unsigned char *in, unsigned in_len, void *arg)
{
    (void)ssl;
    (void)arg;
    for (unsigned at = 0; at < in_len && in[at] <= in_len - at - 1; at += 1u + in[at]) {
        str id = str_n((const char *)in + at + 1, in[at]);
        if (str_eq(id, STR("smtp")) || str_eq(id, STR("esmtp"))) {
            *out = in + at + 1;
            *out_len = in[at];
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static SSL_CTX *named_context(const struct tls_context *c, str name)
{
    char wild[256];
    if (name.len > 0 && name.ptr[name.len - 1] == '.') {
        name.len--;
    }
    SSL_CTX *found = map_get(c->names, name);
    ptrdiff_t dot = str_find(name, '.');
    if (found == NULL && dot > 0 && name.len < sizeof wild - 1) {
        snprintf(wild, sizeof wild, "*%.*s", STR_ARG(str_from_pos(name, (size_t)dot)));
        found = map_get(c->names, str_from(wild));
    }
    return found;
}

/* Answers every name; one that is not known sees the certificate of all (RFC 6066 3
 * allows to go on). The name itself is read by the filter when the handshake is done. */
static int on_server_name(SSL *ssl, int *alert, void *arg)
{
    const struct tls_context *c = arg;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    SSL_CTX *other = name != NULL ? named_context(c, str_from(name)) : NULL;
    (void)alert;
    if (other != NULL) {
        SSL_set_SSL_CTX(ssl, other);
    }
    return SSL_TLSEXT_ERR_OK;
}

/* Sessions of one profile are never resumed under another one. */
static void context_set_server(const struct tls_build *b, SSL_CTX *ssl)
{
    unsigned char id[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    str name = b->profile->name;
    check(EVP_Digest(name.ptr, name.len, id, &len, EVP_sha256(), NULL) == 1 &&
          len <= SSL_MAX_SID_CTX_LENGTH);
    SSL_CTX_set_session_id_context(ssl, id, len);
    SSL_CTX_set_options(ssl, SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_alpn_select_cb(ssl, on_alpn, NULL);
    SSL_CTX_set_tlsext_servername_callback(ssl, on_server_name);
    SSL_CTX_set_tlsext_servername_arg(ssl, b->context);
}

/* --- making a context --- */

static bool library_refuse(struct tls_build *b, struct span at)
{
    char reason[160];
    tls_take_error(reason, sizeof reason);
    tls_error(b, at, "tls-library", "OpenSSL cannot make a TLS context: %s", reason);
    return false;
}

/* A library context of the profile's own, with the providers it names and no others. */
static bool context_load_providers(struct tls_build *b)
{
    struct tls_context *c = b->context;
    const struct tls_item *item = item_of(b, TLS_OPTION_provider);
    char name[64];
    if (item == NULL) {
        return true;
    }
    c->library = OSSL_LIB_CTX_new();
    check(c->library != NULL);
    for (; item != NULL; item = item->next) {
        snprintf(name, sizeof name, "%.*s", STR_ARG(item->text));
        OSSL_PROVIDER *p = c->provider_count < TLS_PROVIDERS_MAX
                               ? OSSL_PROVIDER_load(c->library, name)
                               : NULL;
        if (p == NULL) {
            ERR_clear_error();
            if (!b->common_told) {
                tls_error(b, item->at, "tls-provider",
                          "OpenSSL cannot load the provider '%.*s'", STR_ARG(item->text));
            }
            return false;
        }
        c->providers[c->provider_count++] = p;
    }
    return true;
}

static SSL_CTX *ssl_new(struct tls_build *b)
{
    SSL_CTX *ssl =
        SSL_CTX_new_ex(b->context->library, tls_propquery(b),
                       b->context->server ? TLS_server_method() : TLS_client_method());
    if (ssl == NULL && !b->common_told) {
        const struct tls_profile *p = b->profile;
        const struct tls_setting *by = &p->settings[TLS_OPTION_provider];
        by = by->at.source != 0 ? by : &p->settings[TLS_OPTION_propquery];
        library_refuse(b, by->at);
    }
    return ssl;
}

static bool server_add_name(struct tls_build *b, const struct tls_item *sni)
{
    struct tls_item cert = {.text = sni->cert, .at = sni->at};
    struct tls_item key = {.text = sni->key, .at = sni->at};
    SSL_CTX *ssl = ssl_new(b);
    if (ssl == NULL || !tls_use_params(b, ssl)) {
        SSL_CTX_free(ssl);
        return false;
    }
    context_set_server(b, ssl);
    tls_share_trust(b->context->ssl, ssl);
    b->sni = sni->text;
    bool ok = tls_use_certificates(b, ssl, &cert, &key, X509_PURPOSE_SSL_SERVER);
    b->sni = STR_NONE;
    if (map_add(b->context->names, arena_str(b->context->arena, sni->text), ssl) != ssl) {
        tls_error(b, sni->at, "repeated-option", "'sni' names '%.*s' a second time",
                  STR_ARG(sni->text));
        SSL_CTX_free(ssl);
        ok = false;
    }
    return ok;
}

static bool server_add_names(struct tls_build *b)
{
    const struct tls_item *sni = item_of(b, TLS_OPTION_sni);
    bool ok = true;
    b->context->names = map_new(b->context->arena, MAP_NOCASE);
    for (; sni != NULL; sni = sni->next) {
        ok = server_add_name(b, sni) && ok;
    }
    return ok;
}

static bool context_fill(struct tls_build *b)
{
    struct tls_context *c = b->context;
    const struct tls_item *certs =
        item_of(b, c->server ? TLS_OPTION_server_cert : TLS_OPTION_client_cert);
    const struct tls_item *keys =
        item_of(b, c->server ? TLS_OPTION_server_key : TLS_OPTION_client_key);
    bool ok = tls_use_params(b, c->ssl);
    if (c->server) {
        context_set_server(b, c->ssl);
    }
    ok = tls_use_trust(b, c->ssl) && ok;
    if (b->files == TLS_FILES_NONE) {
        return ok;
    }
    ok = tls_use_certificates(b, c->ssl, certs, keys,
                              c->server ? X509_PURPOSE_SSL_SERVER
                                        : X509_PURPOSE_SSL_CLIENT) &&
         ok;
    /* After a fault in the parameters: they would be told again for each name. */
    return ok && c->server ? server_add_names(b) : ok;
}

static struct tls_context *context_empty(const struct tls_profile *p, bool server,
                                         struct tls_registry *registry)
{
    struct tls_context *c = calloc(1, sizeof *c);
    check(c != NULL);
    atomic_init(&c->refs, 1);
    c->registry = tls_registry_ref(registry);
    c->arena = arena_new();
    c->index = p->index;
    c->profile = arena_str(c->arena, p->name);
    c->server = server;
    c->loaded_ms = clock_now_ms(&clock_system);
    return c;
}

static void context_enter(struct tls_context *c, const struct tls_profile *p)
{
    struct tls_registry *r = c->registry;
    tls_identify(c, p);
    pthread_mutex_lock(&r->lock);
    tls_inherit(c, p);
    c->next = r->first;
    c->prev = &r->first;
    if (c->next != NULL) {
        c->next->prev = &c->next;
    }
    r->first = c;
    pthread_mutex_unlock(&r->lock);
}

static void context_leave(struct tls_context *c)
{
    pthread_mutex_lock(&c->registry->lock);
    if (c->prev != NULL) {
        *c->prev = c->next;
        if (c->next != NULL) {
            c->next->prev = c->prev;
        }
    }
    pthread_mutex_unlock(&c->registry->lock);
}

struct tls_context *tls_context_new(struct tls_build b, bool server,
                                    struct tls_registry *registry)
{
    struct tls_context *c = context_empty(b.profile, server, registry);
    b.context = c;
    const struct tls_item *query = item_of(&b, TLS_OPTION_propquery);
    if (query != NULL) {
        snprintf(b.propquery, sizeof b.propquery, "%.*s", STR_ARG(query->text));
    }
    ERR_clear_error();
    bool ok = context_load_providers(&b) && (c->ssl = ssl_new(&b)) != NULL;
    c->bio = tls_filter_bio();
    if (!ok || c->bio == NULL || !context_fill(&b)) {
        tls_context_unref(&c);
    } else {
        tls_resume_prepare(&b);
        context_enter(c, b.profile);
    }
    ERR_clear_error();
    return c;
}

bool tls_context_has_other_groups(const struct tls_context *c)
{
    return c->other_groups != NULL;
}

bool tls_context_is_server(const struct tls_context *c)
{
    return c->server;
}

struct tls_context *tls_context_ref(struct tls_context *c)
{
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

static void context_free(struct tls_context *c)
{
    context_leave(c);
    tls_registry_unref(&c->registry);
    for (size_t i = 0; c->names != NULL && i < map_count(c->names); i++) {
        SSL_CTX_free(map_at(c->names, i, NULL));
    }
    arena_free(&c->arena);
    SSL_CTX_free(c->ssl);
    tls_tickets_unref(&c->tickets);
    tls_sessions_unref(&c->resumable); /* they may belong to the library */
    EVP_CIPHER_free(c->ticket_cipher);
    BIO_meth_free(c->bio);
    for (unsigned i = 0; i < c->provider_count; i++) {
        OSSL_PROVIDER_unload(c->providers[i]);
    }
    OSSL_LIB_CTX_free(c->library);
    free(c->fingerprints);
    free(c);
}

void tls_context_unref(struct tls_context **c)
{
    struct tls_context *was = *c;
    *c = NULL;
    if (was != NULL &&
        atomic_fetch_sub_explicit(&was->refs, 1, memory_order_acq_rel) == 1) {
        context_free(was);
    }
}
