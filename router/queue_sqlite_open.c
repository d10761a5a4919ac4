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
    sqlite3_busy_timeout(s->db, 5000); /* somebody inspects the queue */
    if (sqlite3_exec(s->db, settings, NULL, NULL, NULL) != SQLITE_OK) {
        return store_fail(s, r);
    }
    return true;
}

/* Writes what the file has once more, and syncs it. Returns 0 or errno. */
static int rewrite(int fd)
{
    static const size_t chunk = 256 * 1024;
    char *data = malloc(chunk);
    check(data != NULL);
    off_t at = 0;
    ssize_t n, done = 0;
    while ((n = pread(fd, data, chunk, at)) > 0 &&
           (done = pwrite(fd, data, (size_t)n, at)) > 0) {
        at += done;
    }
    int error = n < 0 || done < 0 ? errno : n > 0 ? ENOSPC : 0;
    free(data);
    return error != 0 ? error : fsync(fd) == 0 ? 0 : errno;
}

/* A sync that fails is the only one that tells: the kernel takes what it could not write
 * for written, it still reads well, and the next sync has nothing to do. In the log file
 * this would be a hole in front of all that is committed later, and after a loss of power
 * SQLite would find nothing behind it. So a log that was left, by a store that failed or
 * by an earlier run, counts only when all of it was written once more. */
static bool log_rewrite(const char *path, struct queue_result *r)
{
    char *name = sqlite3_mprintf("%s-wal", path);
    check(name != NULL);
    int fd = open(name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    int error = fd >= 0 ? rewrite(fd) : errno == ENOENT ? 0 : errno;
    if (fd >= 0) {
        close(fd);
    }
    if (error != 0) {
        queue_result_fail(r, "cannot write %s again: %s", name, strerror(error));
    }
    sqlite3_free(name);
    return error == 0;
}

/* SQLite syncs the folder when it has made the log file, but lets a failure of that go. */
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
