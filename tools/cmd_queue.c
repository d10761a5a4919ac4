/* queue: looking at the queue and acting on it: one row per command; each is a file
 * queue_<job>.c. */
#include <string.h>

#include "base/clock.h"
#include "tools/daemon_place.h"
#include "tools/queue_keeping.h"
#include "tools/queue_tool.h"

static int backup(struct queueing *q)
{
    return queue_keeping_backup(q->in, q->directory);
}

static int check_queue(struct queueing *q)
{
    return queue_keeping_check(q->in, q->directory);
}

enum {
    LOOKS = QUEUE_TAKES_FILTER | QUEUE_TAKES_JSON,
    ACTS = QUEUE_TAKES_FILTER | QUEUE_TAKES_CHANNEL | QUEUE_TAKES_ORDER |
           QUEUE_TAKES_JSON | QUEUE_TAKES_SOCKET,
    MANY = 1000000
};

static const struct queue_command {
    const char *name; /* with "queue " in front: for messages */
    const char *arguments;
    int least, most; /* words */
    unsigned options;
    int (*run)(struct queueing *q);
} commands[] = {
    {"queue summarize", "no argument", 0, 0, QUEUE_TAKES_JSON, queue_summarize},
    {"queue directory", "one CHANNEL at most", 0, 1, LOOKS, queue_directory},
    {"queue list", "one CHANNEL at most", 0, 1, LOOKS, queue_directory},
    {"queue show", "ID...", 1, MANY, QUEUE_TAKES_JSON, queue_show},
    {"queue read", "ID", 1, 1, QUEUE_TAKES_ENTRY, queue_read},
    {"queue top", "channel, host, sender or reason", 0, 4,
     QUEUE_TAKES_ONCE | QUEUE_TAKES_JSON, queue_top},
    {"queue hold", "ID...", 0, MANY, ACTS, queue_act},
    {"queue release", "ID...", 0, MANY, ACTS, queue_act},
    {"queue retry", "ID...", 0, MANY, ACTS, queue_act},
    {"queue return", "ID...", 0, MANY, ACTS, queue_act},
    {"queue delete", "ID...", 0, MANY, ACTS, queue_act},
    {"queue redirect", "ID...", 0, MANY, ACTS | QUEUE_TAKES_TARGET, queue_act},
    {"queue stop", "CHANNEL", 1, 1, QUEUE_TAKES_JSON | QUEUE_TAKES_SOCKET,
     queue_stop_start},
    {"queue start", "CHANNEL", 1, 1, QUEUE_TAKES_JSON | QUEUE_TAKES_SOCKET,
     queue_stop_start},
    {"queue backup", "DIR", 1, 1, QUEUE_TAKES_JSON, backup},
    {"queue check", "[DIR]", 0, 1, QUEUE_TAKES_JSON, check_queue},
};

static const struct queue_command *command_named(const char *name)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(commands[i].name + strlen("queue "), name) == 0) {
            return &commands[i];
        }
    }
    fprintf(stderr, "pointsman: queue: there is no command '%s'; there are", name);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        fprintf(stderr, "%s %s", i > 0 ? "," : "", commands[i].name + strlen("queue "));
    }
    fputc('\n', stderr);
    return NULL;
}

int cmd_queue(const struct invocation *in)
{
    const struct queue_command *c = command_named(in->args[0]);
    struct queueing q = {.in = in,
                         .name = c ? c->name : NULL,
                         .now_ms = clock_now_ms(&clock_system),
                         .words = in->args + 1,
                         .word_count = in->arg_count - 1};

    if (!c || !queue_options_fit(&q, c->options)) {
        return TOOL_USAGE;
    }
    if (q.word_count < c->least || q.word_count > c->most) {
        fprintf(stderr, "pointsman: %s takes %s\n", c->name, c->arguments);
        return TOOL_USAGE;
    }
    if (!queue_filter_read(&q)) {
        return TOOL_USAGE;
    }
    q.arena = arena_new();
    q.directory = daemon_queue(q.arena, in).ptr;
    int code = c->run(&q);
    arena_free(&q.arena);
    return code;
}
