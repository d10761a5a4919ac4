/* tls_tickets: see tls_tickets.h. */
#include "channels/tls_tickets.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/check.h"

enum { NAME_BYTES = 16, IV_BYTES = 16, KEYS = 2 };

struct key {
    bool set;
    int64_t made_s;
    unsigned char name[NAME_BYTES], aes[32], mac[32];
};

struct tls_tickets {
    atomic_uint refs;
    pthread_mutex_t lock;
    int64_t ahead_s;       /* tls_tickets_age() */
    struct key keys[KEYS]; /* the one that wraps, the one before it */
};

struct tls_tickets *tls_tickets_new(void)
{
    struct tls_tickets *t = calloc(1, sizeof *t);
    check(t != NULL && pthread_mutex_init(&t->lock, NULL) == 0);
    atomic_init(&t->refs, 1);
    return t;
}

struct tls_tickets *tls_tickets_ref(struct tls_tickets *t)
{
    atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
    return t;
}

void tls_tickets_unref(struct tls_tickets **t)
{
    struct tls_tickets *was = *t;
    *t = NULL;
    if (was != NULL &&
        atomic_fetch_sub_explicit(&was->refs, 1, memory_order_acq_rel) == 1) {
        pthread_mutex_destroy(&was->lock);
        OPENSSL_cleanse(was, sizeof *was);
        free(was);
    }
}

/* A clock that nobody sets. */
static int64_t now_s(const struct tls_tickets *t)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + t->ahead_s;
}

static void forget_old(struct tls_tickets *t)
{
    for (int i = 0; i < KEYS; i++) {
        struct key *k = &t->keys[i];
        if (k->set && now_s(t) - k->made_s >= 2 * TLS_TICKET_LIFE_S) {
            OPENSSL_cleanse(k, sizeof *k);
        }
    }
}

void tls_tickets_tend(struct tls_tickets *t)
{
    pthread_mutex_lock(&t->lock);
    forget_old(t);
    pthread_mutex_unlock(&t->lock);
}

void tls_tickets_age(struct tls_tickets *t, int64_t seconds)
{
    pthread_mutex_lock(&t->lock);
    t->ahead_s += seconds;
    pthread_mutex_unlock(&t->lock);
}

/* The key that wraps now; NULL: there is no randomness. */
static const struct key *key_to_wrap(struct tls_tickets *t)
{
    struct key *first = &t->keys[0], made = {.set = true, .made_s = now_s(t)};
    forget_old(t);
    if (first->set && made.made_s - first->made_s < TLS_TICKET_LIFE_S) {
        return first;
    }
    if (RAND_bytes(made.name, sizeof made.name) != 1 ||
        RAND_priv_bytes(made.aes, sizeof made.aes) != 1 ||
        RAND_priv_bytes(made.mac, sizeof made.mac) != 1) {
        ERR_clear_error();
        return NULL;
    }
    t->keys[1] = *first;
    *first = made;
    OPENSSL_cleanse(&made, sizeof made);
    return first;
}

static const struct key *key_named(struct tls_tickets *t, const unsigned char *name)
{
    forget_old(t);
    for (int i = 0; i < KEYS; i++) {
        if (t->keys[i].set && memcmp(t->keys[i].name, name, NAME_BYTES) == 0) {
            return &t->keys[i];
        }
    }
    return NULL;
}

static bool key_use(const struct key *k, const EVP_CIPHER *cipher,
                    const unsigned char *iv, EVP_CIPHER_CTX *crypt, EVP_MAC_CTX *mac,
                    int wrap)
{
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)k->mac,
                                          sizeof k->mac),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end()};
    return EVP_MAC_CTX_set_params(mac, params) == 1 &&
           EVP_CipherInit_ex2(crypt, cipher, k->aes, iv, wrap, NULL) == 1;
}

int tls_tickets_apply(struct tls_tickets *t, const EVP_CIPHER *cipher,
                      unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *crypt,
                      EVP_MAC_CTX *mac, int wrap)
{
    if (wrap && RAND_bytes(iv, IV_BYTES) != 1) {
        ERR_clear_error();
        return 0; /* no ticket */
    }
    pthread_mutex_lock(&t->lock);
    const struct key *k = wrap ? key_to_wrap(t) : key_named(t, name);
    bool found = k != NULL, old = k == &t->keys[1];
    struct key copy = found ? *k : (struct key){0};
    pthread_mutex_unlock(&t->lock);
    if (!found) {
        return 0; /* a full handshake */
    }
    if (wrap) {
        memcpy(name, copy.name, NAME_BYTES);
    }
    bool ok = key_use(&copy, cipher, iv, crypt, mac, wrap);
    OPENSSL_cleanse(&copy, sizeof copy);
    return !ok ? -1 : old ? 2 /* and a new ticket under the new key */ : 1;
}
