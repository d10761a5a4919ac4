/* tcp: the kind that speaks SMTP over TCP in both directions. It joins stream, tls and
 * the two machines: tcp_server.c serves sessions, tcp_delivery.c makes deliveries. */
#ifndef CHANNELS_TCP_H
#define CHANNELS_TCP_H

#include "channels/tcp_dead.h"
#include "channels/tls.h"
#include "channels/tls_memory.h"
#include "router/channel.h"
#include "router/worker.h"

/* What one configuration needs, made by prepare(). What is behind tls may be renewed. */
struct tcp_state {
    struct tls_contexts *tls;
    struct tls_memory *memory; /* one for all configurations */
    struct tcp_dead *dead;     /* one reference; outlives the configuration */
};

extern const struct channel_kind kind_tcp;

/* Serves a client that connected to service; takes fd. */
void tcp_server_accept(struct worker *w, const struct service *service, int fd);
/* Delivers one job; ends in job_done(). */
void tcp_deliver(struct worker *w, void *state, struct job *job);

#endif
