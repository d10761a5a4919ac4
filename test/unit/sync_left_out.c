/* sync_left_out: what takes the place of a sync in the builds of test_queue_power that
 * must find a loss; see test/Makefile.inc. */
#undef fsync
#undef sqlite3_exec
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

int fsync_nothing(int fd);
int fsync_files(int fd);
int sqlite3_exec_unsynced(sqlite3 *db, const char *sql,
                          int (*each)(void *, int, char **, char **), void *arg,
                          char **error);

int fsync_nothing(int fd)
{
    (void)fd;
    return 0;
}

int fsync_files(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISDIR(st.st_mode) ? 0 : fsync(fd);
}

/* What the store sets when it opens the database, without its synchronous=FULL. */
int sqlite3_exec_unsynced(sqlite3 *db, const char *sql,
                          int (*each)(void *, int, char **, char **), void *arg,
                          char **error)
{
    int rc = sqlite3_exec(db, sql, each, arg, error);
    return rc != SQLITE_OK
               ? rc
               : sqlite3_exec(db, "PRAGMA synchronous = NORMAL", NULL, NULL, NULL);
}
