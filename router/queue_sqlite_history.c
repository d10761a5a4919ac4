/* queue_sqlite_history: what is remembered of the attempts of one entry. */
#include "router/queue_sqlite.h"

#include <string.h>

static const char *text(struct arena *a, sqlite3_stmt *q, int at)
{
    const char *value = (const char *)sqlite3_column_text(q, at);
    return arena_strdup(a, value != NULL ? value : "");
}

static void attempt_read(struct arena *a, sqlite3_stmt *q, struct queue_attempt *out)
{
    *out = (struct queue_attempt){
        .at_ms = sqlite3_column_int64(q, 0),
        .peer = text(a, q, 1),
        .tls = text(a, q, 2),
        .outcome = text(a, q, 3),
        .delivered = (unsigned)sqlite3_column_int64(q, 4),
        .deferred = (unsigned)sqlite3_column_int64(q, 5),
        .failed = (unsigned)sqlite3_column_int64(q, 6),
    };
}

bool store_history(struct queue_store *s, struct queue_store_history *h,
                   struct queue_result *r)
{
    int rc = SQLITE_DONE;
    sqlite3_stmt *q = store_entry_statement(s, SQL_HISTORY, h->entry_id, r);
    h->attempts = arena_array(h->arena, struct queue_attempt, h->limit);
    h->count = 0;
    if (q == NULL) {
        return false;
    }
    sqlite3_bind_int64(q, 3, h->limit);
    while (h->count < h->limit && (rc = sqlite3_step(q)) == SQLITE_ROW) {
        attempt_read(h->arena, q, &h->attempts[h->count++]);
    }
    bool good = rc == SQLITE_DONE || rc == SQLITE_ROW || store_fail(s, r);
    sqlite3_reset(q);
    for (unsigned i = 0; i < h->count / 2; i++) { /* read from the last one on */
        struct queue_attempt swapped = h->attempts[i];
        h->attempts[i] = h->attempts[h->count - 1 - i];
        h->attempts[h->count - 1 - i] = swapped;
    }
    return good;
}
