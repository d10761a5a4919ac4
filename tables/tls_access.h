/* tls_access: what comes of a TLS handshake with a client: may the session go on, and on
 * which channel? There is one switch for a handshake; the first that names a channel is
 * it: $S of TLS_ACCESS, $S of TLS_PEER_ACCESS, tlspeerswitchchannel where the client's
 * certificate is verified, tlsswitchchannel, which $B of a table takes out. Pure; the
 * tables are described in docs/tls.md. */
#ifndef TABLES_TLS_ACCESS_H
#define TABLES_TLS_ACCESS_H

#include "base/vec.h"
#include "tables/access.h"
#include "tables/mapping_view.h"

/* What TLS_PEER_ACCESS is asked, in this order. */
enum tls_peer_part {
    TLS_PEER_CHANNEL,
    TLS_PEER_VERSION,
    TLS_PEER_CIPHER,
    TLS_PEER_GROUP,
    TLS_PEER_VERIFIED,
    TLS_PEER_SUBJECT,
    TLS_PEER_SPKI,
    TLS_PEER_SNI,
    TLS_PEER_IP,
    TLS_PEER_PARTS
};
/* What TLS_ACCESS is asked: the first five as PORT_ACCESS, then app, and these. */
enum { TLS_ACCESS_CHANNEL = 6, TLS_ACCESS_USER = 9, TLS_ACCESS_PARTS = 10 };

/* What makes the switch. */
enum tls_switch_by {
    TLS_SWITCH_NONE,
    TLS_SWITCH_ACCESS,
    TLS_SWITCH_PEER_ACCESS,
    TLS_SWITCH_PEER, /* tlspeerswitchchannel */
    TLS_SWITCH_TLS   /* tlsswitchchannel */
};
/* "TLS_ACCESS", "TLS_PEER_ACCESS", "certificate", "tls"; "none". */
const char *tls_switch_name(enum tls_switch_by by);

struct tls_access_answer {
    struct access_verdict access, peer_access; /* the second is not asked when the first
                                                  refuses */
    const struct access_verdict *refusal;      /* one of them; NULL: it goes on */
    const struct channel *to;                  /* its channel now; NULL: refused */
    enum tls_switch_by by;
    struct span at; /* the entry or keyword that made the switch */
};
/* Asks the tables, and decides. q->table does not matter; q->source is the channel that
 * the session had when the handshake began. Strings live in the arena or the snapshot. */
void tls_access_ask(const struct access_question *q, struct arena *a,
                    struct tls_access_answer *out);

/* An entry that can switch sessions. */
struct tls_access_entry {
    enum access_table table;
    struct mapping_view view;
    str channel;              /* part of the pattern; ptr NULL: it may be for any */
    const struct channel *to; /* NULL: known only when a client comes */
};
/* What both tables can do, found when the configuration is loaded. */
struct tls_access_table {
    VEC(struct tls_access_entry) entries; /* those that can switch */
    VEC(str)
    named; /* channel parts of entries that tell clients apart by subject or
              fingerprint, each once */
};

typedef void tls_access_entry_fn(const struct tls_access_entry *e, void *arg);
/* Tells of all entries of both tables that can switch sessions of the channel. */
void tls_access_entries(const struct snapshot *s, const struct channel *from,
                        tls_access_entry_fn *each, void *arg);
/* Does an entry of TLS_PEER_ACCESS tell the clients of the channel apart by their
 * subjects or fingerprints? */
bool tls_access_names_peers(const struct snapshot *s, const struct channel *c);

#endif
