/* queue_words: see queue_tool.h. */
#include "tools/queue_tool.h"

#include <stddef.h>
#include <string.h>

#include "base/clock.h"
#include "tools/text.h"

/* ---- options ------------------------------------------------------------------- */

struct given {
    const char *name;
    unsigned bit;
    bool flag;
    size_t member;
};

#define GIVEN_TEXT(name, bit, member)                                                    \
    {                                                                                    \
        name, bit, false, offsetof(struct tool_options, member)                          \
    }
#define GIVEN_FLAG(name, bit, member)                                                    \
    {                                                                                    \
        name, bit, true, offsetof(struct tool_options, member)                           \
    }

static const struct given rows[] = {
    GIVEN_FLAG("held", QUEUE_TAKES_FILTER, queue.held),
    GIVEN_TEXT("from", QUEUE_TAKES_FILTER, queue.from),
    GIVEN_TEXT("to", QUEUE_TAKES_FILTER, queue.to),
    GIVEN_TEXT("match", QUEUE_TAKES_FILTER, queue.match),
    GIVEN_TEXT("older", QUEUE_TAKES_FILTER, queue.older),
    GIVEN_TEXT("host", QUEUE_TAKES_FILTER, queue.host),
    GIVEN_TEXT("channel", QUEUE_TAKES_CHANNEL, channel),
    GIVEN_FLAG("dry-run", QUEUE_TAKES_ORDER, queue.dry_run),
    GIVEN_FLAG("all", QUEUE_TAKES_ORDER, queue.all),
    GIVEN_TEXT("to-channel", QUEUE_TAKES_TARGET, queue.to_channel),
    GIVEN_TEXT("to-host", QUEUE_TAKES_TARGET, queue.to_host),
    GIVEN_TEXT("entry", QUEUE_TAKES_ENTRY, queue.entry),
    GIVEN_FLAG("raw", QUEUE_TAKES_ENTRY, queue.raw),
    GIVEN_FLAG("once", QUEUE_TAKES_ONCE, queue.once),
    GIVEN_FLAG("json", QUEUE_TAKES_JSON, json),
    GIVEN_TEXT("socket", QUEUE_TAKES_SOCKET, socket),
};

bool queue_options_fit(const struct queueing *q, unsigned taken)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *member = (const char *)&q->in->options + rows[i].member;
        bool there =
            rows[i].flag ? *(const bool *)member : *(const char *const *)member != NULL;
        if (there && !(rows[i].bit & taken)) {
            fprintf(stderr, "pointsman: %s does not take --%s\n", q->name, rows[i].name);
            return false;
        }
    }
    return true;
}

/* "2d", "90m" (s, m, h, d, w) or "P1DT4H"; false: it is none. */
static bool read_duration(const char *text, int64_t *ms)
{
    static const struct {
        char letter;
        int64_t ms;
    } units[] = {{'s', 1000},
                 {'m', 60 * 1000},
                 {'h', 3600 * 1000},
                 {'d', 86400 * (int64_t)1000},
                 {'w', 7 * 86400 * (int64_t)1000}};
    enum { COUNT_MAX = 100000 };
    str s = str_from(text);
    uint64_t count;

    if (s.len > 0 && (*s.ptr == 'P' || *s.ptr == 'p')) {
        return clock_period_ms(s, ms);
    }
    for (size_t i = 0; s.len > 1 && i < sizeof units / sizeof *units; i++) {
        if (ascii_lower(s.ptr[s.len - 1]) == units[i].letter) {
            bool good = str_u64(str_sub(s, 0, s.len - 1), COUNT_MAX, &count);
            *ms = good ? (int64_t)count * units[i].ms : 0;
            return good;
        }
    }
    return false;
}

static bool wrong_value(const struct queueing *q, const char *option, const char *value,
                        const char *wanted)
{
    fprintf(stderr, "pointsman: %s: --%s is %s, not '%s'\n", q->name, option, wanted,
            value);
    return false;
}

static bool match_read(struct queueing *q)
{
    const struct tool_options *o = &q->in->options;

    if (!o->queue.match) {
        return true;
    }
    q->filter.either = str_ieq(str_from(o->queue.match), STR("or"));
    if (!q->filter.either && !str_ieq(str_from(o->queue.match), STR("and"))) {
        return wrong_value(q, "match", o->queue.match, "'and' or 'or'");
    }
    if (!o->queue.from || !o->queue.to) {
        fprintf(stderr, "pointsman: %s: --match needs --from and --to\n", q->name);
        return false;
    }
    return true;
}

bool queue_filter_read(struct queueing *q)
{
    const struct tool_options *o = &q->in->options;
    int64_t age_ms;

    q->filter = (struct queue_filter){
        .channel = str_from(o->channel),
        .host = str_from(o->queue.host),
        .from = str_from(o->queue.from),
        .to = str_from(o->queue.to),
        .held = o->queue.held,
    };
    if (o->queue.older) {
        if (!read_duration(o->queue.older, &age_ms)) {
            return wrong_value(q, "older", o->queue.older,
                               "a time like 90m, 2d or P1DT4H");
        }
        q->filter.created_before_ms = q->now_ms - age_ms;
    }
    return match_read(q);
}

bool queue_id_word(const struct queueing *q, const char *word, uint64_t *number)
{
    if (queue_id_parse(str_from(word), number) && *number != 0) {
        return true;
    }
    fprintf(stderr, "pointsman: %s: '%s' is no id of a message\n", q->name, word);
    return false;
}

int queue_complain(const struct queueing *q, const char *reason)
{
    fprintf(stderr, "pointsman: %s: %.*s\n", q->name,
            STR_ARG(text_plain(q->arena, str_from(reason))));
    return TOOL_USAGE;
}

/* ---- words for people ---------------------------------------------------------- */

const char *queue_state_name(enum queue_state state)
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

const char *queue_ordered_text(enum queue_ordered ordered)
{
    switch (ordered) {
    case ORDERED_NONE:
        return NULL;
    case ORDERED_HOLD:
        return "held when its attempt ends";
    case ORDERED_DELETE:
        return "deleted when its attempt ends";
    case ORDERED_RETURN:
        return "returned to its sender at the next attempt";
    case ORDERED_PARKED:
        return "waits because its channel is stopped";
    }
    return "unknown";
}

void queue_size_text(int64_t octets, char *out, size_t size)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
    double scaled = (double)octets / 1024;
    size_t unit = 0;

    if (octets < 1024) {
        snprintf(out, size, "%lld B", (long long)octets);
        return;
    }
    while (scaled >= 1024 && unit + 1 < sizeof units / sizeof *units) {
        scaled /= 1024;
        unit++;
    }
    snprintf(out, size, "%.1f %s", scaled, units[unit]);
}

void queue_due_text(int64_t due_ms, int64_t now_ms, char *out, size_t size)
{
    char age[QUEUE_TIME_MAX];

    if (due_ms == 0) {
        snprintf(out, size, "-");
    } else if (due_ms <= now_ms) {
        snprintf(out, size, "now");
    } else {
        clock_age(due_ms - now_ms, age, sizeof age);
        snprintf(out, size, "in %s", age);
    }
}

uint64_t queue_seconds_since(int64_t then_ms, int64_t now_ms)
{
    return now_ms > then_ms ? (uint64_t)(now_ms - then_ms) / 1000 : 0;
}

void queue_record_time(struct record *r, const char *name, int64_t ms)
{
    char text[QUEUE_TIME_MAX];

    if (ms == 0) {
        record_null(r, name);
        return;
    }
    clock_rfc3339(ms, text, sizeof text);
    record_str(r, name, str_from(text));
}
