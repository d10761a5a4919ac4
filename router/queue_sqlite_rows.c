/* queue_sqlite_rows: the rows of a queue, copied into an empty database a few messages at
 * a time. What is copied in one step is of one moment; what comes or goes between two
 * steps is in the copy or not. Messages are copied in the order of their numbers, to the
 * very end: what an outcome leads to (a report, a message queued anew) has a higher
 * number than what it is about and is committed with the outcome or before it, so one of
 * the two is there. */
#include "router/queue_sqlite_rows.h"

#include <stdio.h>

enum {
    CHUNK_MESSAGES = 64, /* with bodies of up to 64 KiB */
    STEP_MS = 20
};

/* In an order in which nothing refers to what is not there yet. */
static const char *const TABLES[] = {"messages", "bodies",     "headers",
                                     "entries",  "recipients", "attempts"};

static bool prepare_get(struct queue_store *from, const char *table, const char *where,
                        sqlite3_stmt **out, struct queue_result *r)
{
    char sql[128];
    snprintf(sql, sizeof sql, "SELECT * FROM %s%s", table, where);
    return sqlite3_prepare_v2(from->db, sql, -1, out, NULL) == SQLITE_OK ||
           store_fail(from, r);
}

/* As many values as get has columns: both have the tables of one version. */
static bool prepare_put(struct queue_store *to, const char *table, sqlite3_stmt *get,
                        sqlite3_stmt **out, struct queue_result *r)
{
    char sql[256];
    int n = snprintf(sql, sizeof sql, "INSERT INTO %s VALUES (?", table);
    for (int i = 1; i < sqlite3_column_count(get) && n < (int)sizeof sql - 4; i++) {
        n += snprintf(sql + n, sizeof sql - (size_t)n, ",?");
    }
    snprintf(sql + n, sizeof sql - (size_t)n, ")");
    return sqlite3_prepare_v2(to->db, sql, -1, out, NULL) == SQLITE_OK ||
           store_fail(to, r);
}

/* Counts them in *count. */
static bool rows_put(struct rows_copying *c, sqlite3_stmt *get, sqlite3_stmt *put,
                     int64_t *count, struct queue_result *r)
{
    int rc = SQLITE_DONE;
    bool good = true;
    while (good && (rc = sqlite3_step(get)) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(get); i++) {
            sqlite3_bind_value(put, i + 1, sqlite3_column_value(get, i));
        }
        good = store_run(c->to, put, r);
        ++*count;
    }
    good = good && (rc == SQLITE_DONE || store_fail(c->from, r));
    sqlite3_reset(get);
    sqlite3_clear_bindings(put);
    return good;
}

/* --- what is not of a message --- */

static bool table_copy(struct rows_copying *c, const char *table, struct queue_result *r)
{
    int64_t count = 0;
    sqlite3_stmt *get = NULL, *put = NULL;
    bool good = prepare_get(c->from, table, "", &get, r) &&
                prepare_put(c->to, table, get, &put, r) &&
                rows_put(c, get, put, &count, r);
    sqlite3_finalize(get);
    sqlite3_finalize(put);
    return good;
}

static bool last_copy(struct rows_copying *c, struct queue_result *r)
{
    int64_t bound;
    c->end = true;
    if (!table_copy(c, "stopped", r) ||
        !store_query_number(c->from, store_statement(c->from, SQL_LOAD_BOUND, r), 0,
                            &bound, r)) {
        return false;
    }
    bound = bound > c->number ? bound : c->number + 1; /* in one that is damaged */
    return store_do_number(c->to, SQL_SAVE_BOUND, bound, r);
}

/* --- messages --- */

/* The names are noted in the transaction in which the message was there. */
static bool files_note(struct rows_copying *c, int64_t last, struct queue_result *r)
{
    int rc = SQLITE_DONE;
    sqlite3_stmt *q = store_statement(c->from, SQL_FILES_OF, r);
    if (q == NULL) {
        return false;
    }
    sqlite3_bind_int64(q, 1, c->number);
    sqlite3_bind_int64(q, 2, last);
    while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
        struct rows_file *f = vec_add(c->arena, &c->files);
        const char *name = (const char *)sqlite3_column_text(q, 1);
        f->number = sqlite3_column_int64(q, 0);
        f->size = sqlite3_column_int64(q, 2);
        snprintf(f->name, sizeof f->name, "%s", name != NULL ? name : "");
    }
    bool good = rc == SQLITE_DONE || store_fail(c->from, r);
    sqlite3_reset(q);
    return good;
}

static bool range_copy(struct rows_copying *c, int64_t last, struct queue_result *r)
{
    bool good = true;
    for (unsigned i = 0; good && i < ROWS_TABLES; i++) {
        sqlite3_bind_int64(c->get[i], 1, c->number);
        sqlite3_bind_int64(c->get[i], 2, last);
        int64_t count = 0;
        good = rows_put(c, c->get[i], c->put[i], &count, r);
        c->messages += i == 0 ? count : 0; /* the first table is theirs */
    }
    return good && files_note(c, last, r);
}

static bool chunk_copy(struct rows_copying *c, struct queue_result *r)
{
    int64_t last;
    sqlite3_stmt *q = store_statement(c->from, SQL_CHUNK_END, r);
    if (q != NULL) {
        sqlite3_bind_int64(q, 1, c->number);
        sqlite3_bind_int(q, 2, CHUNK_MESSAGES);
    }
    if (!store_query_number(c->from, q, 0, &last, r)) {
        return false;
    }
    if (last == 0) {
        return last_copy(c, r);
    }
    if (!range_copy(c, last, r)) {
        return false;
    }
    c->number = last;
    return true;
}

bool rows_begin(struct rows_copying *c, struct queue_store *from, struct queue_store *to,
                struct queue_result *r)
{
    static const char range[] = " WHERE number > ?1 AND number <= ?2";
    bool good = true;
    _Static_assert(sizeof TABLES / sizeof *TABLES == ROWS_TABLES, "one of each");
    *c = (struct rows_copying){.from = from, .to = to, .arena = arena_new()};
    for (unsigned i = 0; good && i < ROWS_TABLES; i++) {
        good = prepare_get(from, TABLES[i], range, &c->get[i], r) &&
               prepare_put(to, TABLES[i], c->get[i], &c->put[i], r);
    }
    return good;
}

bool rows_step(struct rows_copying *c, struct queue_result *r)
{
    int64_t until_ms = store_clock_ms() + STEP_MS;
    c->files.n = 0;
    if (sqlite3_exec(c->from->db, "BEGIN", NULL, NULL, NULL) != SQLITE_OK) {
        return store_fail(c->from, r);
    }
    bool good;
    do {
        good = chunk_copy(c, r);
    } while (good && !c->end && store_clock_ms() < until_ms);
    sqlite3_exec(c->from->db, "COMMIT", NULL, NULL, NULL); /* nothing was changed */
    return good;
}

void rows_end(struct rows_copying *c)
{
    for (unsigned i = 0; i < ROWS_TABLES; i++) {
        sqlite3_finalize(c->get[i]);
        sqlite3_finalize(c->put[i]);
        c->get[i] = c->put[i] = NULL;
    }
    if (c->arena != NULL) {
        arena_free(&c->arena);
    }
}
