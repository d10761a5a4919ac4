/* enqueue: the accept path of one transaction: sender, recipients (each routed), body,
 * commit. Recipients are grouped by channel and next hop. Lives on one worker. */
#ifndef ROUTER_ENQUEUE_H
#define ROUTER_ENQUEUE_H

#include <stdbool.h>

#include "base/address.h"
#include "router/outcome.h"
#include "router/queue.h"
#include "router/runtime.h"
#include "router/worker.h"
#include "tables/route.h"

/* More recipients than this in one transaction get 452 4.5.3 (RFC 5321 4.5.3.1.8: at
 * least 100 must be taken). */
enum { ENQUEUE_RECIPIENTS_MAX = 1000 };

/* What the session knows; borrowed for the transaction. */
struct enqueue_session {
    struct worker *worker;
    struct runtime *runtime;      /* a reference is taken */
    const struct channel *source; /* after all switches */
    bool trusted;                 /* the IP switch led here */
    str session;                  /* name in the log */
    str peer_ip, helo;            /* for Received; these for access tables, too: */
    str server_ip;
    unsigned server_port, peer_port;
    str peer_name;                /* likewise; empty: none, or not to be shown */
    bool name_doubted, name_only; /* as in struct header_received */
    bool internal; /* it comes from a channel of this system, over no connection */
    bool esmtp, tls;
    str tls_version, tls_cipher; /* empty without TLS */
    uint64_t declared_size;      /* SIZE= of MAIL; 0: not given */
    enum queue_ret ret;          /* RET= and ENVID= of MAIL, checked; see router/dsn.h */
    str envid;
};

struct enqueue;

/* Begins a transaction. Never NULL. */
struct enqueue *enqueue_begin(const struct enqueue_session *s,
                              const struct address *sender);
/* Asks FROM_ACCESS, once, before the first recipient. false: *out holds the reply to
 * MAIL, and only enqueue_abort() is allowed. */
bool enqueue_sender(struct enqueue *e, struct outcome *out);
/* Forgets it (RSET, lost connection); clears *e. Allowed while an answer is
 * outstanding: it then never comes. */
void enqueue_abort(struct enqueue **e);

/* Decides about one recipient (tables/recipient.h) and asks the kind's verify(). true:
 * taken. false: *out holds the reply (code and enhanced code set). Logs `route` or
 * nothing; the caller logs refusals. request: what the client asks for about it, checked;
 * NULL: nothing. */
bool enqueue_recipient(struct enqueue *e, const struct address *to,
                       const struct dsn_request *request, struct outcome *out);

/* At DATA: may a message follow? false: *out holds the reply; the transaction goes on. */
bool enqueue_data(struct enqueue *e, struct outcome *out);
/* How long the answer to the command at hand is to wait ($D of access tables); 0: not. */
unsigned enqueue_delay_ms(const struct enqueue *e);

/* Called once per request, on the loop, never inside the call that asked. outcome is
 * DELIVERED (go on), DEFERRED (4xx) or FAILED (5xx) with code and text set. */
typedef void (*enqueue_cb)(struct enqueue *e, const struct outcome *outcome, void *arg);

/* After the last recipient: prepends Received (RFC 5321 4.4; PMDF `for` clause only with
 * one recipient). Then body bytes (CRLF lines as received). Return true when done at
 * once; false: cb comes. After a failure only enqueue_abort() is allowed. More than 100
 * Received fields in the header: FAILED 5.4.6, unless the site has a limit of its own,
 * with which the message is set aside. */
bool enqueue_body(struct enqueue *e, str data, enqueue_cb cb, void *arg,
                  struct outcome *out);
/* The body is complete: always answers by cb. DELIVERED means it is on disk (250, text
 * "2.0.0 queued as ID" is the caller's). After DELIVERED the entries are with dispatch
 * and e is empty: call enqueue_abort() to free it. */
void enqueue_commit(struct enqueue *e, enqueue_cb cb, void *arg);
/* The queue id given to this transaction. */
const char *enqueue_id(const struct enqueue *e);
/* How many recipients were taken. */
unsigned enqueue_recipients(const struct enqueue *e);

#endif
