/* tls_files: certificates, keys and DH parameters from files and stores, checked and
 * explained before they are used. Runs when a configuration is prepared and in
 * `pointsman check`. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/store.h>
#include <openssl/ui.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/vec.h"
#include "channels/tls_context.h"

enum { TLS_FILE_BYTES_MAX = 1024 * 1024, DH_BITS_MIN = 2048 };

/* One file named by the configuration, while it is being read. */
struct tls_file {
    struct tls_build *build;
    const char *what; /* "certificate file", "key file" */
    str path;
    struct span at;
    bool holds_key;
    bool unread; /* this user may not, and that is no fault: reported */
    struct buf text;
    mode_t mode;
};

/* A certificate with its chain, and whether its key was found. */
struct certificate {
    const struct tls_item *item;
    str path;
    X509 *leaf;
    STACK_OF(X509) * chain;
    bool has_key;
};

struct certificates {
    struct arena *arena;
    VEC(struct certificate) list;
    bool keys_unread; /* a key that is there was not looked at */
    bool broken; /* a certificate or key was refused: it is no riddle what is missing */
};

/* --- messages --- */

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

str tls_shown(str path)
{
    ptrdiff_t query = tls_is_uri(path) ? str_find(path, '?') : -1;
    return query < 0 ? path : str_sub(path, 0, (size_t)query);
}

static bool file_refuse(const struct tls_file *f, const char *why)
{
    tls_error(f->build, f->at, "tls-file", "%s '%.*s': %s", f->what,
              STR_ARG(tls_shown(f->path)), why);
    return false;
}

static bool file_refuse_openssl(const struct tls_file *f, const char *context)
{
    char reason[160], text[256];
    tls_take_error(reason, sizeof reason);
    snprintf(text, sizeof text, "%s: %s", context, reason);
    return file_refuse(f, text);
}

/* --- reading --- */

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

/* Who may not read the key is not the daemon's user: the rest can still be checked. */
static bool file_refuse_open(struct tls_file *f, int error)
{
    if (error != EACCES || !f->holds_key || f->build->files != TLS_FILES_CHECK) {
        return file_refuse(f, strerror(error));
    }
    f->unread = true;
    tls_warning(f->build, f->at, "key-not-checked",
                "%s '%.*s' was not checked: this user may not read it; run the check as "
                "the user of the daemon",
                f->what, STR_ARG(f->path));
    return false;
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
        return file_refuse_open(f, errno);
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

static struct tls_file file_named(struct tls_build *b, const char *what, str path,
                                  struct span at, bool holds_key)
{
    struct tls_file f = {
        .build = b, .what = what, .path = path, .at = at, .holds_key = holds_key};
    buf_init(&f.text, TLS_FILE_BYTES_MAX + 4096);
    return f;
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

/* --- certificates --- */

static X509 *certificate_empty(const struct tls_build *b)
{
    X509 *x = X509_new_ex(b->context->library, tls_propquery(b));
    check(x != NULL);
    return x;
}

/* PMDF and others keep several objects in one file: all but certificates are passed
 * over by PEM_read_bio_X509(). */
static bool certificate_read_chain(struct certificate *c, struct tls_file *f, BIO *bio)
{
    bool encrypted = false;
    c->chain = sk_X509_new_null();
    check(c->chain != NULL);
    for (;;) {
        X509 *next = certificate_empty(f->build);
        if (PEM_read_bio_X509(bio, &next, on_passphrase, &encrypted) == NULL) {
            X509_free(next);
            break;
        }
        check(sk_X509_push(c->chain, next) > 0);
    }
    if (!error_is_no_start_line()) {
        return file_refuse_openssl(f, "a certificate of the chain is malformed");
    }
    ERR_clear_error();
    return true;
}

static void certificate_check_end(const struct tls_file *f, const X509 *cert)
{
    int64_t now = clock_now_ms(&clock_system);
    int64_t end = tls_time_ms(X509_get0_notAfter(cert));
    char left[40];
    if (tls_view_step(tls_time_ms(X509_get0_notBefore(cert)), end, now) < 0) {
        return;
    }
    clock_age(end - now, left, sizeof left);
    tls_warning(f->build, f->at, "tls-certificate-dates",
                "%s '%.*s': the certificate expires in %s", f->what, STR_ARG(f->path),
                left);
}

static void certificate_check_dates(const struct tls_file *f, const X509 *cert)
{
    if (X509_cmp_current_time(X509_get0_notAfter(cert)) < 0) {
        tls_warning(f->build, f->at, "tls-certificate-dates",
                    "%s '%.*s': the certificate has expired", f->what, STR_ARG(f->path));
    } else if (X509_cmp_current_time(X509_get0_notBefore(cert)) > 0) {
        tls_warning(f->build, f->at, "tls-certificate-dates",
                    "%s '%.*s': the certificate is not valid yet", f->what,
                    STR_ARG(f->path));
    } else {
        certificate_check_end(f, cert);
    }
}

static void certificate_check_usage(const struct tls_file *f, X509 *cert, int purpose)
{
    bool server = purpose == X509_PURPOSE_SSL_SERVER;
    if (X509_check_purpose(cert, purpose, 0) != 1) {
        tls_warning(f->build, f->at, "tls-certificate-usage",
                    "%s '%.*s': the certificate is not meant for TLS %s (its key usage "
                    "says so), and %s may refuse it",
                    f->what, STR_ARG(f->path), server ? "servers" : "clients",
                    server ? "clients that verify" : "servers that verify clients");
    }
    ERR_clear_error();
}

static bool certificate_parse(struct certificate *c, struct tls_file *f, int purpose)
{
    BIO *bio = BIO_new_mem_buf(f->text.data, (int)f->text.len);
    check(bio != NULL);
    bool ok = false, encrypted = false;
    X509 *cert = certificate_empty(f->build);
    if (PEM_read_bio_X509_AUX(bio, &cert, on_passphrase, &encrypted) != NULL) {
        c->leaf = cert;
        certificate_check_dates(f, cert);
        certificate_check_usage(f, cert, purpose);
        ok = certificate_read_chain(c, f, bio);
    } else {
        X509_free(cert);
        if (error_is_no_start_line()) {
            ERR_clear_error();
            file_refuse(f, "holds no PEM certificate (-----BEGIN CERTIFICATE-----)");
        } else {
            file_refuse_openssl(f, "the certificate is malformed");
        }
    }
    BIO_free(bio);
    return ok;
}

static void certificate_load(struct certificates *all, struct tls_build *b,
                             const struct tls_item *item, bool with_key, int purpose)
{
    struct certificate c = {.item = item, .path = item->text};
    struct tls_file f = file_named(b, "certificate file", item->text, item->at, with_key);
    if (file_open(&f) && certificate_parse(&c, &f, purpose)) {
        *vec_add(all->arena, &all->list) = c;
    } else {
        X509_free(c.leaf);
        sk_X509_pop_free(c.chain, X509_free);
        all->broken = all->broken || !f.unread;
        all->keys_unread = all->keys_unread || f.unread;
    }
    file_close(&f);
}

/* --- keys --- */

static void key_check_mode(const struct tls_file *f)
{
    if ((f->mode & (S_IRWXO | S_IWGRP)) != 0) {
        tls_warning(f->build, f->at, "tls-key-mode",
                    "%s '%.*s': %s (mode %03o); make it 640 or 600", f->what,
                    STR_ARG(f->path),
                    (f->mode & S_IRWXO) != 0
                        ? "every user of this machine can read it or change it"
                        : "its group can change it",
                    (unsigned)(f->mode & 0777));
    }
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
    EVP_PKEY *key =
        PEM_read_bio_PrivateKey_ex(bio, NULL, on_passphrase, &encrypted,
                                   f->build->context->library, tls_propquery(f->build));
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

/* The first private key of a store (OSSL_STORE). */
static EVP_PKEY *store_key(struct tls_file *f)
{
    bool asked = false;
    UI_METHOD *ui = UI_UTIL_wrap_read_pem_callback(on_passphrase, 0);
    struct arena *a = arena_new();
    OSSL_STORE_CTX *store =
        OSSL_STORE_open_ex(arena_str(a, f->path).ptr, f->build->context->library,
                           tls_propquery(f->build), ui, &asked, NULL, NULL, NULL);
    EVP_PKEY *key = NULL;
    if (store != NULL) {
        OSSL_STORE_expect(store, OSSL_STORE_INFO_PKEY);
    }
    while (store != NULL && key == NULL && !OSSL_STORE_eof(store)) {
        OSSL_STORE_INFO *info = OSSL_STORE_load(store);
        key = info != NULL ? OSSL_STORE_INFO_get1_PKEY(info) : NULL;
        OSSL_STORE_INFO_free(info);
        if (info == NULL && OSSL_STORE_error(store)) {
            break;
        }
    }
    if (key == NULL && asked) {
        file_refuse(f, "the key is encrypted, or its store asks for a PIN");
    } else if (key == NULL) {
        file_refuse_openssl(f, "the store gives no private key");
    }
    ERR_clear_error();
    OSSL_STORE_close(store);
    UI_destroy_method(ui);
    arena_free(&a);
    return key;
}

/* The key a path or URI names; NULL: reported. */
static EVP_PKEY *key_load(struct certificates *all, struct tls_build *b, str path,
                          struct span at)
{
    str file = tls_file_path(path);
    bool uri = tls_is_uri(path);
    struct tls_file f = file_named(b, uri ? "key" : "key file", file, at, true);
    EVP_PKEY *key = NULL;
    if (file.len == 0 || file_open(&f)) {
        if (file.len > 0) {
            key_check_mode(&f);
        }
        f.path = path;
        key = uri ? store_key(&f) : key_parse(&f);
    }
    all->keys_unread = all->keys_unread || f.unread;
    all->broken = all->broken || (key == NULL && !f.unread);
    file_close(&f);
    return key;
}

/* --- what belongs together --- */

static struct certificate *certificate_of(struct certificates *all, const EVP_PKEY *key)
{
    for (size_t i = 0; i < all->list.n; i++) {
        if (X509_check_private_key(all->list.at[i].leaf, key) == 1) {
            return &all->list.at[i];
        }
    }
    ERR_clear_error();
    return NULL;
}

/* One certificate for each kind of key: another one would silently take its place. */
static bool kind_is_taken(const struct certificates *all, const EVP_PKEY *key)
{
    for (size_t i = 0; i < all->list.n; i++) {
        const struct certificate *c = &all->list.at[i];
        if (c->has_key && EVP_PKEY_get_base_id(X509_get0_pubkey(c->leaf)) ==
                              EVP_PKEY_get_base_id(key)) {
            return true;
        }
    }
    return false;
}

static bool pair_use(struct certificates *all, struct tls_build *b, SSL_CTX *ssl,
                     struct certificate *c, EVP_PKEY *key)
{
    struct tls_file f = file_named(b, "certificate file", c->path, c->item->at, false);
    if (c->has_key) {
        return file_refuse(&f, "its key is given twice");
    }
    if (kind_is_taken(all, key)) {
        all->broken = true;
        return file_refuse(&f, "there is a certificate with a key of this kind already; "
                               "give the other one a name with sni");
    }
    c->has_key = true;
    tls_note_certificate(b, c->path, c->leaf);
    return SSL_CTX_use_cert_and_key(ssl, c->leaf, key, c->chain, 1) == 1 ||
           file_refuse_openssl(&f, "certificate and key are not accepted");
}

static bool key_use(struct certificates *all, struct tls_build *b, SSL_CTX *ssl, str path,
                    struct span at)
{
    EVP_PKEY *key = key_load(all, b, path, at);
    if (key == NULL) {
        return all->keys_unread;
    }
    struct certificate *c = certificate_of(all, key);
    bool ok;
    if (c != NULL) {
        ok = pair_use(all, b, ssl, c, key);
    } else if (all->broken || all->keys_unread) {
        ok = !all->broken; /* it may be that of a certificate that could not be read */
    } else {
        struct tls_file f = file_named(b, "key file", path, at, true);
        ok = file_refuse(&f, all->list.n == 1
                                 ? "the key does not belong to the certificate"
                                 : "the key belongs to none of the certificates");
        all->broken = true;
    }
    EVP_PKEY_free(key);
    return ok;
}

static bool certificates_have_keys(const struct certificates *all, struct tls_build *b)
{
    bool ok = true;
    for (size_t i = 0; i < all->list.n && !all->keys_unread && !all->broken; i++) {
        const struct certificate *c = &all->list.at[i];
        if (!c->has_key) {
            struct tls_file f =
                file_named(b, "certificate file", c->path, c->item->at, false);
            ok = file_refuse(&f, "none of the keys belongs to this certificate");
        }
    }
    return ok;
}

static void certificates_free(struct certificates *all)
{
    for (size_t i = 0; i < all->list.n; i++) {
        X509_free(all->list.at[i].leaf);
        sk_X509_pop_free(all->list.at[i].chain, X509_free);
    }
    arena_free(&all->arena);
}

bool tls_use_certificates(struct tls_build *b, SSL_CTX *ssl, const struct tls_item *certs,
                          const struct tls_item *keys, int purpose)
{
    struct certificates all = {.arena = arena_new()};
    bool ok = true;
    for (const struct tls_item *c = certs; c != NULL; c = c->next) {
        certificate_load(&all, b, c, keys == NULL, purpose);
    }
    ok = !all.broken;
    for (const struct tls_item *k = keys; k != NULL; k = k->next) {
        ok = key_use(&all, b, ssl, k->text, k->at) && ok;
    }
    for (size_t i = 0; keys == NULL && i < all.list.n; i++) {
        ok = key_use(&all, b, ssl, all.list.at[i].path, all.list.at[i].item->at) && ok;
    }
    ok = certificates_have_keys(&all, b) && ok && !all.broken;
    certificates_free(&all);
    return ok;
}

/* --- DH --- */

bool tls_use_dh_params(struct tls_build *b, SSL_CTX *ssl, const struct tls_item *file)
{
    struct tls_file f = file_named(b, "parameter file", file->text, file->at, false);
    EVP_PKEY *params = NULL;
    bool ok = file_open(&f);
    if (ok) {
        BIO *bio = BIO_new_mem_buf(f.text.data, (int)f.text.len);
        check(bio != NULL);
        params =
            PEM_read_bio_Parameters_ex(bio, NULL, b->context->library, tls_propquery(b));
        BIO_free(bio);
        if (params == NULL || !EVP_PKEY_is_a(params, "DH")) {
            ERR_clear_error();
            ok = file_refuse(&f, "holds no PEM parameters for DH "
                                 "(-----BEGIN DH PARAMETERS-----)");
        } else if (EVP_PKEY_get_bits(params) < DH_BITS_MIN) {
            ok = file_refuse(&f, "the parameters have less than 2048 bits");
        } else if (SSL_CTX_set0_tmp_dh_pkey(ssl, params) != 1) {
            ok = file_refuse_openssl(&f, "the parameters are not accepted");
        } else {
            params = NULL; /* taken */
        }
    }
    EVP_PKEY_free(params);
    file_close(&f);
    return ok;
}
