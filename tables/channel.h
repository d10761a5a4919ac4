/* channel: one configured channel: what the block, its defaults and the built-ins
 * mean together. Immutable once compiled; lives in the snapshot's arena. */
#ifndef TABLES_CHANNEL_H
#define TABLES_CHANNEL_H

#include <stdbool.h>

#include "base/diag.h"
#include "base/str.h"
#include "parser/keywords.h"
#include "tables/pipe_options.h"
#include "tables/retry.h"
#include "tables/tcp_options.h"
#include "tables/tls_policy.h"

/* The driver that serves a channel, derived from its name (PMDF 2.3.6). */
enum channel_type {
    CHANNEL_TCP,        /* tcp_*, and any name with the keyword smtp or lmtp */
    CHANNEL_LOCAL,      /* l */
    CHANNEL_BITBUCKET,  /* bitbucket */
    CHANNEL_PIPE,       /* pipe, pipe_* */
    CHANNEL_REPROCESS,  /* process, process_*, reprocess, reprocess_* */
    CHANNEL_HOLD,       /* hold */
    CHANNEL_UNSUPPORTED /* reserved by PMDF, not served yet: an error if mail can reach it
                         */
};

struct pool;

struct channel {
    unsigned index; /* position in snapshot->channels */
    str name;
    enum channel_type type;
    struct channel_opts opts;
    struct tcp_options tcp;   /* of its option file; what holds without one for others */
    struct pipe_options pipe; /* likewise, of a pipe channel */
    str official_host;
    str local_alias;                          /* empty: use snapshot->local_host */
    struct channel *tls_switch;               /* resolved tlsswitchchannel, NULL: none */
    struct channel *tls_peer_switch;          /* the same for tlspeerswitchchannel */
    struct tls_policy tls_server, tls_client; /* what holds for TLS, flattened */
    struct retry_policy retry[RETRY_CLASSES]; /* when what waits is tried, told of */
    const struct pool *pool;                  /* whose limit holds for it; NULL: none */
    bool final;       /* delivers here: a destination that is ours by kind */
    struct span span; /* the channel name on its line */
};

/* The name this system goes by on this channel: local_alias or the local host. */
struct snapshot;
str channel_local_name(const struct snapshot *s, const struct channel *c);
/* Does the place lie on the channel's own first line? Else it is in `defaults`. */
bool channel_wrote(const struct snapshot *s, const struct channel *c, struct span at);
/* Is it one of the channels that give mail back into the queue: process, reprocess,
 * conversion, defragment and their kin (PMDF 2.3.6)? */
bool channel_reprocesses(const struct channel *c);
/* Why mail for the channel is set aside until an operator releases it; NULL: it is not.
 */
const char *channel_holds(const struct channel *c);
const char *channel_type_name(enum channel_type t);

#endif
