/* queue: looking at the queue and acting on it: one row per command. What changes it goes
 * through the running daemon; when none runs, to the store itself, under its lock. */
#include <string.h>

#include "router/control_client.h"
#include "router/control_queue.h"
#include "router/queue_sqlite_offline.h"
#include "tools/daemon_place.h"
#include "tools/queue_keeping.h"
#include "tools/record.h"
#include "tools/text.h"

enum { REPLY_TIMEOUT_MS = 60 * 1000, REASON_MAX = 512, SHOWN_RECIPIENTS = 3 };

struct queueing {
    const struct invocation *in;
    struct arena *arena;
    int64_t now_ms;
    unsigned shown;
};

/* ---- list ---------------------------------------------------------------------- */

static const char *state_name(enum queue_state state)
{
    switch (state) {
    case QUEUE_WAITING:
        return "waiting";
    case QUEUE_CLAIMED:
        return "active";
    case QUEUE_HELD:
        return "held";
    }
    return "unknown";
}

static str recipients_text(struct arena *a, const struct queue_seen *e)
{
    str text = STR("");

    for (unsigned i = 0; i < e->recipient_count && i < SHOWN_RECIPIENTS; i++) {
        text = arena_printf(a, "%.*s%s%.*s", STR_ARG(text), i > 0 ? ", " : "",
                            STR_ARG(text_plain(a, e->recipients[i])));
    }
    if (e->recipient_count > SHOWN_RECIPIENTS) {
        text = arena_printf(a, "%.*s and %u more", STR_ARG(text),
                            e->recipient_count - SHOWN_RECIPIENTS);
    }
    return text;
}

static void list_text(const struct queueing *q, const struct queue_seen *e)
{
    char age[40], due[40];
    str sender = text_plain(q->arena, e->sender);

    if (q->shown == 0) {
        printf("%-8s %-13s %-8s %-16s %s\n", "id", "age", "state", "channel",
               "sender -> recipients");
    }
    clock_age(q->now_ms - e->created_ms, age, sizeof age);
    printf("%-8s %-13s %-8s %-16.*s <%.*s> -> %.*s\n", e->id, age, state_name(e->state),
           STR_ARG(e->channel), STR_ARG(sender), STR_ARG(recipients_text(q->arena, e)));
    if (e->reason.ptr) {
        printf("%8s %.*s\n", "", STR_ARG(text_plain(q->arena, e->reason)));
    }
    if (e->state == QUEUE_WAITING && e->next_try_ms > q->now_ms) {
        clock_age(e->next_try_ms - q->now_ms, due, sizeof due);
        printf("%8s attempt %u in %s\n", "", e->attempts + 1, due);
    }
}

static void list_json(const struct queueing *q, const struct queue_seen *e)
{
    struct record out;
    char created[40], due[40];

    clock_rfc3339(e->created_ms, created, sizeof created);
    clock_rfc3339(e->next_try_ms, due, sizeof due);
    record_begin(&out);
    record_str(&out, "id", str_from(e->id));
    record_uint(&out, "entry", e->position);
    record_str(&out, "state", str_from(state_name(e->state)));
    record_str(&out, "created", str_from(created));
    record_uint(&out, "age_s",
                q->now_ms > e->created_ms ? (uint64_t)(q->now_ms - e->created_ms) / 1000
                                          : 0);
    record_uint(&out, "size", (uint64_t)e->size);
    record_str(&out, "sender", e->sender);
    record_str(&out, "source_channel", e->source_channel);
    record_str(&out, "channel", e->channel);
    record_str(&out, "host", e->host);
    record_open(&out, "recipients", '[');
    for (unsigned i = 0; i < e->recipient_count; i++) {
        record_str(&out, NULL, e->recipients[i]);
    }
    record_close(&out, ']');
    record_uint(&out, "attempts", e->attempts);
    record_str(&out, "next_try", e->state == QUEUE_WAITING ? str_from(due) : STR_NONE);
    record_str(&out, "reason", e->reason);
    record_print(&out);
}

static void list_one(const struct queue_seen *e, void *arg)
{
    struct queueing *q = arg;
    struct arena_mark mark = arena_mark(q->arena);

    if (q->in->options.json) {
        list_json(q, e);
    } else {
        list_text(q, e);
    }
    q->shown++;
    arena_reset(q->arena, mark);
}

static int queue_list(struct queueing *q)
{
    bool held = q->in->options.held;
    const struct queue_filter filter = {.held = held};
    char reason[REASON_MAX];

    if (!queue_look(daemon_queue(q->arena, q->in).ptr, &filter, list_one, q, reason,
                    sizeof reason)) {
        fprintf(stderr, "pointsman: queue list: %s\n", reason);
        return TOOL_USAGE;
    }
    if (q->shown == 0 && !q->in->options.json) {
        puts(held ? "nothing is held" : "the queue is empty");
    }
    return TOOL_OK;
}

/* ---- release ------------------------------------------------------------------- */

static int released(const struct queueing *q, str id, bool good, uint64_t count, str text)
{
    struct record out;

    text = str_trim(text);
    if (q->in->options.json) {
        record_begin(&out);
        record_str(&out, "id", id);
        record_uint(&out, "released", count);
        record_str(&out, "text", text);
        record_print(&out);
    } else {
        fprintf(good ? stdout : stderr, "%.*s: %.*s\n", STR_ARG(id), STR_ARG(text));
    }
    return good ? TOOL_OK : TOOL_NO;
}

static bool step_offline(const struct queueing *q, const struct queue_order *o,
                         struct queue_step *step, char *reason)
{
    struct queue_offline *queue =
        queue_offline_open(daemon_queue(q->arena, q->in).ptr, reason, REASON_MAX);
    bool good = queue != NULL && queue_offline_order(queue, o, step, reason, REASON_MAX);

    queue_offline_close(&queue);
    return good;
}

/* By the daemon; false with a reason when none can be asked. */
static bool step_ask(const struct queueing *q, const struct queue_order *o,
                     struct queue_step *step, struct control_reply *reply, char *reason)
{
    struct buf members;
    char command[32];

    snprintf(command, sizeof command, "queue %s", queue_action_name(o->action));
    buf_init(&members, CONTROL_QUEUE_MAX);
    control_order_write(&members, o, step->at);
    const struct control_request request = {command, buf_slice(&members)};
    bool good = control_ask(q->arena, daemon_socket(q->arena, q->in), &request,
                            REPLY_TIMEOUT_MS, reply, reason, REASON_MAX);
    buf_free(&members);
    if (good && reply->ok && !control_order_answered(&reply->object, step)) {
        snprintf(reason, REASON_MAX, "the daemon's answer has no counts");
        good = false;
    }
    return good;
}

static str released_text(const struct queue_step *step, bool daemon)
{
    return step->entries == 0   ? STR("there is no such message in the queue")
           : step->changed == 0 ? STR("the message is not held")
           : daemon             ? STR("released")
                                : STR("released; the daemon is down");
}

static int queue_release_one(struct queueing *q)
{
    struct queue_order o = {.action = QUEUE_UNHOLD, .now_ms = q->now_ms};
    struct queue_step step = {0};
    struct control_reply reply = {0};
    char why[REASON_MAX], reason[REASON_MAX];
    str id = str_from(q->in->args[1]);

    if (!queue_id_parse(id, &o.filter.number)) {
        fprintf(stderr, "pointsman: '%s' is no id of a message\n", q->in->args[1]);
        return TOOL_USAGE;
    }
    step.at = queue_cursor_first(&o.filter);
    bool asked = step_ask(q, &o, &step, &reply, why);
    if (asked && !reply.ok) {
        return released(q, id, false, 0, reply.text);
    }
    if (!asked && !step_offline(q, &o, &step, reason)) {
        fprintf(stderr, "pointsman: queue release: %s\n", reason);
        fprintf(stderr, "pointsman: queue release: %s\n", why);
        return TOOL_USAGE;
    }
    return released(q, id, step.changed > 0, step.changed, released_text(&step, asked));
}

/* ---- the command --------------------------------------------------------------- */

static int queue_backup_one(struct queueing *q)
{
    return queue_keeping_backup(q->in, daemon_queue(q->arena, q->in).ptr);
}

static int queue_check_one(struct queueing *q)
{
    return queue_keeping_check(q->in, daemon_queue(q->arena, q->in).ptr);
}

static const struct queue_command {
    const char *name, *argument; /* NULL: it takes none; in brackets: it may */
    int (*run)(struct queueing *q);
} commands[] = {
    {"list", NULL, queue_list},
    {"release", "ID", queue_release_one},
    {"backup", "DIR", queue_backup_one},
    {"check", "[DIR]", queue_check_one},
};

static const struct queue_command *command_named(const char *name)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return &commands[i];
        }
    }
    fprintf(stderr, "pointsman: queue: there is no command '%s'; there are", name);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        fprintf(stderr, "%s %s", i > 0 ? "," : "", commands[i].name);
    }
    fputc('\n', stderr);
    return NULL;
}

int cmd_queue(const struct invocation *in)
{
    const struct queue_command *c = command_named(in->args[0]);
    int most = c && c->argument ? 2 : 1;
    int least = c && c->argument && c->argument[0] != '[' ? 2 : 1;

    if (!c) {
        return TOOL_USAGE;
    }
    if (in->arg_count < least || in->arg_count > most) {
        fprintf(stderr, "pointsman: queue %s takes %s\n", c->name,
                c->argument ? c->argument : "no argument");
        return TOOL_USAGE;
    }
    struct queueing q = {
        .in = in, .arena = arena_new(), .now_ms = clock_now_ms(&clock_system)};
    int code = c->run(&q);
    arena_free(&q.arena);
    return code;
}
