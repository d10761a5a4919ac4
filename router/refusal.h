/* refusal: what a client is told when a recipient or a session is not taken. */
#ifndef ROUTER_REFUSAL_H
#define ROUTER_REFUSAL_H

#include "router/outcome.h"
#include "tables/route.h"

/* The text of the 530 5.7.0 to all who speak of mail before TLS on a channel that says
 * musttlsserver (RFC 3207 4). */
#define REFUSAL_WITHOUT_TLS "Must issue a STARTTLS command first"

/* The reply to RCPT for a verdict that is not ROUTE_ACCEPT: 450 or 550 as the route's
 * status says, 550 5.7.1 for the relay rule. `to` is the recipient as given. */
void refusal_outcome(const struct address *to, const struct route *route,
                     enum route_verdict verdict, struct arena *a, struct outcome *out);

#endif
