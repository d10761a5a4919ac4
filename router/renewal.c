/* renewal: see renewal.h. A round is: every kind looks at its files on a pool thread, and
 * reads them if they have changed or somebody asked; then the main thread tells. */
#include "router/renewal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/vec.h"

enum {
    LOOK_MS = 1000,
    WARN_MS = 3600 * 1000, /* how often the dates are looked at, besides after changes */
    TEXT_MAX_BYTES = 65536
};

struct renewal_asker {
    const char *by;
    reload_cb cb;
    void *arg;
    struct renewal_asker *next;
};

/* What was said of a certificate last. */
struct warned {
    char fingerprint[80];
    int step;
};

struct renewal {
    struct worker *main;
    struct reload *reload;
    uv_timer_t timer;
    uv_work_t work;
    bool busy; /* the work is under way */
    struct renewal_asker *waiting, **last_waiting;
    /* of the round under way */
    struct runtime *runtime;
    struct renewal_asker *askers;
    struct arena *arena; /* holds diags */
    struct diags *diags;
    bool renewed, good;
    /* of earlier ones */
    const struct runtime *seen; /* only compared: the one in force in the last round */
    char trouble[512];          /* of `seen` */
    int64_t trouble_ms, warned_ms;
    struct warned *warned;
    unsigned warned_count;
};

/* --- dates --- */

struct warning {
    struct renewal *renewal;
    int64_t now_ms;
    bool silenced; /* SILENCE has the slug of the warnings that `check` gives */
    struct arena *arena;
    VEC(struct warned) steps; /* of all certificates that have reached one */
};

static int step_before(const struct renewal *r, str fingerprint)
{
    for (unsigned i = 0; i < r->warned_count; i++) {
        if (str_eq(fingerprint, str_from(r->warned[i].fingerprint))) {
            return r->warned[i].step;
        }
    }
    return -1;
}

static void log_certificate(struct renewal *r, const struct tls_view *v,
                            const struct tls_view_certificate *c, int step)
{
    struct log_line line;
    char until[40];
    clock_rfc3339(c->not_after_ms, until, sizeof until);
    log_begin(&line, r->main->daemon->log, LOG_CERTIFICATE);
    log_cstr(&line, "state", step == 0 ? "expired" : "expires");
    if (step > 0) {
        log_int(&line, "days", step);
    }
    log_cstr(&line, "until", until);
    log_str(&line, "profile", v->profile);
    log_cstr(&line, "role", v->server ? "server" : "client");
    log_str(&line, "sni", c->sni.len > 0 ? c->sni : STR_NONE);
    log_str(&line, "file", c->file);
    log_str(&line, "subject", c->subject);
    log_end(&line);
}

static void warn_of(const struct tls_view *v, void *arg)
{
    struct warning *w = arg;
    for (unsigned i = 0; i < v->count && v->in_force; i++) {
        const struct tls_view_certificate *c = &v->certificates[i];
        int step = tls_view_step(c->not_before_ms, c->not_after_ms, w->now_ms);
        if (step < 0 || w->silenced) {
            continue;
        }
        int before = step_before(w->renewal, c->fingerprint);
        bool told = before >= 0 && before <= step;
        for (size_t k = 0; k < w->steps.n; k++) {
            told = told || str_eq(c->fingerprint, str_from(w->steps.at[k].fingerprint));
        }
        if (!told) {
            log_certificate(w->renewal, v, c, step);
        }
        struct warned *now = vec_add(w->arena, &w->steps);
        snprintf(now->fingerprint, sizeof now->fingerprint, "%.*s",
                 STR_ARG(c->fingerprint));
        now->step = step;
    }
}

static void warn_all(struct renewal *r)
{
    const struct snapshot *s = reload_runtime(r->reload)->snapshot;
    struct warning w = {.renewal = r,
                        .now_ms = worker_now_ms(r->main),
                        .silenced = snapshot_silences(s, "tls-certificate-dates"),
                        .arena = arena_new()};
    r->warned_ms = w.now_ms;
    renewal_view(r, warn_of, &w);
    free(r->warned);
    r->warned = calloc(w.steps.n + 1, sizeof *r->warned);
    check(r->warned != NULL);
    r->warned_count = (unsigned)w.steps.n;
    if (w.steps.n > 0) {
        memcpy(r->warned, w.steps.at, w.steps.n * sizeof *r->warned);
    }
    arena_free(&w.arena);
}

/* --- the end of a round --- */

static void log_renewal(const struct renewal *r)
{
    struct log_line line;
    log_begin(&line, r->main->daemon->log, LOG_RENEW);
    log_cstr(&line, "result", r->good ? "renewed" : "refused");
    log_cstr(&line, "by", r->askers != NULL ? r->askers->by : "files");
    log_int(&line, "errors", diags_errors(r->diags));
    log_int(&line, "warnings", diags_warnings(r->diags));
    log_end(&line);
}

/* The first error, for `status`. */
static void keep_trouble(struct renewal *r)
{
    const struct diag *m = diags_first(r->diags);
    r->trouble[0] = '\0';
    r->trouble_ms = worker_now_ms(r->main);
    while (!r->good && m != NULL && m->severity != SEVERITY_ERROR) {
        m = m->next;
    }
    if (!r->good && m != NULL) {
        struct place at = span_place(diags_sources(r->diags), m->span);
        snprintf(r->trouble, sizeof r->trouble, "%.*s:%u: %.*s", STR_ARG(at.file),
                 at.line, STR_ARG(m->text));
    }
}

static void answer_askers(struct renewal *r)
{
    struct buf text;
    buf_init(&text, TEXT_MAX_BYTES + 4096); /* the summary always fits */
    text.max = TEXT_MAX_BYTES;
    diags_render(r->diags, false, &text);
    text.max += 4096;
    buf_puts(&text, r->good ? "certificates, keys and CAs were read again\n"
                            : "what is broken stays as it was, the rest is in force\n");
    while (r->askers != NULL) {
        struct renewal_asker *a = r->askers;
        r->askers = a->next;
        if (a->cb != NULL) {
            a->cb(r->good, buf_slice(&text), a->arg);
        }
        free(a);
    }
    buf_free(&text);
}

static void start_round(struct renewal *r);

static void on_worked(uv_work_t *work, int status)
{
    struct renewal *r = work->data;
    check(status == 0); /* it is never cancelled */
    bool new_runtime = r->seen != reload_runtime(r->reload);
    if (new_runtime) {
        r->trouble[0] = '\0'; /* all its files were in order */
    }
    r->seen = reload_runtime(r->reload);
    if (r->renewed) {
        config_log(r->main->daemon->log, r->diags);
        log_renewal(r);
        if (r->seen == r->runtime) {
            keep_trouble(r);
        }
        answer_askers(r);
    }
    if (r->renewed || new_runtime || worker_now_ms(r->main) - r->warned_ms >= WARN_MS) {
        warn_all(r);
    }
    runtime_unref(&r->runtime);
    arena_free(&r->arena);
    r->busy = false;
    if (r->waiting != NULL) {
        start_round(r);
    }
}

/* --- a round --- */

/* On a pool thread. All kinds are asked to look: each keeps count of that. */
static void on_work(uv_work_t *work)
{
    struct renewal *r = work->data;
    const struct channel_kind *const *kinds = r->runtime->kinds;
    bool wanted = r->askers != NULL;
    for (unsigned i = 0; kinds[i] != NULL; i++) {
        if (kinds[i]->tend != NULL && kinds[i]->tend(r->runtime->state[i])) {
            wanted = true;
        }
    }
    r->renewed = wanted;
    r->good = true;
    for (unsigned i = 0; wanted && kinds[i] != NULL; i++) {
        if (kinds[i]->renew != NULL &&
            !kinds[i]->renew(r->runtime->state[i], r->runtime->snapshot, r->diags)) {
            r->good = false;
        }
    }
}

static void start_round(struct renewal *r)
{
    r->busy = true;
    r->runtime = runtime_ref(reload_runtime(r->reload));
    r->askers = r->waiting;
    r->waiting = NULL;
    r->last_waiting = &r->waiting;
    r->arena = arena_new();
    r->diags = diags_new(r->arena, r->runtime->snapshot->sources);
    snapshot_silence(r->runtime->snapshot, r->diags);
    r->work.data = r;
    check(uv_queue_work(&r->main->loop, &r->work, on_work, on_worked) == 0);
}

static void on_timer(uv_timer_t *timer)
{
    struct renewal *r = timer->data;
    if (!r->busy) {
        start_round(r);
    }
}

void renewal_request(struct renewal *r, const char *by, reload_cb cb, void *arg)
{
    struct renewal_asker *a = calloc(1, sizeof *a);
    check(a != NULL);
    *a = (struct renewal_asker){.by = by, .cb = cb, .arg = arg};
    *r->last_waiting = a;
    r->last_waiting = &a->next;
    if (!r->busy) {
        start_round(r);
    }
}

/* --- looking --- */

str renewal_trouble(const struct renewal *r, int64_t *since_ms)
{
    *since_ms = r->trouble_ms;
    return r->seen == reload_runtime(r->reload) ? str_from(r->trouble) : STR("");
}

void renewal_view(const struct renewal *r, tls_view_cb *each, void *arg)
{
    const struct runtime *in_force = reload_runtime(r->reload);
    for (unsigned i = 0; in_force->kinds[i] != NULL; i++) {
        if (in_force->kinds[i]->view_tls != NULL) {
            in_force->kinds[i]->view_tls(in_force->state[i], each, arg);
        }
    }
}

/* --- life --- */

struct renewal *renewal_new(struct worker *main, struct reload *reload)
{
    struct renewal *r = calloc(1, sizeof *r);
    check(r != NULL);
    r->main = main;
    r->reload = reload;
    r->last_waiting = &r->waiting;
    r->seen = reload_runtime(reload);
    check(uv_timer_init(&main->loop, &r->timer) == 0);
    r->timer.data = r;
    check(uv_timer_start(&r->timer, on_timer, LOOK_MS, LOOK_MS) == 0);
    warn_all(r);
    return r;
}

void renewal_stop(struct renewal *r)
{
    uv_timer_stop(&r->timer);
}

bool renewal_idle(const struct renewal *r)
{
    return !r->busy && r->waiting == NULL;
}

static void on_closed(uv_handle_t *h)
{
    struct renewal *r = h->data;
    free(r->warned);
    free(r);
}

void renewal_free(struct renewal **r)
{
    check(renewal_idle(*r));
    uv_close((uv_handle_t *)&(*r)->timer, on_closed);
    *r = NULL;
}
