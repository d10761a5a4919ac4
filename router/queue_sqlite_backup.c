/* queue_sqlite_backup: a copy of a queue at work: its rows step by step
 * (queue_sqlite_rows.c), after each step the bodies in files that these name. A file that
 * is not there any more belongs to a message that was dealt with meanwhile; it leaves the
 * copy. What cannot be completed is removed: it may be what the disk is full of. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <uv.h>

#include "base/check.h"
#include "router/queue_sqlite_offline.h"
#include "router/queue_sqlite_rows.h"

enum {
    CHUNK = 256 * 1024,
    /* Written out as it grows: a sync of the queue's log may have to wait for all that
     * lies in memory for the same disk. */
    FLUSH_BYTES = 8 * 1024 * 1024,
    /* Stays free on the queue's own disk: below 16 MiB it would take no mail. */
    RESERVE_BYTES = 64 * 1024 * 1024,
    /* Added to the next number, so that a restored queue gives none that the queue has
     * given since. */
    NUMBERS_AHEAD = 1 << 24
};

struct backup {
    struct queue_store *from, *to;
    char *name, *partial, *bodies_from, *bodies_to;
    bool made;      /* the folder `partial` is ours */
    bool same_disk; /* as the queue */
    int fd;         /* of bodies_to */
    int db_fd;      /* of the new database; open as long as SQLite has it */
    off_t flushed;  /* so much of it is on the disk */
    char *indexes;  /* what makes them */
    struct rows_copying rows;
    struct queue_copied *out;
    VEC(int64_t) gone;
    struct arena *arena;
};

static bool fail_errno(struct queue_result *r, const char *what, const char *path)
{
    return queue_result_fail(r, "%s %s: %s", what, path, strerror(errno));
}

/* --- where it goes --- */

static bool is_within(const char *path, const char *folder)
{
    size_t n = strlen(folder);
    return strncmp(path, folder, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

/* Without links, which SQLite does not follow, and not in the queue itself. */
static bool parent_find(const char *path, const char *queue, char **parent,
                        struct queue_result *r)
{
    char *real = realpath(queue, NULL);
    *parent = realpath(path, NULL);
    bool good = *parent != NULL || fail_errno(r, "cannot find", path);
    if (good && real != NULL && is_within(*parent, real)) {
        good = queue_result_fail(r, "%s lies within the queue", path);
    }
    free(real);
    return good;
}

/* `to` may end with slashes, as shells complete it. */
static bool names_find(struct backup *b, const char *to, const char *queue,
                       struct queue_result *r)
{
    char *parent = NULL, *path = strdup(to);
    check(path != NULL);
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') {
        path[--n] = '\0';
    }
    char *slash = strrchr(path, '/');
    const char *leaf = slash != NULL ? slash + 1 : path;
    if (*leaf == '\0' || strcmp(leaf, ".") == 0 || strcmp(leaf, "..") == 0) {
        free(path);
        return queue_result_fail(r, "'%s' names no new directory", to);
    }
    b->name = sqlite3_mprintf("%s", leaf);
    if (slash != NULL) {
        *slash = '\0';
    }
    bool good = parent_find(slash == NULL   ? "."
                            : slash == path ? "/"
                                            : path,
                            queue, &parent, r);
    if (good) {
        sqlite3_free(b->name);
        b->name = sqlite3_mprintf("%s/%s", strcmp(parent, "/") == 0 ? "" : parent, leaf);
        b->partial = sqlite3_mprintf("%s.partial", b->name);
        b->bodies_to = sqlite3_mprintf("%s/bodies", b->partial);
        check(b->name != NULL && b->partial != NULL && b->bodies_to != NULL);
    }
    free(parent);
    free(path);
    return good;
}

static bool folder_make(struct backup *b, struct queue_result *r)
{
    struct stat st;
    if (lstat(b->name, &st) == 0) {
        return queue_result_fail(r, "%s is there already", b->name);
    }
    if (mkdir(b->partial, 0700) != 0) {
        return errno == EEXIST
                   ? queue_result_fail(r,
                                       "%s is there: another backup makes it, or was "
                                       "killed; then remove it",
                                       b->partial)
                   : fail_errno(r, "cannot make", b->partial);
    }
    b->made = true;
    if (!queue_folders_make(b->partial, r)) {
        return false;
    }
    b->fd = open(b->bodies_to, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return b->fd >= 0 || fail_errno(r, "cannot open", b->bodies_to);
}

/* Is there room for so much more? */
static bool room(struct backup *b, uint64_t bytes, struct queue_result *r)
{
    struct statvfs disk;
    if (statvfs(b->partial, &disk) != 0) {
        return true; /* the write will tell */
    }
    uint64_t free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
    if (b->same_disk) {
        bytes += RESERVE_BYTES;
    }
    return free_bytes >= bytes ||
           queue_result_fail(r, "disk full: %llu MiB are free at %s, %llu are needed",
                             (unsigned long long)free_bytes >> 20, b->partial,
                             (unsigned long long)(bytes + (1 << 20) - 1) >> 20);
}

/* All of the database must fit; each body file is looked at when its turn comes. */
static bool room_for_all(struct backup *b, struct queue_result *r)
{
    struct stat from, to;
    int64_t bytes, inside;
    b->same_disk = stat(b->bodies_from, &from) != 0 || fstat(b->fd, &to) != 0 ||
                   from.st_dev == to.st_dev;
    return store_query_number(b->from, store_statement(b->from, SQL_DATABASE_BYTES, r), 0,
                              &bytes, r) &&
           store_query_number(b->from, store_statement(b->from, SQL_FREE_BYTES, r), 0,
                              &inside, r) &&
           room(b, (uint64_t)(bytes - inside), r);
}

/* --- the database --- */

static bool to_exec(struct backup *b, const char *sql, struct queue_result *r)
{
    return sqlite3_exec(b->to->db, sql, NULL, NULL, NULL) == SQLITE_OK ||
           store_fail(b->to, r);
}

/* They are made at the end, at once: entry by entry they would be written again and
 * again.
 */
static bool indexes_drop(struct backup *b, struct queue_result *r)
{
    static const char make[] =
        "SELECT group_concat(sql, ';'), group_concat('DROP INDEX ' || name, ';')"
        " FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL";
    sqlite3_stmt *q;
    if (sqlite3_prepare_v2(b->to->db, make, -1, &q, NULL) != SQLITE_OK ||
        sqlite3_step(q) != SQLITE_ROW) {
        return store_fail(b->to, r);
    }
    b->indexes = sqlite3_mprintf("%s", sqlite3_column_text(q, 0));
    char *drop = sqlite3_mprintf("%s", sqlite3_column_text(q, 1));
    sqlite3_finalize(q);
    bool good = to_exec(b, drop, r);
    sqlite3_free(drop);
    return good;
}

/* Nothing is safe before the end of all, so nothing is synced and no journal kept. */
static bool target_open(struct backup *b, struct queue_result *r)
{
    static const char settings[] =
        "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -32768;"
        "PRAGMA foreign_keys = OFF";
    char *path = sqlite3_mprintf("%s/queue.db", b->partial);
    check(path != NULL);
    b->db_fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    bool good = b->db_fd >= 0 || fail_errno(r, "cannot create", path);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_EXRESCODE;
    if (good && (sqlite3_open_v2(path, &b->to->db, flags, NULL) != SQLITE_OK ||
                 sqlite3_exec(b->to->db, settings, NULL, NULL, NULL) != SQLITE_OK)) {
        good = store_fail(b->to, r);
    }
    sqlite3_free(path);
    return good && schema_prepare(b->to, r) && indexes_drop(b, r);
}

/* What was copied until now. */
static bool database_flush(struct backup *b, struct queue_result *r)
{
    struct stat st;
    if (fstat(b->db_fd, &st) != 0 || st.st_size - b->flushed < FLUSH_BYTES) {
        return true;
    }
    b->flushed = st.st_size;
    return fdatasync(b->db_fd) == 0 || fail_errno(r, "cannot sync", b->partial);
}

/* --- bodies --- */

/* A row that was damaged must not lead out of the folder. */
static bool file_named(const struct rows_file *f)
{
    char id[QUEUE_ID_MAX], name[QUEUE_ID_MAX + 8];
    queue_id_print((uint64_t)f->number, id);
    snprintf(name, sizeof name, "%02x/%s", (unsigned)(f->number & 0xFF), id);
    return strcmp(name, f->name) == 0;
}

/* False when it cannot be written; what cannot be read ends it, *at says where. */
static bool body_write(struct backup *b, struct body *body, const char *name,
                       uint64_t *at, struct queue_result *r)
{
    int fd =
        openat(b->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return fail_errno(r, "cannot create body file", name);
    }
    char *data = malloc(CHUNK);
    check(data != NULL);
    bool good = true;
    long got;
    while (good && (got = body_read_blocking(body, data, CHUNK, *at)) > 0) {
        ssize_t put = write(fd, data, (size_t)got);
        errno = put >= 0 ? ENOSPC : errno;
        good = put == got || fail_errno(r, "cannot write body file", name);
        *at += (uint64_t)got;
    }
    free(data);
    sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE); /* begun; the end waits for it */
    return (close(fd) == 0 || fail_errno(r, "cannot write body file", name)) && good;
}

static bool body_copy(struct backup *b, const struct rows_file *f, bool *whole,
                      struct queue_result *r)
{
    int error;
    uint64_t at = 0;
    struct body *body =
        file_named(f) ? body_from_file(b->bodies_from, f->name, &error) : NULL;
    bool good = body == NULL ||
                (room(b, body_size(body), r) && body_write(b, body, f->name, &at, r));
    *whole = body != NULL && at == (uint64_t)f->size && body_size(body) == at;
    body_unref(&body);
    return good;
}

/* A message goes before its file does: one that is still there has lost it. It stays in
 * the copy, where it is held. */
static bool body_missing(struct backup *b, const struct rows_file *f,
                         struct queue_result *r)
{
    int64_t entries;
    sqlite3_stmt *q = store_statement(b->from, SQL_ENTRIES_OF, r);
    if (q != NULL) {
        sqlite3_bind_int64(q, 1, f->number);
    }
    if (!store_query_number(b->from, q, 0, &entries, r)) {
        return false;
    }
    if (entries > 0) {
        b->out->lost++;
        return true;
    }
    *vec_add(b->arena, &b->gone) = f->number;
    return !file_named(f) || unlinkat(b->fd, f->name, 0) == 0 || errno == ENOENT ||
           fail_errno(r, "cannot remove body file", f->name);
}

static bool bodies_copy(struct backup *b, struct queue_result *r)
{
    bool good = true, whole;
    for (size_t i = 0; good && i < b->rows.files.n; i++) {
        const struct rows_file *f = &b->rows.files.at[i];
        good = body_copy(b, f, &whole, r) && (whole || body_missing(b, f, r));
        b->out->bodies += good && whole;
        b->out->octets += good && whole ? (uint64_t)f->size : 0;
    }
    return good;
}

/* --- all of it --- */

static bool all_copy(struct backup *b, queue_copied_fn fn, void *arg,
                     struct queue_result *r)
{
    bool good = store_run(b->to, store_statement(b->to, SQL_BEGIN, r), r) &&
                rows_begin(&b->rows, b->from, b->to, r);
    while (good && !b->rows.end) {
        good = room(b, 0, r) && rows_step(&b->rows, r) && database_flush(b, r) &&
               bodies_copy(b, r);
        b->out->messages = b->rows.messages;
        if (good && fn != NULL && !fn(b->out, arg)) {
            good = queue_result_fail(r, "it was interrupted");
        }
    }
    return good && store_run(b->to, store_statement(b->to, SQL_COMMIT, r), r);
}

static bool database_finish(struct backup *b, struct queue_result *r)
{
    int64_t next;
    bool good = to_exec(b, b->indexes, r) && to_exec(b, "PRAGMA foreign_keys = ON", r) &&
                store_run(b->to, store_statement(b->to, SQL_BEGIN, r), r) &&
                store_query_number(b->to, store_statement(b->to, SQL_LOAD_BOUND, r), 0,
                                   &next, r) &&
                store_do_number(b->to, SQL_SAVE_BOUND, next + NUMBERS_AHEAD, r);
    for (size_t i = 0; good && i < b->gone.n; i++) {
        good = store_do_number(b->to, SQL_DELETE_MESSAGE, b->gone.at[i], r);
    }
    b->out->gone = (int64_t)b->gone.n;
    b->out->messages -= b->out->gone;
    return good && store_run(b->to, store_statement(b->to, SQL_COMMIT, r), r) &&
           check_database(b->to, r);
}

/* --- to the disk --- */

static bool sync_at(int at, const char *name, int flags)
{
    int fd = openat(at, name, flags | O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    bool good = fd >= 0 && fsync(fd) == 0;
    int error = errno;
    if (fd >= 0) {
        close(fd);
    }
    errno = error;
    return good;
}

/* One by one: syncfs() would wait for all that others have written, too. Most of it is
 * there already (sync_file_range() above). A body that was lost has no file. */
static bool bodies_sync(struct backup *b, struct queue_result *r)
{
    int rc = SQLITE_DONE;
    bool good = true;
    sqlite3_stmt *q = store_statement(b->to, SQL_FILES, r);
    if (q == NULL) {
        return false;
    }
    while (good && (rc = sqlite3_step(q)) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(q, 1);
        good = name == NULL || sync_at(b->fd, name, 0) || errno == ENOENT ||
               fail_errno(r, "cannot sync body file", name);
    }
    good = good && (rc == SQLITE_DONE || store_fail(b->to, r));
    sqlite3_reset(q);
    return good;
}

static bool folders_sync(struct backup *b, struct queue_result *r)
{
    bool good = true;
    for (unsigned i = 0; good && i < 256; i++) {
        char name[12];
        snprintf(name, sizeof name, "%02x", i);
        good = sync_at(b->fd, name, O_DIRECTORY);
    }
    good = good && fsync(b->fd) == 0 && sync_at(AT_FDCWD, b->partial, O_DIRECTORY);
    return good || fail_errno(r, "cannot sync", b->partial);
}

/* Everything is on the disk, then it gets its name, then the name is. */
static bool name_it(struct backup *b, struct queue_result *r)
{
    if (fsync(b->db_fd) != 0) {
        return fail_errno(r, "cannot sync", b->partial);
    }
    if (!folders_sync(b, r)) {
        return false;
    }
    int parent = openat(b->fd, "../..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool good = parent >= 0 &&
                renameat2(AT_FDCWD, b->partial, AT_FDCWD, b->name, RENAME_NOREPLACE) == 0;
    if (!good && parent >= 0 && (errno == EINVAL || errno == ENOSYS)) {
        good = rename(b->partial, b->name) == 0; /* a file system that has only this */
    }
    b->made = !good;
    good = good && fsync(parent) == 0;
    if (!good) {
        fail_errno(r, "cannot rename or sync", b->partial);
    }
    if (parent >= 0) {
        close(parent);
    }
    return good;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void backup_free(struct backup *b)
{
    if (b->fd >= 0) {
        close(b->fd);
    }
    rows_end(&b->rows);
    sqlite_close(&b->from);
    if (b->to != NULL) {
        sqlite_close(&b->to);
    }
    if (b->db_fd >= 0) {
        close(b->db_fd);
    }
    if (b->made) {
        nftw(b->partial, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    }
    sqlite3_free(b->indexes);
    sqlite3_free(b->name);
    sqlite3_free(b->partial);
    sqlite3_free(b->bodies_from);
    sqlite3_free(b->bodies_to);
    arena_free(&b->arena);
}

static void backup_init(struct backup *b, const char *directory, struct queue_copied *out)
{
    *b = (struct backup){.fd = -1, .db_fd = -1, .out = out, .arena = arena_new()};
    b->from = calloc(1, sizeof *b->from);
    b->to = calloc(1, sizeof *b->to);
    b->bodies_from = sqlite3_mprintf("%s/bodies", directory);
    check(b->from != NULL && b->to != NULL && b->bodies_from != NULL);
    *out = (struct queue_copied){0};
}

bool queue_backup(const char *directory, const char *to, queue_copied_fn fn, void *arg,
                  struct queue_copied *out, char *reason, size_t reason_size)
{
    struct queue_result r = {.ok = true};
    struct backup b;
    backup_init(&b, directory, out);
    bool good = reader_open(b.from, directory, &r) && names_find(&b, to, directory, &r) &&
                folder_make(&b, &r) && room_for_all(&b, &r) && target_open(&b, &r) &&
                all_copy(&b, fn, arg, &r) && database_finish(&b, &r);
    int64_t bytes = 0;
    if (good) {
        rows_end(&b.rows);
        good = bodies_sync(&b, &r) &&
               store_query_number(b.to, store_statement(b.to, SQL_DATABASE_BYTES, &r), 0,
                                  &bytes, &r);
        out->octets += (uint64_t)bytes;
        sqlite_close(&b.to);
        good = good && name_it(&b, &r);
    }
    backup_free(&b);
    snprintf(reason, reason_size, "%s", good ? "" : r.reason);
    return good;
}
