/* queue_keeping: see queue_keeping.h. */
#include "tools/queue_keeping.h"

#include <stdio.h>

#include "router/queue_sqlite_offline.h"
#include "tools/record.h"

enum { REASON_MAX = 512 };

int queue_keeping_backup(const struct invocation *in, const char *queue)
{
    const char *to = in->args[1];
    struct queue_copied c;
    struct record out;
    char reason[REASON_MAX];

    if (!queue_backup(queue, to, &c, reason, sizeof reason)) {
        fprintf(stderr, "pointsman: queue backup: %s\n", reason);
        return TOOL_USAGE;
    }
    if (in->options.json) {
        record_begin(&out);
        record_str(&out, "directory", str_from(to));
        record_uint(&out, "messages", (uint64_t)c.messages);
        record_uint(&out, "body_files", (uint64_t)c.bodies);
        record_uint(&out, "octets", c.octets);
        record_uint(&out, "gone_meanwhile", (uint64_t)c.gone);
        record_print(&out);
        return TOOL_OK;
    }
    printf("%s: %lld messages, %lld bodies in files, %llu KiB in all\n", to,
           (long long)c.messages, (long long)c.bodies,
           (unsigned long long)c.octets / 1024);
    return TOOL_OK;
}

struct wrongs {
    bool json;
    unsigned count;
};

static void wrong(const char *text, void *arg)
{
    struct wrongs *w = arg;
    struct record out;

    w->count++;
    if (!w->json) {
        printf("%s\n", text);
        return;
    }
    record_begin(&out);
    record_str(&out, "wrong", str_from(text));
    record_print(&out);
}

int queue_keeping_check(const struct invocation *in, const char *queue)
{
    struct wrongs w = {.json = in->options.json};
    char reason[REASON_MAX];

    if (in->arg_count > 1) {
        queue = in->args[1];
    }
    if (!queue_check(queue, wrong, &w, reason, sizeof reason)) {
        fprintf(stderr, "pointsman: queue check: %s: %s\n", queue, reason);
        return w.count > 0 ? TOOL_NO : TOOL_USAGE;
    }
    if (w.count == 0 && !w.json) {
        printf("%s is whole\n", queue);
    }
    return w.count == 0 ? TOOL_OK : TOOL_NO;
}
