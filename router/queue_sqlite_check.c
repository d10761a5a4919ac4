/* queue_sqlite_check: is the database whole, and does it hold what a queue must? A little
 * of it at each start, all of it when an operator asks. */
#include <dirent.h>
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
    const char *sql, *text, *tables;
} RULES[] = {
    {"SELECT integrity_check FROM pragma_integrity_check(100)"
     " WHERE integrity_check <> 'ok'",
     "database: %s", "the database"},
    {"SELECT \"table\" || ' row ' || coalesce(rowid, '') FROM pragma_foreign_key_check",
     "%s belongs to nothing", "what belongs together"},
    {"SELECT number FROM messages m WHERE NOT EXISTS"
     " (SELECT 1 FROM entries e WHERE e.number = m.number)",
     "message %s has no entries", "the messages"},
    {"SELECT number FROM entries e WHERE NOT EXISTS (SELECT 1 FROM recipients r"
     " WHERE r.number = e.number AND r.position = e.position)",
     "message %s has an entry without recipients", "the recipients"},
    {"SELECT m.number FROM messages m LEFT JOIN bodies b ON b.number = m.number"
     " WHERE m.body_file IS NULL AND (b.number IS NULL OR length(b.data) <> m.size)",
     "message %s has lost its body or a part of it", "the bodies"},
    {"SELECT e.number FROM entries e LEFT JOIN headers h ON h.number = e.number"
     " AND h.header = e.header WHERE e.header IS NOT NULL AND h.number IS NULL",
     "message %s has lost a header", "the headers"},
    {"SELECT max(number) FROM messages HAVING max(number) >="
     " (SELECT value FROM meta WHERE key = 'next_number')",
     "message %s has a number that will be given again", "the next number"},
    {"SELECT 'next_number' WHERE NOT EXISTS"
     " (SELECT 1 FROM meta WHERE key = 'next_number')",
     "%s is missing: the daemon does not start", "the next number"},
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
    for (char *c2 = line; (c2 = strchr(c2, '\n')) != NULL;) {
        *c2 = ' '; /* SQLite tells some things in two lines */
    }
    c->fn(line, false, c->arg);
}

/* What cannot be read is one more thing that is wrong: the rest is looked at all the
 * same.
 */
static void tell_failure(struct checking *c, const char *what,
                         const struct queue_result *r)
{
    char line[400];
    snprintf(line, sizeof line, "cannot read %s: %s", what, r->reason);
    c->fn(line, false, c->arg);
}

static void apply_rule(struct checking *c, const struct rule *rule)
{
    struct queue_result r;
    sqlite3_stmt *q;
    int rc = sqlite3_prepare_v2(c->store->db, rule->sql, -1, &q, NULL);
    while (rc == SQLITE_OK || rc == SQLITE_ROW) {
        rc = sqlite3_step(q);
        if (rc == SQLITE_ROW) {
            tell(c, rule->text, q);
        }
    }
    if (rc != SQLITE_DONE) {
        store_fail(c->store, &r);
        tell_failure(c, rule->tables, &r);
    }
    sqlite3_finalize(q);
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
        c->fn(line, false, c->arg);
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

/* --- files that no message has --- */

static bool file_has_message(struct checking *c, uint64_t number, const char *name)
{
    struct queue_result r;
    sqlite3_stmt *q = store_statement(c->store, SQL_BODY_FILE, &r);
    if (q == NULL) {
        return true; /* told already */
    }
    sqlite3_bind_int64(q, 1, (int64_t)number);
    int rc = sqlite3_step(q);
    const char *file = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(q, 0) : NULL;
    bool has =
        rc == SQLITE_ROW ? file != NULL && strcmp(file, name) == 0 : rc != SQLITE_DONE;
    sqlite3_reset(q);
    return has;
}

/* One that arrives has no message yet; the next start removes those that never get one.
 */
static void note_file(struct checking *c, const char *sub, const char *leaf)
{
    char name[300], line[400];
    uint64_t number;
    snprintf(name, sizeof name, "%s/%s", sub, leaf);
    if (!queue_id_parse(str_from(leaf), &number)) {
        snprintf(line, sizeof line, "bodies/%s is not of the queue: nobody removes it",
                 name);
        c->fn(line, true, c->arg);
    } else if (!file_has_message(c, number, name)) {
        snprintf(line, sizeof line,
                 "body file %s belongs to no message: it arrives just now, or the next "
                 "start removes it",
                 name);
        c->fn(line, true, c->arg);
    }
}

/* A folder that is not there holds nothing that could be left over. */
static void note_files(struct checking *c)
{
    for (unsigned i = 0; i < 256; i++) {
        char sub[12], path[4200];
        struct dirent *e;
        snprintf(sub, sizeof sub, "%02x", i);
        snprintf(path, sizeof path, "%s/%s", c->bodies, sub);
        DIR *dir = opendir(path);
        while (dir != NULL && (e = readdir(dir)) != NULL) {
            if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
                note_file(c, sub, e->d_name);
            }
        }
        if (dir != NULL) {
            closedir(dir);
        }
    }
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
        apply_rule(&c, &RULES[i]);
    }
    struct queue_result files;
    if (good && !check_files(&c, &files)) {
        tell_failure(&c, "the names of body files", &files);
    }
    if (good) {
        note_files(&c);
    }
    sqlite_close(&c.store);
    sqlite3_free(c.bodies);
    snprintf(reason, reason_size, "%s", good ? "" : r.reason);
    return good;
}
