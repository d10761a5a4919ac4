/* queue_sqlite_bodies: the files of large bodies: removing them with their messages,
 * and bringing files and rows together again after a crash. */
#include "router/queue_sqlite.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <uv.h>

#include "base/check.h"

static int bodies_open(const struct queue_store *s)
{
    return open(s->place->bodies, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

void bodies_unlink(struct queue_store *s, uint64_t number)
{
    char id[QUEUE_ID_MAX], name[QUEUE_ID_MAX + 8];
    queue_id_print(number, id);
    snprintf(name, sizeof name, "%02x/%s", (unsigned)(number & 0xFF), id);
    int top = bodies_open(s);
    if (top < 0 || (unlinkat(top, name, 0) != 0 && errno != ENOENT)) {
        store_log(s, "error", number, strerror(errno));
    }
    if (top >= 0) {
        close(top);
    }
}

/* The file that the message has, or "" when there is none. */
static bool message_file(struct queue_store *s, uint64_t number, char *file, size_t size,
                         struct queue_result *r)
{
    sqlite3_stmt *q = store_statement(s, SQL_BODY_FILE, r);
    if (q == NULL) {
        return false;
    }
    sqlite3_bind_int64(q, 1, (int64_t)number);
    int rc = sqlite3_step(q);
    const char *text = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(q, 0) : NULL;
    snprintf(file, size, "%s", text == NULL ? "" : text);
    bool good = rc == SQLITE_ROW || rc == SQLITE_DONE || store_fail(s, r);
    sqlite3_reset(q);
    return good;
}

/* A file is an orphan when no message names it: its transaction never committed, or
 * its message is gone. A name that no message can have is not ours to remove. */
static bool sweep_file(struct queue_store *s, int folder, const char *sub,
                       const char *leaf, struct queue_result *r)
{
    char path[QUEUE_ID_MAX + 12], file[QUEUE_ID_MAX + 8], id[QUEUE_ID_MAX];
    uint64_t number;
    if (!queue_id_parse(str_from(leaf), &number)) {
        store_log(s, "foreign_file", 0, leaf);
        return true;
    }
    queue_id_print(number, id);
    snprintf(path, sizeof path, "%s/%s", sub, id);
    if (!message_file(s, number, file, sizeof file, r)) {
        return false;
    }
    if (strcmp(file, path) == 0 && strcmp(id, leaf) == 0) {
        return true;
    }
    bool gone = unlinkat(folder, leaf, 0) == 0;
    store_log(s, gone ? "orphan_removed" : "error", number,
              gone ? "a body file without a message" : strerror(errno));
    return true;
}

static bool sweep_folder(struct queue_store *s, int top, const char *sub,
                         struct queue_result *r)
{
    int fd = openat(top, sub, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        int error = errno;
        if (fd >= 0) {
            close(fd);
        }
        return queue_result_fail(r, "cannot read %s/%s: %s", s->place->bodies, sub,
                                 strerror(error));
    }
    struct dirent *e;
    bool good = true;
    while (good && (e = readdir(dir)) != NULL) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            good = sweep_file(s, fd, sub, e->d_name, r);
        }
    }
    closedir(dir);
    return good;
}

static bool sweep_orphans(struct queue_store *s, struct queue_result *r)
{
    int top = bodies_open(s);
    if (top < 0) {
        return queue_result_fail(r, "cannot open %s: %s", s->place->bodies,
                                 strerror(errno));
    }
    bool good = true;
    for (unsigned i = 0; good && i < 256; i++) {
        char sub[12];
        snprintf(sub, sizeof sub, "%02x", i);
        good = sweep_folder(s, top, sub, r);
    }
    close(top);
    return good;
}

static bool hold_message(struct queue_store *s, int64_t number, struct queue_result *r)
{
    static const char why[] = "its body file is missing";
    sqlite3_stmt *q = store_statement(s, SQL_HOLD_MESSAGE, r);
    if (q == NULL) {
        return false;
    }
    sqlite3_bind_int64(q, 1, number);
    sqlite3_bind_text(q, 2, why, -1, SQLITE_STATIC);
    if (!store_run(s, q, r)) {
        return false;
    }
    store_log(s, "held", (uint64_t)number, why);
    return true;
}

/* Messages without their file: only a damaged disk or a foreign hand does that. */
static bool hold_bodiless(struct queue_store *s, struct queue_result *r)
{
    sqlite3_stmt *q = store_statement(s, SQL_FILES, r);
    bool good = q != NULL;
    int rc = SQLITE_DONE;
    while (good && (rc = sqlite3_step(q)) == SQLITE_ROW) {
        int error;
        const char *file = (const char *)sqlite3_column_text(q, 1);
        struct body *b = body_from_file(s->place->bodies, file, &error);
        if (b == NULL && (error == UV_ENOENT || error == UV_EINVAL)) {
            good = hold_message(s, sqlite3_column_int64(q, 0), r);
        }
        body_unref(&b);
    }
    if (q != NULL) {
        good = good && (rc == SQLITE_DONE || store_fail(s, r));
        sqlite3_reset(q);
    }
    return good;
}

bool bodies_recover(struct queue_store *s, struct queue_result *r)
{
    return sweep_orphans(s, r) && hold_bodiless(s, r);
}
