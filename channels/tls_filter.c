/* tls_filter: one TLS session as a byte filter. OpenSSL reads from the slice given to
 * tls_filter_in() and writes to the buffer given to each call, through a BIO of our
 * own: no copy in between, no memory held while idle. Contexts are made in tls.c. */
#include "channels/tls_filter.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/check.h"

enum { TLS_RECORD_BYTES = 16384 };

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

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* Without the dot at the end and brackets of a literal; "" if it does not fit. */
static void copy_name(char out[256], str name)
{
    if (name.len > 1 && name.ptr[0] == '[' && name.ptr[name.len - 1] == ']') {
        name = str_sub(name, 1, name.len - 2);
        name = str_istarts(name, STR("IPv6:")) ? str_from_pos(name, 5) : name;
    }
    if (name.len > 0 && name.ptr[name.len - 1] == '.') {
        name.len--;
    }
    bool fits = name.len < 256 && (name.len == 0 || !memchr(name.ptr, '\0', name.len));
    snprintf(out, 256, "%.*s", fits ? (int)name.len : 0, name.ptr);
}

static bool is_address(const char *name)
{
    ASN1_OCTET_STRING *ip = a2i_IPADDRESS(name);
    bool is = ip != NULL;
    ASN1_OCTET_STRING_free(ip);
    ERR_clear_error();
    return is;
}

/* SNI carries DNS names only (RFC 6066 3): no address literals, no trailing dot. */
static bool filter_set_server_name(struct tls_filter *f, str name)
{
    char *sni = f->facts.sni;
    copy_name(sni, name);
    if (sni[0] == '\0' || is_address(sni)) {
        sni[0] = '\0';
        return true;
    }
    return SSL_set_tlsext_host_name(f->ssl, sni) == 1;
}

static bool filter_set_wish(struct tls_filter *f, const struct tls_wish *wish)
{
    f->verify = wish->verify;
    for (int i = 0; i < TLS_NAMES_MAX; i++) {
        copy_name(f->reference[i], wish->names[i]);
    }
    if (is_address(f->reference[0])) {
        snprintf(f->reference_ip, sizeof f->reference_ip, "%.63s", f->reference[0]);
    }
    if (wish->verify != TLS_VERIFY_NO) {
        SSL_set_verify(f->ssl, SSL_VERIFY_PEER, NULL);
    }
    if (f->context->server) {
        if (wish->verify != TLS_VERIFY_NO) {
            SSL_set_options(f->ssl, SSL_OP_NO_TICKET);
            SSL_set_num_tickets(f->ssl, 0);
        }
        return true;
    }
    if (!filter_set_server_name(f, wish->host)) {
        return false;
    }
    if (wish->other_groups && f->context->other_groups != NULL &&
        SSL_set1_groups_list(f->ssl, f->context->other_groups) != 1) {
        return false;
    }
    tls_resume_offer(f, wish->host);
    return true;
}

struct tls_filter *tls_filter_new(struct tls_context *c, const struct tls_wish *wish)
{
    check(c->server || wish != NULL);
    ERR_clear_error();
    struct tls_filter *f = calloc(1, sizeof *f);
    check(f != NULL);
    f->context = tls_context_ref(c);
    atomic_fetch_add_explicit(&c->sessions, 1, memory_order_relaxed);
    f->began_ns = now_ns();
    f->ssl = SSL_new(c->ssl);
    if (f->ssl != NULL) {
        SSL_set_app_data(f->ssl, f);
    }
    if (f->ssl == NULL || !filter_set_bio(f) ||
        (wish != NULL && !filter_set_wish(f, wish))) {
        f->failed = true;
        tls_take_error(f->error, sizeof f->error);
        return f;
    }
    if (c->server) {
        SSL_set_accept_state(f->ssl);
    } else {
        SSL_set_connect_state(f->ssl);
    }
    return f;
}

void tls_filter_free(struct tls_filter **f)
{
    if (*f != NULL) {
        if ((*f)->established && !(*f)->failed) {
            /* Without close_notify, too, the session may be resumed (RFC 5246 7.2.1). */
            SSL_set_shutdown((*f)->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
        }
        SSL_free((*f)->ssl);
        atomic_fetch_sub_explicit(&(*f)->context->sessions, 1, memory_order_relaxed);
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
    if (!f->established && f->facts.verify_error[0] != '\0' &&
        f->verify != TLS_VERIFY_TRY) {
        snprintf(f->error, sizeof f->error, "%s", f->facts.verify_error);
    } else {
        snprintf(f->error, sizeof f->error, "%s%s", reason, error_hint(code));
    }
    ERR_clear_error();
    f->failed = true;
    if (!f->established) {
        tls_resume_failed(f);
    }
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
    char *sni = f->facts.sni;
    for (; name[i] != '\0' && i + 1 < sizeof f->facts.sni; i++) {
        bool ok = ascii_is_alnum(name[i]) || strchr("-._", name[i]) != NULL;
        sni[i] = ok ? ascii_lower(name[i]) : '?';
    }
    sni[i] = '\0';
}

static enum tls_step filter_handshake(struct tls_filter *f)
{
    ERR_clear_error();
    int ret = SSL_do_handshake(f->ssl);
    OSSL_HANDSHAKE_STATE state = SSL_get_state(f->ssl);
    f->facts.answered = state != TLS_ST_BEFORE && state != TLS_ST_CW_CLNT_HELLO;
    if (ret != 1) {
        return filter_result(f, ret);
    }
    f->established = true;
    f->facts.handshake_ns = now_ns() - f->began_ns;
    filter_note_sni(f);
    tls_resume_done(f);
    tls_verify_note(f);
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

const struct tls_facts *tls_filter_facts(const struct tls_filter *f)
{
    return &f->facts;
}
