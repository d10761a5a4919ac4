/* recipient: everything that decides about one recipient of an envelope, in its order
 * (PMDF "theory1", 11): it is rewritten, the access tables for what the client gave look
 * at it, then the relay rule unless one of them decided; aliases and FORWARD are applied,
 * and in the end the access tables for what came of it are asked. The relay rule judges
 * what the client gave, not what the site made of it. Pure: the daemon asks at RCPT, and
 * the commands ask for what the daemon would answer. What only the driver of a channel
 * knows (is there such a mailbox?) and limits of size come after this. */
#ifndef TABLES_RECIPIENT_H
#define TABLES_RECIPIENT_H

#include "tables/access.h"
#include "tables/expand.h"

struct recipient_request {
    const struct snapshot *snapshot;
    const struct channel *source;   /* after all switches */
    bool trusted;                   /* the session's IP switch led to it */
    struct address to;              /* as the client gave it */
    struct address sender;          /* as access_sender() gives it */
    const struct access_peer *peer; /* NULL: it comes over no connection */
};

enum { RECIPIENT_ACCESS_KEPT = 1000 };

enum recipient_verdict {
    RECIPIENT_TAKEN,
    RECIPIENT_NO_ROUTE, /* rewriting leads nowhere, or to what is not served */
    RECIPIENT_RELAY,    /* refused by the relay rule */
    RECIPIENT_ACCESS,   /* refused by an access table, or one cannot answer */
    RECIPIENT_ALIAS     /* what it stands for gets no mail, or not now */
};

/* What RCPT is answered. */
struct recipient_reply {
    unsigned code;      /* 450, 550, ... */
    unsigned status[3]; /* x.y.z */
    str text;           /* without codes */
};

/* One address that gets the message. */
struct recipient_leaf {
    struct route route;       /* with a channel */
    struct expand_node *node; /* how it came about */
    bool discard;             /* accepted, and nobody gets it: $B, $V, $Z */
};

/* What one access table said, in the order of time. */
struct recipient_access {
    struct access_verdict verdict;
    bool dropped; /* the leaf it is about was refused */
    bool of_leaf; /* SEND_ACCESS, MAIL_ACCESS: `to` is one of what came of it */
    struct address to;
    struct recipient_access *next;
};

struct recipient_answer {
    enum recipient_verdict verdict;
    struct recipient_reply reply;  /* when it is not RECIPIENT_TAKEN */
    struct address completed;      /* `to`, with a host if it had none */
    struct route route;            /* where it leads by itself; no channel: nowhere */
    struct recipient_leaf *leaves; /* one at least when taken */
    unsigned leaf_count;
    struct expansion expansion; /* empty when it did not get as far as that; members that
                                   an access table refused are bad ones */
    struct recipient_access *access; /* what was asked; their effects on the message ($H,
                                        $V, $A ...) are the caller's. Of leaves, beyond
                                        RECIPIENT_ACCESS_KEPT those with effects only */
    bool discard;                    /* likewise the address itself: all leaves */
    bool decided;                    /* a table said whether it may go there */
    bool relay_open; /* the relay rule would refuse it, but SEND_ACCESS or MAIL_ACCESS are
                        asked first, and may decide */
};

/* Decides. Results live in the arena, and point into the snapshot and the request. A
 * recipient without a host gets one: "postmaster" that of this system (RFC 5321 4.5.1),
 * others what the source channel says (5.2: remotehost, defaulthost), else that of this
 * system. */
enum recipient_verdict recipient_resolve(const struct recipient_request *q,
                                         struct arena *a, struct recipient_answer *out);

#endif
