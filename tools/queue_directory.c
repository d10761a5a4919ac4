/* queue_directory: each entry that passes a filter, the oldest message first. */
#include "base/clock.h"
#include "router/queue_sqlite_offline.h"
#include "tools/queue_tool.h"
#include "tools/text.h"

enum { SHOWN_RECIPIENTS = 3 };

struct listing {
    const struct queueing *q;
    unsigned shown;
};

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

static void list_text(const struct listing *l, const struct queue_seen *e)
{
    const struct queueing *q = l->q;
    const char *ordered = queue_ordered_text(e->ordered);
    char age[QUEUE_TIME_MAX], due[QUEUE_TIME_MAX];
    str sender = text_plain(q->arena, e->sender);

    if (l->shown == 0) {
        printf("%-8s %-13s %-8s %-16s %s\n", "id", "age", "state", "channel",
               "sender -> recipients");
    }
    clock_age(q->now_ms - e->created_ms, age, sizeof age);
    printf("%-8s %-13s %-8s %-16.*s <%.*s> -> %.*s\n", e->id, age,
           queue_state_name(e->state), STR_ARG(text_plain(q->arena, e->channel)),
           STR_ARG(sender), STR_ARG(recipients_text(q->arena, e)));
    if (e->reason.ptr) {
        printf("%8s %.*s\n", "", STR_ARG(text_plain(q->arena, e->reason)));
    }
    if (e->state == QUEUE_WAITING && e->next_try_ms > q->now_ms) {
        clock_age(e->next_try_ms - q->now_ms, due, sizeof due);
        printf("%8s attempt %u in %s\n", "", e->attempts + 1, due);
    }
    if (ordered) {
        printf("%8s ordered: %s\n", "", ordered);
    }
}

static void list_json(const struct queueing *q, const struct queue_seen *e)
{
    struct record out;

    record_begin(&out);
    record_str(&out, "id", str_from(e->id));
    record_uint(&out, "entry", e->position);
    record_str(&out, "state", str_from(queue_state_name(e->state)));
    queue_record_time(&out, "created", e->created_ms);
    record_uint(&out, "age_s", queue_seconds_since(e->created_ms, q->now_ms));
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
    queue_record_time(&out, "next_try", e->state == QUEUE_WAITING ? e->next_try_ms : 0);
    record_str(&out, "reason", e->reason);
    record_str(&out, "ordered", str_from(queue_ordered_text(e->ordered)));
    record_print(&out);
}

static void list_one(const struct queue_seen *e, void *arg)
{
    struct listing *l = arg;
    struct arena_mark mark = arena_mark(l->q->arena);

    if (l->q->in->options.json) {
        list_json(l->q, e);
    } else {
        list_text(l, e);
    }
    l->shown++;
    arena_reset(l->q->arena, mark);
}

static bool filter_is_open(const struct queue_filter *f)
{
    return !f->channel.ptr && !f->host.ptr && !f->from.ptr && !f->to.ptr &&
           f->created_before_ms == 0;
}

int queue_directory(struct queueing *q)
{
    struct listing l = {.q = q};
    char reason[QUEUE_REASON_MAX];

    if (q->word_count > 0) {
        q->filter.channel = str_from(q->words[0]);
    }
    if (!queue_look(q->directory, &q->filter, list_one, &l, reason, sizeof reason)) {
        return queue_complain(q, reason);
    }
    if (l.shown == 0 && !q->in->options.json) {
        puts(!filter_is_open(&q->filter) ? "nothing in the queue is like that"
             : q->filter.held            ? "nothing is held"
                                         : "the queue is empty");
    }
    return TOOL_OK;
}
