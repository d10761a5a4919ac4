/* leads: what leads to each channel, found in one pass over rules, services and switches.
 * For messages: it errs on the side of "something does". */
#ifndef TABLES_LEADS_H
#define TABLES_LEADS_H

#include "tables/reach.h"

/* By the channel's index. SPAN_NONE: nothing of the kind. */
struct leads {
    struct span *rule;    /* the first rule that names one of its hosts */
    struct span *session; /* a service, or a switch of another channel */
    bool computed; /* some rule makes hosts that may be any, also made-up ones; or a
                      table switches sessions to nobody knows where */
};
/* Needs what reach_sources() needs, and its result. Results are in the arena. */
void leads_find(const struct snapshot *s, const struct reach *reach, struct arena *a,
                struct leads *out);

#endif
