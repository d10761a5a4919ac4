/* queue_sqlite_walk: all entries of a queue with what is known of their messages. Both
 * tables are in the order of the numbers, so they are read side by side: no row of the
 * one is looked up for each of the other. */
#include "router/queue_sqlite_inspect.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"

enum { PAGE_ENTRIES = 20000 }; /* some 20 ms, then the daemon may shorten its log */

/* The value as it lies there; sqlite3_column_text() would copy it to end it with NUL. */
static str column_slice(sqlite3_stmt *q, int at)
{
    if (sqlite3_column_type(q, at) == SQLITE_NULL) {
        return STR_NONE;
    }
    const char *text = sqlite3_column_blob(q, at);
    return text == NULL ? STR("") : str_n(text, (size_t)sqlite3_column_bytes(q, at));
}

static void row_entry(sqlite3_stmt *q, struct queue_row *row)
{
    row->number = (uint64_t)sqlite3_column_int64(q, 0);
    row->position = (unsigned)sqlite3_column_int64(q, 1);
    row->state = (enum queue_state)sqlite3_column_int(q, 2);
    row->attempts = (unsigned)sqlite3_column_int64(q, 3);
    row->next_try_ms = sqlite3_column_int64(q, 4);
    row->ordered = (enum queue_ordered)sqlite3_column_int(q, 5);
    row->channel = column_slice(q, 6);
    row->host = column_slice(q, 7);
    row->reason = column_slice(q, 8);
}

static void row_message(sqlite3_stmt *q, struct queue_row *row)
{
    row->created_ms = sqlite3_column_int64(q, 1);
    row->size = sqlite3_column_int64(q, 2);
    row->sender = column_slice(q, 3);
}

/* Moves q, which stands on a row or not (*rc), to the message of that number. */
static bool message_reach(sqlite3_stmt *q, uint64_t number, int *rc)
{
    while (*rc == SQLITE_ROW && (uint64_t)sqlite3_column_int64(q, 0) < number) {
        *rc = sqlite3_step(q);
    }
    return *rc == SQLITE_ROW && (uint64_t)sqlite3_column_int64(q, 0) == number;
}

static bool page_walk(struct queue_store *s, struct queue_cursor *at, bool *more,
                      queue_row_fn fn, void *arg, struct queue_result *r)
{
    int rc, message_rc = SQLITE_DONE;
    unsigned count = 0;
    sqlite3_stmt *entries = store_statement(s, SQL_WALK_ENTRIES, r);
    sqlite3_stmt *messages = store_statement(s, SQL_WALK_MESSAGES, r);
    if (entries == NULL || messages == NULL) {
        return false;
    }
    sqlite3_bind_int64(entries, 1, (int64_t)at->number);
    sqlite3_bind_int64(entries, 2, at->position);
    sqlite3_bind_int64(entries, 3, PAGE_ENTRIES);
    /* While a row of entries is at hand, both see the queue of one moment. */
    while ((rc = sqlite3_step(entries)) == SQLITE_ROW) {
        struct queue_row row = {0};
        row_entry(entries, &row);
        if (count++ == 0) {
            sqlite3_bind_int64(messages, 1, (int64_t)row.number);
            message_rc = sqlite3_step(messages);
        }
        *at = (struct queue_cursor){row.number, row.position};
        if (message_reach(messages, row.number, &message_rc)) {
            row_message(messages, &row);
            fn(&row, arg);
        }
    }
    bool good =
        (rc == SQLITE_DONE && (message_rc == SQLITE_DONE || message_rc == SQLITE_ROW)) ||
        store_fail(s, r);
    sqlite3_reset(entries);
    sqlite3_reset(messages);
    *more = count == PAGE_ENTRIES;
    return good;
}

bool queue_walk(const char *directory, queue_row_fn fn, void *arg, char *reason,
                size_t reason_size)
{
    struct queue_result r = {.ok = true};
    struct queue_cursor at = {0, -1};
    struct queue_store *s = calloc(1, sizeof *s);
    bool more = true;
    check(s != NULL);
    bool good = reader_open(s, directory, &r);
    while (good && more) {
        good = page_walk(s, &at, &more, fn, arg, &r);
    }
    queue_sqlite.close(&s);
    snprintf(reason, reason_size, "%s", good ? "" : r.reason);
    return good;
}

static bool stopped_walk(struct queue_store *s, queue_stopped_fn fn, void *arg,
                         struct queue_result *r)
{
    int rc;
    sqlite3_stmt *q = store_statement(s, SQL_STOPPED_SINCE, r);
    if (q == NULL) {
        return false;
    }
    while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
        fn(column_slice(q, 0), sqlite3_column_int64(q, 1), arg);
    }
    bool good = rc == SQLITE_DONE || store_fail(s, r);
    sqlite3_reset(q);
    return good;
}

bool queue_stopped_since(const char *directory, queue_stopped_fn fn, void *arg,
                         char *reason, size_t reason_size)
{
    struct queue_result r = {.ok = true};
    struct queue_store *s = calloc(1, sizeof *s);
    check(s != NULL);
    bool good = reader_open(s, directory, &r) && stopped_walk(s, fn, arg, &r);
    queue_sqlite.close(&s);
    snprintf(reason, reason_size, "%s", good ? "" : r.reason);
    return good;
}
