/* start: see start.h. */
#include "router/start.h"

#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "router/dns.h"
#include "router/queue.h"
#include "router/reload.h"
#include "router/runtime.h"

enum { WORKERS_MAX = 1024 };

void start_init(struct start *s, const struct start_options *o)
{
    *s = (struct start){.options = o, .lock_fd = -1};
    s->arena = arena_new();
}

void start_free(struct start *s)
{
    endpoints_free(&s->endpoints);
    runtime_unref(&s->runtime);
    if (s->snapshot != NULL) {
        snapshot_unref(&s->snapshot);
    }
    if (s->lock_fd >= 0) {
        close(s->lock_fd);
    }
    arena_free(&s->arena);
}

/* The processors we may use, which in a container are fewer than there are. */
static unsigned processors(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return n < 1 ? 1 : n > WORKERS_MAX ? WORKERS_MAX : (unsigned)n;
}

bool start_load(struct start *s)
{
    bool unreadable = false;
    s->snapshot = snapshot_load(&s->options->request, s->arena, &s->diags, &unreadable);
    if (s->snapshot == NULL) {
        return false;
    }
    s->workers = s->options->workers;
    if (s->workers == 0) {
        s->workers = s->snapshot->options.workers;
    }
    if (s->workers == 0) {
        s->workers = processors();
    }
    return true;
}

static bool describe_endpoints(struct start *s)
{
    s->endpoints = endpoints_new(s->snapshot, s->options->kinds, s->workers, s->diags);
    return s->endpoints != NULL;
}

/* Keeps s->snapshot: the runtime has a reference of its own. */
static bool prepare(struct start *s)
{
    struct snapshot *snapshot = snapshot_ref(s->snapshot);
    s->runtime = runtime_prepare(&snapshot, s->options->kinds, NULL, s->diags);
    return s->runtime != NULL;
}

/* Folders that are ours alone; a new one is given to the user. */
static bool make_folders(struct start *s)
{
    const struct site_options *o = &s->snapshot->options;
    ptrdiff_t slash = str_rfind(o->control_socket, '/');
    str beside = slash > 0 ? str_sub(o->control_socket, 0, (size_t)slash) : STR("/");
    const struct {
        str path;
        unsigned mode;
    } folders[] = {{o->queue_directory, 0700}, {o->maildir_root, 0700}, {beside, 0755}};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        if (!privileges_folder(&s->privileges, folders[i].path, folders[i].mode,
                               s->reason, sizeof s->reason)) {
            return false;
        }
    }
    return true;
}

static bool find_user(struct start *s)
{
    return privileges_find(&s->privileges, s->snapshot->options.user, s->reason,
                           sizeof s->reason);
}

static bool drop_root(struct start *s)
{
    return privileges_drop(&s->privileges, s->reason, sizeof s->reason);
}

bool start_check(struct start *s)
{
    bool services = describe_endpoints(s);
    return find_user(s) && make_folders(s) && drop_root(s) && prepare(s) && services;
}

/* --- the steps of start_run() --- */

/* Before any bind: a second daemon must not take a share of the first one's clients. */
static bool lock_queue(struct start *s)
{
    str path = s->snapshot->options.queue_directory;
    char directory[PATH_MAX];
    snprintf(directory, sizeof directory, "%.*s", STR_ARG(path));
    unsigned uid = s->privileges.root ? s->privileges.uid : UINT_MAX;
    unsigned gid = s->privileges.root ? s->privileges.gid : UINT_MAX;
    s->lock_fd = queue_lock(directory, uid, gid, s->reason, sizeof s->reason);
    return s->lock_fd >= 0;
}

static bool open_queue(struct start *s, struct daemon *d)
{
    str path = s->snapshot->options.queue_directory;
    char directory[PATH_MAX];
    snprintf(directory, sizeof directory, "%.*s", STR_ARG(path));
    d->queue =
        queue_open(directory, s->lock_fd, d->log, d->clock, s->reason, sizeof s->reason);
    if (d->queue != NULL) {
        s->lock_fd = -1; /* the queue's now */
    }
    return d->queue != NULL;
}

/* A configuration that only root can read could not be loaded again. */
static void warn_unreadable(struct start *s, struct log *log)
{
    struct log_line line;
    char file[PATH_MAX];
    snprintf(file, sizeof file, "%.*s", STR_ARG(s->snapshot->main_file));
    if (!s->privileges.root || access(file, R_OK) == 0) {
        return;
    }
    log_begin(&line, log, LOG_ERROR);
    log_cstr(&line, "what", "configuration");
    log_str(&line, "file", s->snapshot->main_file);
    log_fmt(&line, "reason", "user %s cannot read it: reload will fail",
            s->privileges.user);
    log_end(&line);
}

static bool start_as_root(struct start *s)
{
    return find_user(s) && make_folders(s) && lock_queue(s) && describe_endpoints(s) &&
           endpoints_open(s->endpoints, NULL, s->diags) && drop_root(s);
}

static bool start_as_user(struct start *s, struct daemon *d)
{
    d->log = log_new(STDERR_FILENO, (enum log_format)s->snapshot->options.log_format);
    d->clock = &clock_system;
    d->kinds = s->options->kinds;
    if (!prepare(s) || !open_queue(s, d)) {
        return false;
    }
    d->dns = dns_start(d->log, s->reason, sizeof s->reason);
    if (d->dns == NULL) {
        queue_close(&d->queue);
        return false;
    }
    config_log(d->log, s->diags);
    warn_unreadable(s, d->log);
    return true;
}

bool start_run(struct start *s, struct daemon *d)
{
    if (!start_as_root(s)) {
        return false;
    }
    if (!start_as_user(s, d)) {
        log_free(&d->log);
        return false;
    }
    /* The runtime has the snapshot; nothing more is said about its texts. */
    snapshot_unref(&s->snapshot);
    s->diags = NULL;
    arena_free(&s->arena);
    return true;
}

void start_report(const struct start *s, bool colour, struct buf *out)
{
    if (s->diags != NULL) {
        diags_render(s->diags, colour, out);
    }
    if (s->reason[0] != '\0') {
        buf_printf(out, "pointsmand: %s\n", s->reason);
    }
}
