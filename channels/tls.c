/* tls: contexts from certificate and key files, checked and explained before they are
 * used. Runs when a configuration is prepared and in `pointsman check`; the sessions
 * made from a context are in tls_filter.c. */
#include "channels/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "channels/tls_context.h"

enum { TLS_FILE_BYTES_MAX = 1024 * 1024 };

/* One file named by the configuration, while it is being read. */
struct tls_file {
    const char *what; /* "certificate file", "key file" */
    str path;
    struct span at;
    struct diags *diags;
    struct buf text;
    mode_t mode;
};

/* --- reading --- */

static bool file_refuse(const struct tls_file *f, const char *why)
{
    diag_error(f->diags, f->at, "tls-file", "%s '%.*s': %s", f->what, STR_ARG(f->path),
               why);
    return false;
}

static bool file_read_all(struct tls_file *f, int fd)
{
    for (;;) {
        char *to = buf_reserve(&f->text, 4096);
        if (to == NULL) {
            return file_refuse(f, "is larger than 1 MiB");
        }
        ssize_t n = read(fd, to, 4096);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return file_refuse(f, strerror(errno));
        }
        if (n == 0) {
            return f->text.len > 0 || file_refuse(f, "is empty");
        }
        f->text.len += (size_t)n;
    }
}

/* Reads the whole file as the user we run as; reports what is wrong with it. */
static bool file_open(struct tls_file *f)
{
    char path[PATH_MAX];
    if (f->path.len >= sizeof path) {
        return file_refuse(f, strerror(ENAMETOOLONG));
    }
    snprintf(path, sizeof path, "%.*s", STR_ARG(f->path));
    /* O_NONBLOCK: a FIFO put there must not stop us. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return file_refuse(f, strerror(errno));
    }
    struct stat st;
    bool ok;
    if (fstat(fd, &st) != 0) {
        ok = file_refuse(f, strerror(errno));
    } else if (S_ISDIR(st.st_mode)) {
        ok = file_refuse(f, "is a directory");
    } else if (!S_ISREG(st.st_mode)) {
        ok = file_refuse(f, "is not a regular file");
    } else {
        f->mode = st.st_mode;
        ok = file_read_all(f, fd);
    }
    close(fd);
    return ok;
}

/* Forgets the contents, which may be a key. */
static void file_close(struct tls_file *f)
{
    if (f->text.data != NULL) {
        OPENSSL_cleanse(f->text.data, f->text.cap);
    }
    buf_free(&f->text);
}

static struct tls_file file_named(const char *what, str path, struct span at,
                                  struct diags *d)
{
    struct tls_file f = {.what = what, .path = path, .at = at, .diags = d};
    buf_init(&f.text, TLS_FILE_BYTES_MAX + 4096);
    return f;
}

/* --- certificate and key --- */

void tls_take_error(char *out, size_t size)
{
    unsigned long code = ERR_get_error();
    const char *reason = code == 0 ? NULL : ERR_reason_error_string(code);
    if (reason != NULL) {
        snprintf(out, size, "%s", reason);
    } else if (code != 0 && ERR_SYSTEM_ERROR(code)) {
        snprintf(out, size, "%s", strerror(ERR_GET_REASON(code)));
    } else {
        snprintf(out, size, "OpenSSL error %lX", code);
    }
    ERR_clear_error();
}

static bool file_refuse_openssl(const struct tls_file *f, const char *context)
{
    char reason[160], text[256];
    tls_take_error(reason, sizeof reason);
    snprintf(text, sizeof text, "%s: %s", context, reason);
    return file_refuse(f, text);
}

static bool error_is_no_start_line(void)
{
    unsigned long code = ERR_peek_last_error();
    return ERR_GET_LIB(code) == ERR_LIB_PEM &&
           ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
}

/* Instead of OpenSSL's own, which would ask on the terminal. */
static int on_passphrase(char *out, int size, int writing, void *arg)
{
    (void)out;
    (void)size;
    (void)writing;
    *(bool *)arg = true;
    return -1;
}

/* PMDF and others keep several objects in one file: all but certificates are passed
 * over by PEM_read_bio_X509(). */
static bool context_add_chain(struct tls_context *c, struct tls_file *f, BIO *bio)
{
    bool encrypted = false;
    for (;;) {
        X509 *next = PEM_read_bio_X509(bio, NULL, on_passphrase, &encrypted);
        if (next == NULL) {
            break;
        }
        if (SSL_CTX_add0_chain_cert(c->ssl, next) != 1) {
            X509_free(next);
            return file_refuse_openssl(f, "a certificate of the chain is not accepted");
        }
    }
    if (!error_is_no_start_line()) {
        return file_refuse_openssl(f, "a certificate of the chain is malformed");
    }
    ERR_clear_error();
    return true;
}

static void certificate_check_dates(const struct tls_file *f, const X509 *cert)
{
    if (X509_cmp_current_time(X509_get0_notAfter(cert)) < 0) {
        diag_warning(f->diags, f->at, "tls-certificate-dates",
                     "%s '%.*s': the certificate has expired", f->what, STR_ARG(f->path));
    } else if (X509_cmp_current_time(X509_get0_notBefore(cert)) > 0) {
        diag_warning(f->diags, f->at, "tls-certificate-dates",
                     "%s '%.*s': the certificate is not valid yet", f->what,
                     STR_ARG(f->path));
    }
}

static bool context_use_certificate(struct tls_context *c, struct tls_file *f)
{
    BIO *bio = BIO_new_mem_buf(f->text.data, (int)f->text.len);
    check(bio != NULL);
    bool ok, encrypted = false;
    X509 *cert = PEM_read_bio_X509_AUX(bio, NULL, on_passphrase, &encrypted);
    if (cert == NULL && error_is_no_start_line()) {
        ERR_clear_error();
        ok = file_refuse(f, "holds no PEM certificate (-----BEGIN CERTIFICATE-----)");
    } else if (cert == NULL) {
        ok = file_refuse_openssl(f, "the certificate is malformed");
    } else if (SSL_CTX_use_certificate(c->ssl, cert) != 1) {
        ok = file_refuse_openssl(f, "the certificate is not accepted");
    } else {
        certificate_check_dates(f, cert);
        ok = context_add_chain(c, f, bio);
    }
    X509_free(cert);
    BIO_free(bio);
    return ok;
}

static EVP_PKEY *key_parse(struct tls_file *f)
{
    static const char head[] = "PRIVATE KEY-----"; /* RSA, EC, ENCRYPTED and plain */
    if (memmem(f->text.data, f->text.len, head, sizeof head - 1) == NULL) {
        file_refuse(f, "holds no PEM private key (-----BEGIN PRIVATE KEY-----)");
        return NULL;
    }
    BIO *bio = BIO_new_mem_buf(f->text.data, (int)f->text.len);
    check(bio != NULL);
    bool encrypted = false;
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, on_passphrase, &encrypted);
    if (key == NULL && encrypted) {
        file_refuse(f, "the key is encrypted; store it without a passphrase, readable "
                       "only by the user the daemon runs as");
    } else if (key == NULL) {
        file_refuse_openssl(f, "the key is malformed or of an unknown kind");
    }
    ERR_clear_error();
    BIO_free(bio);
    return key;
}

static bool context_use_key(struct tls_context *c, struct tls_file *f)
{
    if (f->mode & (S_IROTH | S_IWOTH)) {
        diag_warning(f->diags, f->at, "tls-key-mode",
                     "%s '%.*s': every user of this machine can read it or change it "
                     "(mode %03o); make it 640 or 600",
                     f->what, STR_ARG(f->path), (unsigned)(f->mode & 0777));
    }
    EVP_PKEY *key = key_parse(f);
    if (key == NULL) {
        return false;
    }
    X509 *cert = SSL_CTX_get0_certificate(c->ssl);
    bool ok = true;
    if (cert != NULL && X509_check_private_key(cert, key) != 1) {
        ERR_clear_error();
        ok = file_refuse(f, "the key does not belong to the certificate");
    } else if (SSL_CTX_use_PrivateKey(c->ssl, key) != 1) {
        ok = file_refuse_openssl(f, "the key is not accepted");
    }
    EVP_PKEY_free(key);
    return ok;
}

/* --- contexts --- */

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

/* Answers every name: one certificate for all (RFC 6066 3 allows to go on). The name
 * itself is read by the filter when the handshake is done. */
static int on_server_name(SSL *ssl, int *alert, void *arg)
{
    (void)ssl;
    (void)alert;
    (void)arg;
    return SSL_TLSEXT_ERR_OK;
}

static void context_set_common(SSL_CTX *ssl)
{
    SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION);
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF); /* tickets carry the state */
    SSL_CTX_set_verify(ssl, SSL_VERIFY_NONE, NULL);
}

/* Never NULL, but ssl or bio may be when memory is exhausted; OpenSSL's queue says. */
static struct tls_context *context_new(bool server)
{
    struct tls_context *c = calloc(1, sizeof *c);
    check(c != NULL);
    atomic_init(&c->refs, 1);
    c->server = server;
    ERR_clear_error();
    c->ssl = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
    c->bio = tls_filter_bio();
    if (c->ssl != NULL) {
        context_set_common(c->ssl);
    }
    return c;
}

static bool context_is_complete(const struct tls_context *c, struct diags *d)
{
    if (c->ssl != NULL && c->bio != NULL) {
        return true;
    }
    char reason[160];
    tls_take_error(reason, sizeof reason);
    diag_error(d, SPAN_NONE, "tls-library", "OpenSSL cannot make a TLS context: %s",
               reason);
    return false;
}

static bool context_load_files(struct tls_context *c, const struct tls_files *files,
                               struct diags *d)
{
    struct tls_file cert =
        file_named("certificate file", files->server_cert, files->server_cert_at, d);
    struct tls_file key =
        file_named("key file", files->server_key, files->server_key_at, d);
    bool cert_ok = file_open(&cert) && context_use_certificate(c, &cert);
    bool key_ok =
        file_open(&key) && context_use_key(c, &key); /* report both in one run */
    file_close(&cert);
    file_close(&key);
    return cert_ok && key_ok;
}

/* One file of the two without the other would silently lack STARTTLS. */
static bool files_are_pair(const struct tls_files *files, struct diags *d)
{
    if (str_empty(files->server_cert)) {
        diag_error(d, files->server_key_at, "tls-file",
                   "key file '%.*s' is given without a certificate file (server_cert)",
                   STR_ARG(files->server_key));
        return false;
    }
    if (str_empty(files->server_key)) {
        diag_error(d, files->server_cert_at, "tls-file",
                   "certificate file '%.*s' is given without a key file (server_key)",
                   STR_ARG(files->server_cert));
        return false;
    }
    return true;
}

static void context_set_server(SSL_CTX *ssl)
{
    static const unsigned char id[] = "pointsman";
    SSL_CTX_set_session_id_context(ssl, id, sizeof id - 1);
    SSL_CTX_set_options(ssl, SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_alpn_select_cb(ssl, on_alpn, NULL);
    SSL_CTX_set_tlsext_servername_callback(ssl, on_server_name);
}

bool tls_server_context(const struct snapshot *s, struct diags *d,
                        struct tls_context **out)
{
    *out = NULL;
    if (str_empty(s->tls.server_cert) && str_empty(s->tls.server_key)) {
        return true;
    }
    if (!files_are_pair(&s->tls, d)) {
        return false;
    }
    struct tls_context *c = context_new(true);
    if (!context_is_complete(c, d) || !context_load_files(c, &s->tls, d)) {
        tls_context_unref(&c);
        return false;
    }
    context_set_server(c->ssl);
    *out = c;
    return true;
}

bool tls_client_context(const struct snapshot *s, struct diags *d,
                        struct tls_context **out)
{
    (void)s; /* verification and client certificates will be read from it */
    struct tls_context *c = context_new(false);
    if (!context_is_complete(c, d)) {
        tls_context_unref(&c);
        *out = NULL;
        return false;
    }
    *out = c;
    return true;
}

struct tls_context *tls_context_ref(struct tls_context *c)
{
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

void tls_context_unref(struct tls_context **c)
{
    struct tls_context *was = *c;
    *c = NULL;
    if (was != NULL &&
        atomic_fetch_sub_explicit(&was->refs, 1, memory_order_acq_rel) == 1) {
        SSL_CTX_free(was->ssl);
        BIO_meth_free(was->bio);
        free(was);
    }
}

bool tls_check_files(const struct snapshot *s, struct diags *d)
{
    struct tls_context *server = NULL, *client = NULL;
    bool server_ok = tls_server_context(s, d, &server);
    bool client_ok = tls_client_context(s, d, &client);
    tls_context_unref(&server);
    tls_context_unref(&client);
    return server_ok && client_ok;
}
