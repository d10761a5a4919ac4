/* loop: see loop.h. The shutdown is a row of phases, each entered when the one before is
 * complete; a timer looks, because what it waits for happens on other threads. */
#include "router/loop.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "router/control.h"
#include "router/dispatch.h"
#include "router/gates.h"
#include "router/dns.h"
#include "router/queue.h"
#include "router/reload.h"
#include "router/renewal.h"
#include "router/loop_threads.h"

enum {
    TICK_MS = 20,
    FINISH_MS = 10000, /* for sessions and deliveries to end */
    END_MS = 2000,     /* for loops to close their handles, for threads to end */
    SIGNALS = 3
};

enum phase {
    PHASE_RUNNING,
    PHASE_FINISHING, /* sessions were told, deliveries may finish */
    PHASE_DRAINING,  /* every answer the queue owes is on its way */
    PHASE_ENDING,    /* queue and dns are closed, the loops run empty */
    PHASE_HALTING    /* time is up: the loops were told to stop where they are */
};

enum note_kind {
    NOTE_STOP, /* to the worker: this and the next three */
    NOTE_DRAIN,
    NOTE_END,
    NOTE_HALT,
    NOTE_IDLE, /* to the main thread: this and the next two */
    NOTE_DRAINED,
    NOTE_OVER,
    NOTE_KINDS
};

/* A task that says something about one worker. */
struct note {
    struct task task;
    struct life *life;
};

/* What the main thread knows of one worker. */
struct life {
    struct loop *loop;
    struct worker *worker;
    struct note notes[NOTE_KINDS]; /* each is sent at most once */
};

struct loop {
    const struct loop_setup *setup;
    struct daemon *daemon;
    struct worker main; /* index worker_count: not one of the workers */
    struct life *lives; /* one per worker */
    struct reload *reload;
    struct renewal *renewal;
    struct control *control;
    uv_signal_t signals[SIGNALS];
    uv_timer_t tick;
    enum phase phase;
    uint64_t until_ms;            /* end of the phase, loop time */
    unsigned idle, drained, over; /* workers that said so */
    bool unfinished, killed;
};

static struct life *note_life(struct task *t)
{
    return ((struct note *)t)->life;
}

static void note_send(struct worker *to, struct life *life, enum note_kind kind,
                      void (*run)(struct worker *w, struct task *t))
{
    struct note *n = &life->notes[kind];
    check(n->life == NULL);
    n->life = life;
    n->task.run = run;
    worker_post(to, &n->task);
}

static void note_workers(struct loop *l, enum note_kind kind,
                         void (*run)(struct worker *w, struct task *t))
{
    for (unsigned i = 0; i < l->daemon->worker_count; i++) {
        note_send(l->lives[i].worker, &l->lives[i], kind, run);
    }
}

static void note_main(struct life *life, enum note_kind kind,
                      void (*run)(struct worker *w, struct task *t))
{
    note_send(&life->loop->main, life, kind, run);
}

static void log_stop(struct loop *l, const char *state, const char *by)
{
    struct log_line line;
    log_begin(&line, l->daemon->log, LOG_STOP);
    log_cstr(&line, "state", state);
    log_cstr(&line, "by", by);
    log_int(&line, "pid", getpid());
    log_end(&line);
}

static int64_t sessions_open(const struct loop *l)
{
    int64_t sum = 0;
    for (unsigned i = 0; i < l->daemon->worker_count; i++) {
        sum += atomic_load_explicit(&l->daemon->workers[i].counters.sessions_open,
                                    memory_order_relaxed);
    }
    return sum;
}

/* --- phase: finishing --- */

static void on_idle_main(struct worker *main, struct task *t)
{
    (void)main;
    note_life(t)->loop->idle++;
}

static void on_dispatch_idle(struct worker *w)
{
    note_main(w->life, NOTE_IDLE, on_idle_main);
}

static void stop_run(struct worker *w, struct task *t)
{
    (void)t;
    w->stopping = true;
    services_close(w);
    worker_shut_sessions(w);
    dispatch_stop(w, on_dispatch_idle);
}

static void on_tick(uv_timer_t *tick);

static void phase_begin(struct loop *l, enum phase phase, uint64_t limit_ms)
{
    l->phase = phase;
    l->until_ms = uv_now(&l->main.loop) + limit_ms;
}

static void loop_stop(struct loop *l, const char *by)
{
    if (l->phase != PHASE_RUNNING) {
        return;
    }
    log_stop(l, "stopping", by);
    control_stop(l->control);
    renewal_stop(l->renewal);
    uv_update_time(&l->main.loop);
    phase_begin(l, PHASE_FINISHING, FINISH_MS);
    note_workers(l, NOTE_STOP, stop_run);
    check(uv_timer_start(&l->tick, on_tick, TICK_MS, TICK_MS) == 0);
}

/* --- phase: draining --- */

static void on_drained_main(struct worker *main, struct task *t)
{
    (void)main;
    note_life(t)->loop->drained++;
}

static void on_counted(struct worker *w, const struct queue_counts *c,
                       const struct queue_result *r, void *arg)
{
    (void)w;
    (void)c;
    (void)r;
    note_main(arg, NOTE_DRAINED, on_drained_main);
}

/* The store answers in order: when this question is answered, so is every commit of a
 * session that went away without waiting, and what that leads to has been asked too. */
static void drain_run(struct worker *w, struct task *t)
{
    queue_count(w->daemon->queue, w, on_counted, note_life(t));
}

/* --- phase: ending --- */

static void end_run(struct worker *w, struct task *t)
{
    (void)t;
    dispatch_free(w);
    runtime_unref(&w->current);
    /* The mailbox no longer keeps the loop alive: it ends with its last handle. */
    uv_unref((uv_handle_t *)&w->wake);
}

static void close_stores(struct loop *l)
{
    if (l->daemon->dns != NULL) {
        dns_stop(&l->daemon->dns);
    }
    if (l->daemon->queue != NULL) {
        queue_close(&l->daemon->queue);
    }
}

/* --- phase: halting --- */

static void halt_run(struct worker *w, struct task *t)
{
    (void)t;
    uv_stop(&w->loop);
}

static void halt(struct loop *l)
{
    l->unfinished = true;
    phase_begin(l, PHASE_HALTING, END_MS);
    note_workers(l, NOTE_HALT, halt_run);
}

/* --- the clockwork of the phases --- */

static bool is_finished(const struct loop *l)
{
    return l->idle == l->daemon->worker_count && sessions_open(l) == 0 &&
           reload_idle(l->reload) && renewal_idle(l->renewal) && control_idle(l->control);
}

static void on_tick(uv_timer_t *tick)
{
    struct loop *l = tick->data;
    bool late = uv_now(&l->main.loop) >= l->until_ms;
    if (l->phase == PHASE_FINISHING && is_finished(l)) {
        phase_begin(l, PHASE_DRAINING, FINISH_MS);
        note_workers(l, NOTE_DRAIN, drain_run);
    } else if (l->phase == PHASE_DRAINING && l->drained == l->daemon->worker_count) {
        close_stores(l);
        uv_update_time(&l->main.loop);
        phase_begin(l, PHASE_ENDING, END_MS);
        note_workers(l, NOTE_END, end_run);
    } else if (l->phase >= PHASE_ENDING && l->over == l->daemon->worker_count) {
        uv_stop(&l->main.loop);
    } else if (l->phase == PHASE_HALTING && late) {
        uv_stop(&l->main.loop); /* a worker does not react: leave without it */
    } else if (late) {
        halt(l);
    }
}

/* --- workers --- */

static void on_over_main(struct worker *main, struct task *t)
{
    (void)main;
    note_life(t)->loop->over++;
}

static void worker_main(void *arg)
{
    struct life *life = arg;
    uv_run(&life->worker->loop, UV_RUN_DEFAULT);
    note_main(life, NOTE_OVER, on_over_main);
}

static int make_workers(struct loop *l, unsigned count)
{
    struct daemon *d = l->daemon;
    l->lives = calloc(count, sizeof *l->lives);
    d->workers = calloc(count, sizeof *d->workers);
    check(l->lives != NULL && d->workers != NULL);
    d->worker_count = count;
    for (unsigned i = 0; i < count; i++) {
        int rc = worker_init(&d->workers[i], d, i);
        if (rc != 0) {
            return rc;
        }
        l->lives[i].loop = l;
        l->lives[i].worker = &d->workers[i];
        d->workers[i].life = &l->lives[i];
    }
    return 0;
}

/* What a worker has before its thread runs: configuration and listeners came with
 * reload_new(). */
static int start_workers(struct loop *l)
{
    for (unsigned i = 0; i < l->daemon->worker_count; i++) {
        struct worker *w = &l->daemon->workers[i];
        dispatch_start(w);
        dispatch_set_retry(w, l->setup->retry_ms);
        int rc = uv_thread_create(&w->thread, worker_main, &l->lives[i]);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

/* --- signals, control --- */

static void on_signal(uv_signal_t *s, int number)
{
    struct loop *l = s->data;
    if (number == SIGHUP) {
        if (l->phase == PHASE_RUNNING) {
            reload_request(l->reload, "SIGHUP", NULL, NULL);
        }
        return;
    }
    if (l->phase != PHASE_RUNNING) {
        l->killed = true;
        uv_stop(&l->main.loop);
        return;
    }
    loop_stop(l, number == SIGINT ? "SIGINT" : "SIGTERM");
}

static void on_control_stop(void *arg)
{
    loop_stop(arg, "control");
}

static void start_signals(struct loop *l)
{
    static const int numbers[SIGNALS] = {SIGTERM, SIGINT, SIGHUP};
    for (int i = 0; i < SIGNALS; i++) {
        check(uv_signal_init(&l->main.loop, &l->signals[i]) == 0);
        l->signals[i].data = l;
        check(uv_signal_start(&l->signals[i], on_signal, numbers[i]) == 0);
    }
    check(uv_timer_init(&l->main.loop, &l->tick) == 0);
    l->tick.data = l;
}

static void log_start(struct loop *l, const struct snapshot *s)
{
    struct log_line line;
    log_begin(&line, l->daemon->log, LOG_START);
    log_cstr(&line, "version", l->setup->version);
    log_int(&line, "pid", getpid());
    log_cstr(&line, "user", l->setup->user);
    log_int(&line, "workers", l->daemon->worker_count);
    log_str(&line, "file", s->main_file);
    log_cstr(&line, "from", snapshot_origin(s));
    log_str(&line, "queue", s->options.queue_directory);
    log_end(&line);
}

/* --- life --- */

static bool make_control(struct loop *l, const struct snapshot *s, char *reason,
                         size_t reason_size)
{
    struct control_setup control = {.main = &l->main,
                                    .reload = l->reload,
                                    .renewal = l->renewal,
                                    .path = s->options.control_socket,
                                    .version = l->setup->version,
                                    .started_ms = worker_now_ms(&l->main),
                                    .stop = on_control_stop,
                                    .arg = l};
    l->control = control_new(&control, reason, reason_size);
    return l->control != NULL;
}

static bool loop_start(struct loop *l, struct runtime **r, struct endpoints **e,
                       char *reason, size_t reason_size)
{
    int rc = make_workers(l, l->setup->workers);
    if (rc == 0) {
        rc = worker_init(&l->main, l->daemon, l->setup->workers);
    }
    if (rc != 0) {
        snprintf(reason, reason_size, "cannot make the event loops: %s", uv_strerror(rc));
        return false;
    }
    const struct snapshot *s = (*r)->snapshot;
    l->reload = reload_new(&l->main, l->setup->request, r, e);
    l->renewal = renewal_new(&l->main, l->reload);
    start_signals(l);
    if (!make_control(l, s, reason, reason_size)) {
        return false;
    }
    rc = loop_threads_start(&l->main.loop, l->daemon->worker_count);
    if (rc != 0) {
        snprintf(reason, reason_size, "cannot start the daemon's threads: %s",
                 uv_strerror(rc));
        return false;
    }
    log_start(l, s);
    endpoints_log(reload_endpoints(l->reload), l->daemon->log);
    rc = start_workers(l);
    if (rc != 0) {
        snprintf(reason, reason_size, "cannot start a thread: %s", uv_strerror(rc));
    }
    return rc == 0;
}

/* All threads have ended by themselves. */
static bool loop_free(struct loop *l)
{
    struct daemon *d = l->daemon;
    bool clean = true;
    control_free(&l->control);
    renewal_free(&l->renewal);
    for (int i = 0; i < SIGNALS; i++) {
        uv_close((uv_handle_t *)&l->signals[i], NULL);
    }
    uv_close((uv_handle_t *)&l->tick, NULL);
    uv_unref((uv_handle_t *)&l->main.wake);
    uv_run(&l->main.loop, UV_RUN_DEFAULT);
    reload_free(&l->reload);
    for (unsigned i = 0; i < d->worker_count; i++) {
        check(uv_thread_join(&d->workers[i].thread) == 0);
        clean = worker_free(&d->workers[i]) && clean;
    }
    clean = worker_free(&l->main) && clean;
    if (clean) {
        session_counts_free(d);
        gates_free(d);
        free(d->workers);
        free(l->lives);
        d->workers = NULL;
    }
    return clean;
}

/* Threads that stopped where they were hold the queue no longer. */
static void loop_abandon(struct loop *l)
{
    if (l->over < l->daemon->worker_count) {
        return; /* one of them may be using the stores: _exit() ends all at once */
    }
    for (unsigned i = 0; i < l->daemon->worker_count; i++) {
        uv_thread_join(&l->daemon->workers[i].thread);
    }
    close_stores(l);
}

enum loop_end loop_run(const struct loop_setup *setup, struct runtime **r,
                       struct endpoints **e, char *reason, size_t reason_size)
{
    struct loop *l = calloc(1, sizeof *l);
    check(l != NULL);
    l->setup = setup;
    l->daemon = setup->daemon;
    if (!loop_start(l, r, e, reason, reason_size)) {
        return LOOP_FAILED;
    }
    uv_run(&l->main.loop, UV_RUN_DEFAULT);
    if (l->killed) {
        log_stop(l, "killed", "second signal");
        return LOOP_KILLED;
    }
    if (l->unfinished) {
        loop_abandon(l);
        log_stop(l, "unfinished", "time is up");
        return LOOP_UNFINISHED;
    }
    bool clean = loop_free(l);
    log_stop(l, "stopped", NULL);
    if (!clean) {
        return LOOP_UNFINISHED;
    }
    free(l);
    return LOOP_CLEAN;
}
