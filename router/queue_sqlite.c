/* queue_sqlite: the embedded store: a database in WAL mode with synchronous=FULL, in
 * which small bodies lie beside their messages; large ones are files (see body.c and
 * queue_sqlite_bodies.c). Transactions, insert, settle and counting are here;
 * claiming is in queue_sqlite_claim.c. */
#include "router/queue_sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <uv.h>

#include "base/check.h"

enum {
    /* Kept free on the queue's disk. What is committed lies in the log file first and is
     * moved into the database later; when that had no room to grow, the log could never
     * be emptied, no outcome stored, and a full disk would stay full for ever. */
    RESERVE_BYTES = 16 * 1024 * 1024,
    MESSAGE_BYTES = 8 * 1024, /* rows of a message, with the pages around them */
    RECIPIENT_BYTES = 512,
    COUNT_ROWS = 20000 /* in one step: some 5 ms */
};

static const char *const STATEMENTS[] = {
#define STATEMENT_SQL(id, sql) sql,
    SQLITE_STATEMENTS(STATEMENT_SQL)
#undef STATEMENT_SQL
};

bool store_fail(struct queue_store *s, struct queue_result *r)
{
    int code = sqlite3_extended_errcode(s->db);
    return queue_result_fail(r, "%s (SQLite %d)", sqlite3_errmsg(s->db), code);
}

sqlite3_stmt *store_statement(struct queue_store *s, enum sqlite_statement id,
                              struct queue_result *r)
{
    sqlite3_stmt **q = &s->statements[id];
    if (*q == NULL &&
        sqlite3_prepare_v3(s->db, STATEMENTS[id], -1, SQLITE_PREPARE_PERSISTENT, q,
                           NULL) != SQLITE_OK) {
        store_fail(s, r);
        return NULL;
    }
    sqlite3_reset(*q);
    return *q;
}

sqlite3_stmt *store_entry_statement(struct queue_store *s, enum sqlite_statement id,
                                    int64_t entry, struct queue_result *r)
{
    sqlite3_stmt *q = store_statement(s, id, r);
    if (q != NULL) {
        sqlite3_bind_int64(q, 1, entry_number(entry));
        sqlite3_bind_int64(q, 2, entry_position(entry));
    }
    return q;
}

bool store_run(struct queue_store *s, sqlite3_stmt *q, struct queue_result *r)
{
    if (q == NULL) {
        return false;
    }
    bool good = sqlite3_step(q) == SQLITE_DONE || store_fail(s, r);
    sqlite3_reset(q);
    return good;
}

/* Runs a statement without parameters. */
static bool store_do(struct queue_store *s, enum sqlite_statement id,
                     struct queue_result *r)
{
    return store_run(s, store_statement(s, id, r), r);
}

/* Runs a statement whose only parameter is a number. */
bool store_do_number(struct queue_store *s, enum sqlite_statement id, int64_t value,
                     struct queue_result *r)
{
    sqlite3_stmt *q = store_statement(s, id, r);
    if (q != NULL) {
        sqlite3_bind_int64(q, 1, value);
    }
    return store_run(s, q, r);
}

/* One row with one number, or `otherwise`; false with *r. */
bool store_query_number(struct queue_store *s, sqlite3_stmt *q, int64_t otherwise,
                        int64_t *value, struct queue_result *r)
{
    if (q == NULL) {
        return false;
    }
    int rc = sqlite3_step(q);
    *value = rc == SQLITE_ROW ? sqlite3_column_int64(q, 0) : otherwise;
    bool good = rc == SQLITE_ROW || rc == SQLITE_DONE || store_fail(s, r);
    sqlite3_reset(q);
    return good;
}

void store_log(struct queue_store *s, const char *what, uint64_t number,
               const char *reason)
{
    struct log_line line;
    char id[QUEUE_ID_MAX];
    queue_id_print(number, id);
    log_begin(&line, s->place->log, LOG_QUEUE);
    log_cstr(&line, "what", what);
    log_cstr(&line, "id", id);
    log_cstr(&line, "reason", reason);
    log_end(&line);
}

int64_t store_clock_ms(void)
{
    return (int64_t)(uv_hrtime() / 1000000);
}

/* --- life --- */

void sqlite_close(struct queue_store **s)
{
    struct queue_store *gone = *s;
    *s = NULL;
    for (size_t i = 0; i < SQL_COUNT; i++) {
        sqlite3_finalize(gone->statements[i]);
    }
    sqlite3_close(gone->db); /* rolls back what is open */
    free(gone->doomed);
    free(gone);
}

/* --- transactions --- */

static bool sqlite_begin(struct queue_store *s, struct queue_result *r)
{
    s->doomed_count = 0;
    s->charged_bytes = 0;
    return store_do(s, SQL_BEGIN, r);
}

static bool sqlite_commit(struct queue_store *s, struct queue_result *r)
{
    if (!store_do(s, SQL_COMMIT, r)) {
        return false;
    }
    for (size_t i = 0; i < s->doomed_count; i++) {
        bodies_unlink(s, s->doomed[i]);
    }
    s->doomed_count = 0;
    return true;
}

/* In one transaction, so that no message is ever without entries; what fails before its
 * commit is rolled back when the store is closed. */
static bool sqlite_recover(struct queue_store *s, int64_t now_ms, struct queue_result *r)
{
    return check_quickly(s, r) && sqlite_begin(s, r) && store_carry_out_all(s, r) &&
           store_do_number(s, SQL_VOID_CLAIMS, now_ms, r) &&
           clock_recover(s, now_ms, r) && sqlite_commit(s, r) && bodies_recover(s, r);
}

static bool sqlite_alive(struct queue_store *s)
{
    return sqlite3_get_autocommit(s->db) == 0;
}

static bool sqlite_savepoint(struct queue_store *s, struct queue_result *r)
{
    s->doomed_mark = s->doomed_count;
    return store_do(s, SQL_SAVEPOINT, r);
}

static bool sqlite_keep(struct queue_store *s, struct queue_result *r)
{
    return store_do(s, SQL_KEEP, r);
}

static bool sqlite_undo(struct queue_store *s, struct queue_result *r)
{
    s->doomed_count = s->doomed_mark;
    return store_do(s, SQL_UNDO, r) && store_do(s, SQL_KEEP, r);
}

/* --- numbers --- */

static bool sqlite_load_bound(struct queue_store *s, uint64_t *bound,
                              struct queue_result *r)
{
    sqlite3_stmt *q = store_statement(s, SQL_LOAD_BOUND, r);
    if (q == NULL) {
        return false;
    }
    int rc = sqlite3_step(q);
    if (rc == SQLITE_ROW) {
        *bound = (uint64_t)sqlite3_column_int64(q, 0);
    } else if (rc == SQLITE_DONE) {
        queue_result_fail(r, "the queue has lost its next_number");
    } else {
        store_fail(s, r);
    }
    sqlite3_reset(q);
    return rc == SQLITE_ROW;
}

static bool sqlite_save_bound(struct queue_store *s, uint64_t bound,
                              struct queue_result *r)
{
    return store_do_number(s, SQL_SAVE_BOUND, (int64_t)bound, r);
}

/* --- insert --- */

/* What m takes in the database; a body in a file is on the disk already. */
static uint64_t message_bytes(const struct queue_message *m)
{
    uint64_t bytes = MESSAGE_BYTES;
    if (body_file(m->body) == NULL) {
        bytes += body_size(m->body);
    }
    for (unsigned i = 0; i < m->header_count; i++) {
        bytes += body_size(m->headers[i].text);
    }
    for (unsigned i = 0; i < m->entry_count; i++) {
        bytes += (uint64_t)m->entries[i].recipient_count * RECIPIENT_BYTES;
    }
    return bytes;
}

/* Room is free disk beyond the reserve, or, down to half of that, pages that removed
 * messages have left in the database. */
static bool sqlite_room(struct queue_store *s, const struct queue_message *m,
                        struct queue_result *r)
{
    struct statvfs disk;
    uint64_t bytes = message_bytes(m);
    int64_t inside;
    if (statvfs(s->place->directory, &disk) != 0) {
        return true; /* the write will tell */
    }
    uint64_t free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
    s->charged_bytes += 2 * bytes; /* in the log, then in the database */
    if (free_bytes >= RESERVE_BYTES + s->charged_bytes) {
        return true;
    }
    if (!store_query_number(s, store_statement(s, SQL_FREE_BYTES, r), 0, &inside, r)) {
        return false;
    }
    if (free_bytes >= RESERVE_BYTES / 2 + s->charged_bytes / 2 &&
        (uint64_t)inside >= bytes) {
        return true;
    }
    s->charged_bytes -= 2 * bytes;
    return queue_result_fail(r, "disk full: %llu MiB are free at %s, %d are kept free",
                             (unsigned long long)(free_bytes >> 20), s->place->directory,
                             RESERVE_BYTES >> 20);
}

void store_bind(sqlite3_stmt *q, int at, str text)
{
    sqlite3_bind_text(q, at, text.ptr == NULL ? "" : text.ptr, (int)text.len,
                      SQLITE_STATIC);
}

/* ptr NULL is NULL, which is not the same as empty. */
static void bind_optional(sqlite3_stmt *q, int at, str text)
{
    if (text.ptr == NULL) {
        sqlite3_bind_null(q, at);
    } else {
        store_bind(q, at, text);
    }
}

static bool insert_message(struct queue_store *s, const struct queue_message *m,
                           struct queue_result *r)
{
    sqlite3_stmt *q = store_statement(s, SQL_INSERT_MESSAGE, r);
    if (q == NULL) {
        return false;
    }
    sqlite3_bind_int64(q, 1, (int64_t)m->number);
    sqlite3_bind_int64(q, 2, m->created_ms);
    store_bind(q, 3, m->sender);
    store_bind(q, 4, m->source_channel);
    sqlite3_bind_int(q, 5, m->eight_bit);
    sqlite3_bind_int64(q, 6, (int64_t)body_size(m->body));
    sqlite3_bind_text(q, 7, body_file(m->body), -1, SQLITE_STATIC); /* NULL: inline */
    sqlite3_bind_int(q, 8, m->ret);
    bind_optional(q, 9, m->envid);
    return store_run(s, q, r);
}

static bool insert_body(struct queue_store *s, const struct queue_message *m,
                        struct queue_result *r)
{
    if (body_file(m->body) != NULL) {
        return true;
    }
    str data = body_part(m->body, 0);
    sqlite3_stmt *q = store_statement(s, SQL_INSERT_BODY, r);
    if (q == NULL) {
        return false;
    }
    sqlite3_bind_int64(q, 1, (int64_t)m->number);
    sqlite3_bind_blob64(q, 2, data.ptr, data.len, SQLITE_STATIC);
    bool good = store_run(s, q, r);
    sqlite3_clear_bindings(q);
    return good;
}

static bool insert_header(struct queue_store *s, const struct queue_message *m,
                          const struct queue_header *h, struct queue_result *r)
{
    str data = body_part(h->text, 0);
    sqlite3_stmt *q = store_statement(s, SQL_INSERT_HEADER, r);
    if (q == NULL) {
        return false;
    }
    sqlite3_bind_int64(q, 1, (int64_t)m->number);
    sqlite3_bind_int64(q, 2, h->number);
    sqlite3_bind_int64(q, 3, (int64_t)h->replaces);
    sqlite3_bind_blob64(q, 4, data.ptr, data.len, SQLITE_STATIC);
    bool good = store_run(s, q, r);
    sqlite3_clear_bindings(q);
    return good;
}

static bool insert_headers(struct queue_store *s, const struct queue_message *m,
                           struct queue_result *r)
{
    bool good = true;
    for (unsigned i = 0; good && i < m->header_count; i++) {
        good = insert_header(s, m, &m->headers[i], r);
    }
    return good;
}

bool store_insert_recipients(struct queue_store *s, int64_t entry,
                             const struct queue_recipient *list, unsigned count,
                             struct queue_result *r)
{
    for (unsigned i = 0; i < count; i++) {
        sqlite3_stmt *q = store_entry_statement(s, SQL_INSERT_RECIPIENT, entry, r);
        if (q == NULL) {
            return false;
        }
        sqlite3_bind_int64(q, 3, i);
        store_bind(q, 4, list[i].address);
        sqlite3_bind_int64(q, 5, list[i].notify);
        bind_optional(q, 6, list[i].orcpt);
        if (!store_run(s, q, r)) {
            return false;
        }
    }
    return true;
}

static enum queue_state birth_state(const struct queue_entry *e)
{
    return e->hold != NULL               ? QUEUE_HELD
           : queue_entry_born_claimed(e) ? QUEUE_CLAIMED
                                         : QUEUE_WAITING;
}

static bool insert_entry(struct queue_store *s, const struct queue_message *m,
                         struct queue_entry *e, struct queue_result *r)
{
    sqlite3_stmt *q = store_entry_statement(s, SQL_INSERT_ENTRY, e->id, r);
    if (q == NULL) {
        return false;
    }
    store_bind(q, 3, e->channel);
    store_bind(q, 4, e->host);
    sqlite3_bind_int(q, 5, birth_state(e));
    sqlite3_bind_int64(q, 6, e->not_before_ms > 0 ? e->not_before_ms : m->created_ms);
    bind_optional(q, 7, e->sender);
    if (e->header == NULL) {
        sqlite3_bind_null(q, 8);
    } else {
        sqlite3_bind_int64(q, 8, e->header->number);
    }
    bind_optional(q, 9, e->returns);
    sqlite3_bind_int(q, 11, e->priority);
    sqlite3_bind_text(q, 10, e->hold, -1, SQLITE_STATIC); /* NULL: none */
    return store_run(s, q, r) &&
           store_insert_recipients(s, e->id, e->recipients, e->recipient_count, r);
}

static bool sqlite_remove(struct queue_store *s, uint64_t number, struct queue_result *r)
{
    return store_do_number(s, SQL_DELETE_MESSAGE, (int64_t)number, r);
}

static bool sqlite_insert(struct queue_store *s, struct queue_message *m,
                          struct queue_result *r)
{
    check(m->body != NULL && m->entry_count > 0);
    check(m->number < (uint64_t)1 << (63 - ENTRY_POSITION_BITS));
    check(m->entry_count < 1u << ENTRY_POSITION_BITS);
    if (!insert_message(s, m, r)) {
        /* The number is new, but for a message whose commit failed and whose owner
         * tries again, while the failed commit had reached the disk. */
        if (sqlite3_extended_errcode(s->db) != SQLITE_CONSTRAINT_PRIMARYKEY ||
            !sqlite_remove(s, m->number, r) || !insert_message(s, m, r)) {
            return false;
        }
    }
    if (!insert_body(s, m, r) || !insert_headers(s, m, r)) {
        return false;
    }
    for (unsigned i = 0; i < m->entry_count; i++) {
        m->entries[i].id = entry_id(m->number, i);
        if (!insert_entry(s, m, &m->entries[i], r)) {
            return false;
        }
    }
    return true;
}

/* --- states --- */

static bool sqlite_release(struct queue_store *s, int64_t entry, int64_t next_try_ms,
                           struct queue_result *r)
{
    sqlite3_stmt *q = store_entry_statement(s, SQL_RELEASE, entry, r);
    if (q != NULL) {
        sqlite3_bind_int64(q, 3, next_try_ms);
    }
    return store_run(s, q, r) && store_carry_out(s, entry, r);
}

static bool sqlite_unclaim(struct queue_store *s, int64_t entry, struct queue_result *r)
{
    sqlite3_stmt *q = store_entry_statement(s, SQL_SET_STATE, entry, r);
    if (q != NULL) {
        sqlite3_bind_int(q, 3, QUEUE_WAITING);
    }
    return store_run(s, q, r);
}

static bool sqlite_unsettle(struct queue_store *s, int64_t entry, bool held,
                            struct queue_result *r)
{
    sqlite3_stmt *q = store_entry_statement(s, SQL_UNSETTLE, entry, r);
    if (q != NULL) {
        sqlite3_bind_int(q, 3, held);
    }
    return store_run(s, q, r);
}

/* --- counting --- */

/* Each message has an entry, and those of one message stand together. */
static void count_row(sqlite3_stmt *q, struct queue_counts *c, struct queue_cursor *at)
{
    uint64_t number = (uint64_t)sqlite3_column_int64(q, 0);
    int state = sqlite3_column_int(q, 2);
    c->messages += number != at->number;
    c->entries++;
    c->deferred += state != QUEUE_HELD && sqlite3_column_int64(q, 3) > 0;
    c->held += state == QUEUE_HELD;
    *at = (struct queue_cursor){number, sqlite3_column_int64(q, 1)};
}

static bool sqlite_count(struct queue_store *s, struct queue_counts *c,
                         struct queue_cursor *at, bool *more, struct queue_result *r)
{
    int rc = SQLITE_DONE;
    unsigned looked = 0;
    sqlite3_stmt *q = store_statement(s, SQL_COUNT_ENTRIES, r);
    if (q == NULL) {
        return false;
    }
    sqlite3_bind_int64(q, 1, (int64_t)at->number);
    sqlite3_bind_int64(q, 2, at->position);
    sqlite3_bind_int(q, 3, COUNT_ROWS);
    while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
        count_row(q, c, at);
        looked++;
    }
    bool good = rc == SQLITE_DONE || store_fail(s, r);
    sqlite3_reset(q);
    *more = looked == COUNT_ROWS;
    return good &&
           store_query_number(s, store_statement(s, SQL_OLDEST, r), 0, &c->oldest_ms, r);
}

const struct queue_engine queue_sqlite = {
    .name = "sqlite",
    .open = sqlite_open,
    .close = sqlite_close,
    .recover = sqlite_recover,
    .begin = sqlite_begin,
    .commit = sqlite_commit,
    .alive = sqlite_alive,
    .savepoint = sqlite_savepoint,
    .keep = sqlite_keep,
    .undo = sqlite_undo,
    .load_bound = sqlite_load_bound,
    .save_bound = sqlite_save_bound,
    .room = sqlite_room,
    .insert = sqlite_insert,
    .claim = sqlite_claim,
    .settle = sqlite_settle,
    .release = sqlite_release,
    .order = sqlite_order,
    .stopped = sqlite_stopped,
    .count = sqlite_count,
    .history = store_history,
    .remove = sqlite_remove,
    .unclaim = sqlite_unclaim,
    .unsettle = sqlite_unsettle,
};
