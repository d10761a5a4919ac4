/* queue_sqlite_clock: times that were written under a clock that was ahead. When it has
 * been set back, what waits must not wait for that time to come again, nor must a message
 * be younger than new until then. Small steps do no harm and are left alone. */
#include "router/queue_sqlite.h"

#include <stdio.h>

enum { STEP_MS = 60 * 60 * 1000 }; /* the statements have it, too */

/* Entries that wait for more than a day, and either came or were tried last in what is
 * now the future, are due. There are few of the first kind, and only they are read. */
static bool entries_due(struct queue_store *s, int64_t now_ms, int *changed,
                        struct queue_result *r)
{
    bool good = store_do_number(s, SQL_CLOCK_ENTRIES, now_ms, r);
    *changed = good ? sqlite3_changes(s->db) : 0;
    return good;
}

/* At a start all messages are read only when one of the newest shows that there is a
 * reason to. */
static bool messages_new(struct queue_store *s, int64_t now_ms, bool seen, int *changed,
                         struct queue_result *r)
{
    int64_t newest;
    *changed = 0;
    if (!seen) {
        if (!store_query_number(s, store_statement(s, SQL_NEWEST, r), 0, &newest, r)) {
            return false;
        }
        if (newest <= now_ms + STEP_MS) {
            return true;
        }
    }
    bool good = store_do_number(s, SQL_CLOCK_MESSAGES, now_ms, r);
    *changed = good ? sqlite3_changes(s->db) : 0;
    return good;
}

/* seen: the clock went back before our eyes. */
static bool put_right(struct queue_store *s, int64_t now_ms, bool seen,
                      struct queue_result *r)
{
    char text[160];
    int due, young;
    s->clock_ms = now_ms;
    if (!entries_due(s, now_ms, &due, r) || !messages_new(s, now_ms, seen, &young, r)) {
        return false;
    }
    if (due > 0 || young > 0) {
        snprintf(text, sizeof text,
                 "the clock was set back: %d entries are due now, %d messages count as "
                 "new",
                 due, young);
        store_log(s, "clock", 0, text);
    }
    return true;
}

bool clock_recover(struct queue_store *s, int64_t now_ms, struct queue_result *r)
{
    return put_right(s, now_ms, false, r);
}

bool clock_look(struct queue_store *s, int64_t now_ms, struct queue_result *r)
{
    if (now_ms < s->clock_ms - STEP_MS) {
        return put_right(s, now_ms, true, r);
    }
    s->clock_ms = now_ms > s->clock_ms ? now_ms : s->clock_ms;
    return true;
}
