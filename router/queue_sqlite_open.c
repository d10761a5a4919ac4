/* queue_sqlite_open: opening the embedded store: a database in WAL mode with
 * synchronous=FULL. What an earlier run has left is made safe before it is used. */
#include "router/queue_sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"

/* Makes the database file, so that it and what SQLite puts beside it (which takes over
 * its mode) are readable by the owner only. */
static bool database_make(const char *path, struct queue_result *r)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 && errno != EEXIST) {
        return queue_result_fail(r, "cannot create %s: %s", path, strerror(errno));
    }
    if (fd >= 0) {
        close(fd);
    }
    return true;
}

static bool database_open(struct queue_store *s, const char *path, struct queue_result *r)
{
    static const char settings[] =
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"
        "PRAGMA journal_size_limit = 33554432; PRAGMA temp_store = MEMORY;"
        "PRAGMA cache_size = -16384; PRAGMA cell_size_check = ON;"
        "PRAGMA trusted_schema = OFF";
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW |
                SQLITE_OPEN_EXRESCODE;
    if (sqlite3_open_v2(path, &s->db, flags, NULL) != SQLITE_OK) {
        return s->db == NULL ? queue_result_fail(r, "out of memory") : store_fail(s, r);
    }
    sqlite3_busy_timeout(s->db, STORE_BUSY_MS); /* somebody inspects the queue */
    if (sqlite3_exec(s->db, settings, NULL, NULL, NULL) != SQLITE_OK) {
        return store_fail(s, r);
    }
    log_keep_small(s);
    return true;
}

/* SQLite syncs the folder when it has made the log file, but lets a failure of that go.
 */
static bool names_sync(const char *directory, struct queue_result *r)
{
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    bool good = fd >= 0 && fsync(fd) == 0;
    if (!good) {
        queue_result_fail(r, "cannot sync %s: %s", directory, strerror(errno));
    }
    if (fd >= 0) {
        close(fd);
    }
    return good;
}

struct queue_store *sqlite_open(const struct queue_place *place, struct queue_result *r)
{
    struct queue_store *s = calloc(1, sizeof *s);
    check(s != NULL);
    s->place = place;
    char *path = sqlite3_mprintf("%s/queue.db", place->directory);
    check(path != NULL);
    bool good = database_make(path, r) && log_rewrite(path, r) &&
                database_open(s, path, r) && schema_prepare(s, r) &&
                names_sync(place->directory, r);
    sqlite3_free(path);
    if (!good) {
        sqlite_close(&s);
    }
    return s;
}
