/* local: the root of all Maildirs is opened once per configuration; each job is one
 * piece of work for the thread pool, which delivers to its recipients in turn. */
#include "channels/local.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "base/check.h"
#include "channels/maildir.h"
#include "channels/maildir_known.h"
#include "router/folder_sync.h"
#include "router/runtime.h"
#include "router/worker.h"

struct local_state {
    struct maildir_root root; /* its rule is the snapshot's, which lives longer */
};

struct local_delivery {
    uv_work_t work;
    struct job *job;
    const struct maildir_root *root; /* of the state of the job's runtime */
    str host;
};

/* --- preparing --- */

static bool serves_local(const struct snapshot *s)
{
    for (unsigned i = 0; i < s->channel_count; i++) {
        if (s->channels[i]->type == CHANNEL_LOCAL) {
            return true;
        }
    }
    return false;
}

/* Opens the root; makes it, for its owner only, when just the last part is missing. Its
 * name is on the disk then: nobody looks above it later. */
static int root_open(const char *path)
{
    bool made = false;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT && mkdir(path, 0700) == 0) {
        made = true;
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    if (fd >= 0 && !folder_names_sync(fd, made)) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

static bool local_prepare(const struct snapshot *s, void *before, void **state,
                          struct diags *d)
{
    (void)before;
    if (!serves_local(s)) {
        return true;
    }
    const struct site_options *options = &s->options;
    struct arena *a = arena_new();
    str path = arena_str(a, options->maildir_root);
    int fd = root_open(path.ptr);
    if (fd < 0 || faccessat(fd, ".", W_OK | X_OK, AT_EACCESS) != 0) {
        int error = errno;
        diag_error(d, options->maildir_root_at, "maildir-root",
                   "MAILDIR_ROOT '%.*s' cannot be %s: %s", STR_ARG(path),
                   fd < 0 ? "opened" : "written to", strerror(error));
        if (fd >= 0) {
            close(fd);
        }
        arena_free(&a);
        return false;
    }
    arena_free(&a);
    struct local_state *local = calloc(1, sizeof *local);
    check(local != NULL);
    local->root = (struct maildir_root){
        .fd = fd, .rule = s->options.maildir_folder, .known = maildir_known_new()};
    *state = local;
    return true;
}

static void local_retire(void *state)
{
    struct local_state *local = state;
    close(local->root.fd);
    maildir_known_free(&local->root.known);
    free(local);
}

static bool local_verify(void *state, const struct channel *c, const struct address *to,
                         struct outcome *out)
{
    struct maildir_folder folder;
    (void)c;
    return maildir_find(&((struct local_state *)state)->root, to, &folder, out);
}

/* --- delivering, on a pool thread --- */

static int64_t now_us(void)
{
    struct timespec ts;
    check(clock_gettime(CLOCK_REALTIME, &ts) == 0);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void deliver_one(const struct local_delivery *d, unsigned i)
{
    struct job *job = d->job;
    struct job_recipient *r = &job->recipients[i];
    struct maildir_folder folder;
    char path[MAILDIR_PATH_MAX] = "";
    struct address to;
    const char *bad = address_parse(r->address, &to);
    if (bad != NULL) {
        outcome_set(&r->outcome, OUTCOME_FAILED, 0, 5, 1, 3, "the address %s", bad);
        return;
    }
    if (!maildir_find(d->root, &to, &folder, &r->outcome)) {
        r->outcome.code = 0; /* no reply to anybody here */
        return;
    }
    struct maildir_delivery m = {
        .body = job->body,
        .sender = job->sender,
        .message_id = job->message_id,
        .host = d->host,
        .serial = i,
        .now_us = now_us(),
    };
    maildir_deliver(d->root, &folder, &m, path, &r->outcome);
    /* With several recipients each outcome's text names its own file. */
    if (r->outcome.class == OUTCOME_DELIVERED && job->recipient_count == 1) {
        snprintf(job->peer, sizeof job->peer, "%.*s", (int)sizeof job->peer - 1, path);
    }
}

static void deliver_all(uv_work_t *work)
{
    const struct local_delivery *d = work->data;
    for (unsigned i = 0; i < d->job->recipient_count; i++) {
        deliver_one(d, i);
    }
}

static void on_delivered(uv_work_t *work, int status)
{
    struct local_delivery *d = work->data;
    struct job *job = d->job;
    check(status == 0); /* never cancelled */
    free(d);
    job_done(job);
}

static void local_deliver(struct worker *w, void *state, struct job *job)
{
    struct local_delivery *d = calloc(1, sizeof *d);
    check(d != NULL && state != NULL);
    d->work.data = d;
    d->job = job;
    d->root = &((struct local_state *)state)->root;
    d->host = channel_local_name(job->runtime->snapshot, job->channel);
    check(uv_queue_work(&w->loop, &d->work, deliver_all, on_delivered) == 0);
}

const struct channel_kind kind_local = {
    .name = "local",
    .type = CHANNEL_LOCAL,
    .prepare = local_prepare,
    .retire = local_retire,
    .verify = local_verify,
    .deliver = local_deliver,
};
