/* dispatch: due entry -> kind->deliver -> outcome -> queue, for one worker. Fresh
 * entries come from enqueue with their bodies; deferred ones are claimed from the
 * queue when they fall due. The pure part (what may start now, fairness between next
 * hops, backoff) is scheduler.c. */
#ifndef ROUTER_DISPATCH_H
#define ROUTER_DISPATCH_H

#include "router/queue.h"
#include "router/scheduler.h"
#include "router/worker.h"

struct channel;

/* Starts dispatching on w (w->dispatch); claims what is due at once. w->current is set.
 */
void dispatch_start(struct worker *w);
/* From now on what is deferred is tried again after so long, whatever its channel says;
 * 0: as the channel says. On w's loop, or before it runs. */
void dispatch_set_retry(struct worker *w, int64_t retry_ms);
/* The shortest wait before something that was deferred on c is tried again. */
int64_t dispatch_retry_ms(const struct worker *w, const struct channel *c);
/* Takes over a committed message whose entries this worker has claimed. */
void dispatch_add(struct worker *w, struct queue_message *m);
/* No new deliveries; running ones may finish. What is only waiting is given back to the
 * queue. on_idle comes once, never inside this call, when none is left and the queue owes
 * no answer. */
void dispatch_stop(struct worker *w, void (*on_idle)(struct worker *w));
/* Frees it, after on_idle; w->dispatch is NULL then. The loop must turn once more to
 * close its timers. */
void dispatch_free(struct worker *w);
/* Gives entries back to the queue that wait for their turn here, on all workers: those of
 * ids, and all of the channel (ptr NULL: none). Those that are being delivered stay. For
 * an operator whose order is stored; from any thread. */
void dispatch_recall(struct daemon *d, const int64_t *ids, unsigned count, str channel);
/* w->current is another configuration: its limits hold for what waits here. On w's loop.
 */
void dispatch_configured(struct worker *w);
/* Look at the queue again now (an operator released or retried something). */
void dispatch_wake(struct worker *w);
/* The same, from any thread, as soon as w's loop turns. */
void dispatch_wake_soon(struct worker *w);

#endif
