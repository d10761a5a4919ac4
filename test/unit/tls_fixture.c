/* tls_fixture: see the header. Keys are P-256: made in no time. */
#include "test/unit/tls_fixture.h"

#include <dirent.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static X509 *certificate_new(EVP_PKEY *key, long from_s, long to_s)
{
    X509 *cert = X509_new();
    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), from_s);
    X509_gmtime_adj(X509_getm_notAfter(cert), to_s);
    X509_set_pubkey(cert, key);
    X509_NAME *name = X509_get_subject_name(cert);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                               (const unsigned char *)"mail.here.test", -1, -1, 0);
    X509_set_issuer_name(cert, name);
    X509_sign(cert, key, EVP_sha256());
    return cert;
}

bool tls_fixture_pair(const char *cert_path, const char *key_path, long from_s, long to_s,
                      const char *passphrase)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    bool ok = key != NULL;
    if (ok && cert_path != NULL) {
        X509 *cert = certificate_new(key, from_s, to_s);
        FILE *f = fopen(cert_path, "w");
        ok = f != NULL && PEM_write_X509(f, cert) == 1 && fclose(f) == 0;
        X509_free(cert);
    }
    if (ok && key_path != NULL) {
        FILE *f = fopen(key_path, "w");
        ok = f != NULL && fchmod(fileno(f), 0600) == 0 &&
             PEM_write_PrivateKey(f, key, passphrase != NULL ? EVP_aes_128_cbc() : NULL,
                                  NULL, 0, NULL, (void *)passphrase) == 1 &&
             fclose(f) == 0;
    }
    EVP_PKEY_free(key);
    return ok;
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
    f->snapshot.tls.server_cert = str_from(f->cert);
    f->snapshot.tls.server_key = str_from(f->key);
    struct arena *a = arena_new();
    struct diags *d = diags_new(a, sources_new(a));
    bool ok = tls_fixture_pair(f->cert, f->key, -3600, 86400, NULL) &&
              tls_server_context(&f->snapshot, d, &f->server) &&
              tls_client_context(&f->snapshot, d, &f->client) && f->server != NULL;
    for (const struct diag *m = diags_first(d); m != NULL; m = m->next) {
        fprintf(stderr, "%.*s\n", STR_ARG(m->text));
    }
    arena_free(&a);
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
