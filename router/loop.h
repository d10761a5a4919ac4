/* loop: the daemon's life once everything that can fail has succeeded: starts the worker
 * threads, serves signals and the control socket on the main thread, and ends in order:
 * no new clients, sessions told, deliveries finished, queue closed, threads joined. */
#ifndef ROUTER_LOOP_H
#define ROUTER_LOOP_H

#include <stddef.h>

#include "router/runtime.h"
#include "router/scheduler.h"
#include "router/service.h"
#include "router/worker.h"

struct loop_setup {
    struct daemon
        *daemon; /* log, clock, queue, dns, kinds are set; the rest is made here */
    unsigned workers;
    const struct snapshot_request *request; /* how to load the configuration again */
    const char *version;
    const char *user; /* whose rights we have, for the log */
    int64_t retry_ms; /* instead of all backoff periods; 0: as channels say */
};

enum loop_end {
    LOOP_CLEAN,      /* all is closed and freed, also queue and dns */
    LOOP_UNFINISHED, /* work was left when the time was up; the queue is closed if its
                        users could be ended. Threads may still run: leave by _exit() */
    LOOP_KILLED,     /* asked twice: leave by _exit() at once */
    LOOP_FAILED      /* could not start, see reason: leave by _exit() */
};

/* Takes over *r and *e, runs until told to stop. */
enum loop_end loop_run(const struct loop_setup *setup, struct runtime **r,
                       struct endpoints **e, char *reason, size_t reason_size);

#endif
