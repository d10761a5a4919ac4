/* explanation: what becomes of one recipient offered by one client, step by step, with
 * the line that decided each. It asks the functions that the daemon asks, in the order
 * of channels/tcp_server.c and router/enqueue.c; it decides nothing itself. */
#ifndef TOOLS_EXPLANATION_H
#define TOOLS_EXPLANATION_H

#include "router/refusal.h"
#include "tables/route.h"
#include "tables/tls_access.h"
#include "tools/setting.h"

struct explanation_request {
    const struct snapshot *snapshot;
    const struct service *service; /* takes the connection */
    str client_ip;
    str server_ip; /* that it connects to */
    unsigned client_port;
    str helo; /* the name it gives itself */
    struct address sender;
    str client_name; /* what a confirmed reverse look-up gave; empty: not known */
    bool tls;        /* the client turns TLS on when it may */
    /* What comes of the handshake, as tables see it. Without version, cipher or group the
     * usual one is taken. With a subject the certificate verifies, where one is asked
     * for.
     */
    str version, cipher, group, sni, subject, issuer, spki;
    struct address to; /* the recipient */
};

/* Did the session change its channel here, and why (not). */
struct explained_switch {
    const struct channel *from, *to; /* equal: it stayed */
    str reason;
    struct span at; /* the deciding place, or SPAN_NONE */
};

/* How the message would leave; for a TCP channel only. */
struct explained_delivery {
    str host; /* next hop */
    bool mx;  /* its MX records are looked up */
    struct setting tls;
    bool ip_known;            /* host is an address */
    struct access_verdict ip; /* IP_ACCESS, then; else only whether there is one */
};

/* What the relay rule says. */
enum explained_relay {
    EXPLAINED_RELAY_NOT_ASKED, /* a table has decided */
    EXPLAINED_RELAY_ACCEPTED,
    EXPLAINED_RELAY_REFUSED,
    EXPLAINED_RELAY_WOULD /* it would refuse, but a table behind it decides */
};

struct explanation {
    struct access_verdict port; /* PORT_ACCESS */
    bool let_in;                /* else nothing below was asked */
    struct explained_switch ip, name, tls;
    bool name_counts;        /* the name was looked at; else name says nothing */
    struct setting starttls; /* server side of the channel the session began on */
    bool in_tls;             /* the mail comes in over TLS */
    bool verified;           /* the client's certificate */
    struct tls_access_answer handshake; /* when in_tls */
    const struct channel *source;       /* after all switches */
    bool trusted;
    struct access_peer peer;    /* as access tables see it */
    struct access_verdict from; /* FROM_ACCESS, when MAIL got as far as that */
    struct address mail_from;   /* as the tables for recipients see it */
    bool asked; /* RCPT got as far as being asked; else the session was refused */
    const struct recipient_access *access; /* the tables for recipients, in order */
    bool relay_open, discard;              /* as in struct recipient_answer */
    enum explained_relay relay_how;
    enum recipient_verdict verdict; /* when asked */
    struct route route;             /* when asked; of the recipient itself */
    unsigned leaves;                /* addresses that get the mail, when it is accepted */
    struct route leaf;              /* of the first of them */
    str leaf_sender;                /* the one a list gives it; ptr NULL: as it came */
    struct expansion expansion;     /* aliases and FORWARD; empty when not asked */
    str relay;            /* why it may (not) be relayed, "" when that was not asked */
    struct span relay_at; /* the place that decided it, or SPAN_NONE */
    bool refused;
    struct outcome refusal;             /* the reply when refused */
    struct explained_delivery delivery; /* host is empty: not over TCP */
    str summary;                        /* one sentence */
};

/* Strings live in the arena or the snapshot. */
void explanation_make(const struct explanation_request *request, struct arena *a,
                      struct explanation *out);

/* The listener a client connects to: the first of that name (NULL: of any name) whose
 * address family fits the client's. NULL: there is none. */
const struct service *explanation_service(const struct snapshot *s, const char *name,
                                          str client_ip);

#endif
