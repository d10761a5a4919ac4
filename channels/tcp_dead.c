/* tcp_dead: a table of sets of four; an address is in the set of its hash. */
#include "channels/tcp_dead.h"

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/check.h"

enum { SETS = 1024, WAYS = 4, REASON_MAX = 80 };

struct key {
    uint8_t family, ip[16];
    uint16_t port;
};

struct dead {
    struct key key;
    int64_t since_ms, until_ms; /* until_ms 0: a free place */
    char reason[REASON_MAX];
};

struct tcp_dead {
    atomic_uint refs;
    uv_mutex_t lock;
    struct dead at[SETS][WAYS];
};

struct tcp_dead *tcp_dead_new(void)
{
    struct tcp_dead *d = calloc(1, sizeof *d);
    check(d != NULL && uv_mutex_init(&d->lock) == 0);
    atomic_init(&d->refs, 1);
    return d;
}

struct tcp_dead *tcp_dead_ref(struct tcp_dead *d)
{
    atomic_fetch_add(&d->refs, 1);
    return d;
}

void tcp_dead_unref(struct tcp_dead **dp)
{
    struct tcp_dead *d = *dp;
    *dp = NULL;
    if (d != NULL && atomic_fetch_sub(&d->refs, 1) == 1) {
        uv_mutex_destroy(&d->lock);
        free(d);
    }
}

/* False: neither IPv4 nor IPv6, and never remembered. */
static bool key_of(const struct sockaddr *address, struct key *k)
{
    memset(k, 0, sizeof *k);
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
        memcpy(k->ip, &v4->sin_addr, sizeof v4->sin_addr);
        k->port = v4->sin_port;
        k->family = 4;
    } else if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
        memcpy(k->ip, &v6->sin6_addr, sizeof v6->sin6_addr);
        k->port = v6->sin6_port;
        k->family = 6;
    }
    return k->family != 0;
}

static bool key_same(const struct key *a, const struct key *b)
{
    return a->family == b->family && a->port == b->port &&
           memcmp(a->ip, b->ip, sizeof a->ip) == 0;
}

static struct dead *set_of(struct tcp_dead *d, const struct key *k)
{
    uint32_t hash = 2166136261u ^ k->family ^ ((uint32_t)k->port << 8);
    for (size_t i = 0; i < sizeof k->ip; i++) {
        hash = (hash ^ k->ip[i]) * 16777619u;
    }
    return d->at[(hash ^ hash >> 16) % SETS];
}

static struct dead *find(struct dead *set, const struct key *k)
{
    for (unsigned i = 0; i < WAYS; i++) {
        if (set[i].until_ms != 0 && key_same(&set[i].key, k)) {
            return &set[i];
        }
    }
    return NULL;
}

/* A free place, or that of the one whose time is over first. */
static struct dead *place(struct dead *set)
{
    struct dead *best = &set[0];
    for (unsigned i = 1; i < WAYS; i++) {
        best = set[i].until_ms < best->until_ms ? &set[i] : best;
    }
    return best;
}

void tcp_dead_note(struct tcp_dead *d, const struct sockaddr *address, int64_t now_ms,
                   int64_t for_ms, const char *reason)
{
    struct key k;
    if (!key_of(address, &k)) {
        return;
    }
    uv_mutex_lock(&d->lock);
    struct dead *set = set_of(d, &k), *e = find(set, &k);
    e = e != NULL ? e : place(set);
    e->key = k;
    e->since_ms = now_ms;
    e->until_ms = now_ms + (for_ms > 0 ? for_ms : 1);
    snprintf(e->reason, sizeof e->reason, "%s", reason);
    uv_mutex_unlock(&d->lock);
}

void tcp_dead_clear(struct tcp_dead *d, const struct sockaddr *address)
{
    struct key k;
    if (!key_of(address, &k)) {
        return;
    }
    uv_mutex_lock(&d->lock);
    struct dead *e = find(set_of(d, &k), &k);
    if (e != NULL) {
        e->until_ms = 0;
    }
    uv_mutex_unlock(&d->lock);
}

void tcp_dead_clear_all(struct tcp_dead *d)
{
    uv_mutex_lock(&d->lock);
    memset(d->at, 0, sizeof d->at);
    uv_mutex_unlock(&d->lock);
}

bool tcp_dead_check(struct tcp_dead *d, const struct sockaddr *address, int64_t now_ms,
                    int64_t probe_ms, char text[TCP_DEAD_TEXT_MAX])
{
    struct key k;
    bool dead = false;
    text[0] = '\0';
    if (!key_of(address, &k)) {
        return false;
    }
    uv_mutex_lock(&d->lock);
    struct dead *e = find(set_of(d, &k), &k);
    if (e != NULL && now_ms < e->until_ms) {
        dead = true;
        snprintf(text, TCP_DEAD_TEXT_MAX, "%s, %lld s ago", e->reason,
                 (long long)((now_ms - e->since_ms) / 1000));
    } else if (e != NULL) {
        e->until_ms = now_ms + probe_ms;
    }
    uv_mutex_unlock(&d->lock);
    return dead;
}
