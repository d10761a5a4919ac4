/* enqueue_state: what enqueue.c (the transaction), enqueue_recipients.c (RCPT),
 * enqueue_commit.c (the end of it) and enqueue_report.c share. Nobody else includes it.
 */
#ifndef ROUTER_ENQUEUE_STATE_H
#define ROUTER_ENQUEUE_STATE_H

#include "base/map.h"
#include "base/vec.h"
#include "router/admission.h"
#include "router/enqueue.h"
#include "router/header.h"
#include "router/list_report.h"
#include "router/message_limits.h"
#include "router/outgoing.h"
#include "router/refusal.h"
#include "router/urgency.h"

/* Recipients of one channel and next hop, for whom lists say the same. */
struct group {
    const struct channel *channel;
    str host;
    str sender;                       /* of their list; ptr NULL: as it came */
    unsigned block_limit, line_limit; /* of their list; 0: none */
    const char *over;                 /* the limit the message exceeds, or NULL */
    VEC(struct queue_recipient) recipients;
};

/* A recipient whose request for success ends here: it is a list, or an alias for several.
 */
struct expanded {
    str address, orcpt; /* as the client wrote it; as for struct dsn_request */
    bool list;
    VEC(const struct group *) groups; /* of those it stands for */
};

struct enqueue {
    struct worker *worker;
    struct runtime *runtime;
    struct enqueue_session session; /* its texts are in m's arena, but for TLS and IP */
    struct queue_message *message;  /* NULL once dispatch has it */
    struct body *body;
    char id[QUEUE_ID_MAX];
    struct arena *arena;   /* dies with the transaction */
    struct arena *scratch; /* reset after each recipient */
    VEC(struct group *) groups;
    struct map *groups_by_key, *seen;
    struct admission admission;
    struct access_peer peer;      /* as access tables see it */
    struct address access_sender; /* likewise */
    unsigned given;               /* recipients by the client, those that add somebody */
    unsigned recipients;          /* what became of them */
    unsigned looked;              /* addresses looked at in aliases and lists */
    unsigned told;                /* what tables said of them, in the log */
    struct list_report *lists;    /* members that do not get it; NULL: none */
    VEC(struct expanded) expanded;
    unsigned told_expanded;       /* of those, in the report */
    struct queue_message *report; /* about them; hangs on the message */
    str given_sender;             /* as the client wrote it: message->sender may differ */
    str only;                     /* as the client wrote it, the first recipient */
    bool logged;                  /* a channel concerned has the logging keyword */
    struct header_scan scan;
    struct message_size size; /* as the client sent it */
    const char *hold;         /* why it is set aside; NULL: it is not */
    struct outgoings *outgoings;
    struct buf header;    /* the header of the body, the empty line included */
    enum urgency urgency; /* as its header says */
    int64_t deferred_ms;  /* likewise: not before; 0: at once */
    bool header_left;     /* it was too large for that */
    bool begun, committing, busy, dead;
    uint64_t started_ns; /* of the commit */
    struct task task;    /* an answer that was there at once */
    struct outcome outcome;
    enqueue_cb cb;
    void *arg;
};

/* --- enqueue.c --- */

/* A copy that lives as long as the transaction. */
str enqueue_copied(struct enqueue *e, str text);
/* Tells the log what a table said; `to` empty: about the sender. */
void enqueue_log_verdict(struct enqueue *e, const struct access_verdict *v, str to);
/* *out for a message that is larger than $S allows, or than its way (limit: the name of a
 * keyword) does. Always false. */
bool enqueue_refused_block_limit(struct outcome *out);
bool enqueue_refused_size(const char *limit, struct outcome *out);
/* What the client is told when the disk does not take the message; the log has why. */
void enqueue_storage_failed(struct enqueue *e, const char *reason, struct outcome *out);
/* Gives the answer that is outstanding: now, or on a later turn of the loop as e->outcome
 * says. e may be gone afterwards. */
void enqueue_answer(struct enqueue *e, const struct outcome *outcome);
void enqueue_answer_later(struct enqueue *e);
/* How many Received fields the site lets a message have before it is set aside, and the
 * option that says so (may be NULL). 0: it does not say. */
unsigned enqueue_received_limit(const struct enqueue *e, const char **option);
/* Puts the Received field in front, once. */
void enqueue_body_begin(struct enqueue *e);

/* --- enqueue_report.c --- */

/* Makes the report about e->expanded, if there is to be one, and hangs it on the message.
 * header: of the message; ptr NULL: not known. */
void enqueue_report_make(struct enqueue *e, str header);
/* It is stored: tells the log, before dispatch takes it. */
void enqueue_report_stored(const struct enqueue *e);

#endif
