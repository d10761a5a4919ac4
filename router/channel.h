/* channel: the contract between the router and the drivers in channels/. The router
 * never includes channels/; main.c passes the list of kinds in. */
#ifndef ROUTER_CHANNEL_H
#define ROUTER_CHANNEL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"
#include "base/diag.h"
#include "router/dsn.h"
#include "router/outcome.h"
#include "router/tls_view.h"
#include "tables/channel.h"
#include "tables/snapshot.h"

struct body;
struct runtime;
struct worker;

/* What a delivery has come to for whoever wants to be told of its success. */
enum job_success {
    JOB_SUCCESS_DELIVERED, /* it is in a mailbox */
    JOB_SUCCESS_RELAYED,   /* another system has it, which tells of no success */
    JOB_SUCCESS_PASSED_ON  /* another system has it, and the request with it */
};

struct job_recipient {
    str address;              /* printed path without angle brackets */
    struct dsn_request asked; /* what its sender asks for (router/dsn.h) */
    struct outcome outcome;   /* starts as deferred */
    enum job_success success; /* when it is delivered; starts as DELIVERED */
};

/* The TLS of a delivery, for the log: what was wanted and what came of it; docs/log.md.
 * The texts of the peer may hold anything. */
struct job_tls {
    bool wanted; /* the rest means something: the channel sends by SMTP */
    const char *level, *verify, *source; /* constant: "must", "host", "keyword" */
    bool active, fallback, resumed, pq;
    const char *verified; /* constant: "no", "ca", "host", "fp" */
    char version[16], cipher[64], group[32];
    int bits, bits_alg;
    uint64_t handshake_ns;
    char sni[256], subject[256], issuer[256], spki[72];
    char error[256]; /* why it failed, or why the certificate is not verified */
};

/* One delivery: one message, one channel, one next hop, its recipients. Made by
 * dispatch, lent to deliver() until job_done(). */
struct job {
    struct worker *worker;
    struct runtime *runtime;       /* one reference, held for the job */
    const struct channel *channel; /* in that runtime's snapshot */
    str message_id;                /* queue id, "7F3K2" */
    str sender;                    /* as it leaves here; empty: null sender */
    str host;                      /* next hop, see route_next_hop() */
    struct body *body;             /* borrowed; ready for body_read() */
    bool eight_bit;
    enum queue_ret ret; /* RET= and ENVID= for the next hop; ptr NULL: none */
    str envid;
    unsigned attempts; /* earlier ones */
    struct job_recipient *recipients;
    unsigned recipient_count;
    /* Filled in by the driver for the log and the user. */
    bool nobody_there; /* no address was tried: each could not be reached just before */
    struct job_tls tls;
    unsigned reused; /* messages that its connection had carried before */
    char peer[128];  /* "mx1.example.com[192.0.2.1]:25", or a file path */
};

/* The driver has set every recipient's outcome. Call exactly once, never inside
 * deliver(). The job is gone after it. */
void job_done(struct job *job);
/* Before job_done(): another ready job for the same channel and host, for the same
 * connection; NULL if none. The caller owes it a job_done() too. Order: take the next
 * one first, then finish the old one. */
struct job *job_next(struct job *job);

struct channel_kind {
    const char *name;
    enum channel_type type;
    /* Opens what the kind needs to serve this configuration (once per kind, not per
     * channel); stores it in *state. before: its state for the configuration in force,
     * from which may be taken over what outlives one; NULL: there is none. false after
     * diag_error(). May be NULL. */
    bool (*prepare)(const struct snapshot *s, void *before, void **state,
                    struct diags *d);
    /* The next two: one call at a time, on a pool thread. Both NULL, or none.
     * About once a second: throws away secrets that are too old; true when files that
     * prepare() or renew() have read are no longer the same. Must be cheap. */
    bool (*tend)(void *state);
    /* Reads these files again, and nothing of the configuration. What is in order is in
     * force for new sessions at once; what is not stays as it was: false after
     * diag_error(). */
    bool (*renew)(void *state, const struct snapshot *s, struct diags *d);
    /* Tells of every certificate in use. Any thread. May be NULL. */
    void (*view_tls)(void *state, tls_view_cb *each, void *arg);
    /* An operator wants mail to be tried now: what is remembered of hosts that could not
     * be reached counts no more. Any thread. May be NULL. */
    void (*forget)(void *state);
    /* No configuration uses the state any more. Any thread. May be NULL. */
    void (*retire)(void *state);
    /* May this recipient be taken for the channel? Called at RCPT, on the loop, must
     * be quick. On false *out holds the reply (class FAILED or DEFERRED). NULL: yes. */
    bool (*verify)(void *state, const struct channel *c, const struct address *to,
                   struct outcome *out);
    /* Delivers; ends in exactly one job_done(), never inside this call. */
    void (*deliver)(struct worker *w, void *state, struct job *job);
    /* A client connected to a service whose channel is of this kind: fd is a
     * non-blocking socket, now owned by the driver. NULL for kinds without listeners.
     * It counts itself in the worker's counters sessions_open and sessions_total,
     * and enters worker_session_add() so that a shutdown can end it. */
    void (*accept)(struct worker *w, const struct service *service, int fd);
};

#endif
