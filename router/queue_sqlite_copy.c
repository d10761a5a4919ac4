/* queue_sqlite_copy: a message as it would leave: the header its channel wants, then what
 * is left of the body, from the store or from its file. */
#include "router/queue_sqlite_inspect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "base/check.h"

enum { PIECE = 65536 };

struct copying {
    struct queue_store *store;
    const char *directory;
    uint64_t number;
    struct queue_header header; /* text NULL: as in the body */
    struct body *body;
    struct queue_result *result;
};

static sqlite3_stmt *copy_statement(struct copying *c, enum sqlite_statement id)
{
    sqlite3_stmt *q = store_statement(c->store, id, c->result);
    if (q != NULL) {
        sqlite3_bind_int64(q, 1, (int64_t)c->number);
    }
    return q;
}

static struct body *column_body(sqlite3_stmt *q, int at)
{
    const void *data = sqlite3_column_blob(q, at);
    return body_from_memory(data, (size_t)sqlite3_column_bytes(q, at));
}

/* Which header, if it is another one: *header, -1 when it is the body's. */
static bool find_entry(struct copying *c, int64_t position, int64_t *header)
{
    sqlite3_stmt *q = copy_statement(c, SQL_COPY_ENTRY);
    if (q == NULL) {
        return false;
    }
    sqlite3_bind_int64(q, 2, position);
    int rc = sqlite3_step(q);
    if (rc == SQLITE_ROW) {
        bool own = sqlite3_column_type(q, 0) != SQLITE_NULL;
        *header = own ? sqlite3_column_int64(q, 0) : -1;
    }
    bool good = rc == SQLITE_ROW || rc == SQLITE_DONE || store_fail(c->store, c->result);
    sqlite3_reset(q);
    if (good && rc == SQLITE_DONE) {
        return queue_result_fail(c->result, position < 0
                                                ? "there is no such message in the queue"
                                                : "there is no such entry in the queue");
    }
    return good;
}

static bool load_header(struct copying *c, int64_t header)
{
    sqlite3_stmt *q = header >= 0 ? copy_statement(c, SQL_HEADER) : NULL;
    if (q == NULL) {
        return header < 0;
    }
    sqlite3_bind_int64(q, 2, header);
    int rc = sqlite3_step(q);
    if (rc == SQLITE_ROW) {
        c->header.replaces = (uint64_t)sqlite3_column_int64(q, 0);
        c->header.text = column_body(q, 1);
    }
    bool good =
        rc == SQLITE_ROW ||
        (rc == SQLITE_DONE ? queue_result_fail(c->result, "its header is not in the "
                                                          "store")
                           : store_fail(c->store, c->result));
    sqlite3_reset(q);
    return good;
}

static bool load_stored(struct copying *c)
{
    sqlite3_stmt *q = copy_statement(c, SQL_BODY);
    if (q == NULL) {
        return false;
    }
    int rc = sqlite3_step(q);
    if (rc == SQLITE_ROW) {
        c->body = column_body(q, 0);
    }
    bool good =
        rc == SQLITE_ROW ||
        (rc == SQLITE_DONE ? queue_result_fail(c->result, "its body is not in the "
                                                          "store")
                           : store_fail(c->store, c->result));
    sqlite3_reset(q);
    return good;
}

static bool load_file(struct copying *c, const char *file)
{
    char folder[4096];
    int error = 0;
    int length = snprintf(folder, sizeof folder, "%s/bodies", c->directory);
    if (length < 0 || (size_t)length >= sizeof folder) {
        return queue_result_fail(c->result, "the name of the queue folder is too long");
    }
    c->body = body_from_file(folder, file, &error);
    return c->body != NULL || queue_result_fail(c->result, "cannot open %s/%s: %s",
                                                folder, file, uv_strerror(error));
}

static bool load_body(struct copying *c)
{
    char file[QUEUE_ID_MAX + 8] = "";
    sqlite3_stmt *q = copy_statement(c, SQL_BODY_FILE);
    if (q == NULL) {
        return false;
    }
    int rc = sqlite3_step(q);
    const char *text = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(q, 0) : NULL;
    snprintf(file, sizeof file, "%s", text != NULL ? text : "");
    bool good = rc == SQLITE_ROW || rc == SQLITE_DONE || store_fail(c->store, c->result);
    sqlite3_reset(q);
    return good && (*file != '\0' ? load_file(c, file) : load_stored(c));
}

static bool put_all(struct copying *c, struct body *b, queue_write_fn write, void *arg)
{
    char *piece = malloc(PIECE);
    uint64_t offset = 0;
    long got;
    check(piece != NULL);
    while ((got = body_read_blocking(b, piece, PIECE, offset)) > 0 &&
           write(piece, (size_t)got, arg)) {
        offset += (uint64_t)got;
    }
    free(piece);
    return got >= 0 ||
           queue_result_fail(c->result, "cannot read its body: %s", strerror((int)-got));
}

static bool put_message(struct copying *c, queue_write_fn write, void *arg)
{
    if (c->header.text == NULL) {
        return put_all(c, c->body, write, arg);
    }
    if (c->header.replaces > body_size(c->body)) {
        return queue_result_fail(c->result, "its header does not fit its body");
    }
    struct body *whole = body_overlay(c->header.text, c->body, c->header.replaces);
    bool good = put_all(c, whole, write, arg);
    body_unref(&whole);
    return good;
}

/* In one transaction, so that the message does not go while its parts are read; a body
 * file stays open after that. */
static bool load_all(struct copying *c, int64_t position)
{
    int64_t header = -1;
    if (sqlite3_exec(c->store->db, "BEGIN", NULL, NULL, NULL) != SQLITE_OK) {
        return store_fail(c->store, c->result);
    }
    bool good =
        find_entry(c, position, &header) && load_header(c, header) && load_body(c);
    sqlite3_exec(c->store->db, "COMMIT", NULL, NULL, NULL);
    return good;
}

bool queue_copy(const char *directory, uint64_t number, int64_t position,
                queue_write_fn write, void *arg, char *reason, size_t reason_size)
{
    struct queue_result r = {.ok = true};
    struct copying c = {.store = calloc(1, sizeof *c.store),
                        .directory = directory,
                        .number = number,
                        .result = &r};
    check(c.store != NULL);
    bool good = reader_open(c.store, directory, &r) && load_all(&c, position) &&
                put_message(&c, write, arg);
    body_unref(&c.body);
    body_unref(&c.header.text);
    queue_sqlite.close(&c.store);
    snprintf(reason, reason_size, "%s", good ? "" : r.reason);
    return good;
}
