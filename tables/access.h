/* access: the tables that decide who may connect, send and be sent to: the string each is
 * asked for, and what its answer means. Pure: the daemon acts on the verdicts, `pointsman
 * explain` shows them. docs/access.md is the description for users. */
#ifndef TABLES_ACCESS_H
#define TABLES_ACCESS_H

#include "base/address.h"
#include "tables/snapshot.h"

enum access_table {
    ACCESS_PORT,      /* PORT_ACCESS: at accept */
    ACCESS_FROM,      /* FROM_ACCESS: at MAIL */
    ACCESS_ORIG_SEND, /* ORIG_SEND_ACCESS, ORIG_MAIL_ACCESS: at RCPT, before aliases */
    ACCESS_ORIG_MAIL,
    ACCESS_SEND, /* SEND_ACCESS, MAIL_ACCESS: for each recipient that came of it */
    ACCESS_MAIL,
    ACCESS_IP,       /* IP_ACCESS: before a connection to a next hop */
    ACCESS_TLS,      /* TLS_ACCESS, TLS_PEER_ACCESS: after each handshake; see */
    ACCESS_TLS_PEER, /* tls_access.h */
    ACCESS_TABLES
};
enum {
    ACCESS_DELAY_MAX_CS = 6000, /* a longer $D is cut to this: a minute */
    ACCESS_HEADER_MAX = 998     /* of a line added with $A (RFC 5322 2.1.1) */
};

/* "ORIG_SEND_ACCESS": a constant. */
const char *access_table_name(enum access_table t);

/* Who speaks to us. Texts are as the peer gave them. */
struct access_peer {
    str server_ip, client_ip; /* client_ip empty: the message comes from no connection */
    unsigned server_port, client_port;
    str helo;
    str tls_version, tls_cipher; /* empty without TLS */
    str auth;                    /* address of the authenticated sender; empty: none */
    bool esmtp, lmtp, tls, sasl;
    bool notify_delay, notify_failure, notify_success; /* asked for with NOTIFY= */
};

/* What a handshake has shown, for the tables about TLS; version and cipher are those of
 * the peer. A certificate that does not verify has no names here: anybody can write them.
 * Whoever shows one has its key, so that the fingerprint always counts. */
struct access_tls {
    str group, sni;
    bool verified;       /* the peer's certificate */
    str subject, issuer; /* RFC 4514 */
    str spki;            /* "sha256:...", of the key */
    bool names_cut;      /* they are longer than what is kept of them */
};

struct access_question {
    const struct snapshot *snapshot;
    enum access_table table;
    const struct access_peer *peer;    /* not for IP_ACCESS */
    const struct channel *source;      /* not for PORT_ACCESS; for IP_ACCESS the one that
                                          delivers */
    const struct address *sender;      /* see access_sender() */
    const struct channel *destination; /* these three for recipients only */
    const struct address *to;          /* rewritten */
    const struct address *given;       /* as the client wrote it, for ACCESS_ORCPT */
    str ip, host;                      /* these for IP_ACCESS only */
    unsigned address_count, address_index; /* the index counts from 1 */
    const struct access_tls *tls; /* tables about TLS; source is the channel at the
                                     beginning of the handshake */
};

enum access_answer {
    ACCESS_SILENT, /* there is no table, no entry matched, or it says neither */
    ACCESS_ACCEPT,
    ACCESS_REJECT,
    ACCESS_FAULT /* the table gives no answer that could be used: for now, refuse */
};

struct access_verdict {
    enum access_table table;
    bool asked;        /* there is such a table */
    bool matched;      /* an entry did */
    str probe;         /* when asked */
    struct span entry; /* that decided; of the table after a fault without one */
    str output;
    uint64_t flags;
    enum access_answer answer;
    /* Recipients only: somebody said whether mail may go there, so the relay rule is not
     * asked: $Y, $H, $B, $V, $Z or a refusal. */
    bool decides;
    /* REJECT and FAULT; for IP_ACCESS text is for the log only. Lines of PORT_ACCESS are
     * separated by line feeds. The text is not yet made fit for a reply. */
    unsigned code, status[3];
    str text;
    str fault; /* FAULT: what is wrong, for the log; a phrase */

    bool hold;        /* $H */
    bool discard;     /* $B: this recipient, or all of the message from FROM_ACCESS */
    bool discard_all; /* $V, $Z: the whole message */
    int delay_cs;     /* $D, within ACCESS_DELAY_MAX_CS either way; see docs/access.md */
    str log_match, log_reject;    /* $<, $>; empty: none */
    str connection_note, log_tag; /* PORT_ACCESS: text behind "||"; $T */
    str header;                   /* $A: a line, without its end; empty: none */
    bool new_sender;              /* $J of FROM_ACCESS */
    struct address sender;
    struct access_limits {
        uint64_t blocks, recipients, cutoff; /* 0: no limit */
    } limits;                                /* $S */
    bool skip;                               /* IP_ACCESS: $I */
    str replace_ip;                          /* $A of IP_ACCESS; empty: none */
    /* Tables about TLS: */
    const struct channel *channel; /* $S: where the session is switched to, or NULL */
    str channel_name;              /* as written */
    bool stays;                    /* $B: tlsswitchchannel does nothing */
    bool no_fallback;              /* $F: nothing is sent in clear instead */
};

/* The string the table is asked for. */
str access_probe(const struct access_question *q, struct arena *a);
/* Asks the table, if there is one. Strings live in the arena or the snapshot. */
void access_ask(const struct access_question *q, struct arena *a,
                struct access_verdict *out);
/* What tables about recipients can test with $: and $;. */
uint64_t access_recipient_flags(const struct access_peer *p);
/* The envelope sender as the tables see it, so that no spelling of an address gets past
 * an entry: rewritten for the source channel (as given when it leads nowhere), no source
 * route, no quotes where they are not needed. */
void access_sender(const struct snapshot *s, const struct channel *source,
                   const struct address *given, struct arena *a, struct address *out);
/* What a peer gave, made harmless inside a probe (mapping_paranoia): '|' becomes the
 * character of that option, control and other unprintable bytes '?'. '$' and blanks mean
 * nothing there and stay. */
str access_escape(const struct snapshot *s, struct arena *a, str text);

#endif
