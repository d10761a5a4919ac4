/* queue_top: what the queue is full of: the channels, next hops, senders and reasons with
 * the most entries. On a terminal again and again, until it is interrupted. */
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "tools/queue_progress.h"
#include "tools/queue_tool.h"
#include "tools/tally.h"
#include "tools/text.h"

enum {
    SHOWN = 10,
    ROWS = 24, /* of a terminal that does not say */
    PERIOD_MS = 2000,
    PLACES = 65536,
    REST = 4 /* looking takes at most one part in so many of the time */
};

enum dimension { BY_CHANNEL, BY_HOST, BY_SENDER, BY_REASON, DIMENSIONS };
static const char *const names[DIMENSIONS] = {"channel", "host", "sender", "reason"};

struct top {
    struct queueing *q;
    unsigned shown; /* of each dimension */
    bool wanted[DIMENSIONS];
    struct tally tallies[DIMENSIONS];
    uint64_t entries, held, active;
};

static void count_row(const struct queue_row *row, void *arg)
{
    struct top *t = arg;
    const str values[DIMENSIONS] = {row->channel, row->host, row->sender, row->reason};

    t->entries++;
    t->held += row->state == QUEUE_HELD;
    t->active += row->state == QUEUE_CLAIMED;
    for (int d = 0; d < DIMENSIONS; d++) {
        bool known = values[d].ptr && (d == BY_SENDER || values[d].len > 0);
        if (t->wanted[d] && known) {
            tally_add(&t->tallies[d], values[d]);
        }
    }
}

static void print_text(struct top *t, enum dimension d)
{
    struct tally_text best[SHOWN];
    unsigned n = tally_best(&t->tallies[d], best, t->shown);

    printf("\n%9s  %s\n", "entries", names[d]);
    for (unsigned i = 0; i < n; i++) {
        str text = text_plain(t->q->arena, str_n(best[i].text, best[i].len));
        printf("%9llu  %s%.*s%s\n", (unsigned long long)best[i].count,
               d == BY_SENDER ? "<" : "", STR_ARG(text), d == BY_SENDER ? ">" : "");
    }
    if (t->tallies[d].missed > 0) {
        printf("%9s  counts may be up to %llu higher: too many are different\n", "",
               (unsigned long long)t->tallies[d].missed);
    }
}

static void print_json(const struct top *t, enum dimension d)
{
    struct tally_text best[SHOWN];
    unsigned n = tally_best(&t->tallies[d], best, t->shown);

    for (unsigned i = 0; i < n; i++) {
        struct record out;
        record_begin(&out);
        record_str(&out, "by", str_from(names[d]));
        record_str(&out, "value", str_n(best[i].text, best[i].len));
        record_uint(&out, "entries", best[i].count);
        record_uint(&out, "missed", t->tallies[d].missed);
        record_print(&out);
    }
}

static void print_all(struct top *t)
{
    char at[QUEUE_TIME_MAX];

    if (!t->q->in->options.json) {
        clock_rfc3339(clock_now_ms(&clock_system), at, sizeof at);
        printf("%.19sZ  %llu entries, %llu active, %llu held\n", at,
               (unsigned long long)t->entries, (unsigned long long)t->active,
               (unsigned long long)t->held);
    }
    for (int d = 0; d < DIMENSIONS; d++) {
        if (t->wanted[d] && t->q->in->options.json) {
            print_json(t, (enum dimension)d);
        } else if (t->wanted[d]) {
            print_text(t, (enum dimension)d);
        }
    }
}

/* As much as a screen holds: a heading, and for each dimension an empty line, another
 * heading, and perhaps a line behind it. */
static void fit(struct top *t)
{
    struct winsize size = {0};
    int wanted = 0;

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0) {
        size.ws_row = ROWS;
    }
    for (int d = 0; d < DIMENSIONS; d++) {
        wanted += t->wanted[d];
    }
    int room = (size.ws_row - 2) / wanted - 3;
    t->shown = room < 1 ? 1 : room > SHOWN ? SHOWN : (unsigned)room;
}

static bool look(struct top *t, bool screen)
{
    struct arena_mark mark = arena_mark(t->q->arena);
    char reason[QUEUE_REASON_MAX];
    bool good = queue_walk(t->q->directory, count_row, t, reason, sizeof reason);

    if (good) {
        if (screen) { /* anew; a line that is too long ends at the edge */
            fit(t);
            fputs("\033[H\033[J\033[?7l", stdout);
        }
        print_all(t);
        fputs(screen ? "\033[?7h" : "", stdout);
        fflush(stdout);
    } else {
        queue_complain(t->q, reason);
    }
    for (int d = 0; d < DIMENSIONS; d++) {
        tally_free(&t->tallies[d]);
    }
    t->entries = t->held = t->active = 0;
    arena_reset(t->q->arena, mark);
    return good;
}

static void rest(int64_t ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    nanosleep(&time, NULL);
}

static bool dimensions_read(struct top *t)
{
    for (int d = 0; d < DIMENSIONS; d++) {
        t->wanted[d] = t->q->word_count == 0;
        t->tallies[d].places = PLACES;
    }
    for (int i = 0; i < t->q->word_count; i++) {
        int d = 0;
        while (d < DIMENSIONS && !str_eq(str_from(t->q->words[i]), str_from(names[d]))) {
            d++;
        }
        if (d == DIMENSIONS) {
            fprintf(stderr,
                    "pointsman: %s counts by channel, host, sender or reason, not by "
                    "'%s'\n",
                    t->q->name, t->q->words[i]);
            return false;
        }
        t->wanted[d] = true;
    }
    return true;
}

/* Again and again, until a signal comes. */
static int look_on(struct top *t)
{
    struct queue_progress signals;
    bool good = true;

    queue_progress_begin(&signals);
    while (good && !queue_progress_interrupted()) {
        int64_t begun_ms = clock_now_ms(&clock_system);
        good = look(t, true);
        int64_t took_ms = clock_now_ms(&clock_system) - begun_ms;
        if (good && !queue_progress_interrupted()) {
            rest(took_ms * REST > PERIOD_MS ? took_ms * REST : PERIOD_MS);
        }
    }
    queue_progress_close(&signals);
    return good ? TOOL_OK : TOOL_USAGE;
}

int queue_top(struct queueing *q)
{
    struct top t = {.q = q, .shown = SHOWN};
    bool once = q->in->options.queue.once;

    if (!dimensions_read(&t)) {
        return TOOL_USAGE;
    }
    if (once) {
        return look(&t, false) ? TOOL_OK : TOOL_USAGE;
    }
    if (q->in->options.json || !tool_screen(stdout)) {
        return queue_complain(q, "this is no terminal: --once is wanted");
    }
    return look_on(&t);
}
