/* tcp_session: one inbound session as the files that make it see it: tcp_server.c (life,
 * answers, the loop), tcp_access.c (is it let in at all?), tcp_switch.c (its channel and
 * the name of its client), and tcp_session_log.c. */
#ifndef CHANNELS_TCP_SESSION_H
#define CHANNELS_TCP_SESSION_H

#include "channels/smtp_server.h"
#include "channels/stream.h"
#include "channels/tcp.h"
#include "channels/tcp_delay.h"
#include "channels/tcp_ident.h"
#include "router/enqueue.h"
#include "router/runtime.h"

struct tcp_session {
    struct worker_session link;
    struct worker *worker;
    struct runtime *runtime;
    struct stream *stream;
    struct smtp_server *machine;
    struct enqueue *txn;
    struct tcp_ident *ident;
    const struct channel *service_channel; /* where it began */
    const struct channel *channel;         /* the source channel now */
    bool trusted;                          /* the IP switch led here */
    const struct tls_profile *verified_by; /* the client's certificate; NULL: it is not */
    struct tls_context *tls;               /* of the handshake; NULL: none yet */
    bool implicit_tls;
    bool greeted;      /* the 220 is on its way */
    bool waiting;      /* an answer is outstanding */
    bool shut_later;   /* the service is shutting down: when the commit is answered */
    unsigned delay_ms; /* before the answer just given is sent; 0: at once */
    struct tcp_delay *delay;
    bool sender_waits; /* for the client's name: MAIL is not answered yet */
    bool closing;
    size_t data_seen;       /* octets since the deadline was restarted */
    const char *end_reason; /* for `disconnect` */
    char name[24];
    char peer_ip[64], helo[256];
    char local_name[256]; /* policy.local_name: outlives a reload */
};

/* --- tcp_access.c --- */

/* Asks PORT_ACCESS, and logs the connection. False: the client has been told no, and the
 * session is to be closed. */
bool session_let_in(struct tcp_session *s, const struct service *service);
/* A handshake has succeeded: asks the tables about TLS, and switches the channel, logged.
 * False: the client has been told no, and the session is to be closed. */
bool session_let_in_tls(struct tcp_session *s);
/* The channel that the same handshake would lead to under another configuration, from one
 * of its channels; NULL: it would be refused. */
const struct channel *session_tls_channel(const struct tcp_session *s,
                                          const struct snapshot *snap,
                                          const struct channel *from);

/* --- tcp_switch.c --- */

/* What the machine has to know of the channel; its texts are in s. */
struct smtp_server_policy session_policy(struct tcp_session *s);
/* A new reference to the context for a session on this channel; NULL: its profile has no
 * certificate. The contexts are those of the kind that listens (service): a switch may
 * have led to a channel of another kind. */
struct tls_context *session_tls_context(const struct runtime *r,
                                        const struct channel *service,
                                        const struct channel *channel);
/* The switches, each logged. Only the one by address gives trust. */
void session_switch_by_ip(struct tcp_session *s);
void session_switch_by_name(struct tcp_session *s);
/* Has the client's name a say in the session's first channel? Then it must be known, with
 * its check, before session_switch_by_name(). */
bool session_name_counts(const struct tcp_session *s);
/* Wants of the client's name what Received fields show on the channel now. True: known;
 * false: s->ident calls back. */
bool session_name_known(struct tcp_session *s);
/* Fills in what the channel shows of the name (PMDF 2.3.4.42). */
void session_name_facts(const struct tcp_session *s, struct enqueue_session *facts);
/* Between two transactions the session moves to the configuration in force, so that one
 * message sees one configuration. If there its way here (service, switches, channel)
 * would be another one, it has to begin anew: false. */
bool session_renew(struct tcp_session *s);

/* --- tcp_session_log.c; docs/log.md --- */

/* note: what PORT_ACCESS says of it, or empty. */
void session_log_connect(struct tcp_session *s, const struct service *service, str note);
void session_log_not_let_in(struct tcp_session *s, str reply);
/* s has the new channel already. */
void session_log_switch(struct tcp_session *s, const struct channel *from,
                        const char *why, struct span at);
/* One line for each look-up that was needed, not one for every client. */
void session_log_ident(struct tcp_session *s);
/* error NULL: the handshake succeeded. */
void session_log_tls(struct tcp_session *s, const char *error);
/* The refusal the machine has remembered, if any; it is taken. */
void session_log_refusal(struct tcp_session *s);
void session_log_end(struct tcp_session *s);

#endif
