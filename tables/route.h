/* route: snapshot + address -> channel, rewritten address, reasons: rewriting alone. What
 * else happens to a recipient, and in which order, is in tables/recipient.h. Pure
 * functions; results live in the arena given and point into the snapshot. */
#ifndef TABLES_ROUTE_H
#define TABLES_ROUTE_H

#include <stdbool.h>

#include "base/address.h"
#include "base/arena.h"
#include "tables/snapshot.h"

enum route_direction { ROUTE_FORWARD, ROUTE_BACKWARD };
enum route_form { ROUTE_ENVELOPE, ROUTE_HEADER };

struct rewrite_context {
    const struct channel *source; /* NULL: the local channel */
    enum route_direction direction;
    enum route_form form;
    const struct channel *destination; /* NULL: not known; ignored for an envelope To */
};

/* One look at one pattern, for --trace. */
struct route_step {
    str probe;        /* the pattern looked up */
    struct span rule; /* SPAN_NONE: no such rule */
    str template;     /* empty when there is no rule */
    str outcome;      /* "no rule", "applied", "repeat", "failed: $E" */
    struct route_step *next;
};

struct route {
    const struct channel *channel; /* NULL: no route, see error */
    struct address address;        /* rewritten */
    str routing_host;              /* the key into the host table */
    struct span rule;              /* deciding rule, SPAN_NONE: host table entry */
    struct span host;              /* host table line that gave the channel */
    const struct host_entry *line; /* that line; NULL: there is none */
    str error;                     /* text without codes, when channel is NULL */
    unsigned status[3];       /* enhanced code x.y.z of the error, 5.1.2 if no other */
    struct route_step *steps; /* only when asked for */
};

/* Rewrites one address and finds its channel (PMDF 2.2.3). want_steps fills steps. */
void route_rewrite(const struct snapshot *s, const struct rewrite_context *ctx,
                   const struct address *addr, bool want_steps, struct arena *a,
                   struct route *out);

/* The IP switch at accept (PMDF 2.3.4.42): the client's IP as a domain literal,
 * rewritten as a backward-pointing envelope address, names a channel; accepted only
 * from a `switchchannel` channel to one that allows it. The rules "." and "$*"
 * alone never switch: a switched client is trusted, and they match everybody. Returns the
 * channel to use (from itself when nothing switches); *rule is the deciding rule. */
const struct channel *route_ip_switch(const struct snapshot *s,
                                      const struct channel *from, str client_ip,
                                      struct arena *a, struct span *rule);

/* Must the client's name be asked for a switch? True when `from` has switchchannel and an
 * ident setting that lets names count (5.1), and the address itself leads to no channel
 * other than `from` (what it leads to may then still forbid the switch). */
bool route_name_counts(const struct snapshot *s, const struct channel *from,
                       str client_ip, struct arena *a);
/* The switch by name, where route_name_counts(): as the IP switch, for the name that a
 * reverse look-up gave and a forward look-up confirmed. It leads to channels that speak
 * SMTP only, and makes nobody trusted: rules for names are written to send mail there. */
const struct channel *route_name_switch(const struct snapshot *s,
                                        const struct channel *from, str client_name,
                                        struct arena *a, struct span *rule);

/* The first step for an envelope To: like route_rewrite(), but its host keeps the name it
 * has until route_proper_name(). One without a local part leads nowhere, and so does one
 * for a channel of a kind that is not served. false: no channel, the error is set. The
 * steps behind this one are in tables/recipient.h. */
bool route_envelope_to(const struct snapshot *s, const struct channel *source,
                       const struct address *addr, struct arena *a, struct route *out);
/* Envelope To only: the host by which a line of the channel block was reached becomes
 * that line's proper name, or the official host (PMDF 2.3.2.3). */
void route_proper_name(struct arena *a, struct route *out);

/* The host a message to addr on channel c is handed to: `daemon` when it is a name or
 * "[ip]"; the official host when it is "router"; else the first source route entry;
 * else the domain of addr. Never empty for a TCP channel; empty for the others. Slices
 * point into the snapshot or addr. */
str route_next_hop(const struct channel *c, const struct address *addr);
/* Are the MX records of the next hop looked up? MX records are for port 25; a channel
 * that goes elsewhere says `mx` if it wants them all the same. An address literal has
 * none in any case. */
bool route_wants_mx(const struct channel *c);

#endif
