/* service: one worker's listening sockets. Accepts a bounded number of clients per turn
 * of the loop and hands each to the kind of the service's channel. Neither a flood of
 * clients nor a lack of descriptors may make it spin (see accept_failed()). */
#include "router/service.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/check.h"
#include "router/runtime.h"

enum {
    ACCEPTS_PER_TURN = 32,
    SESSIONS_MAX = 10000, /* of one worker, descriptors permitting */
    SESSIONS_MIN = 4,     /* with few descriptors some are to be left for deliveries */
    PAUSE_MS = 1000,
    COMPLAINT_MS = 10000 /* between two `error` events about the same trouble */
};

/* At most one event in a while, with a count of the others. */
struct complaint {
    uint64_t not_before_ms; /* loop time */
    unsigned suppressed;
};

struct listener {
    uv_poll_t poll;
    struct services *services;
    struct listener *next;
    struct endpoint endpoint;    /* fds unused; service is of the worker's `current` */
    struct session_count *count; /* of the service */
    int fd;
};

struct services {
    struct worker *worker;
    struct listener *listeners;
    uv_timer_t pause;
    bool paused;
    unsigned handles_open;
    int spare_fd; /* given up for a moment to turn a client away when all are used */
    int64_t sessions_max;
    struct complaint no_descriptors, no_sessions, no_places;
};

static void services_handle_closed(struct services *s)
{
    if (--s->handles_open == 0) {
        free(s);
    }
}

static void on_pause_closed(uv_handle_t *h)
{
    services_handle_closed(h->data);
}

static void on_listener_closed(uv_handle_t *h)
{
    struct listener *l = h->data;
    services_handle_closed(l->services);
    free(l);
}

static void listener_close(struct listener *l)
{
    uv_close((uv_handle_t *)&l->poll, on_listener_closed);
    close(l->fd);
}

/* Each session may need a second descriptor for a large body and one for a delivery. */
static int64_t sessions_limit(const struct daemon *d)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) {
        return SESSIONS_MAX;
    }
    int64_t each = (int64_t)(limit.rlim_cur / 3 / d->worker_count);
    return each > SESSIONS_MAX ? SESSIONS_MAX : each < SESSIONS_MIN ? SESSIONS_MIN : each;
}

static int open_spare(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void on_pause_over(uv_timer_t *pause);

static struct services *services_new(struct worker *w)
{
    struct services *s = calloc(1, sizeof *s);
    check(s != NULL);
    s->worker = w;
    s->spare_fd = open_spare();
    s->sessions_max = sessions_limit(w->daemon);
    check(uv_timer_init(&w->loop, &s->pause) == 0);
    s->pause.data = s;
    s->handles_open = 1;
    return s;
}

static void complain(struct services *s, struct complaint *c, const struct listener *l,
                     const char *text)
{
    uint64_t now_ms = uv_now(&s->worker->loop);
    if (now_ms < c->not_before_ms) {
        c->suppressed++;
        return;
    }
    struct log_line line;
    log_begin(&line, s->worker->daemon->log, LOG_ERROR);
    log_cstr(&line, "what", "accept");
    log_str(&line, "service", l->endpoint.service->name);
    log_cstr(&line, "reason", text);
    log_int(&line, "worker", s->worker->index);
    log_int(&line, "repeats", c->suppressed);
    log_end(&line);
    c->suppressed = 0;
    c->not_before_ms = now_ms + COMPLAINT_MS;
}

/* Says 421 where a client can read it: never in clear on a port that begins with TLS.
 * The socket is new, so its buffer takes the line; when not, closing says it too. */
static void turn_away(const struct listener *l, int fd)
{
    static const char text[] = "421 4.3.2 Too many sessions, try again later\r\n";
    if (!l->endpoint.service->implicit_tls) {
        ssize_t n = send(fd, text, sizeof text - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
        (void)n;
    }
    close(fd);
}

static void on_readable(uv_poll_t *poll, int status, int events);

static void services_resume(struct services *s)
{
    s->paused = false;
    for (struct listener *l = s->listeners; l != NULL; l = l->next) {
        check(uv_poll_start(&l->poll, UV_READABLE, on_readable) == 0);
    }
}

static void on_pause_over(uv_timer_t *pause)
{
    struct services *s = pause->data;
    if (s->spare_fd < 0) {
        s->spare_fd = open_spare();
    }
    services_resume(s);
}

/* Level-triggered readiness would call us at once again: look away for a while. */
static void services_pause(struct services *s)
{
    for (struct listener *l = s->listeners; l != NULL; l = l->next) {
        uv_poll_stop(&l->poll);
    }
    s->paused = true;
    check(uv_timer_start(&s->pause, on_pause_over, PAUSE_MS, 0) == 0);
}

/* accept() failed. EMFILE, ENFILE, ENOBUFS, ENOMEM stay as they are until something is
 * freed: turn one client away with the spare descriptor and pause. All other errors
 * concern the one client that is gone (accept(2)). True: go on accepting. */
static bool accept_failed(struct listener *l, int error)
{
    struct services *s = l->services;
    if (error == EAGAIN || error == EWOULDBLOCK) {
        return false;
    }
    if (error != EMFILE && error != ENFILE && error != ENOBUFS && error != ENOMEM) {
        return true;
    }
    complain(s, &s->no_descriptors, l, strerror(error));
    if (s->spare_fd >= 0) {
        close(s->spare_fd);
        int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            turn_away(l, fd);
        }
        s->spare_fd = open_spare();
    }
    services_pause(s);
    return false;
}

/* A place for one more session of the service, if it has a limit that is not reached. */
static bool take_place(struct listener *l)
{
    const struct service *v = l->endpoint.service;
    int64_t max = (int64_t)v->max_conns * v->max_procs;
    if (atomic_fetch_add(&l->count->open, 1) < max || max == 0) {
        return true;
    }
    counter_add(&l->count->open, -1);
    return false;
}

static void accepted(struct listener *l, int fd)
{
    struct worker *w = l->services->worker;
    const struct service *service = l->endpoint.service;
    int64_t open = atomic_load_explicit(&w->counters.sessions_open, memory_order_relaxed);
    if (open >= l->services->sessions_max) {
        complain(l->services, &l->services->no_sessions, l, "too many sessions");
        turn_away(l, fd);
        return;
    }
    if (!take_place(l)) {
        complain(l->services, &l->services->no_places, l,
                 "as many sessions of the service as MAX_CONNS and MAX_PROCS allow");
        turn_away(l, fd);
        return;
    }
    w->arriving = l->count;
    runtime_kind(w->current, service->channel)->accept(w, service, fd);
    if (w->arriving != NULL) { /* it came to no session */
        counter_add(&w->arriving->open, -1);
        w->arriving = NULL;
    }
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct listener *l = poll->data;
    (void)events;
    if (status != 0) {
        complain(l->services, &l->services->no_descriptors, l, uv_strerror(status));
        services_pause(l->services);
        return;
    }
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            accepted(l, fd);
        } else if (!accept_failed(l, errno)) {
            return;
        }
    }
}

static void listener_open(struct services *s, struct endpoint *p)
{
    int *fd = &p->fds[s->worker->index];
    check(*fd >= 0);
    struct listener *l = calloc(1, sizeof *l);
    check(l != NULL);
    l->services = s;
    l->endpoint = *p;
    l->endpoint.fds = NULL;
    l->count = session_count(s->worker->daemon, p->service->name);
    l->fd = *fd;
    *fd = -1;
    check(uv_poll_init(&s->worker->loop, &l->poll, l->fd) == 0);
    l->poll.data = l;
    s->handles_open++;
    l->next = s->listeners;
    s->listeners = l;
    if (!s->paused) {
        check(uv_poll_start(&l->poll, UV_READABLE, on_readable) == 0);
    }
}

static struct endpoint *find_endpoint(const struct endpoints *e, const struct endpoint *p)
{
    for (unsigned i = 0; i < e->count; i++) {
        if (endpoint_same(&e->at[i], p)) {
            return &e->at[i];
        }
    }
    return NULL;
}

void services_adopt(struct worker *w, struct endpoints *e)
{
    check(w->current->snapshot == e->snapshot && w->index < e->workers);
    if (w->services == NULL) {
        w->services = services_new(w);
    }
    for (struct listener **at = &w->services->listeners; *at != NULL;) {
        struct listener *l = *at;
        const struct endpoint *p = find_endpoint(e, &l->endpoint);
        if (p != NULL) {
            l->endpoint.service = p->service;
            l->count = session_count(w->daemon, p->service->name);
            at = &l->next;
        } else {
            *at = l->next;
            listener_close(l);
        }
    }
    for (unsigned i = 0; i < e->count; i++) {
        if (!e->at[i].kept) {
            listener_open(w->services, &e->at[i]);
        }
    }
}

void services_close(struct worker *w)
{
    struct services *s = w->services;
    w->services = NULL;
    if (s == NULL) {
        return;
    }
    while (s->listeners != NULL) {
        struct listener *l = s->listeners;
        s->listeners = l->next;
        listener_close(l);
    }
    if (s->spare_fd >= 0) {
        close(s->spare_fd);
    }
    uv_close((uv_handle_t *)&s->pause, on_pause_closed);
}
