/* tls_fixture: see the header. Keys are P-256: made in no time. */
#include "test/unit/tls_fixture.h"

#include <dirent.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void certificate_extend(X509 *cert, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    X509_add_ext(cert, e, -1);
    X509_EXTENSION_free(e);
}

static X509 *certificate_new(EVP_PKEY *key, long from_s, long to_s, const char *host,
                             const char *usage)
{
    X509 *cert = X509_new();
    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), from_s);
    X509_gmtime_adj(X509_getm_notAfter(cert), to_s);
    X509_set_pubkey(cert, key);
    X509_NAME *name = X509_get_subject_name(cert);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)host, -1,
                               -1, 0);
    X509_set_issuer_name(cert, name);
    if (usage != NULL) {
        certificate_extend(cert, NID_ext_key_usage, usage);
    }
    X509_sign(cert, key, EVP_sha256());
    return cert;
}

static bool pair_write(EVP_PKEY *key, X509 *cert, const char *cert_path,
                       const char *key_path, const char *passphrase)
{
    bool ok = key != NULL;
    if (ok && cert_path != NULL) {
        FILE *f = fopen(cert_path, "w");
        ok = f != NULL && PEM_write_X509(f, cert) == 1 && fclose(f) == 0;
    }
    if (ok && key_path != NULL) {
        FILE *f = fopen(key_path, "w");
        ok = f != NULL && fchmod(fileno(f), 0600) == 0 &&
             PEM_write_PrivateKey(f, key, passphrase != NULL ? EVP_aes_128_cbc() : NULL,
                                  NULL, 0, NULL, (void *)passphrase) == 1 &&
             fclose(f) == 0;
    }
    X509_free(cert);
    EVP_PKEY_free(key);
    return ok;
}

bool tls_fixture_pair(const char *cert_path, const char *key_path, long from_s, long to_s,
                      const char *passphrase)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = certificate_new(key, from_s, to_s, "mail.here.test", NULL);
    return pair_write(key, cert, cert_path, key_path, passphrase);
}

bool tls_fixture_host(const char *cert_path, const char *key_path, const char *host,
                      bool rsa, const char *usage)
{
    EVP_PKEY *key = rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
    X509 *cert = certificate_new(key, -3600, 86400, host, usage);
    return pair_write(key, cert, cert_path, key_path, NULL);
}

void tls_fixture_snapshot(struct tls_fixture *f, const char *cert, const char *key)
{
    f->profile = (struct tls_profile){
        .name = STR("*"), .protocol_max = TLS_PROTOCOL_1_3, .session_tickets = true};
    f->cert_item = (struct tls_item){.text = str_from(cert)};
    f->key_item = (struct tls_item){.text = str_from(key)};
    f->profile.settings[TLS_OPTION_server_cert].items = cert ? &f->cert_item : NULL;
    f->profile.settings[TLS_OPTION_server_key].items = key ? &f->key_item : NULL;
    f->profiles[0] = &f->profile;
    f->snapshot = (struct snapshot){.tls_profiles = f->profiles, .tls_profile_count = 1};
}

bool tls_fixture_init(struct tls_fixture *f)
{
    memset(f, 0, sizeof *f);
    snprintf(f->folder, sizeof f->folder, "/tmp/pointsman-tls-XXXXXX");
    if (mkdtemp(f->folder) == NULL) {
        perror("mkdtemp");
        return false;
    }
    snprintf(f->cert, sizeof f->cert, "%s/cert.pem", f->folder);
    snprintf(f->key, sizeof f->key, "%s/key.pem", f->folder);
    tls_fixture_snapshot(f, f->cert, f->key);
    struct arena *a = arena_new();
    struct diags *d = diags_new(a, sources_new(a));
    bool ok = tls_fixture_pair(f->cert, f->key, -3600, 86400, NULL) &&
              (f->contexts = tls_contexts_new(&f->snapshot, NULL, d)) != NULL;
    for (const struct diag *m = diags_first(d); m != NULL; m = m->next) {
        fprintf(stderr, "%.*s\n", STR_ARG(m->text));
    }
    arena_free(&a);
    if (ok) {
        f->server = tls_contexts_server(f->contexts, &f->profile);
        f->client = tls_contexts_client(f->contexts, &f->profile);
    }
    tls_contexts_free(&f->contexts);
    return ok;
}

void tls_fixture_free(struct tls_fixture *f)
{
    tls_context_unref(&f->server);
    tls_context_unref(&f->client);
    DIR *folder = opendir(f->folder);
    struct dirent *entry;
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        char path[400];
        snprintf(path, sizeof path, "%s/%s", f->folder, entry->d_name);
        if (unlink(path) != 0) {
            rmdir(path); /* ".", ".." fail, as they should */
        }
    }
    if (folder != NULL) {
        closedir(folder);
    }
    rmdir(f->folder);
}
