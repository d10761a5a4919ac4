/* tcp_delivery: one outbound delivery as the files that make it see it: tcp_delivery.c
 * (its life), tcp_delivery_hosts.c (where it goes), tcp_delivery_idle.c (its connection
 * without it), tcp_delivery_access.c (may it go on under TLS?), tcp_delivery_tls.c (what
 * it remembers of TLS) and tcp_delivery_log.c (what the log and the job are told). */
#ifndef CHANNELS_TCP_DELIVERY_H
#define CHANNELS_TCP_DELIVERY_H

#include <netinet/in.h>

#include "channels/smtp_client.h"
#include "channels/stream.h"
#include "channels/tcp.h"
#include "channels/tcp_hosts.h"
#include "router/body.h"
#include "router/runtime.h"
#include "tables/tls_client_policy.h"

struct tcp_delivery {
    struct worker *worker;
    struct tcp_state *state;
    struct runtime *runtime; /* a reference: the connection may outlive its first job */
    const struct channel *channel;
    struct job *job;    /* NULL once it was given back */
    char next_hop[256]; /* of the job, and of those that come after it */
    struct tcp_hosts *hosts;
    unsigned addresses_tried;
    bool passed_over;          /* a host that could not be reached just before */
    bool all_refused_for_good; /* each host tried so far said no for ever (521) */

    /* the address being tried */
    struct sockaddr_storage address;
    char name[256];                  /* its host name, "" for a literal */
    bool clear;                      /* maytlsclient: this is the connection in clear */
    bool tls_expected;               /* it worked with this host lately: a must */
    int64_t tls_age_s;               /* how long ago */
    bool other_groups;               /* the address is tried again, with groups_retry */
    bool regroup;                    /* that is to come when the connection is closed */
    bool tls_vetoed;                 /* by TLS_ACCESS: no fact about the host */
    struct tls_client_answer wanted; /* of TLS on the connection to it */
    struct job_tls tls; /* of the connection, and why the one before had none */

    /* the connection */
    struct stream *stream;
    struct smtp_client *machine;
    struct tls_context *tls_context; /* a reference: by which TLS was begun on it; NULL */
    int64_t began_ms;                /* loop time */
    unsigned messages;               /* begun on this connection */
    bool connected, retry_fresh;
    bool answered; /* it has said something */
    bool restart;  /* it may fail without a fault of its host: then all are tried anew */

    /* the connection without a job */
    struct worker_session session; /* for the end of the daemon; while there is no job */
    bool idle;                     /* it waits for one, in the list of its worker */
    struct tcp_delivery *idle_next, **idle_prev;
    unsigned silent_since; /* replies so far when it got its job; 0: it had no pause */
    struct task begin;     /* to go on with that job in a turn of its own */
    bool begin_posted, begin_due, freed;

    /* the message on it */
    struct arena *arena; /* its addresses in the form of the channel */
    struct arena_mark empty;
    struct smtp_client_message message;
    struct smtp_client_recipient *recipients;
    struct body_reader *reader;
    uint64_t offset;
    char *chunk;  /* read buffer for a body in a file */
    bool reading; /* a read into it is outstanding */
    bool close_after_read;
};

/* --- tcp_delivery.c --- */

extern const struct stream_events delivery_events;

/* Makes the job's message the one on the connection, with nothing of it done yet. */
void delivery_take(struct tcp_delivery *d, struct job *job);
/* Gives the job back; the connection, if any, may go on to its end. */
void delivery_finish_job(struct tcp_delivery *d);
/* There is no job and no connection any more. */
void delivery_free(struct tcp_delivery *d);
/* Gives the stream what the machine has to say. True: there was something. */
bool delivery_flush(struct tcp_delivery *d);

/* --- tcp_delivery_hosts.c --- */

/* Begins with the first address of the next hop. When none is left in the end the job is
 * given back and the delivery is gone. */
void delivery_walk(struct tcp_delivery *d);
/* The connection is closed; what is to come of the job? */
void delivery_after_close(struct tcp_delivery *d);
/* Nobody is there. */
void delivery_note_dead(struct tcp_delivery *d, const char *reason);
/* If the host has said something for the first time: somebody is. */
void delivery_note_answer(struct tcp_delivery *d);

/* --- tcp_delivery_idle.c --- */

/* May the connection carry another message? Not when it has carried enough, the daemon
 * ends, or the configuration or the files of TLS are no longer those it was made under.
 */
bool delivery_may_go_on(const struct tcp_delivery *d);
/* The job was given back and the connection is still there, whatever becomes of it. */
void delivery_without_job(struct tcp_delivery *d);
/* It has a job again. */
void delivery_with_job(struct tcp_delivery *d);
/* Keeps the connection for a moment, if the channel wants that and it is worth it. False:
 * it is to say QUIT. */
bool delivery_idle_keep(struct tcp_delivery *d);
/* One that waits for such a job, so that what is decided about a new connection would be
 * decided as it was for this one; it stays in the list. NULL: none. */
struct tcp_delivery *delivery_idle_take(struct worker *w, const struct job *job);
/* Ends a connection without a job: QUIT if there was none yet, and nobody waits for what
 * the host says to it. */
void delivery_leave(struct tcp_delivery *d);

/* --- tcp_delivery_access.c --- */

/* A handshake has succeeded: what does TLS_ACCESS say? It is logged. False: no, and why;
 * *for_good: nor may the mail go in clear. */
bool delivery_tls_allowed(const struct tcp_delivery *d, char *why, size_t size,
                          bool *for_good);

/* --- tcp_delivery_tls.c --- */

/* Finds what TLS is wanted for this next hop, host and address. False: the table does not
 * say anything that could be used, and nothing may be sent. */
bool delivery_tls_policy(const struct tcp_delivery *d, struct tls_client_answer *out);
/* Was TLS on the connection begun by the certificates and CAs that are in force? True
 * without TLS. */
bool delivery_tls_is_current(const struct tcp_delivery *d);
/* Would a connection that is made now be like this one, and no better? */
bool delivery_tls_is_as_wanted(struct tcp_delivery *d);

/* Begins the handshake; on_tls of the stream ends it. */
void delivery_start_tls(struct tcp_delivery *d);

/* Before a connection: what is known of TLS with this host? Sets d->tls_expected, or
 * d->clear where it is broken and the policy falls back. */
void delivery_recall(struct tcp_delivery *d);
/* A message was settled on this connection; TLS failed and the host is tried in clear. */
void delivery_remember_worked(struct tcp_delivery *d);
void delivery_remember_broken(struct tcp_delivery *d);
/* A handshake has failed. Is the address to be tried again, with other groups? */
bool delivery_wants_other_groups(const struct tcp_delivery *d);
/* The machine has ended: TLS was expected and did not come about. */
bool delivery_was_stripped(const struct tcp_delivery *d);
/* What the host did, with what was expected of it. */
void delivery_host_outcome(const struct tcp_delivery *d, struct outcome *out);

/* --- tcp_delivery_log.c; docs/log.md --- */

/* The IP address being tried, printed, "" for a socket; out needs INET6_ADDRSTRLEN
 * bytes. */
void delivery_address_text(const struct tcp_delivery *d, char *out);
void delivery_log_attempt(struct tcp_delivery *d, const struct outcome *o);
/* TLS_CLIENT_POLICY gives no answer that could be used; see d->wanted. */
void delivery_log_policy_fault(struct tcp_delivery *d);
/* error NULL: the handshake succeeded. */
void delivery_log_tls(struct tcp_delivery *d, const char *error);
/* Somebody put replies behind the one to STARTTLS; counted. */
void delivery_log_injection(struct tcp_delivery *d);
/* The connection is given up for one in clear, or there is none with TLS; counted, and
 * kept for the job. */
void delivery_log_downgrade(struct tcp_delivery *d, const char *why);
/* TLS was expected and did not come about; counted. */
void delivery_log_stripped(struct tcp_delivery *d, const struct outcome *o);
/* What is wanted of TLS on the connection that is begun now. */
void delivery_tls_begin(struct tcp_delivery *d);
/* A handshake has ended; error as above. */
void delivery_tls_note(struct tcp_delivery *d, const char *error);
/* TLS could not be had, whether or not there was a handshake: keeps the reason for the
 * job. */
void delivery_tls_failed(struct tcp_delivery *d);
/* Tells the job who was talked to, and how. */
void delivery_note_connection(const struct tcp_delivery *d, struct job *job);
/* Who gave a reply, for the operator and the report to the sender. */
void delivery_note_speaker(const struct tcp_delivery *d, struct outcome *o);

#endif
