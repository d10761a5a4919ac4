/* queue_stopped: see queue_stopped.h. */
#include "router/queue_stopped.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/check.h"

struct channel {
    struct channel *next;
    size_t len;
    char name[];
};

struct queue_stopped {
    _Atomic unsigned count;
    uv_mutex_t lock;
    struct channel *first; /* under the lock */
};

struct queue_stopped *queue_stopped_new(void)
{
    struct queue_stopped *s = calloc(1, sizeof *s);
    check(s != NULL && uv_mutex_init(&s->lock) == 0);
    return s;
}

void queue_stopped_free(struct queue_stopped **s)
{
    struct queue_stopped *gone = *s;
    *s = NULL;
    while (gone->first != NULL) {
        struct channel *next = gone->first->next;
        free(gone->first);
        gone->first = next;
    }
    uv_mutex_destroy(&gone->lock);
    free(gone);
}

static struct channel **find(struct queue_stopped *s, str name)
{
    struct channel **at = &s->first;
    while (*at != NULL && !str_ieq(str_n((*at)->name, (*at)->len), name)) {
        at = &(*at)->next;
    }
    return at;
}

static void add(struct queue_stopped *s, struct channel **at, str name)
{
    struct channel *c = calloc(1, sizeof *c + name.len);
    check(c != NULL);
    c->len = name.len;
    memcpy(c->name, name.ptr, name.len);
    *at = c;
    atomic_fetch_add(&s->count, 1);
}

static void take_out(struct queue_stopped *s, struct channel **at)
{
    struct channel *gone = *at;
    *at = gone->next;
    free(gone);
    atomic_fetch_sub(&s->count, 1);
}

void queue_stopped_set(struct queue_stopped *s, str channel, bool stopped)
{
    uv_mutex_lock(&s->lock);
    struct channel **at = find(s, channel);
    if (stopped && *at == NULL) {
        add(s, at, channel);
    } else if (!stopped && *at != NULL) {
        take_out(s, at);
    }
    uv_mutex_unlock(&s->lock);
}

bool queue_stopped_is(struct queue_stopped *s, str channel)
{
    if (atomic_load(&s->count) == 0) {
        return false;
    }
    uv_mutex_lock(&s->lock);
    bool stopped = *find(s, channel) != NULL;
    uv_mutex_unlock(&s->lock);
    return stopped;
}
