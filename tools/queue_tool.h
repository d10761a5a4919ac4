/* queue_tool: what the files of `pointsman queue` and `pointsman qm` share. One file for
 * each job; the rows stand in cmd_queue.c and cmd_qm.c. */
#ifndef TOOLS_QUEUE_TOOL_H
#define TOOLS_QUEUE_TOOL_H

#include "router/queue_sqlite_inspect.h"
#include "tools/record.h"
#include "tools/tool.h"

enum { QUEUE_REASON_MAX = 512, QUEUE_TIME_MAX = 40 };

/* One command at work. */
struct queueing {
    const struct invocation *in;
    struct arena *arena;
    const char *name; /* "queue show": for messages */
    const char *directory;
    int64_t now_ms;
    struct queue_filter filter;
    bool quiet;   /* what went well is not told */
    char **words; /* behind the command's name */
    int word_count;
};

/* --- queue_words.c: words and options --- */

/* Options of `queue`, for the rows: which a command takes. */
enum {
    QUEUE_TAKES_FILTER = 1 << 0,  /* --held --from --to --match --older --host */
    QUEUE_TAKES_CHANNEL = 1 << 1, /* --channel */
    QUEUE_TAKES_ORDER = 1 << 2,   /* --dry-run --all */
    QUEUE_TAKES_TARGET = 1 << 3,  /* --to-channel --to-host */
    QUEUE_TAKES_ENTRY = 1 << 4,   /* --entry --raw */
    QUEUE_TAKES_ONCE = 1 << 5,
    QUEUE_TAKES_JSON = 1 << 6,
    QUEUE_TAKES_SOCKET = 1 << 7
};
/* False after saying which option the command does not take. */
bool queue_options_fit(const struct queueing *q, unsigned taken);
/* Fills q->filter from the options; false after saying what is wrong. */
bool queue_filter_read(struct queueing *q);
/* False after saying that the word is no id. */
bool queue_id_word(const struct queueing *q, const char *word, uint64_t *number);
/* "pointsman: queue show: <reason>" on standard error; returns TOOL_USAGE. */
int queue_complain(const struct queueing *q, const char *reason);
const char *queue_state_name(enum queue_state state);
/* What an operator ordered while it was active or waits; NULL: nothing. */
const char *queue_ordered_text(enum queue_ordered ordered);
/* Octets as "3.1 MiB". */
void queue_size_text(int64_t octets, char *out, size_t size);
/* "in 41 s", "now", "-" for 0. */
void queue_due_text(int64_t due_ms, int64_t now_ms, char *out, size_t size);
/* Seconds since then, never below 0. */
uint64_t queue_seconds_since(int64_t then_ms, int64_t now_ms);
/* A point in time as JSON; null for 0. */
void queue_record_time(struct record *r, const char *name, int64_t ms);

/* --- the commands --- */

int queue_summarize(struct queueing *q);
int queue_directory(struct queueing *q);
int queue_show(struct queueing *q);
int queue_read(struct queueing *q);
int queue_top(struct queueing *q);
int queue_act(struct queueing *q); /* hold, release ...: the last word of q->name */
int queue_stop_start(struct queueing *q);

#endif
