/* message_limits: how large a message may be: for the site (BLOCK_LIMIT, LINE_LIMIT) and
 * for the channel it is queued to (blocklimit, linelimit). A block is BLOCK_SIZE bytes.
 * Counted is the message as the client sent it. Pure. */
#ifndef ROUTER_MESSAGE_LIMITS_H
#define ROUTER_MESSAGE_LIMITS_H

#include "base/str.h"
#include "tables/snapshot.h"

struct message_size {
    uint64_t bytes, lines;
};

/* Adds a piece of the message. */
void message_size_add(struct message_size *size, str data);
/* Says which limit the message exceeds: the name of its keyword or option; NULL: none. */
const char *message_over_site(const struct snapshot *s, const struct message_size *size);
const char *message_over_channel(const struct snapshot *s, const struct channel *c,
                                 const struct message_size *size);

/* Has it more than that many blocks (0: as many as it likes)? */
bool message_over_blocks(const struct snapshot *s, unsigned blocks,
                         const struct message_size *size);

/* The same for limits of a list (0: none), before any keyword of a channel. */
const char *message_over_list(const struct snapshot *s, unsigned blocks, unsigned lines,
                              const struct message_size *size);

#endif
