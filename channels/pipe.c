/* pipe: see pipe.h. A job runs one program after another, for each of its recipients;
 * MAX_PROGRAMS of the channel says how many jobs do so at a time, on all workers
 * together. The others wait here in their order. */
#include "channels/pipe.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "base/check.h"
#include "channels/pipe_run.h"
#include "router/runtime.h"
#include "router/worker.h"

struct pipe_job {
    struct task task; /* first: a task is its job */
    struct pipe_job *next;
    struct pipe_state *state;
    struct worker *worker;
    struct job *job;
    struct arena *arena;
    struct pipe_call call; /* of the recipient it is about, in the arena */
    unsigned at;
};

struct pipe_channel {
    unsigned running;
    struct pipe_job *first, **last; /* waiting */
};

struct pipe_state {
    uv_mutex_t lock;
    struct pipe_channel channels[]; /* by index */
};

/* ---- preparing --------------------------------------------------------------------- */

/* A program that is not there now may come; until then its mail waits. */
static void check_program(const struct pipe_command *p, struct diags *d)
{
    struct arena *a = arena_new();
    str path = arena_str(a, p->words[0]);
    if (access(path.ptr, X_OK) != 0) {
        diag_warning(d, p->at, "pipe-program",
                     "'%.*s' cannot be run, so mail for '%.*s' waits: %s", STR_ARG(path),
                     STR_ARG(p->who), strerror(errno));
    }
    arena_free(&a);
}

/* That USER is the one asked for was seen to; but when root did not start us, we are
 * whoever did. False: that was said. */
static bool check_user(const struct snapshot *s, const struct channel *c, struct diags *d)
{
    struct passwd user, *found = NULL;
    char texts[4096];
    if (c->type != CHANNEL_PIPE || c->opts.user.len == 0 ||
        !str_eq(c->opts.user, s->options.user)) {
        return true; /* where it is another one, somebody has allowed that */
    }
    struct arena *a = arena_new();
    int error =
        getpwnam_r(arena_str(a, c->opts.user).ptr, &user, texts, sizeof texts, &found);
    arena_free(&a);
    if (found != NULL && user.pw_uid == geteuid()) {
        return true;
    }
    diag_error(d, c->opts.user_at, "pipe-user",
               "programs of '%.*s' would run as user number %u, not as '%.*s'%s%s",
               STR_ARG(c->name), (unsigned)geteuid(), STR_ARG(c->opts.user),
               error != 0 ? ": " : "", error != 0 ? strerror(error) : "");
    return false;
}

static bool pipe_prepare(const struct snapshot *s, void *before, void **state,
                         struct diags *d)
{
    bool good = true;
    (void)before;
    for (unsigned i = 0; i < s->channel_count; i++) {
        good = check_user(s, s->channels[i], d) && good;
    }
    if (!good) {
        return false;
    }
    struct pipe_state *pipe =
        calloc(1, sizeof *pipe + s->channel_count * sizeof pipe->channels[0]);
    check(pipe != NULL && uv_mutex_init(&pipe->lock) == 0);
    for (unsigned i = 0; i < s->channel_count; i++) {
        const struct map *commands = s->channels[i]->pipe.commands;
        pipe->channels[i].last = &pipe->channels[i].first;
        for (size_t n = 0; commands != NULL && n < map_count(commands); n++) {
            str who;
            check_program(map_at(commands, n, &who), d);
        }
    }
    *state = pipe;
    return true;
}

static void pipe_retire(void *state)
{
    struct pipe_state *pipe = state;
    uv_mutex_destroy(&pipe->lock);
    free(pipe);
}

/* ---- one recipient ----------------------------------------------------------------- */

/* The program for a recipient; NULL: *out says why there is none. */
static const struct pipe_command *command_for(const struct channel *c,
                                              const struct address *to, struct arena *a,
                                              str *user, struct outcome *out)
{
    if (!pipe_recipient_ok(to, a, user, out)) {
        return NULL;
    }
    const struct pipe_command *p = pipe_options_find(&c->pipe, *user, to->domain, a);
    if (p == NULL) {
        outcome_set(out, OUTCOME_FAILED, 550, 5, 1, 1, "no such mailbox here");
    }
    return p;
}

static bool pipe_verify(void *state, const struct channel *c, const struct address *to,
                        struct outcome *out)
{
    (void)state;
    struct arena *a = arena_new();
    str user;
    bool good = command_for(c, to, a, &user, out) != NULL;
    arena_free(&a);
    return good;
}

static void next_recipient(struct pipe_job *p);

static void on_ran(const struct pipe_result *r, void *arg)
{
    struct pipe_job *p = arg;
    pipe_outcome(r, &p->job->recipients[p->at++].outcome);
    next_recipient(p);
}

/* False: it has its outcome already. */
static bool start_program(struct pipe_job *p)
{
    struct job *job = p->job;
    struct job_recipient *r = &job->recipients[p->at];
    struct address to;
    str user;
    const char *bad = address_parse(r->address, &to);
    if (bad != NULL) {
        outcome_set(&r->outcome, OUTCOME_FAILED, 0, 5, 1, 3, "the address %s", bad);
        return false;
    }
    const struct pipe_command *c =
        command_for(job->channel, &to, p->arena, &user, &r->outcome);
    if (c == NULL) {
        r->outcome.code = 0; /* no reply to anybody here */
        return false;
    }
    struct pipe_envelope e = {.user = user,
                              .domain = to.domain,
                              .sender = job->sender,
                              .queue_id = job->message_id};
    if (!pipe_call_make(c, &e, p->arena, &p->call, &r->outcome)) {
        return false;
    }
    snprintf(job->peer, sizeof job->peer, "%.127s", p->call.argv[0]);
    pipe_run(p->worker, &p->call, &job->channel->pipe, job->body, job->sender, on_ran, p);
    return true;
}

/* ---- one job ----------------------------------------------------------------------- */

/* The job's place is another one's now, perhaps on another worker. */
static void place_pass_on(struct pipe_state *s, unsigned channel)
{
    struct pipe_channel *c = &s->channels[channel];
    uv_mutex_lock(&s->lock);
    struct pipe_job *next = c->first;
    if (next != NULL) {
        c->first = next->next;
        c->last = c->first != NULL ? c->last : &c->first;
        worker_post(next->worker, &next->task);
    } else {
        c->running--;
    }
    uv_mutex_unlock(&s->lock);
}

static void end(struct pipe_job *p)
{
    struct job *job = p->job;
    place_pass_on(p->state, job->channel->index);
    arena_free(&p->arena);
    free(p);
    job_done(job);
}

static void stop_rest(struct pipe_job *p)
{
    for (; p->at < p->job->recipient_count; p->at++) {
        outcome_set(&p->job->recipients[p->at].outcome, OUTCOME_DEFERRED, 0, 4, 3, 2,
                    "this system stops");
    }
}

static void next_recipient(struct pipe_job *p)
{
    if (p->worker->stopping) {
        stop_rest(p);
    }
    while (p->at < p->job->recipient_count) {
        if (start_program(p)) {
            return;
        }
        p->at++;
    }
    end(p);
}

static void on_place(struct worker *w, struct task *t)
{
    (void)w;
    next_recipient((struct pipe_job *)t);
}

static void pipe_deliver(struct worker *w, void *state, struct job *job)
{
    struct pipe_state *s = state;
    struct pipe_channel *c = &s->channels[job->channel->index];
    struct pipe_job *p = calloc(1, sizeof *p);
    check(p != NULL);
    p->task.run = on_place;
    p->state = s;
    p->worker = w;
    p->job = job;
    p->arena = arena_new();
    uv_mutex_lock(&s->lock);
    bool now = c->running < job->channel->pipe.max_programs;
    if (now) {
        c->running++;
        worker_post(w, &p->task); /* job_done() must not come inside this call */
    } else {
        *c->last = p;
        c->last = &p->next;
    }
    uv_mutex_unlock(&s->lock);
}

const struct channel_kind kind_pipe = {
    .name = "pipe",
    .type = CHANNEL_PIPE,
    .prepare = pipe_prepare,
    .retire = pipe_retire,
    .verify = pipe_verify,
    .deliver = pipe_deliver,
};
