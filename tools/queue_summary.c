/* queue_summary: one line for each channel: how much waits, how long, and why. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/vec.h"
#include "tools/queue_tool.h"
#include "tools/tally.h"
#include "tools/text.h"

/* Of one channel, or of all. */
struct sum {
    str channel;
    uint64_t queued, deferred, held, active; /* queued: all that is not held */
    uint64_t bytes;
    int64_t oldest_ms, next_try_ms; /* 0: none */
    bool stopped;
    int64_t stopped_ms; /* since when */
    struct tally reasons;
};

struct summary {
    const struct queueing *q;
    VEC(struct sum) sums;
    size_t last; /* where the last row belonged: rows of one channel come together */
    uint64_t messages, number;
};

static struct sum *sum_of(struct summary *s, str channel)
{
    size_t i = s->last;

    if (i < s->sums.n && str_ieq(s->sums.at[i].channel, channel)) {
        return &s->sums.at[i];
    }
    for (i = 0; i < s->sums.n && !str_ieq(s->sums.at[i].channel, channel); i++) {
    }
    if (i == s->sums.n) {
        struct sum *sum = vec_add(s->q->arena, &s->sums);
        sum->channel = arena_str(s->q->arena, channel);
    }
    s->last = i;
    return &s->sums.at[i];
}

static void earliest(int64_t *ms, int64_t other)
{
    if (other != 0 && (*ms == 0 || other < *ms)) {
        *ms = other;
    }
}

static void count_row(const struct queue_row *row, void *arg)
{
    struct summary *s = arg;
    struct sum *sum = sum_of(s, row->channel);

    s->messages += row->number != s->number;
    s->number = row->number;
    sum->bytes += (uint64_t)row->size;
    earliest(&sum->oldest_ms, row->created_ms);
    if (row->state == QUEUE_HELD) {
        sum->held++;
    } else {
        sum->queued++;
        sum->active += row->state == QUEUE_CLAIMED;
        sum->deferred += row->state == QUEUE_WAITING && row->attempts > 0;
    }
    if (row->state == QUEUE_WAITING) {
        earliest(&sum->next_try_ms, row->next_try_ms > 0 ? row->next_try_ms : 1);
    }
    if (row->reason.len > 0 && row->state != QUEUE_CLAIMED) {
        tally_add(&sum->reasons, row->reason);
    }
}

static void note_stopped(str channel, int64_t since_ms, void *arg)
{
    struct sum *sum = sum_of(arg, channel);

    sum->stopped = true;
    sum->stopped_ms = since_ms;
}

static int sum_order(const void *a, const void *b)
{
    return str_icmp(((const struct sum *)a)->channel, ((const struct sum *)b)->channel);
}

static struct sum sum_total(const struct summary *s)
{
    struct sum total = {.channel = STR("total")};

    for (size_t i = 0; i < s->sums.n; i++) {
        const struct sum *sum = &s->sums.at[i];
        total.queued += sum->queued;
        total.deferred += sum->deferred;
        total.held += sum->held;
        total.active += sum->active;
        total.bytes += sum->bytes;
        earliest(&total.oldest_ms, sum->oldest_ms);
        earliest(&total.next_try_ms, sum->stopped ? 0 : sum->next_try_ms);
    }
    return total;
}

static str why_text(struct arena *a, const struct sum *sum)
{
    struct tally_text best;

    if (tally_best(&sum->reasons, &best, 1) == 0) {
        return STR("-");
    }
    return arena_printf(
        a, "%.*s (%s%llu)", STR_ARG(text_plain(a, str_n(best.text, best.len))),
        sum->reasons.missed > 0 ? "at least " : "", (unsigned long long)best.count);
}

static void sum_text(const struct summary *s, const struct sum *sum, int width, str why)
{
    char age[QUEUE_TIME_MAX] = "-", due[QUEUE_TIME_MAX], size[QUEUE_TIME_MAX];

    if (sum->oldest_ms != 0) {
        clock_age(s->q->now_ms - sum->oldest_ms, age, sizeof age);
    }
    queue_due_text(sum->next_try_ms, s->q->now_ms, due, sizeof due);
    queue_size_text((int64_t)sum->bytes, size, sizeof size);
    printf("%-*.*s %8llu %8llu %8llu %8llu %10s  %-13s  %-16s %.*s\n", width,
           STR_ARG(text_plain(s->q->arena, sum->channel)),
           (unsigned long long)sum->queued, (unsigned long long)sum->active,
           (unsigned long long)sum->deferred, (unsigned long long)sum->held, size, age,
           sum->stopped ? "stopped" : due, STR_ARG(why));
}

static void print_text(struct summary *s)
{
    int width = 15;

    if (s->sums.n == 0) {
        puts("the queue is empty");
        return;
    }
    for (size_t i = 0; i < s->sums.n; i++) {
        if (s->sums.at[i].channel.len > (size_t)width) {
            width = (int)s->sums.at[i].channel.len;
        }
    }
    printf("%-*s %8s %8s %8s %8s %10s  %-13s  %-16s %s\n", width, "channel", "queued",
           "active", "deferred", "held", "size", "oldest", "next try",
           "why (most common)");
    for (size_t i = 0; i < s->sums.n; i++) {
        sum_text(s, &s->sums.at[i], width, why_text(s->q->arena, &s->sums.at[i]));
    }
    struct sum total = sum_total(s);
    sum_text(s, &total, width,
             arena_printf(s->q->arena, "%llu message%s", (unsigned long long)s->messages,
                          s->messages == 1 ? "" : "s"));
}

static void print_json(const struct summary *s)
{
    for (size_t i = 0; i < s->sums.n; i++) {
        const struct sum *sum = &s->sums.at[i];
        struct tally_text best = {0};
        struct record out;
        record_begin(&out);
        record_str(&out, "channel", sum->channel);
        record_uint(&out, "queued", sum->queued);
        record_uint(&out, "active", sum->active);
        record_uint(&out, "deferred", sum->deferred);
        record_uint(&out, "held", sum->held);
        record_uint(&out, "bytes", sum->bytes);
        queue_record_time(&out, "oldest", sum->oldest_ms);
        queue_record_time(&out, "next_try", sum->next_try_ms);
        bool why = tally_best(&sum->reasons, &best, 1) > 0;
        record_str(&out, "reason", why ? str_n(best.text, best.len) : STR_NONE);
        record_uint(&out, "reason_count", best.count);
        record_bool(&out, "reason_count_exact", sum->reasons.missed == 0);
        record_bool(&out, "stopped", sum->stopped);
        queue_record_time(&out, "stopped_since", sum->stopped_ms);
        record_print(&out);
    }
}

int queue_summarize(struct queueing *q)
{
    struct summary s = {.q = q};
    char reason[QUEUE_REASON_MAX];
    bool good =
        queue_walk(q->directory, count_row, &s, reason, sizeof reason) &&
        queue_stopped_since(q->directory, note_stopped, &s, reason, sizeof reason);

    if (good) {
        if (s.sums.n > 0) {
            qsort(s.sums.at, s.sums.n, sizeof *s.sums.at, sum_order);
        }
        if (q->in->options.json) {
            print_json(&s);
        } else {
            print_text(&s);
        }
    }
    for (size_t i = 0; i < s.sums.n; i++) {
        tally_free(&s.sums.at[i].reasons);
    }
    return good ? TOOL_OK : queue_complain(q, reason);
}
