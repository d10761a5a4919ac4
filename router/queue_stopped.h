/* queue_stopped: the channels that an operator has stopped, as workers ask for them: for
 * each entry, so that the usual case, none, takes no lock. Any thread. */
#ifndef ROUTER_QUEUE_STOPPED_H
#define ROUTER_QUEUE_STOPPED_H

#include <stdbool.h>

#include "base/str.h"

struct queue_stopped;

/* None is stopped. Never NULL. */
struct queue_stopped *queue_stopped_new(void);
/* Clears *s. */
void queue_stopped_free(struct queue_stopped **s);
/* Stops or starts a channel (case-blind; copied). One that already is so stays so. */
void queue_stopped_set(struct queue_stopped *s, str channel, bool stopped);
bool queue_stopped_is(struct queue_stopped *s, str channel);

#endif
