/* control_client: one request to the running daemon over its control socket, blocking,
 * for the offline tool. */
#ifndef ROUTER_CONTROL_CLIENT_H
#define ROUTER_CONTROL_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/json.h"

struct control_reply {
    bool ok;                   /* the daemon did it */
    str text;                  /* for a human, ends with a line end */
    str line;                  /* the whole reply as it came, for --json */
    struct json_object object; /* and taken apart */
};

/* A command ("status", "reload", "stop", "queue release") and its members, as JSON with a
 * comma before each; empty: none. */
struct control_request {
    const char *command;
    str members;
};

/* Sends the request to the daemon at path and waits at most
 * timeout_ms for its reply, whose memory is from a. False with a reason when there is
 * no daemon or no well-formed reply; a command the daemon refused gives true with ok
 * false. */
bool control_ask(struct arena *a, str path, const struct control_request *request,
                 int timeout_ms, struct control_reply *out, char *reason,
                 size_t reason_size);

#endif
