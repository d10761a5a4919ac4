/* urgency: when a message is tried first, and how urgent it is: what its Priority field
 * says (RFC 2156 5.3.6; PMDF), lowered where it is large (urgentblocklimit and its kin,
 * for the channel it is queued to; URGENT_BLOCK_LIMIT and its kin for all). Pure. */
#ifndef ROUTER_URGENCY_H
#define ROUTER_URGENCY_H

#include "router/message_limits.h"

enum urgency {
    URGENCY_THIRD_CLASS, /* only what was non-urgent and too large for that */
    URGENCY_NONURGENT,
    URGENCY_NORMAL,
    URGENCY_URGENT
};

/* Of the first Priority field with a word that is known; normal without one. */
enum urgency urgency_of_header(str header);
/* What is left of it for a message of that size on channel c. */
enum urgency urgency_by_size(enum urgency u, const struct snapshot *s,
                             const struct channel *c, const struct message_size *size);
/* Which retry times and notices it goes by. */
enum retry_class urgency_class(enum urgency u);

/* When the field Deferred-delivery says that a message is to be delivered (RFC 2156); 0:
 * there is none, or it holds no date. */
int64_t deferred_delivery_ms(str header);

/* What decides about the first attempt. */
struct first_try {
    const struct channel *source, *channel; /* from and to */
    enum urgency urgency;                   /* on that channel */
    int64_t deferred_ms;                    /* deferred_delivery_ms() */
    int64_t now_ms;
};
/* When it is made; 0: at once. What is not urgent enough for an immediate one (immnormal
 * and its kin) waits as after a failed one; `after` waits so long; a date in
 * Deferred-delivery is obeyed as far as the message would not be given up before. */
int64_t first_try_ms(const struct first_try *f);

#endif
