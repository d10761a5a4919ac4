/* recipient: everything that decides about one recipient of an envelope, in its order
 * (PMDF "theory1", 11): it is rewritten, the relay rule looks at it. Pure: the daemon asks
 * at RCPT, and the commands ask for what the daemon would answer. What only the driver of
 * a channel knows (is there such a mailbox?) and limits of size come after this. */
#ifndef TABLES_RECIPIENT_H
#define TABLES_RECIPIENT_H

#include "tables/route.h"

struct recipient_request {
    const struct snapshot *snapshot;
    const struct channel *source; /* after all switches */
    bool trusted;                 /* the session's IP switch led to it */
    struct address to;            /* as the client gave it */
};

enum recipient_verdict {
    RECIPIENT_TAKEN,
    RECIPIENT_NO_ROUTE, /* rewriting leads nowhere, or to what is not served */
    RECIPIENT_RELAY     /* refused by the relay rule */
};

/* What RCPT is answered. */
struct recipient_reply {
    unsigned code;      /* 450, 550, ... */
    unsigned status[3]; /* x.y.z */
    str text;           /* without codes */
};

/* One address that gets the message. */
struct recipient_leaf {
    struct route route; /* with a channel */
};

struct recipient_answer {
    enum recipient_verdict verdict;
    struct recipient_reply reply; /* when it is not RECIPIENT_TAKEN */
    struct address completed;     /* `to`, with a host if it had none */
    struct route route;           /* where it leads by itself; no channel: nowhere */
    struct recipient_leaf *leaves; /* one at least when taken */
    unsigned leaf_count;
};

/* Decides. Results live in the arena, and point into the snapshot and the request. A
 * recipient without a host gets one: "postmaster" that of this system (RFC 5321 4.5.1),
 * others what the source channel says (5.2: remotehost, defaulthost), else that of this
 * system. */
enum recipient_verdict recipient_resolve(const struct recipient_request *q,
                                         struct arena *a, struct recipient_answer *out);

#endif
