/* queue_sqlite_check: is the database whole, and does it hold what a queue must? A little
 * of it at each start, all of it when an operator asks. */
#include <stdio.h>
#include <stdlib.h>

#include <uv.h>

#include "base/check.h"
#include "router/queue_sqlite.h"
#include "router/queue_sqlite_offline.h"

/* Read in less than a second or two from any disk. Not interruptible, so it must be known
 * before. */
enum { QUICK_BYTES = 128 * 1024 * 1024 };

bool check_database(struct queue_store *s, struct queue_result *r)
{
    sqlite3_stmt *q;
    if (sqlite3_prepare_v2(s->db, "PRAGMA quick_check(1)", -1, &q, NULL) != SQLITE_OK) {
        return store_fail(s, r);
    }
    int rc = sqlite3_step(q);
    const char *text = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(q, 0) : NULL;
    bool good = text != NULL && strcmp(text, "ok") == 0;
    if (text == NULL) {
        store_fail(s, r);
    } else if (!good) {
        queue_result_fail(r, "the database is damaged: %s", text);
    }
    sqlite3_finalize(q);
    return good;
}

bool check_quickly(struct queue_store *s, struct queue_result *r)
{
    int64_t bytes;
    if (!store_query_number(s, store_statement(s, SQL_DATABASE_BYTES, r), 0, &bytes, r)) {
        return false;
    }
    if (bytes > QUICK_BYTES) {
        store_log(s, "not_checked", 0, "larger than 128 MiB: see pointsman queue check");
        return true;
    }
    return check_database(s, r);
}

/* --- all of it --- */

/* What a row means; %s is its first column. */
static const struct rule {
    const char *sql, *text;
} RULES[] = {
    {"SELECT integrity_check FROM pragma_integrity_check(100)"
     " WHERE integrity_check <> 'ok'",
     "database: %s"},
    {"SELECT \"table\" || ' row ' || coalesce(rowid, '') FROM pragma_foreign_key_check",
     "%s belongs to nothing"},
    {"SELECT number FROM messages m WHERE NOT EXISTS"
     " (SELECT 1 FROM entries e WHERE e.number = m.number)",
     "message %s has no entries"},
    {"SELECT number FROM entries e WHERE NOT EXISTS (SELECT 1 FROM recipients r"
     " WHERE r.number = e.number AND r.position = e.position)",
     "message %s has an entry without recipients"},
    {"SELECT m.number FROM messages m LEFT JOIN bodies b ON b.number = m.number"
     " WHERE m.body_file IS NULL AND (b.number IS NULL OR length(b.data) <> m.size)",
     "message %s has lost its body or a part of it"},
    {"SELECT e.number FROM entries e LEFT JOIN headers h ON h.number = e.number"
     " AND h.header = e.header WHERE e.header IS NOT NULL AND h.number IS NULL",
     "message %s has lost a header"},
    {"SELECT max(number) FROM messages HAVING max(number) >="
     " (SELECT value FROM meta WHERE key = 'next_number')",
     "message %s has a number that will be given again"},
};

struct checking {
    struct queue_store *store;
    char *bodies;
    queue_wrong_fn fn;
    void *arg;
};

/* The value as it is shown: a message's number as its id. */
static void tell(struct checking *c, const char *text, sqlite3_stmt *q)
{
    char id[QUEUE_ID_MAX], line[600];
    const char *what = (const char *)sqlite3_column_text(q, 0);
    if (sqlite3_column_type(q, 0) == SQLITE_INTEGER) {
        queue_id_print((uint64_t)sqlite3_column_int64(q, 0), id);
        what = id;
    }
    const char *at = strstr(text, "%s");
    snprintf(line, sizeof line, "%.*s%s%s", (int)(at - text), text,
             what == NULL ? "" : what, at + 2);
    c->fn(line, c->arg);
}

static bool apply_rule(struct checking *c, const struct rule *rule,
                       struct queue_result *r)
{
    sqlite3_stmt *q;
    int rc;
    if (sqlite3_prepare_v2(c->store->db, rule->sql, -1, &q, NULL) != SQLITE_OK) {
        return store_fail(c->store, r);
    }
    while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
        tell(c, rule->text, q);
    }
    bool good = rc == SQLITE_DONE || store_fail(c->store, r);
    sqlite3_finalize(q);
    return good;
}

/* A daemon may have dealt with the message, and removed its file, since the list of files
 * was read. */
static bool still_there(struct checking *c, int64_t number)
{
    struct queue_result r;
    int64_t entries = 0;
    sqlite3_stmt *q = store_statement(c->store, SQL_ENTRIES_OF, &r);
    if (q == NULL) {
        return true;
    }
    sqlite3_bind_int64(q, 1, number);
    return !store_query_number(c->store, q, 0, &entries, &r) || entries > 0;
}

struct file {
    int64_t number, size;
    char name[QUEUE_ID_MAX + 8];
};

static void check_file(struct checking *c, const struct file *f)
{
    char id[QUEUE_ID_MAX], line[200];
    int error = 0;
    struct body *b = body_from_file(c->bodies, f->name, &error);
    bool good = b != NULL && (int64_t)body_size(b) == f->size;
    queue_id_print((uint64_t)f->number, id);
    if (b == NULL) {
        snprintf(line, sizeof line, "message %s: body file %s: %s", id, f->name,
                 uv_strerror(error));
    } else {
        snprintf(line, sizeof line, "message %s: body file %s is not of its size", id,
                 f->name);
    }
    body_unref(&b);
    if (!good && still_there(c, f->number)) {
        c->fn(line, c->arg);
    }
}

/* The names are read first, so that no transaction lasts while files are looked at. */
static bool check_files(struct checking *c, struct queue_result *r)
{
    struct file *files = NULL;
    size_t count = 0, cap = 0;
    int rc;
    sqlite3_stmt *q = store_statement(c->store, SQL_FILES, r);
    if (q == NULL) {
        return false;
    }
    while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
        if (count == cap) {
            cap = cap > 0 ? cap * 2 : 64;
            files = realloc(files, cap * sizeof *files);
            check(files != NULL);
        }
        struct file *f = &files[count++];
        f->number = sqlite3_column_int64(q, 0);
        f->size = sqlite3_column_int64(q, 2);
        snprintf(f->name, sizeof f->name, "%s", (const char *)sqlite3_column_text(q, 1));
    }
    bool good = rc == SQLITE_DONE || store_fail(c->store, r);
    sqlite3_reset(q);
    for (size_t i = 0; good && i < count; i++) {
        check_file(c, &files[i]);
    }
    free(files);
    return good;
}

bool queue_check(const char *directory, queue_wrong_fn fn, void *arg, char *reason,
                 size_t reason_size)
{
    struct queue_result r = {.ok = true};
    struct checking c = {.store = calloc(1, sizeof *c.store), .fn = fn, .arg = arg};
    c.bodies = sqlite3_mprintf("%s/bodies", directory);
    check(c.store != NULL && c.bodies != NULL);
    bool good = reader_open(c.store, directory, &r);
    for (size_t i = 0; good && i < sizeof RULES / sizeof *RULES; i++) {
        good = apply_rule(&c, &RULES[i], &r);
    }
    good = good && check_files(&c, &r);
    sqlite_close(&c.store);
    sqlite3_free(c.bodies);
    snprintf(reason, reason_size, "%s", good ? "" : r.reason);
    return good;
}
