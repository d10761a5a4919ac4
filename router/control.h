/* control: the Unix socket of the running daemon, for `pointsman status`, `reload`,
 * `stop`, `queue` and `tls`. One request and one reply a connection, each one line of
 * JSON:
 *   {"v":1,"command":"status"}
 *   {"v":1,"command":"queue release","id":"7F3K2"}      (members: control_queue.h)
 *   {"v":1,"ok":true,"text":"for a human",...}
 * The socket has mode 0600; only root and the daemon's own user are answered. Main
 * loop only. */
#ifndef ROUTER_CONTROL_H
#define ROUTER_CONTROL_H

#include <stddef.h>

#include "router/reload.h"
#include "router/renewal.h"
#include "router/worker.h"

enum { CONTROL_VERSION = 1, CONTROL_REQUEST_MAX = 4096 };

struct control;

struct control_setup {
    struct worker *main; /* its loop serves the socket */
    struct reload *reload;
    struct renewal *renewal;
    str path;            /* copied */
    const char *version; /* of the program, constant */
    int64_t started_ms;
    void (*stop)(void *arg); /* command `stop` */
    void *arg;
};

/* Opens the socket, replacing a file that nobody answers on. NULL with a reason. The
 * lock on the queue must be held. */
struct control *control_new(const struct control_setup *setup, char *reason,
                            size_t reason_size);
/* Takes no more requests and removes the socket's file. Those under way are answered. */
void control_stop(struct control *c);
/* After control_stop(): no request is under way. */
bool control_idle(const struct control *c);
/* Closes what is open; frees itself when the loop has turned. Clears *c. */
void control_free(struct control **c);

#endif
