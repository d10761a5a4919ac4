/* shown: an address as mail queued to a channel shows it: rewritten, reversed, under the
 * name this system has there, by way of us where exproute or improute ask for it, and
 * written in the form the channel wants (PMDF 2.3.2.2, 2.3.4.1, 2.3.4.2). Pure. */
#ifndef TABLES_SHOWN_H
#define TABLES_SHOWN_H

#include "tables/reverse.h"

/* What the address means on ctx->destination (not NULL): an envelope From or an address
 * of a header. false: there is no route for it, nor is it reversed, and it stays as it
 * is. *out has slices of in, the snapshot and the arena. *r is what is known of the
 * reversal of this message's addresses, and goes on. */
bool shown_address(const struct snapshot *s, const struct rewrite_context *ctx,
                   const struct address *in, struct arena *a, struct reversal *r,
                   struct address *out);
/* Do the two read alike: the same mailbox by the same route, domains case-blind? */
bool shown_same(const struct address *a, const struct address *b);

/* Writes it in a form: "@a,@b:u@c" is "u%c%b@a" in 733 and "a!b!c!u" in bang form. Where
 * that is too long for a mailbox, or the address has nothing but a local part, it is
 * written as it is. */
str shown_print(struct arena *a, enum address_form form, const struct address *addr);

/* An envelope address of the queue (`stored`, as address_print() wrote it) as it goes out
 * on channel c; recipients lose their route with dequeue_removeroute. Slice of stored
 * where nothing changes, else in the arena. */
str shown_sender(const struct snapshot *s, const struct channel *c, str stored,
                 struct arena *a);
str shown_recipient(const struct snapshot *s, const struct channel *c, str stored,
                    struct arena *a);

#endif
