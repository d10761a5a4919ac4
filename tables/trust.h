/* trust: how sessions get to a channel, and on which of the ways the client is trusted to
 * relay, because its address has led to another channel (PMDF 2.3.4.42). For reports; the
 * daemon asks route.h, session by session. It errs on the side of "can": a way is told
 * unless the configuration by itself rules it out. */
#ifndef TABLES_TRUST_H
#define TABLES_TRUST_H

#include "base/vec.h"
#include "tables/rule_table.h"
#include "tables/snapshot.h"

/* What leads the addresses of clients from one channel to another. */
struct trust_reason {
    struct span at;
    str pattern, template; /* of the rule or entry; of a line of the host table: host,
                               "" */
    const struct rule_record
        *rule;      /* NULL: a line of the channel/host table, or an entry */
    bool everybody; /* every address, and no table is asked */
    bool computed;  /* where it leads is decided by the address, by the answer of a
                       call-out or by other rules: it may be elsewhere */
};

enum trust_way_kind {
    TRUST_SERVICE,
    TRUST_ADDRESS,
    TRUST_NAME,
    TRUST_TLS,
    TRUST_PEER,
    TRUST_TABLE /* TLS_ACCESS or TLS_PEER_ACCESS */
};
struct trust_way {
    enum trust_way_kind kind;
    const struct service *service;    /* of SERVICE */
    const struct channel *from;       /* of the others */
    bool trusted, stranger;           /* those who come by it can be ... */
    VEC(struct trust_reason) reasons; /* of ADDRESS and TABLE, in file order */
};

struct trust_channel {
    const struct channel *channel;
    VEC(struct trust_way) ways; /* none: no session gets there */
    bool trusted, stranger;     /* by some way */
};
struct trust {
    struct trust_channel *channels; /* by index */
};
/* Needs channels, hosts, rules and services of s. Results are in the arena. */
void trust_find(const struct snapshot *s, struct arena *a, struct trust *out);

#endif
