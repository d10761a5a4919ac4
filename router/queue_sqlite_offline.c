/* queue_sqlite_offline: see queue_sqlite_offline.h. Readers open the database for
 * reading: whatever they do, they change nothing. What SQLite makes beside it gets the
 * database's owner, also when root is looking. */
#include "router/queue_sqlite_offline.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/vec.h"
#include "router/queue_sqlite.h"

enum { PAGE_ENTRIES = 200, BUSY_MS = 5000 };

/* --- looking --- */

struct look {
    struct queue_store *store;
    bool held_only;
    struct arena *arena; /* of one page */
    VEC(struct queue_seen) page;
};

bool reader_open(struct queue_store *s, const char *directory, struct queue_result *r)
{
    int64_t version;
    char *path = sqlite3_mprintf("%s/queue.db", directory);
    check(path != NULL);
    int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW |
                SQLITE_OPEN_EXRESCODE;
    bool good = sqlite3_open_v2(path, &s->db, flags, NULL) == SQLITE_OK;
    if (!good) {
        queue_result_fail(r, "cannot open %s: %s", path,
                          s->db != NULL ? sqlite3_errmsg(s->db) : "out of memory");
    }
    sqlite3_free(path);
    if (!good) {
        return false;
    }
    sqlite3_busy_timeout(s->db, BUSY_MS);
    if (!schema_version(s, &version, r)) {
        return false;
    }
    if (version == 0) {
        return queue_result_fail(r, "the database has no queue in it yet");
    }
    if (version < schema_latest()) {
        return queue_result_fail(r,
                                 "the queue has schema version %d; the daemon brings it "
                                 "to version %d when it starts",
                                 (int)version, (int)schema_latest());
    }
    return true;
}

static str column(struct arena *a, sqlite3_stmt *q, int at)
{
    const void *text = sqlite3_column_text(q, at);
    if (text == NULL) {
        return STR_NONE;
    }
    return arena_str(a, str_n(text, (size_t)sqlite3_column_bytes(q, at)));
}

/* A row of SQL_LOOK. */
static void seen_read(struct arena *a, sqlite3_stmt *q, struct queue_seen *e)
{
    *e = (struct queue_seen){
        .number = (uint64_t)sqlite3_column_int64(q, 0),
        .position = (unsigned)sqlite3_column_int64(q, 1),
        .state = (enum queue_state)sqlite3_column_int(q, 2),
        .channel = column(a, q, 3),
        .host = column(a, q, 4),
        .attempts = (unsigned)sqlite3_column_int64(q, 5),
        .next_try_ms = sqlite3_column_int64(q, 6),
        .reason = column(a, q, 7),
        .created_ms = sqlite3_column_int64(q, 8),
        .sender = column(a, q, 9),
        .source_channel = column(a, q, 10),
        .size = sqlite3_column_int64(q, 11),
    };
    queue_id_print(e->number, e->id);
}

static bool seen_recipients(struct look *l, struct queue_seen *e, struct queue_result *r)
{
    VEC(str) list = {0};
    int rc;
    sqlite3_stmt *q = store_entry_statement(l->store, SQL_RECIPIENTS,
                                            entry_id(e->number, e->position), r);
    if (q == NULL) {
        return false;
    }
    while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
        *vec_add(l->arena, &list) = column(l->arena, q, 0);
    }
    bool good = rc == SQLITE_DONE || store_fail(l->store, r);
    sqlite3_reset(q);
    e->recipients = list.at;
    e->recipient_count = (unsigned)list.n;
    return good;
}

/* The next entries behind that one, in one read transaction. */
static bool page_read(struct look *l, uint64_t number, unsigned position,
                      struct queue_result *r)
{
    int rc = SQLITE_DONE;
    bool good = true;
    sqlite3_stmt *q = store_statement(l->store, SQL_LOOK, r);
    if (q == NULL) {
        return false;
    }
    sqlite3_bind_int64(q, 1, (int64_t)number);
    sqlite3_bind_int64(q, 2, position);
    sqlite3_bind_int(q, 3, l->held_only);
    sqlite3_bind_int(q, 4, PAGE_ENTRIES);
    while (good && (rc = sqlite3_step(q)) == SQLITE_ROW) {
        struct queue_seen *e = vec_add(l->arena, &l->page);
        seen_read(l->arena, q, e);
        good = seen_recipients(l, e, r);
    }
    good = good && (rc == SQLITE_DONE || store_fail(l->store, r));
    sqlite3_reset(q);
    return good;
}

static bool look_all(struct look *l, queue_seen_fn fn, void *arg, struct queue_result *r)
{
    uint64_t number = 0;
    unsigned position = 0;
    size_t n;
    do {
        struct arena_mark mark = arena_mark(l->arena);
        l->page.at = NULL;
        l->page.n = l->page.cap = 0;
        if (!page_read(l, number, position, r)) {
            return false;
        }
        n = l->page.n;
        for (size_t i = 0; i < n; i++) {
            fn(&l->page.at[i], arg);
        }
        if (n > 0) {
            number = l->page.at[n - 1].number;
            position = l->page.at[n - 1].position;
        }
        arena_reset(l->arena, mark);
    } while (n == PAGE_ENTRIES);
    return true;
}

bool queue_look(const char *directory, bool held_only, queue_seen_fn fn, void *arg,
                char *reason, size_t reason_size)
{
    struct queue_result r = {.ok = true};
    struct look l = {.store = calloc(1, sizeof *l.store),
                     .held_only = held_only,
                     .arena = arena_new()};
    check(l.store != NULL);
    bool good = reader_open(l.store, directory, &r) && look_all(&l, fn, arg, &r);
    queue_sqlite.close(&l.store);
    arena_free(&l.arena);
    snprintf(reason, reason_size, "%s", good ? "" : r.reason);
    return good;
}

/* --- changing --- */

/* The lock, as the owner of the folder has it: the tool may be run by root. -1 with a
 * reason, also when there is no queue: none is made here. */
static int offline_lock(const char *directory, char *reason, size_t reason_size)
{
    struct stat st;
    char path[4096];
    int length = snprintf(path, sizeof path, "%s/queue.db", directory);
    if (length < 0 || (size_t)length >= sizeof path || stat(path, &st) != 0) {
        snprintf(reason, reason_size, "there is no queue in %s", directory);
        return -1;
    }
    bool root = geteuid() == 0;
    return queue_lock(directory, root ? st.st_uid : (uid_t)-1,
                      root ? st.st_gid : (gid_t)-1, reason, reason_size);
}

bool queue_offline_unhold(const char *directory, uint64_t number, int64_t now_ms,
                          struct queue_touched *out, char *reason, size_t reason_size)
{
    struct queue_result r = {.ok = true};
    const struct queue_place place = {.directory = directory};
    int lock = offline_lock(directory, reason, reason_size);
    if (lock < 0) {
        return false;
    }
    struct queue_store *s = queue_sqlite.open(&place, &r);
    bool good = s != NULL && queue_sqlite.begin(s, &r) &&
                queue_sqlite.unhold(s, number, now_ms, out, &r) &&
                queue_sqlite.commit(s, &r);
    if (s != NULL) {
        queue_sqlite.close(&s);
    }
    close(lock);
    snprintf(reason, reason_size, "%s", good ? "" : r.reason);
    return good;
}
