/* control_order: see control_order.h. */
#include "router/control_order.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/check.h"
#include "router/control_queue.h"
#include "router/dispatch.h"

/* An order that waits for its step. */
struct waiting_order {
    struct queue_order order; /* its texts are in the arena */
    struct arena *arena;
    control_order_cb cb;
    void *arg;
};

enum queue_action control_order_action(str command)
{
    if (!str_starts(command, STR("queue "))) {
        return QUEUE_ACTIONS;
    }
    return queue_action_named(str_sub(command, 6, command.len));
}

static void waiting_free(struct waiting_order *waiting)
{
    arena_free(&waiting->arena);
    free(waiting);
}

/* What is due, or was claimed when it was changed, concerns the workers. Any of them may
 * take what is due. */
static void tell_workers(struct daemon *d, const struct queue_order *o,
                         const struct queue_step *step)
{
    if (o->dry_run || step->changed == 0) {
        return;
    }
    if (step->active > 0 || o->action == QUEUE_STOP) {
        str channel = o->action == QUEUE_STOP ? o->filter.channel : STR_NONE;
        dispatch_recall(d, step->claimed, step->active, channel);
    } else if (o->action != QUEUE_HOLD && o->action != QUEUE_DELETE) {
        dispatch_wake_soon(&d->workers[step->at.number % d->worker_count]);
    }
}

static void on_step(struct worker *w, const struct queue_step *step,
                    const struct queue_result *r, void *arg)
{
    struct waiting_order *waiting = arg;
    struct buf text, fields;
    buf_init(&text, CONTROL_QUEUE_MAX);
    buf_init(&fields, CONTROL_QUEUE_MAX);
    if (r->ok) {
        tell_workers(w->daemon, &waiting->order, step);
        control_order_answer(&waiting->order, step, &text, &fields);
    } else {
        buf_printf(&text, "the queue could not be changed: %s\n", r->reason);
    }
    waiting->cb(r->ok, buf_slice(&text), buf_slice(&fields), waiting->arg);
    buf_free(&text);
    buf_free(&fields);
    waiting_free(waiting);
}

/* The configuration in force must have what mail is sent to. */
static const char *order_refused(const struct snapshot *s, struct queue_order *o)
{
    const struct channel *to =
        o->channel.ptr != NULL ? snapshot_channel(s, o->channel) : NULL;
    const char *wrong = control_order_target(o, to);
    if (wrong != NULL) {
        return wrong;
    }
    if (o->action == QUEUE_STOP && snapshot_channel(s, o->filter.channel) == NULL) {
        return "there is no channel of that name";
    }
    return NULL;
}

/* Whoever asks for that has mended something, or so he thinks. */
static bool wants_attempt(const struct queue_order *o)
{
    return !o->dry_run && (o->action == QUEUE_RETRY || o->action == QUEUE_UNHOLD ||
                           o->action == QUEUE_REDIRECT || o->action == QUEUE_START);
}

void control_order_run(const struct control_order *o, control_order_cb cb, void *arg)
{
    struct waiting_order *waiting = calloc(1, sizeof *waiting);
    struct queue_cursor at;
    check(waiting != NULL);
    *waiting = (struct waiting_order){.arena = o->arena, .cb = cb, .arg = arg};
    waiting->order.action = o->action;
    waiting->order.now_ms = worker_now_ms(o->main);
    const char *wrong = control_order_read(o->members, &waiting->order, &at);
    if (wrong == NULL) {
        wrong = order_refused(o->runtime->snapshot, &waiting->order);
    }
    if (wrong == NULL) {
        if (wants_attempt(&waiting->order)) {
            runtime_forget(o->runtime);
        }
        queue_order(o->main->daemon->queue, o->main, &waiting->order, at, on_step,
                    waiting);
        return;
    }
    char text[256];
    snprintf(text, sizeof text, "%s\n", wrong);
    cb(false, str_from(text), STR_NONE, arg);
    waiting_free(waiting);
}
