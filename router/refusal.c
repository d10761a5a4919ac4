/* refusal: see refusal.h. */
#include "router/refusal.h"

/* What a refusal to relay is about: the domain, or the whole address when that names more
 * hosts, because its domain may well be ours then. */
static str relay_target(const struct address *to, struct arena *a)
{
    bool more = to->route.len > 0 || str_find(to->local, '%') >= 0 ||
                str_find(to->local, '!') >= 0 || str_find(to->local, '@') >= 0;
    return str_empty(to->domain) ? STR("that address")
           : more                ? address_print(a, to)
                                 : to->domain;
}

void refusal_outcome(const struct address *to, const struct route *route,
                     enum route_verdict verdict, struct arena *a, struct outcome *out)
{
    if (verdict == ROUTE_REFUSED_RELAY) {
        outcome_set(out, OUTCOME_FAILED, 550, 5, 7, 1, "relaying to %.*s is not allowed",
                    STR_ARG(relay_target(to, a)));
        return;
    }
    bool later = route->status[0] == 4;
    outcome_set(out, later ? OUTCOME_DEFERRED : OUTCOME_FAILED, later ? 450 : 550,
                route->status[0], route->status[1], route->status[2], "%.*s",
                STR_ARG(route->error));
}
