/* control_order: orders about the queue that come over the control socket: checked, given
 * to the queue, told to the workers. Main loop only. */
#ifndef ROUTER_CONTROL_ORDER_H
#define ROUTER_CONTROL_ORDER_H

#include "base/json.h"
#include "router/queue.h"
#include "router/runtime.h"

struct control_order {
    struct worker *main;
    const struct runtime *runtime; /* in force; for the call */
    struct arena *arena;           /* of the request; the order's from now on */
    enum queue_action action;
    const struct json_object *members; /* in the arena, see control_queue.h */
};
/* text for people, fields as members with a comma in front; both for the call. */
typedef void (*control_order_cb)(bool ok, str text, str fields, void *arg);

/* The action that a command ("queue hold") asks for; QUEUE_ACTIONS: none. */
enum queue_action control_order_action(str command);
/* Does one step. cb comes once: inside the call when the order is refused, else when the
 * step is on stable storage or has failed. */
void control_order_run(const struct control_order *o, control_order_cb cb, void *arg);

#endif
