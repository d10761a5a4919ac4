/* start: from a configuration to a daemon that is ready to serve, in the one order that
 * is safe: load, lock the queue, open ports, give up root, open queue and keys. What
 * fails says why on the way; nothing has been accepted yet. */
#ifndef ROUTER_START_H
#define ROUTER_START_H

#include <stdbool.h>

#include "base/buf.h"
#include "router/privileges.h"
#include "router/service.h"
#include "router/worker.h"

struct start_options {
    struct snapshot_request request;
    unsigned workers; /* --workers; 0: WORKERS=, or one for each processor */
    const struct channel_kind *const *kinds;
};

/* A daemon on its way up. */
struct start {
    const struct start_options *options;
    struct arena *arena; /* diags live here */
    struct diags *diags; /* all messages about the configuration so far */
    struct snapshot *snapshot;
    struct runtime *runtime;
    struct endpoints *endpoints;
    struct privileges privileges;
    unsigned workers;
    int lock_fd;      /* -1: not taken, or with the queue */
    char reason[512]; /* why a step failed, "" when diags say it */
};

void start_init(struct start *s, const struct start_options *o);
/* Drops what has not been handed on: runtime, snapshot, sockets, lock. */
void start_free(struct start *s);

/* Reads and compiles the configuration. */
bool start_load(struct start *s);
/* After start_load(), for --check: makes missing folders, becomes the user for good,
 * opens what a start would open but the queue and the ports. */
bool start_check(struct start *s);
/* Everything else; logs go to d->log, which is made here on standard error. On success
 * all of d but its workers is set, and s holds runtime and endpoints for the loop. */
bool start_run(struct start *s, struct daemon *d);

/* Appends what there is to say: messages with their lines, then the reason. */
void start_report(const struct start *s, bool colour, struct buf *out);

#endif
