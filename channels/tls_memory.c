/* tls_memory: see tls_memory.h. A table of digests in sets of a few: whatever names
 * peers or senders choose, it neither grows nor becomes slow. */
#include "channels/tls_memory.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/check.h"

enum { WAYS = 8, SETS = TLS_MEMORY_MAX / WAYS, KEY_BYTES = 32 };

struct entry {
    unsigned char key[KEY_BYTES];
    int64_t at_s; /* now_s(), never 0; 0: free */
};

struct tls_memory {
    atomic_uint refs;
    pthread_mutex_t lock;
    int64_t ahead_s;
    struct entry entries[SETS][WAYS];
};

struct tls_memory *tls_memory_new(void)
{
    struct tls_memory *m = calloc(1, sizeof *m);
    check(m != NULL && pthread_mutex_init(&m->lock, NULL) == 0);
    atomic_init(&m->refs, 1);
    return m;
}

struct tls_memory *tls_memory_ref(struct tls_memory *m)
{
    atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
    return m;
}

void tls_memory_unref(struct tls_memory **m)
{
    struct tls_memory *was = *m;
    *m = NULL;
    if (was != NULL &&
        atomic_fetch_sub_explicit(&was->refs, 1, memory_order_acq_rel) == 1) {
        pthread_mutex_destroy(&was->lock);
        free(was);
    }
}

/* A clock that nobody sets. */
static int64_t now_s(const struct tls_memory *m)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + 1 + m->ahead_s;
}

static void add_text(EVP_MD_CTX *md, str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = ascii_lower(text.ptr[i]);
        EVP_DigestUpdate(md, &c, 1);
    }
    EVP_DigestUpdate(md, "", 1);
}

static void make_key(const struct tls_memory_host *h, unsigned char key[KEY_BYTES])
{
    unsigned len = 0;
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    check(md != NULL && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1);
    EVP_DigestUpdate(md, &h->kind, sizeof h->kind);
    EVP_DigestUpdate(md, &h->port, sizeof h->port);
    add_text(md, h->name);
    if (h->kind == TLS_MEMORY_BROKEN) {
        add_text(md, h->ip);
        add_text(md, h->profile);
    }
    check(EVP_DigestFinal_ex(md, key, &len) == 1 && len == KEY_BYTES);
    EVP_MD_CTX_free(md);
}

static struct entry *set_of(struct tls_memory *m, const unsigned char *key)
{
    return m->entries[(key[0] | (unsigned)key[1] << 8) % SETS];
}

static struct entry *find(struct entry *set, const unsigned char *key)
{
    for (unsigned i = 0; i < WAYS; i++) {
        if (set[i].at_s != 0 && memcmp(set[i].key, key, KEY_BYTES) == 0) {
            return &set[i];
        }
    }
    return NULL;
}

/* A free one, or the oldest. */
static struct entry *place(struct entry *set)
{
    struct entry *oldest = &set[0];
    for (unsigned i = 1; i < WAYS; i++) {
        if (set[i].at_s < oldest->at_s) {
            oldest = &set[i];
        }
    }
    return oldest;
}

void tls_memory_note(struct tls_memory *m, const struct tls_memory_host *h)
{
    unsigned char key[KEY_BYTES];
    make_key(h, key);
    pthread_mutex_lock(&m->lock);
    struct entry *set = set_of(m, key);
    struct entry *e = find(set, key);
    e = e != NULL ? e : place(set);
    memcpy(e->key, key, KEY_BYTES);
    e->at_s = now_s(m);
    pthread_mutex_unlock(&m->lock);
}

int64_t tls_memory_age_s(struct tls_memory *m, const struct tls_memory_host *h)
{
    unsigned char key[KEY_BYTES];
    make_key(h, key);
    pthread_mutex_lock(&m->lock);
    const struct entry *e = find(set_of(m, key), key);
    int64_t age = e != NULL ? now_s(m) - e->at_s : -1;
    pthread_mutex_unlock(&m->lock);
    return age;
}

void tls_memory_age(struct tls_memory *m, int64_t seconds)
{
    pthread_mutex_lock(&m->lock);
    m->ahead_s += seconds;
    pthread_mutex_unlock(&m->lock);
}
