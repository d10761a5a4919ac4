/* queue_sqlite_offline: see queue_sqlite_offline.h. Readers open the database for
 * reading: whatever they do, they change nothing. What SQLite makes beside it gets the
 * database's owner, also when root is looking. */
#include "router/queue_sqlite_offline.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/vec.h"
#include "router/queue_sqlite.h"

enum { PAGE_ENTRIES = 200, BUSY_MS = 5000 };

/* --- looking --- */

struct look {
    struct queue_store *store;
    const struct queue_filter *filter;
    struct arena *arena; /* of one page */
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
        int error = s->db != NULL ? sqlite3_system_errno(s->db) : ENOMEM;
        queue_result_fail(r, "cannot open %s: %s", path,
                          error != 0 ? strerror(error) : sqlite3_errmsg(s->db));
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

/* Only entries that pass, with their recipients. */
static bool page_show(struct look *l, struct look_page *page, queue_seen_fn fn, void *arg,
                      struct queue_result *r)
{
    for (size_t i = 0; i < page->seen.n; i++) {
        struct queue_seen *e = &page->seen.at[i];
        bool passes;
        if (!store_filter(l->store, l->arena, l->filter, e, &passes, r)) {
            return false;
        }
        if (!passes) {
            continue;
        }
        if (e->recipients == NULL && !store_recipients(l->store, l->arena, e, r)) {
            return false;
        }
        fn(e, arg);
    }
    return true;
}

static bool look_all(struct look *l, queue_seen_fn fn, void *arg, struct queue_result *r)
{
    struct look_page page = {
        .at = queue_cursor_first(l->filter), .filter = l->filter, .limit = PAGE_ENTRIES};
    while (!page.end) {
        struct arena_mark mark = arena_mark(l->arena);
        if (!store_look(l->store, l->arena, &page, r) ||
            !page_show(l, &page, fn, arg, r)) {
            return false;
        }
        arena_reset(l->arena, mark);
    }
    return true;
}

bool queue_look(const char *directory, const struct queue_filter *filter,
                queue_seen_fn fn, void *arg, char *reason, size_t reason_size)
{
    struct queue_result r = {.ok = true};
    struct look l = {
        .store = calloc(1, sizeof *l.store), .filter = filter, .arena = arena_new()};
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

struct queue_offline {
    struct queue_store *store;
    struct queue_place place;
    char *bodies;
    struct log *log;
    int lock;
};

static void place_fill(struct queue_offline *q, const char *directory)
{
    size_t size = strlen(directory) + sizeof "/bodies";
    q->bodies = malloc(size);
    check(q->bodies != NULL);
    snprintf(q->bodies, size, "%s/bodies", directory);
    q->log = log_new(STDERR_FILENO, LOG_KEYVALUE); /* of a file that cannot be removed */
    q->place =
        (struct queue_place){.directory = directory, .bodies = q->bodies, .log = q->log};
}

struct queue_offline *queue_offline_open(const char *directory, char *reason,
                                         size_t reason_size)
{
    struct queue_result r = {.ok = true};
    int lock = offline_lock(directory, reason, reason_size);
    if (lock < 0) {
        return NULL;
    }
    struct queue_offline *q = calloc(1, sizeof *q);
    check(q != NULL);
    q->lock = lock;
    place_fill(q, directory);
    q->store = queue_sqlite.open(&q->place, &r);
    if (q->store == NULL) {
        snprintf(reason, reason_size, "%s", r.reason);
        queue_offline_close(&q);
    }
    return q;
}

void queue_offline_close(struct queue_offline **q)
{
    struct queue_offline *gone = *q;
    *q = NULL;
    if (gone == NULL) {
        return;
    }
    if (gone->store != NULL) {
        queue_sqlite.close(&gone->store);
    }
    close(gone->lock);
    log_free(&gone->log);
    free(gone->bodies);
    free(gone);
}

bool queue_offline_order(struct queue_offline *q, const struct queue_order *o,
                         struct queue_step *step, char *reason, size_t reason_size)
{
    struct queue_result r = {.ok = true};
    bool good = queue_sqlite.begin(q->store, &r) &&
                queue_sqlite.order(q->store, o, step, &r) &&
                queue_sqlite.commit(q->store, &r);
    snprintf(reason, reason_size, "%s", good ? "" : r.reason);
    return good;
}
