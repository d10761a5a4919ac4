/* worker: the loop and its mailbox. Tasks posted from any thread wait in a list under a
 * lock that is held for a few instructions only; one async handle wakes the loop. */
#include "router/worker.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

/* Takes the whole list, so that tasks posted by a running task wait for the next
 * turn and a chain of posts cannot starve the sockets. A task may free itself. */
static void on_wake(uv_async_t *wake)
{
    struct worker *w = wake->data;
    uv_mutex_lock(&w->lock);
    struct task *t = w->first;
    w->first = NULL;
    w->last = &w->first;
    uv_mutex_unlock(&w->lock);
    while (t != NULL) {
        struct task *next = t->next;
        t->run(w, t);
        t = next;
    }
}

int worker_init(struct worker *w, struct daemon *d, unsigned index)
{
    memset(w, 0, sizeof *w);
    w->daemon = d;
    w->index = index;
    w->last = &w->first;
    int rc = uv_loop_init(&w->loop);
    if (rc != 0) {
        return rc;
    }
    w->loop.data = w;
    rc = uv_mutex_init(&w->lock);
    if (rc == 0) {
        rc = uv_async_init(&w->loop, &w->wake, on_wake);
        if (rc == 0) {
            w->wake.data = w;
            return 0;
        }
        uv_mutex_destroy(&w->lock);
    }
    check(uv_loop_close(&w->loop) == 0);
    return rc;
}

bool worker_free(struct worker *w)
{
    uv_close((uv_handle_t *)&w->wake, NULL);
    bool clean = uv_run(&w->loop, UV_RUN_NOWAIT) == 0 && uv_loop_close(&w->loop) == 0;
    if (clean) {
        uv_mutex_destroy(&w->lock);
    }
    return clean;
}

void worker_post(struct worker *w, struct task *t)
{
    check(t->run != NULL);
    t->next = NULL;
    uv_mutex_lock(&w->lock);
    *w->last = t;
    w->last = &t->next;
    uv_mutex_unlock(&w->lock);
    check(uv_async_send(&w->wake) == 0);
}

void worker_session_add(struct worker *w, struct worker_session *s)
{
    s->next = w->sessions;
    s->prev = &w->sessions;
    if (s->next != NULL) {
        s->next->prev = &s->next;
    }
    w->sessions = s;
    s->count = w->arriving;
    w->arriving = NULL;
}

void worker_session_remove(struct worker *w, struct worker_session *s)
{
    (void)w;
    check(s->prev != NULL && *s->prev == s);
    *s->prev = s->next;
    if (s->next != NULL) {
        s->next->prev = s->prev;
    }
    s->next = NULL;
    s->prev = NULL;
    if (s->count != NULL) {
        counter_add(&s->count->open, -1);
    }
}

static struct session_count *find_count(struct session_count *from, str name)
{
    while (from != NULL && !str_ieq(str_from(from->name), name)) {
        from = from->next;
    }
    return from;
}

struct session_count *session_count(struct daemon *d, str name)
{
    struct session_count *first = atomic_load(&d->session_counts), *made = NULL;
    for (;;) {
        struct session_count *found = find_count(first, name);
        if (found != NULL) {
            free(made);
            return found;
        }
        if (made == NULL) {
            made = calloc(1, sizeof *made + name.len + 1);
            check(made != NULL);
            memcpy(made->name, name.ptr, name.len);
        }
        made->next = first;
        if (atomic_compare_exchange_strong(&d->session_counts, &first, made)) {
            return made;
        }
    }
}

void session_counts_free(struct daemon *d)
{
    struct session_count *next, *c = atomic_load(&d->session_counts);
    for (; c != NULL; c = next) {
        next = c->next;
        free(c);
    }
    atomic_store(&d->session_counts, NULL);
}

void worker_shut_sessions(struct worker *w)
{
    struct worker_session *next;
    for (struct worker_session *s = w->sessions; s != NULL; s = next) {
        next = s->next;
        s->shut(w, s);
    }
}

int64_t worker_now_ms(const struct worker *w)
{
    return clock_now_ms(w->daemon->clock);
}
