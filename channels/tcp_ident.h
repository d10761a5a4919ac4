/* tcp_ident: who a client is: the name of its address in the DNS and, if that is wanted,
 * whether the name leads back to the address. The owner of an address writes its name, so
 * only a confirmed name says anything. Lives on one worker.
 *
 * The name servers are those of the channel that wants to know first. Nobody is asked
 * about 127.0.0.1 and ::1 (localhost, RFC 6761); the rest of 127/8 has names only where
 * the channel has name servers of its own. */
#ifndef CHANNELS_TCP_IDENT_H
#define CHANNELS_TCP_IDENT_H

#include <stdbool.h>

#include "router/runtime.h"
#include "router/worker.h"

struct tcp_ident;

/* What was wanted is known. Never inside the call that wanted it; tcp_ident_free() is
 * allowed inside. */
typedef void (*tcp_ident_cb)(void *arg);

/* ip is copied. Asks nothing yet. */
struct tcp_ident *tcp_ident_new(struct worker *w, str ip, tcp_ident_cb cb, void *arg);
/* Cancels what is outstanding; no callback comes any more. Clears *i; NULL is allowed. */
void tcp_ident_free(struct tcp_ident **i);

/* Wants the name, with `checked` also the forward look-up. True: known. False: being
 * looked up, cb comes, after two times DNS_CLIENT_TIMEOUT_MS at the latest; what cannot
 * be looked up is then known not to be there. r is referenced meanwhile, c is of r. */
bool tcp_ident_want(struct tcp_ident *i, struct runtime *r, const struct channel *c,
                    bool checked);
/* Is that known already? */
bool tcp_ident_known(const struct tcp_ident *i, bool checked);

/* The name so far, lower case; "" none. Borrowed. */
const char *tcp_ident_name(const struct tcp_ident *i);
/* True when a forward look-up of the name gave the address. */
bool tcp_ident_confirmed(const struct tcp_ident *i);
/* Why there is no name or no confirmation, "" if nothing is wrong. */
const char *tcp_ident_trouble(const struct tcp_ident *i);

#endif
