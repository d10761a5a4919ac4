/* refusal: see refusal.h. */
#include "router/refusal.h"

void refusal_outcome(const struct recipient_reply *reply, struct outcome *out)
{
    const unsigned *status = reply->status;
    bool later = reply->code < 500;
    outcome_set(out, later ? OUTCOME_DEFERRED : OUTCOME_FAILED, reply->code, status[0],
                status[1], status[2], "%.*s", STR_ARG(reply->text));
}
