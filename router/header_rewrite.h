/* header_rewrite: what the header of a message becomes in mail queued to a channel: each
 * address rewritten by the rules and shown as the channel wants it (tables/shown.h), and
 * the keywords that are about header lines. Pure. Fields in which nothing changes are
 * passed on octet for octet, so that signatures over them stay good. */
#ifndef ROUTER_HEADER_REWRITE_H
#define ROUTER_HEADER_REWRITE_H

#include "base/buf.h"
#include "tables/reverse.h"

enum {
    HEADER_PROCESSED_MAX = 256 * 1024, /* octets; longer headers are not looked at */
    HEADER_WORK_MAX = 20000            /* addresses of one message, over all channels */
};

struct header_context {
    const struct snapshot *snapshot;
    const struct channel *source, *destination;
    str bare_domain;           /* completes addresses without a host */
    str sender;                /* of the envelope, as it leaves; for addreturnpath */
    bool receipt_moved;        /* a receipt is asked for on the envelope, too */
    struct reversal *reversal; /* of the message; it goes on here */
};

/* Is it one of the fields that ask for a receipt of delivery? */
bool header_asks_success(str name);
/* Does the header ask for one for its envelope sender alone, who is the one that reports
 * go to? */
bool header_receipt_asked(str header, str sender, struct arena *scratch);

enum header_verdict {
    HEADER_SAME,    /* it goes out as it is; out is as it was */
    HEADER_CHANGED, /* out has the whole header */
    HEADER_TOO_MUCH /* as SAME: more addresses than *work, or out is full */
};

/* header: all of it, with or without the empty line that ends it. *work: how many
 * addresses may still be looked up; counted down. Appends to out. What is malformed or
 * has no route is left as it is. */
enum header_verdict header_rewrite(const struct header_context *c, str header,
                                   unsigned *work, struct arena *scratch,
                                   struct buf *out);

#endif
