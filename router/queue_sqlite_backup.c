/* queue_sqlite_backup: a copy of a queue at work. The database is copied first, in one
 * transaction, then the bodies in files that it names. A file that is not there any more
 * belongs to a message that was dealt with meanwhile; it leaves the copy. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <uv.h>

#include "base/check.h"
#include "base/vec.h"
#include "router/queue_sqlite.h"
#include "router/queue_sqlite_offline.h"

enum {
    CHUNK = 256 * 1024,
    TRIES = 100, /* of a tenth of a second, while another one has the database */
    /* Added to the next number, so that a restored queue gives none that the queue has
     * given since. */
    NUMBERS_AHEAD = 1 << 24
};

struct backup {
    struct queue_store *from, *to;
    char *partial, *bodies_from, *bodies_to;
    int fd; /* of bodies_to */
    struct queue_copied *out;
    VEC(int64_t) gone;
    struct arena *arena;
};

static bool fail_errno(struct queue_result *r, const char *what, const char *path)
{
    return queue_result_fail(r, "%s %s: %s", what, path, strerror(errno));
}

static bool folder_make(struct backup *b, const char *to, struct queue_result *r)
{
    struct stat st;
    if (lstat(to, &st) == 0) {
        return queue_result_fail(r, "%s is there already", to);
    }
    if (mkdir(b->partial, 0700) != 0) {
        return fail_errno(r, "cannot make", b->partial);
    }
    if (!queue_folders_make(b->partial, r)) {
        return false;
    }
    b->fd = open(b->bodies_to, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return b->fd >= 0 || fail_errno(r, "cannot open", b->bodies_to);
}

/* --- the database --- */

static bool target_open(struct backup *b, struct queue_result *r)
{
    char *path = sqlite3_mprintf("%s/queue.db", b->partial);
    check(path != NULL);
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    bool good = fd >= 0 || fail_errno(r, "cannot create", path);
    if (fd >= 0) {
        close(fd);
    }
    if (good && sqlite3_open_v2(path, &b->to->db,
                                SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW |
                                    SQLITE_OPEN_EXRESCODE,
                                NULL) != SQLITE_OK) {
        good = store_fail(b->to, r);
    }
    sqlite3_free(path);
    return good;
}

static bool database_copy(struct backup *b, struct queue_result *r)
{
    sqlite3_backup *copy = sqlite3_backup_init(b->to->db, "main", b->from->db, "main");
    if (copy == NULL) {
        return store_fail(b->to, r);
    }
    int rc = SQLITE_BUSY;
    for (int i = 0; i < TRIES && ((rc & 0xFF) == SQLITE_BUSY || rc == SQLITE_LOCKED);
         i++) {
        rc = sqlite3_backup_step(copy, -1);
        if (rc != SQLITE_DONE) {
            sqlite3_sleep(100);
        }
    }
    int end = sqlite3_backup_finish(copy);
    if (rc != SQLITE_DONE || end != SQLITE_OK) {
        return store_fail(b->to, r);
    }
    /* one file, without a log beside it; the daemon that opens it changes that back */
    return sqlite3_exec(b->to->db,
                        "PRAGMA journal_mode = DELETE; PRAGMA foreign_keys = ON", NULL,
                        NULL, NULL) == SQLITE_OK ||
           store_fail(b->to, r);
}

/* --- bodies --- */

/* Returns 0 or a negative errno; -ENOENT: it is gone. */
static int body_copy(struct backup *b, const char *name)
{
    int error = 0;
    long got = 0;
    uint64_t at = 0;
    struct body *body = body_from_file(b->bodies_from, name, &error);
    if (body == NULL) {
        return error;
    }
    char *data = malloc(CHUNK);
    int fd =
        openat(b->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    check(data != NULL);
    error = fd < 0 ? -errno : 0;
    while (error == 0 && (got = body_read_blocking(body, data, CHUNK, at)) > 0) {
        ssize_t put = write(fd, data, (size_t)got);
        error = put < 0 ? -errno : put < got ? -ENOSPC : 0;
        at += (uint64_t)got;
    }
    error = error != 0 ? error : got < 0 ? (int)got : 0;
    if (fd >= 0 && close(fd) != 0 && error == 0) {
        error = -errno;
    }
    if (error == -ENOENT) { /* in the midst of it */
        unlinkat(b->fd, name, 0);
    }
    b->out->octets += error == 0 ? at : 0;
    free(data);
    body_unref(&body);
    return error;
}

static bool bodies_copy(struct backup *b, struct queue_result *r)
{
    int rc;
    bool good = true;
    sqlite3_stmt *q = store_statement(b->to, SQL_FILES, r);
    if (q == NULL) {
        return false;
    }
    while (good && (rc = sqlite3_step(q)) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(q, 1);
        int error = body_copy(b, name);
        if (error == -ENOENT) {
            *vec_add(b->arena, &b->gone) = sqlite3_column_int64(q, 0);
        } else if (error != 0) {
            good = queue_result_fail(r, "body file %s: %s", name, uv_strerror(error));
        } else {
            b->out->bodies++;
        }
    }
    good = good && (rc == SQLITE_DONE || store_fail(b->to, r));
    sqlite3_reset(q);
    return good;
}

/* --- the end --- */

static bool database_finish(struct backup *b, struct queue_result *r)
{
    int64_t next;
    bool good = store_run(b->to, store_statement(b->to, SQL_BEGIN, r), r) &&
                store_query_number(b->to, store_statement(b->to, SQL_LOAD_BOUND, r), 0,
                                   &next, r) &&
                store_do_number(b->to, SQL_SAVE_BOUND, next + NUMBERS_AHEAD, r);
    for (size_t i = 0; good && i < b->gone.n; i++) {
        good = store_do_number(b->to, SQL_DELETE_MESSAGE, b->gone.at[i], r);
    }
    b->out->gone = (int64_t)b->gone.n;
    return good && store_run(b->to, store_statement(b->to, SQL_COMMIT, r), r) &&
           store_query_number(b->to, store_statement(b->to, SQL_COUNT_MESSAGES, r), 0,
                              &b->out->messages, r) &&
           check_database(b->to, r);
}

/* Everything is on the disk, then it gets its name, then the name is. */
static bool name_it(struct backup *b, const char *to, struct queue_result *r)
{
    if (syncfs(b->fd) != 0) {
        return fail_errno(r, "cannot sync", b->partial);
    }
    int parent = openat(b->fd, "../..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool good = parent >= 0 && rename(b->partial, to) == 0 && fsync(parent) == 0;
    if (!good) {
        fail_errno(r, "cannot rename or sync", b->partial);
    }
    if (parent >= 0) {
        close(parent);
    }
    return good;
}

static void backup_free(struct backup *b)
{
    if (b->fd >= 0) {
        close(b->fd);
    }
    sqlite_close(&b->from);
    if (b->to != NULL) {
        sqlite_close(&b->to);
    }
    sqlite3_free(b->partial);
    sqlite3_free(b->bodies_from);
    sqlite3_free(b->bodies_to);
    arena_free(&b->arena);
}

static void backup_init(struct backup *b, const char *directory, const char *to,
                        struct queue_copied *out)
{
    *b = (struct backup){.fd = -1, .out = out, .arena = arena_new()};
    b->from = calloc(1, sizeof *b->from);
    b->to = calloc(1, sizeof *b->to);
    b->partial = sqlite3_mprintf("%s.partial", to);
    b->bodies_from = sqlite3_mprintf("%s/bodies", directory);
    b->bodies_to = sqlite3_mprintf("%s/bodies", b->partial);
    check(b->from != NULL && b->to != NULL && b->bodies_from != NULL &&
          b->bodies_to != NULL);
}

bool queue_backup(const char *directory, const char *to, struct queue_copied *out,
                  char *reason, size_t reason_size)
{
    struct queue_result r = {.ok = true};
    struct backup b;
    struct stat st;
    *out = (struct queue_copied){0};
    backup_init(&b, directory, to, out);
    bool good = reader_open(b.from, directory, &r) && folder_make(&b, to, &r) &&
                target_open(&b, &r) && database_copy(&b, &r) && bodies_copy(&b, &r) &&
                database_finish(&b, &r);
    if (good) {
        sqlite_close(&b.to);
        good = name_it(&b, to, &r);
    }
    backup_free(&b);
    if (good) {
        char *path = sqlite3_mprintf("%s/queue.db", to);
        out->octets += path != NULL && stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
        sqlite3_free(path);
    }
    snprintf(reason, reason_size, "%s", good ? "" : r.reason);
    return good;
}
