/* refusal: what a client is told when a recipient is not taken. */
#ifndef ROUTER_REFUSAL_H
#define ROUTER_REFUSAL_H

#include "router/outcome.h"
#include "tables/route.h"

/* The reply to RCPT for a verdict that is not ROUTE_ACCEPT: 450 or 550 as the route's
 * status says, 550 5.7.1 for the relay rule. `to` is the recipient as given. */
void refusal_outcome(const struct address *to, const struct route *route,
                     enum route_verdict verdict, struct arena *a, struct outcome *out);

#endif
