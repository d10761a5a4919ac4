/* tls_sessions: see tls_sessions.h. A table that is searched from one end to the other:
 * it is small, and a handshake costs far more. */
#include "channels/tls_sessions.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/check.h"

/* Who a host is should not be known from yesterday; nor by a chain of sessions, each
 * resumed from the one before. */
enum { LIFE_S = 3600 };

struct entry {
    unsigned char key[TLS_SESSION_KEY_BYTES];
    SSL_SESSION *session; /* NULL: free */
    uint64_t serial;      /* the lowest is the oldest */
    int64_t kept_s;       /* when the ticket came, */
    int64_t began_s;      /* and when the certificate was seen; now_s() */
};

struct tls_sessions {
    atomic_uint refs;
    pthread_mutex_t lock;
    uint64_t serial;
    int64_t ahead_s; /* tls_sessions_age() */
    unsigned used;   /* entries from here on were never used */
    struct entry entries[TLS_SESSIONS_MAX];
};

struct tls_sessions *tls_sessions_new(void)
{
    struct tls_sessions *s = calloc(1, sizeof *s);
    check(s != NULL && pthread_mutex_init(&s->lock, NULL) == 0);
    atomic_init(&s->refs, 1);
    return s;
}

struct tls_sessions *tls_sessions_ref(struct tls_sessions *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void tls_sessions_unref(struct tls_sessions **s)
{
    struct tls_sessions *was = *s;
    *s = NULL;
    if (was != NULL &&
        atomic_fetch_sub_explicit(&was->refs, 1, memory_order_acq_rel) == 1) {
        for (unsigned i = 0; i < was->used; i++) {
            SSL_SESSION_free(was->entries[i].session);
        }
        pthread_mutex_destroy(&was->lock);
        free(was);
    }
}

/* A clock that nobody sets; never 0. */
static int64_t now_s(const struct tls_sessions *s)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + 1 + s->ahead_s;
}

void tls_sessions_age(struct tls_sessions *s, int64_t seconds)
{
    pthread_mutex_lock(&s->lock);
    s->ahead_s += seconds;
    pthread_mutex_unlock(&s->lock);
}

static struct entry *find(struct tls_sessions *s, const unsigned char *key)
{
    for (unsigned i = 0; i < s->used; i++) {
        struct entry *e = &s->entries[i];
        if (e->session != NULL && memcmp(e->key, key, TLS_SESSION_KEY_BYTES) == 0) {
            return e;
        }
    }
    return NULL;
}

/* A free one, or the oldest. */
static struct entry *place(struct tls_sessions *s)
{
    if (s->used < TLS_SESSIONS_MAX) {
        return &s->entries[s->used++];
    }
    struct entry *oldest = &s->entries[0];
    for (unsigned i = 0; i < s->used; i++) {
        if (s->entries[i].session == NULL) {
            return &s->entries[i];
        }
        if (s->entries[i].serial < oldest->serial) {
            oldest = &s->entries[i];
        }
    }
    return oldest;
}

void tls_sessions_put(struct tls_sessions *s,
                      const unsigned char key[TLS_SESSION_KEY_BYTES],
                      SSL_SESSION *session, int64_t began_s)
{
    pthread_mutex_lock(&s->lock);
    struct entry *e = find(s, key);
    e = e != NULL ? e : place(s);
    SSL_SESSION *was = e->session;
    memcpy(e->key, key, TLS_SESSION_KEY_BYTES);
    e->session = session;
    e->serial = s->serial++;
    e->kept_s = now_s(s);
    e->began_s = began_s != 0 ? began_s : e->kept_s;
    pthread_mutex_unlock(&s->lock);
    SSL_SESSION_free(was);
}

static bool too_old(const struct tls_sessions *s, const struct entry *e)
{
    return now_s(s) - e->began_s >= LIFE_S ||
           now_s(s) - e->kept_s >= SSL_SESSION_get_timeout(e->session);
}

SSL_SESSION *tls_sessions_take(struct tls_sessions *s,
                               const unsigned char key[TLS_SESSION_KEY_BYTES],
                               int64_t *began_s)
{
    pthread_mutex_lock(&s->lock);
    struct entry *e = find(s, key);
    SSL_SESSION *taken = e != NULL ? e->session : NULL;
    bool old = taken != NULL && too_old(s, e);
    *began_s = taken != NULL ? e->began_s : 0;
    if (taken != NULL &&
        (old || SSL_SESSION_get_protocol_version(taken) >= TLS1_3_VERSION)) {
        e->session = NULL; /* with its reference */
    } else if (taken != NULL) {
        SSL_SESSION_up_ref(taken);
    }
    pthread_mutex_unlock(&s->lock);
    if (old) {
        SSL_SESSION_free(taken);
        taken = NULL;
    }
    return taken;
}

void tls_sessions_drop(struct tls_sessions *s,
                       const unsigned char key[TLS_SESSION_KEY_BYTES])
{
    pthread_mutex_lock(&s->lock);
    struct entry *e = find(s, key);
    SSL_SESSION *was = e != NULL ? e->session : NULL;
    if (e != NULL) {
        e->session = NULL;
    }
    pthread_mutex_unlock(&s->lock);
    SSL_SESSION_free(was);
}

unsigned tls_sessions_count(struct tls_sessions *s)
{
    unsigned n = 0;
    pthread_mutex_lock(&s->lock);
    for (unsigned i = 0; i < s->used; i++) {
        n += s->entries[i].session != NULL;
    }
    pthread_mutex_unlock(&s->lock);
    return n;
}
