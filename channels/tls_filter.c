/* tls_filter: one TLS session as a byte filter. OpenSSL reads from the slice given to
 * tls_filter_in() and writes to the buffer given to each call, through a BIO of our
 * own: no copy in between, no memory held while idle. Contexts are made in tls.c. */
#include "channels/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "channels/tls_context.h"

enum { TLS_RECORD_BYTES = 16384 };

struct tls_filter {
    struct tls_context *context;
    SSL *ssl;
    str in;           /* what OpenSSL has not read yet, during a call */
    struct buf *wire; /* where it writes to, during a call */
    bool established, closed, failed;
    char error[256];
    char sni[256];
};

/* --- the BIO: all of it works on the filter of a call in progress --- */

static int bio_read(BIO *bio, char *out, int size)
{
    struct tls_filter *f = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (size <= 0 || f->in.len == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    size_t n = f->in.len < (size_t)size ? f->in.len : (size_t)size;
    memcpy(out, f->in.ptr, n);
    f->in = str_from_pos(f->in, n);
    return (int)n;
}

static int bio_write(BIO *bio, const char *data, int len)
{
    struct tls_filter *f = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (len < 0 || f->wire == NULL || !buf_append(f->wire, data, (size_t)len)) {
        return -1;
    }
    return len;
}

static long bio_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
    (void)bio;
    (void)num;
    (void)ptr;
    return cmd == BIO_CTRL_FLUSH ? 1 : 0;
}

BIO_METHOD *tls_filter_bio(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "filter");
    if (m != NULL) {
        BIO_meth_set_read(m, bio_read);
        BIO_meth_set_write(m, bio_write);
        BIO_meth_set_ctrl(m, bio_ctrl);
    }
    return m;
}

/* --- life --- */

static bool filter_set_bio(struct tls_filter *f)
{
    BIO *bio = BIO_new(f->context->bio);
    if (bio == NULL) {
        return false;
    }
    BIO_set_data(bio, f);
    BIO_set_init(bio, 1);
    SSL_set_bio(f->ssl, bio, bio);
    return true;
}

/* SNI carries DNS names only (RFC 6066 3): no address literals, no trailing dot. */
static bool filter_set_server_name(struct tls_filter *f, str name)
{
    if (name.len > 0 && name.ptr[name.len - 1] == '.') {
        name.len--;
    }
    if (name.len == 0 || name.len >= sizeof f->sni) {
        return true;
    }
    memcpy(f->sni, name.ptr, name.len);
    f->sni[name.len] = '\0';
    ASN1_OCTET_STRING *ip = a2i_IPADDRESS(f->sni);
    if (ip != NULL || f->sni[0] == '[' || memchr(name.ptr, '\0', name.len) != NULL) {
        ASN1_OCTET_STRING_free(ip);
        f->sni[0] = '\0';
        ERR_clear_error();
        return true;
    }
    ERR_clear_error();
    return SSL_set_tlsext_host_name(f->ssl, f->sni) == 1;
}

struct tls_filter *tls_filter_new(struct tls_context *c, bool server, str server_name)
{
    check(c->server == server);
    ERR_clear_error();
    struct tls_filter *f = calloc(1, sizeof *f);
    check(f != NULL);
    f->context = tls_context_ref(c);
    f->ssl = SSL_new(c->ssl);
    if (f->ssl == NULL || !filter_set_bio(f) ||
        (!server && !filter_set_server_name(f, server_name))) {
        f->failed = true;
        tls_take_error(f->error, sizeof f->error);
        return f;
    }
    if (server) {
        SSL_set_accept_state(f->ssl);
    } else {
        SSL_set_connect_state(f->ssl);
    }
    return f;
}

void tls_filter_free(struct tls_filter **f)
{
    if (*f != NULL) {
        SSL_free((*f)->ssl);
        tls_context_unref(&(*f)->context);
        free(*f);
        *f = NULL;
    }
}

/* --- errors --- */

static const char *error_hint(unsigned long code)
{
    if (ERR_GET_LIB(code) != ERR_LIB_SSL) {
        return "";
    }
    switch (ERR_GET_REASON(code)) {
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
    case SSL_R_BAD_RECORD_TYPE:
        return " (the peer does not speak TLS)";
    case SSL_R_UNSUPPORTED_PROTOCOL:
        return " (the peer knows no TLS 1.2 or 1.3)";
    default:
        return "";
    }
}

static enum tls_step filter_fail(struct tls_filter *f)
{
    unsigned long code = ERR_peek_error();
    char reason[160];
    if (code == 0) {
        snprintf(reason, sizeof reason, "the session broke");
    } else {
        tls_take_error(reason, sizeof reason);
    }
    snprintf(f->error, sizeof f->error, "%s%s", reason, error_hint(code));
    ERR_clear_error();
    f->failed = true;
    return TLS_STEP_FAILED;
}

/* What a call of OpenSSL that did not succeed means. */
static enum tls_step filter_result(struct tls_filter *f, int ret)
{
    switch (SSL_get_error(f->ssl, ret)) {
    case SSL_ERROR_WANT_READ:
        return TLS_STEP_MORE;
    case SSL_ERROR_ZERO_RETURN:
        f->closed = true;
        return TLS_STEP_CLOSED;
    default:
        return filter_fail(f);
    }
}

/* --- the stream of bytes --- */

/* The name a client asked for, for the log and for choosing certificates: host name
 * characters only, whatever else is shown as '?'. */
static void filter_note_sni(struct tls_filter *f)
{
    const char *name = SSL_get_servername(f->ssl, TLSEXT_NAMETYPE_host_name);
    if (!f->context->server || name == NULL) {
        return;
    }
    size_t i = 0;
    for (; name[i] != '\0' && i + 1 < sizeof f->sni; i++) {
        bool ok = ascii_is_alnum(name[i]) || strchr("-._", name[i]) != NULL;
        f->sni[i] = ok ? ascii_lower(name[i]) : '?';
    }
    f->sni[i] = '\0';
}

static enum tls_step filter_handshake(struct tls_filter *f)
{
    ERR_clear_error();
    int ret = SSL_do_handshake(f->ssl);
    if (ret != 1) {
        return filter_result(f, ret);
    }
    f->established = true;
    filter_note_sni(f);
    return TLS_STEP_DONE;
}

static enum tls_step filter_read(struct tls_filter *f, struct buf *plain)
{
    for (;;) {
        char *to = buf_reserve(plain, TLS_RECORD_BYTES);
        if (to == NULL) {
            snprintf(f->error, sizeof f->error, "too many bytes at once");
            f->failed = true;
            return TLS_STEP_FAILED;
        }
        ERR_clear_error();
        int n = SSL_read(f->ssl, to, TLS_RECORD_BYTES);
        if (n <= 0) {
            return filter_result(f, n);
        }
        plain->len += (size_t)n;
    }
}

enum tls_step tls_filter_in(struct tls_filter *f, const char *data, size_t len,
                            struct buf *wire, struct buf *plain)
{
    if (f->failed) {
        return TLS_STEP_FAILED;
    }
    if (f->closed) {
        return TLS_STEP_CLOSED; /* nothing after close_notify counts (RFC 8446 6.1) */
    }
    f->in = str_n(data, len);
    f->wire = wire;
    enum tls_step step = TLS_STEP_MORE, read = TLS_STEP_MORE;
    if (!f->established) {
        step = filter_handshake(f);
    }
    if (f->established) {
        read = filter_read(f, plain);
    }
    f->in = STR_NONE;
    f->wire = NULL;
    /* An end seen in the call that completed the handshake is told by the next one. */
    return step == TLS_STEP_MORE ? read : step;
}

enum tls_step tls_filter_out(struct tls_filter *f, const char *data, size_t len,
                             struct buf *wire)
{
    check(f->established);
    if (f->failed) {
        return TLS_STEP_FAILED;
    }
    f->wire = wire;
    enum tls_step step = TLS_STEP_MORE;
    while (len > 0 && step == TLS_STEP_MORE) {
        int part = len > 1u << 30 ? 1 << 30 : (int)len;
        ERR_clear_error();
        int n = SSL_write(f->ssl, data, part);
        if (n <= 0) {
            step = filter_fail(f);
        } else {
            data += n;
            len -= (size_t)n;
        }
    }
    f->wire = NULL;
    return step;
}

void tls_filter_shut(struct tls_filter *f, struct buf *wire)
{
    if (!f->established || f->failed) {
        return;
    }
    f->wire = wire;
    ERR_clear_error();
    SSL_shutdown(f->ssl); /* 0: sent, the peer's not seen yet; we do not wait for it */
    ERR_clear_error();
    f->wire = NULL;
}

const char *tls_filter_error(const struct tls_filter *f)
{
    return f->error;
}

const char *tls_filter_version(const struct tls_filter *f)
{
    return SSL_get_version(f->ssl);
}

const char *tls_filter_cipher(const struct tls_filter *f)
{
    return SSL_get_cipher_name(f->ssl);
}

const char *tls_filter_sni(const struct tls_filter *f)
{
    return f->sni;
}

bool tls_filter_resumed(const struct tls_filter *f)
{
    return SSL_session_reused(f->ssl) == 1;
}
