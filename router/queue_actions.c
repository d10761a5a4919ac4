/* queue_actions: the names of what an operator may want, and where a walk begins. */
#include "router/queue.h"

static const char *const NAMES[QUEUE_ACTIONS] = {
    [QUEUE_HOLD] = "hold",     [QUEUE_UNHOLD] = "release", [QUEUE_RETRY] = "retry",
    [QUEUE_RETURN] = "return", [QUEUE_DELETE] = "delete",  [QUEUE_REDIRECT] = "redirect",
    [QUEUE_STOP] = "stop",     [QUEUE_START] = "start",
};

const char *queue_action_name(enum queue_action action)
{
    return NAMES[action];
}

enum queue_action queue_action_named(str name)
{
    enum queue_action action = 0;
    while (action < QUEUE_ACTIONS && !str_eq(name, str_from(NAMES[action]))) {
        action++;
    }
    return action;
}

const char *queue_action_done(enum queue_action action)
{
    static const char *const words[QUEUE_ACTIONS] = {
        [QUEUE_HOLD] = "held",      [QUEUE_UNHOLD] = "released",
        [QUEUE_RETRY] = "due now",  [QUEUE_RETURN] = "going back to their senders",
        [QUEUE_DELETE] = "deleted", [QUEUE_REDIRECT] = "redirected",
        [QUEUE_STOP] = "stopped",   [QUEUE_START] = "started",
    };
    return words[action];
}

struct queue_cursor queue_cursor_first(const struct queue_filter *f)
{
    return (struct queue_cursor){f->number, -1};
}
