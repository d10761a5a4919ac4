/* queue_sqlite_log: the database's log file (-wal): written once more when it was left,
 * and kept small. */
#include "router/queue_sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"

/* --- one that was left --- */

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

bool log_rewrite(const char *path, struct queue_result *r)
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

/* --- one that grows --- */

enum {
    MOVE_PAGES = 1000,    /* from there on each commit moves what it can */
    RESTART_PAGES = 4096, /* 16 MiB: and waits until nobody reads in it any more, */
    WAIT_MS = 250,        /* no longer than this; */
    AGAIN_PAGES = 1024    /* with so much more in it, once more */
};

/* Moving pages into the database does not make the log file smaller: it begins anew only
 * when no reader looks into it, and with several readers there may always be one. Whoever
 * begins to read after all was moved looks into the database alone; so it is enough to
 * wait for the end of the transactions there are. A failure is told by the next commit.
 */
static int on_commit(void *arg, sqlite3 *db, const char *name, int pages)
{
    struct queue_store *s = arg;
    if (pages < MOVE_PAGES) {
        s->log_wait_pages = RESTART_PAGES;
    } else if (pages < s->log_wait_pages) {
        sqlite3_wal_checkpoint_v2(db, name, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    } else {
        sqlite3_busy_timeout(db, WAIT_MS);
        sqlite3_wal_checkpoint_v2(db, name, SQLITE_CHECKPOINT_RESTART, NULL, NULL);
        sqlite3_busy_timeout(db, STORE_BUSY_MS);
        s->log_wait_pages = pages + AGAIN_PAGES;
    }
    return SQLITE_OK;
}

void log_keep_small(struct queue_store *s)
{
    s->log_wait_pages = RESTART_PAGES;
    sqlite3_wal_hook(s->db, on_commit, s);
}
