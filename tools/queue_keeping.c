/* queue_keeping: see queue_keeping.h. */
#include "tools/queue_keeping.h"

#include <stdio.h>

#include "router/queue_sqlite_offline.h"
#include "tools/daemon_place.h"
#include "tools/queue_progress.h"
#include "tools/record.h"
#include "tools/text.h"

enum { REASON_MAX = 512 };

static void print_copied(const struct invocation *in, const char *to,
                         const struct queue_copied *c)
{
    struct record out;

    if (!in->options.json) {
        printf("%s: %lld messages, %lld bodies in files, %llu KiB in all\n", to,
               (long long)c->messages, (long long)c->bodies,
               (unsigned long long)c->octets / 1024);
        return;
    }
    record_begin(&out);
    record_str(&out, "directory", str_from(to));
    record_uint(&out, "messages", (uint64_t)c->messages);
    record_uint(&out, "body_files", (uint64_t)c->bodies);
    record_uint(&out, "octets", c->octets);
    record_uint(&out, "gone_meanwhile", (uint64_t)c->gone);
    record_uint(&out, "lost_bodies", (uint64_t)c->lost);
    record_print(&out);
}

static bool tell_progress(const struct queue_copied *c, void *arg)
{
    queue_progress_show(arg, "%lld messages, %lld bodies in files ... ",
                        (long long)c->messages, (long long)c->bodies);
    return !queue_progress_interrupted();
}

int queue_keeping_backup(const struct invocation *in, const char *queue)
{
    const char *to = in->args[1];
    struct queue_progress progress;
    struct queue_copied c;
    char reason[REASON_MAX];

    queue_progress_begin(&progress);
    bool good =
        queue_backup(queue, to, tell_progress, &progress, &c, reason, sizeof reason);
    queue_progress_close(&progress);
    if (!good) {
        fprintf(stderr, "pointsman: queue backup: %s\n", reason);
        return TOOL_USAGE;
    }
    print_copied(in, to, &c);
    if (c.lost > 0) {
        fprintf(stderr,
                "pointsman: queue backup: %lld message%s lost %s body, here as in the "
                "queue; see pointsman queue check\n",
                (long long)c.lost, c.lost == 1 ? " has" : "s have",
                c.lost == 1 ? "its" : "their");
    }
    return c.lost > 0 ? TOOL_NO : TOOL_OK;
}

struct wrongs {
    bool json;
    unsigned count;
    struct arena *arena;
};

static void wrong(const char *text, bool harmless, void *arg)
{
    struct wrongs *w = arg;
    struct record out;
    struct arena_mark mark = arena_mark(w->arena);

    w->count += !harmless;
    if (w->json) {
        record_begin(&out);
        record_str(&out, harmless ? "note" : "wrong", str_from(text));
        record_print(&out);
    } else {
        printf("%s%.*s\n", harmless ? "note: " : "",
               STR_ARG(text_plain(w->arena, str_from(text))));
    }
    arena_reset(w->arena, mark);
}

int queue_keeping_check(const struct invocation *in, const char *queue)
{
    struct wrongs w = {.json = in->options.json, .arena = arena_new()};
    char reason[REASON_MAX];

    if (in->arg_count > 1) {
        queue = daemon_path(w.arena, str_from(in->args[1])).ptr;
    }
    bool good = queue_check(queue, wrong, &w, reason, sizeof reason);
    if (!good) {
        fprintf(stderr, "pointsman: queue check: %s\n", reason);
    } else if (w.count == 0 && !w.json) {
        printf("%s is whole\n", queue);
    }
    arena_free(&w.arena);
    if (!good) {
        return TOOL_USAGE;
    }
    return w.count == 0 ? TOOL_OK : TOOL_NO;
}
