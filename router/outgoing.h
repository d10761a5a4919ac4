/* outgoing: what a message becomes on each channel it is queued to: the sender and the
 * header, where they differ from what was received. Made once, at enqueue. */
#ifndef ROUTER_OUTGOING_H
#define ROUTER_OUTGOING_H

#include "router/queue.h"
#include "tables/reverse.h"

struct outgoing_facts {
    const struct snapshot *snapshot;
    const struct channel *source;
    str sender;      /* of the envelope, completed */
    str bare_domain; /* for header addresses without a host */
};

/* One for each channel, and for each envelope sender that lists give there. */
struct outgoing {
    const struct channel *channel;
    str given;  /* the sender of a list; ptr NULL: that of the facts */
    str sender; /* as for struct queue_entry */
    const struct queue_header *header; /* likewise */
};

struct outgoings;
/* Lives in the arena; the facts are copied, what they point to must live as long. */
struct outgoings *outgoings_new(struct arena *a, const struct outgoing_facts *facts);
/* The one for a channel and a sender of a list (ptr NULL: none); made when it is asked
 * for first, its sender in keep (which is not the arena of o). Valid until the next call.
 */
const struct outgoing *outgoings_get(struct outgoings *o, const struct channel *c,
                                     str given, struct arena *keep);
/* Does any of them have another sender? */
bool outgoings_sender_changed(const struct outgoings *o);
/* Has the sender of one of them been reversed? Then the one before is not to be shown. */
bool outgoings_sender_reversed(const struct outgoings *o);
/* What the reversal of their addresses came to; lives as long as o. */
const struct reversal *outgoings_reversal(const struct outgoings *o);
/* Makes the headers of all that were asked for, from the one in the body of m, and puts
 * those that differ into m->headers; equal ones are one. false: it took too much, and
 * for some channels the header stays as it is. */
bool outgoings_headers(struct outgoings *o, str header, struct queue_message *m);

/* After that: does the header ask for a receipt of delivery for the envelope sender? */
bool outgoings_receipt_asked(const struct outgoings *o);

/* The domain that completes an address without a host, of a sender or in a header; for
 * recipients see tables/recipient.h. helo and peer_name (perhaps empty) are what is known
 * of the client. */
str outgoing_bare_domain(const struct snapshot *s, const struct channel *source, str helo,
                         str peer_name, str peer_ip, struct arena *a);

#endif
