/* service: the listening sockets a configuration describes. The main thread opens them
 * (service_bind.c: one per endpoint and worker, SO_REUSEPORT), each worker adopts its
 * own (service.c) and hands accepted clients to the kind of the service's channel.
 * An endpoint is an address and a port; sockets of endpoints that stay in the next
 * configuration stay open, with whatever service that configuration gives them. */
#ifndef ROUTER_SERVICE_H
#define ROUTER_SERVICE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "base/diag.h"
#include "base/log.h"
#include "router/channel.h"
#include "router/worker.h"

enum { ENDPOINT_TEXT_MAX = 80 };

struct endpoint {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_storage room;
    } address;
    socklen_t address_size;
    const struct service *service; /* in the snapshot of its endpoints */
    bool kept;                     /* the workers have its sockets already */
    int *fds;                      /* one per worker; -1: none, or taken over */
};

/* The endpoints of one configuration. */
struct endpoints {
    struct snapshot *snapshot; /* one reference */
    unsigned workers;
    unsigned count;
    struct endpoint *at;
};

/* The endpoints s describes; opens nothing. NULL when there is none, or a service
 * cannot serve clients or wants another's address: errors in diags. A host without
 * IPv6 gets no [::] for "all addresses". */
struct endpoints *endpoints_new(struct snapshot *s,
                                const struct channel_kind *const *kinds, unsigned workers,
                                struct diags *diags);
/* Opens the sockets of all endpoints that `old` (NULL: none) has not. False when one
 * could not be opened: the reasons are errors in diags; free e then. */
bool endpoints_open(struct endpoints *e, const struct endpoints *old,
                    struct diags *diags);
/* Closes the sockets no worker has taken over; clears *e. NULL inside is allowed. */
void endpoints_free(struct endpoints **e);
/* True when both have the same address and port. */
bool endpoint_same(const struct endpoint *a, const struct endpoint *b);
/* "127.0.0.1:25", "[::]:25". */
void endpoint_text(const struct endpoint *e, char out[ENDPOINT_TEXT_MAX]);
/* What a client can have there: "implicit", "starttls", "none". */
const char *endpoint_tls(const struct endpoint *e);
/* One `listen` event for every endpoint that was not kept. */
void endpoints_log(const struct endpoints *e, struct log *log);

/* On w's loop (or before it runs), right after w->current got the snapshot of e: closes
 * listeners that are no longer described, takes over its sockets of the new ones and
 * starts to accept. */
void services_adopt(struct worker *w, struct endpoints *e);
/* Stops accepting and closes all listeners of w; w->services is NULL after it. The
 * loop must turn once more to finish. */
void services_close(struct worker *w);

#endif
