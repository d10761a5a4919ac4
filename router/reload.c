/* reload: see reload.h. The steps stand below in the order they happen. */
#include "router/reload.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/check.h"
#include "router/dispatch.h"

enum { TEXT_MAX_BYTES = 65536 };

/* One who asked. */
struct asker {
    const char *by;
    reload_cb cb;
    void *arg;
    struct asker *next;
};

/* Hands a configuration to one worker. */
struct swap {
    struct task task; /* to the worker, then back to the main loop */
    struct reload *reload;
};

/* What one reload loads and says. */
struct attempt {
    uv_work_t work;
    struct arena *arena; /* holds diags */
    struct diags *diags;
    struct runtime *runtime;
    struct endpoints *endpoints;
    struct asker *askers;
};

struct reload {
    struct worker *main;
    struct snapshot_request request;
    struct runtime *runtime;     /* in force */
    struct endpoints *endpoints; /* in force; the workers own the sockets */
    int64_t loaded_ms;
    char trouble[512]; /* of the last attempt; "": it was loaded */
    int64_t trouble_ms;
    struct arena *arena;       /* holds fixed */
    struct site_options fixed; /* as at the start: these take effect only then */
    struct attempt *attempt;   /* under way, or NULL */
    struct asker *waiting, **last_waiting;
    struct swap *swaps; /* one per worker */
    unsigned swaps_open;
};

void config_log(struct log *log, const struct diags *d)
{
    static const char *const severities[] = {[SEVERITY_NOTE] = "note",
                                             [SEVERITY_WARNING] = "warning",
                                             [SEVERITY_ERROR] = "error"};
    for (const struct diag *m = diags_first(d); m != NULL; m = m->next) {
        struct place at = span_place(diags_sources(d), m->span);
        struct log_line line;
        log_begin(&line, log, LOG_CONFIG);
        log_cstr(&line, "severity", severities[m->severity]);
        if (at.line > 0) {
            log_fmt(&line, "at", "%.*s:%u:%u", STR_ARG(at.file), at.line, at.column);
        }
        log_cstr(&line, "slug", m->slug);
        log_str(&line, "text", m->text);
        log_end(&line);
    }
}

static void keep_fixed(struct reload *r)
{
    const struct site_options *o = &r->runtime->snapshot->options;
    r->arena = arena_new();
    r->fixed = *o;
    r->fixed.queue_directory = arena_str(r->arena, o->queue_directory);
    r->fixed.control_socket = arena_str(r->arena, o->control_socket);
    r->fixed.user = arena_str(r->arena, o->user);
}

struct reload *reload_new(struct worker *main, const struct snapshot_request *request,
                          struct runtime **runtime, struct endpoints **endpoints)
{
    struct daemon *d = main->daemon;
    struct reload *r = calloc(1, sizeof *r);
    check(r != NULL);
    r->main = main;
    r->request = *request;
    r->runtime = *runtime;
    r->endpoints = *endpoints;
    *runtime = NULL;
    *endpoints = NULL;
    r->loaded_ms = worker_now_ms(main);
    r->last_waiting = &r->waiting;
    r->swaps = calloc(d->worker_count, sizeof *r->swaps);
    check(r->swaps != NULL);
    keep_fixed(r);
    for (unsigned i = 0; i < d->worker_count; i++) {
        d->workers[i].current = runtime_ref(r->runtime);
        services_adopt(&d->workers[i], r->endpoints);
    }
    return r;
}

void reload_free(struct reload **r)
{
    check(reload_idle(*r));
    endpoints_free(&(*r)->endpoints);
    runtime_unref(&(*r)->runtime);
    arena_free(&(*r)->arena);
    free((*r)->swaps);
    free(*r);
    *r = NULL;
}

bool reload_idle(const struct reload *r)
{
    return r->attempt == NULL && r->waiting == NULL;
}

const struct endpoints *reload_endpoints(const struct reload *r)
{
    return r->endpoints;
}

struct runtime *reload_runtime(const struct reload *r)
{
    return r->runtime;
}

int64_t reload_loaded_ms(const struct reload *r)
{
    return r->loaded_ms;
}

str reload_trouble(const struct reload *r, int64_t *since_ms)
{
    *since_ms = r->trouble_ms;
    return str_from(r->trouble);
}

/* --- the end of an attempt --- */

static void attempt_free(struct attempt *t)
{
    while (t->askers != NULL) {
        struct asker *a = t->askers;
        t->askers = a->next;
        free(a);
    }
    check(t->runtime == NULL && t->endpoints == NULL);
    arena_free(&t->arena);
    free(t);
}

static void log_result(const struct reload *r, const struct attempt *t, bool ok)
{
    struct log_line line;
    log_begin(&line, r->main->daemon->log, LOG_RELOAD);
    log_cstr(&line, "result", ok ? "loaded" : "refused");
    log_cstr(&line, "by", t->askers->by);
    log_int(&line, "errors", diags_errors(t->diags));
    log_int(&line, "warnings", diags_warnings(t->diags));
    log_str(&line, "file", r->runtime->snapshot->main_file);
    log_cstr(&line, "from", snapshot_origin(r->runtime->snapshot));
    log_end(&line);
}

static const char *plural(unsigned n)
{
    return n == 1 ? "" : "s";
}

static void put_summary(const struct reload *r, bool ok, struct buf *text)
{
    const struct snapshot *s = r->runtime->snapshot;
    if (!ok) {
        buf_puts(text, "not loaded; the configuration in force stays as it was\n");
        return;
    }
    buf_printf(text, "loaded %.*s: %u rule%s, %u channel%s, %u service%s\n",
               STR_ARG(s->main_file), s->rule_count, plural(s->rule_count),
               s->channel_count, plural(s->channel_count), s->service_count,
               plural(s->service_count));
    if (s->image.verdict == IMAGE_FRESH) {
        buf_printf(text, "from the image %.*s\n", STR_ARG(s->image.path));
    }
}

static void start_next(struct reload *r);

static void keep_trouble(struct reload *r, bool ok)
{
    const struct diag *m = diags_first(r->attempt->diags);
    r->trouble[0] = '\0';
    r->trouble_ms = worker_now_ms(r->main);
    while (!ok && m != NULL && m->severity != SEVERITY_ERROR && m->next != NULL) {
        m = m->next;
    }
    if (!ok && m != NULL) {
        struct place at = span_place(diags_sources(r->attempt->diags), m->span);
        snprintf(r->trouble, sizeof r->trouble, "%.*s%s%.*s", STR_ARG(at.file),
                 at.line > 0 ? ": " : "", STR_ARG(m->text));
    }
}

/* Logs, answers everyone who asked, and begins the next if someone waits. */
static void attempt_end(struct reload *r, bool ok)
{
    struct attempt *t = r->attempt;
    struct buf text;
    config_log(r->main->daemon->log, t->diags);
    log_result(r, t, ok);
    keep_trouble(r, ok);
    buf_init(&text, TEXT_MAX_BYTES + 4096); /* the summary always fits */
    text.max = TEXT_MAX_BYTES;
    diags_render(t->diags, false, &text);
    text.max += 4096;
    put_summary(r, ok, &text);
    for (struct asker *a = t->askers; a != NULL; a = a->next) {
        if (a->cb != NULL) {
            a->cb(ok, buf_slice(&text), a->arg);
        }
    }
    buf_free(&text);
    r->attempt = NULL;
    attempt_free(t);
    start_next(r);
}

/* --- the swap: nothing can fail from here on --- */

static void on_swapped(struct worker *main, struct task *task)
{
    struct reload *r = ((struct swap *)task)->reload;
    (void)main;
    check(r->swaps_open > 0);
    if (--r->swaps_open == 0) {
        attempt_end(r, true);
    }
}

/* On each worker. Its sessions keep the old runtime until they end their transaction. */
static void swap_run(struct worker *w, struct task *task)
{
    struct reload *r = ((struct swap *)task)->reload;
    if (!w->stopping) {
        runtime_unref(&w->current);
        w->current = runtime_ref(r->runtime);
        services_adopt(w, r->endpoints);
        dispatch_configured(w);
    }
    task->run = on_swapped;
    worker_post(r->main, task);
}

static void swap_all(struct reload *r)
{
    struct daemon *d = r->main->daemon;
    struct attempt *t = r->attempt;
    runtime_unref(&r->runtime); /* the workers still have theirs */
    endpoints_free(&r->endpoints);
    r->runtime = t->runtime;
    r->endpoints = t->endpoints;
    t->runtime = NULL;
    t->endpoints = NULL;
    r->loaded_ms = worker_now_ms(r->main);
    log_set_format(d->log, (enum log_format)r->runtime->snapshot->options.log_format);
    endpoints_log(r->endpoints, d->log);
    r->swaps_open = d->worker_count;
    for (unsigned i = 0; i < d->worker_count; i++) {
        r->swaps[i].reload = r;
        r->swaps[i].task.run = swap_run;
        worker_post(&d->workers[i], &r->swaps[i].task);
    }
}

/* --- loading --- */

static void warn_fixed(struct diags *d, struct span at, const char *option)
{
    diag_warning(d, at, "needs-restart",
                 "%s takes effect only when the daemon is started again; the old value "
                 "stays in force",
                 option);
}

static void check_fixed(const struct reload *r, const struct site_options *o,
                        struct diags *d)
{
    if (!str_eq(o->queue_directory, r->fixed.queue_directory)) {
        warn_fixed(d, o->queue_directory_at, "QUEUE_DIRECTORY");
    }
    if (!str_eq(o->control_socket, r->fixed.control_socket)) {
        warn_fixed(d, o->control_socket_at, "CONTROL_SOCKET");
    }
    if (!str_eq(o->user, r->fixed.user)) {
        warn_fixed(d, o->user_at, "USER");
    }
    if (o->workers != r->fixed.workers) {
        warn_fixed(d, o->workers_at, "WORKERS");
    }
}

/* On a pool thread: touches nothing but the attempt. What is in force stays so until it
 * has ended. */
static void on_work(uv_work_t *work)
{
    struct reload *r = work->data;
    struct attempt *t = r->attempt;
    bool unreadable = false;
    struct snapshot *s = snapshot_load(&r->request, t->arena, &t->diags, &unreadable);
    if (s != NULL) {
        t->runtime = runtime_prepare(&s, r->main->daemon->kinds, r->runtime, t->diags);
    }
}

static void on_worked(uv_work_t *work, int status)
{
    struct reload *r = work->data;
    struct attempt *t = r->attempt;
    check(status == 0); /* it is never cancelled */
    if (t->runtime != NULL) {
        t->endpoints = endpoints_new(t->runtime->snapshot, r->main->daemon->kinds,
                                     r->main->daemon->worker_count, t->diags);
    }
    if (t->endpoints != NULL && endpoints_open(t->endpoints, r->endpoints, t->diags)) {
        check_fixed(r, &t->runtime->snapshot->options, t->diags);
        swap_all(r);
        return;
    }
    endpoints_free(&t->endpoints);
    runtime_unref(&t->runtime);
    attempt_end(r, false);
}

static void start_next(struct reload *r)
{
    if (r->attempt != NULL || r->waiting == NULL) {
        return;
    }
    struct attempt *t = calloc(1, sizeof *t);
    check(t != NULL);
    t->arena = arena_new();
    t->askers = r->waiting;
    r->waiting = NULL;
    r->last_waiting = &r->waiting;
    t->work.data = r;
    r->attempt = t;
    check(uv_queue_work(&r->main->loop, &t->work, on_work, on_worked) == 0);
}

void reload_request(struct reload *r, const char *by, reload_cb cb, void *arg)
{
    struct asker *a = calloc(1, sizeof *a);
    check(a != NULL);
    *a = (struct asker){.by = by, .cb = cb, .arg = arg};
    *r->last_waiting = a;
    r->last_waiting = &a->next;
    start_next(r);
}
