/* control_queue: orders about the queue, as they come over the control socket and as they
 * are answered. Shared with the offline tool, which writes and reads the other end. */
#ifndef ROUTER_CONTROL_QUEUE_H
#define ROUTER_CONTROL_QUEUE_H

#include "base/buf.h"
#include "base/json.h"
#include "router/queue.h"

enum { CONTROL_QUEUE_MAX = 1024 };

/* Appends the members of a request for one step, each with a comma in front: `id`,
 * `channel`, `host`, `from`, `to`, `either`, `held`, `created_before_ms`, `to_channel`,
 * `to_host`, `dry_run`, and `after` where the step does not begin the walk. */
bool control_order_write(struct buf *out, const struct queue_order *o,
                         struct queue_cursor at);
/* Reads them, and no others; texts are slices of o. NULL, or what is wrong with it. The
 * action is in place, now_ms the caller's. An order without anything that says which
 * entries are meant is none: `all` must be true. */
const char *control_order_read(const struct json_object *o, struct queue_order *out,
                               struct queue_cursor *at);

struct channel;
/* Why the order cannot send mail to the channel it names, which is `to` (NULL: the
 * configuration has none of that name). NULL: it can, or it sends no mail anywhere. Sets
 * next_hop, which points into the configuration. */
const char *control_order_target(struct queue_order *o, const struct channel *to);

/* The answer: a line for people, and the members `entries`, `changed`, `active`, and
 * `after` where the walk goes on. */
void control_order_answer(const struct queue_order *o, const struct queue_step *step,
                          struct buf *text, struct buf *fields);
/* Reads them; at and more are set, too. False when one is missing. */
bool control_order_answered(const struct json_object *o, struct queue_step *step);

#endif
