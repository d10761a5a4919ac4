/* message: making and freeing a queue_message; its arena holds all but the body. */
#include <stdarg.h>
#include <stdio.h>

#include "router/queue_store.h"

struct queue_message *queue_message_empty(uint64_t number, int64_t created_ms)
{
    struct arena *arena = arena_new();
    struct queue_message *m = arena_new_of(arena, struct queue_message);
    m->arena = arena;
    m->number = number;
    m->created_ms = created_ms;
    queue_id_print(number, m->id);
    return m;
}

void queue_message_free(struct queue_message **m)
{
    if (*m == NULL) {
        return;
    }
    struct arena *arena = (*m)->arena;
    queue_message_free(&(*m)->report);
    body_unref(&(*m)->body);
    for (unsigned i = 0; i < (*m)->header_count; i++) {
        body_unref(&(*m)->headers[i].text);
    }
    *m = NULL;
    arena_free(&arena);
}

bool queue_result_fail(struct queue_result *r, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(r->reason, sizeof r->reason, fmt, ap);
    va_end(ap);
    r->ok = false;
    return false;
}
