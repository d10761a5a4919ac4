/* tls_probe: `pointsman tls probe`: what a host offers of TLS when it is asked, and what
 * a channel would make of that. tls_probe_talk.c asks, tls_probe_verdict.c judges,
 * tls_probe_report.c shows. */
#ifndef TOOLS_TLS_PROBE_H
#define TOOLS_TLS_PROBE_H

#include <netinet/in.h>

#include "channels/tls_chain.h"
#include "tables/tls_audit.h"
#include "tools/dial.h"

enum { PROBE_CHAIN_MAX = 10 };

/* How far the conversation came. */
enum probe_stage {
    PROBE_CONNECTING,
    PROBE_GREETING,
    PROBE_EHLO,
    PROBE_STARTTLS,
    PROBE_HANDSHAKE,
    PROBE_AFTER, /* TLS is on; EHLO (implicit TLS: the greeting first) */
    PROBE_DONE
};

/* Who is asked. */
struct probe_target {
    const char *host; /* a name, or an address without brackets */
    uint16_t port;
    bool implicit; /* TLS from the first byte */
    const char *helo;
    int64_t deadline_ms; /* of dial_now_ms() */
    dial_step_fn *step;
    struct tls_context *context; /* for probe_talk() */
    bool other_groups;           /* with those of groups_retry */
};

struct probe_level {
    bool asked, proven;
    char why[256];
};

/* What was found; texts are the host's, in the arena. */
struct probe_found {
    enum probe_stage stage; /* where it ended */
    char failure[512];      /* why, unless DONE */
    bool lost;              /* the connection or the TLS session ended, or was late */
    char ip[INET6_ADDRSTRLEN], our_ip[INET6_ADDRSTRLEN];
    unsigned our_port;
    int64_t connect_ms;
    unsigned greeting_code;
    str greeting;       /* lines parted by '\n'; ptr NULL: none came */
    unsigned ehlo_code; /* the last one */
    str clear;          /* what EHLO told in clear, parted by '\n'; ptr NULL: not told */
    str under_tls;      /* the same under TLS */
    bool offered;       /* STARTTLS */
    unsigned starttls_code; /* 0: not sent, or not answered */
    str starttls;
    bool injected;          /* something came in clear behind the reply to STARTTLS */
    bool tls;               /* the handshake was completed */
    struct tls_facts facts; /* of it, or what is known of a failed one */
    struct tls_peer_certificate chain[PROBE_CHAIN_MAX];
    unsigned chain_count;
    struct probe_level ca, is_host, pinned;
    char veto[256]; /* TLS_ACCESS refuses the session, and which entry; "": it does not */
    bool veto_for_good; /* nor may the mail go in clear */
};

/* Connects; the socket, or -1: out tells why. */
int probe_connect(const struct probe_target *t, struct probe_found *out);
/* Asks the host on that socket, and closes it. Nothing it sends is trusted, and nothing
 * outlasts the deadline. */
void probe_talk(const struct probe_target *t, int fd, struct arena *a,
                struct probe_found *out);

/* What would come of a delivery. */
struct probe_verdict {
    bool sent;            /* mail is handed over */
    bool again;           /* in clear, by a second connection */
    enum tls_outcome got; /* what protects it; of what is not sent: nothing (CLEAR) */
    const char *status;   /* "4.7.5": why it is not sent; NULL where it is */
    char why[768];
};

/* By the policy of a channel for this host; NULL: none is asked, then `got` is the best
 * that the host proves, and sent means that TLS works. */
void probe_judge(const struct tls_policy *p, const struct probe_found *f,
                 struct probe_verdict *out);

#endif
