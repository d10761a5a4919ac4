/* tcp_delay: a pause before a session goes on. The timer has storage of its own, so that
 * the session can go away at any time. */
#ifndef CHANNELS_TCP_DELAY_H
#define CHANNELS_TCP_DELAY_H

#include "router/worker.h"

struct tcp_delay;
/* Calls over(arg) on the worker's loop when ms have passed, unless it is ended before. */
struct tcp_delay *tcp_delay_new(struct worker *w, unsigned ms, void (*over)(void *arg),
                                void *arg);
/* Ends it and clears *d; the call does not come any more. NULL inside is allowed. */
void tcp_delay_free(struct tcp_delay **d);

#endif
