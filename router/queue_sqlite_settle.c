/* queue_sqlite_settle: what became of a claimed entry: recipients that are done go, with
 * the last one the entry, with the last entry the message; the others wait. What the
 * attempt was like is remembered for as long as the message is there. */
#include "router/queue_sqlite.h"

#include <stdlib.h>

#include "base/check.h"

/* Of one entry; the time between them is in the log. */
enum { ATTEMPTS_FIRST = 3, ATTEMPTS_LAST = 20 };

static void doom_body(struct queue_store *s, uint64_t number)
{
    if (s->doomed_count == s->doomed_cap) {
        s->doomed_cap = s->doomed_cap > 0 ? s->doomed_cap * 2 : 16;
        s->doomed = realloc(s->doomed, s->doomed_cap * sizeof *s->doomed);
        check(s->doomed != NULL);
    }
    s->doomed[s->doomed_count++] = number;
}

/* Removes the message when its last entry is gone; its file goes after the commit. */
static bool message_reap(struct queue_store *s, int64_t number, struct queue_result *r)
{
    int64_t left;
    sqlite3_stmt *q = store_statement(s, SQL_ENTRY_LEFT, r);
    if (q != NULL) {
        sqlite3_bind_int64(q, 1, number);
    }
    if (!store_query_number(s, q, 0, &left, r)) {
        return false;
    }
    if (left != 0) {
        return true;
    }
    q = store_statement(s, SQL_BODY_FILE, r);
    if (q == NULL) {
        return false;
    }
    sqlite3_bind_int64(q, 1, number);
    int rc = sqlite3_step(q);
    bool file = rc == SQLITE_ROW && sqlite3_column_type(q, 0) != SQLITE_NULL;
    bool good = rc == SQLITE_ROW || rc == SQLITE_DONE || store_fail(s, r);
    sqlite3_reset(q);
    if (!good || !store_do_number(s, SQL_DELETE_MESSAGE, number, r)) {
        return false;
    }
    if (file) {
        doom_body(s, (uint64_t)number);
    }
    return true;
}

/* The recipients still open are a subset of those stored: the same number of them
 * means the same ones, which is what a host that is down gives. */
static bool settle_recipients(struct queue_store *s, const struct queue_settlement *t,
                              struct queue_result *r)
{
    int64_t stored;
    sqlite3_stmt *q = store_entry_statement(s, SQL_COUNT_RECIPIENTS, t->entry_id, r);
    if (!store_query_number(s, q, 0, &stored, r)) {
        return false;
    }
    if (stored == (int64_t)t->keep_count) {
        return true;
    }
    q = store_entry_statement(s, SQL_DELETE_RECIPIENTS, t->entry_id, r);
    return store_run(s, q, r) &&
           store_insert_recipients(s, t->entry_id, t->keep, t->keep_count, r);
}

static bool settle_keep(struct queue_store *s, const struct queue_settlement *t,
                        struct queue_result *r)
{
    sqlite3_stmt *q = store_entry_statement(s, SQL_KEEP_ENTRY, t->entry_id, r);
    if (q == NULL) {
        return false;
    }
    sqlite3_bind_int(q, 3, t->hold ? QUEUE_HELD : QUEUE_WAITING);
    sqlite3_bind_int64(q, 4, t->next_try_ms);
    sqlite3_bind_text(q, 5, t->last_error, -1, SQLITE_STATIC); /* NULL: leave */
    sqlite3_bind_int64(q, 6, t->notices);
    if (!store_run(s, q, r)) {
        return false;
    }
    if (sqlite3_changes(s->db) == 0) {
        return true;
    }
    if (t->returned) { /* that was done, whatever came of it */
        q = store_entry_statement(s, SQL_RETURNED, t->entry_id, r);
        if (!store_run(s, q, r)) {
            return false;
        }
    }
    return settle_recipients(s, t, r) && store_carry_out(s, t->entry_id, r);
}

bool store_remove_entry(struct queue_store *s, int64_t entry, struct queue_result *r)
{
    sqlite3_stmt *q = store_entry_statement(s, SQL_DELETE_ENTRY, entry, r);
    return store_run(s, q, r) && message_reap(s, entry_number(entry), r);
}

/* --- what the attempt was like --- */

static bool forget_attempt(struct queue_store *s, int64_t entry, int64_t attempt,
                           struct queue_result *r)
{
    if (attempt <= ATTEMPTS_FIRST) {
        return true;
    }
    sqlite3_stmt *q = store_entry_statement(s, SQL_FORGET_ATTEMPT, entry, r);
    if (q != NULL) {
        sqlite3_bind_int64(q, 3, attempt);
    }
    return store_run(s, q, r);
}

static bool insert_attempt(struct queue_store *s, int64_t entry,
                           const struct queue_attempt *a, struct queue_result *r)
{
    int64_t last;
    sqlite3_stmt *q = store_entry_statement(s, SQL_LAST_ATTEMPT, entry, r);
    if (!store_query_number(s, q, 0, &last, r) ||
        !forget_attempt(s, entry, last + 1 - ATTEMPTS_LAST, r)) {
        return false;
    }
    q = store_entry_statement(s, SQL_INSERT_ATTEMPT, entry, r);
    if (q == NULL) {
        return false;
    }
    sqlite3_bind_int64(q, 3, last + 1);
    sqlite3_bind_int64(q, 4, a->at_ms);
    sqlite3_bind_text(q, 5, a->peer, -1, SQLITE_STATIC);
    sqlite3_bind_text(q, 6, a->tls, -1, SQLITE_STATIC);
    sqlite3_bind_text(q, 7, a->outcome, -1, SQLITE_STATIC);
    sqlite3_bind_int64(q, 8, a->delivered);
    sqlite3_bind_int64(q, 9, a->deferred);
    sqlite3_bind_int64(q, 10, a->failed);
    return store_run(s, q, r);
}

/* A message that goes with this entry takes its history along: nothing to write. */
static bool remember_attempt(struct queue_store *s, const struct queue_settlement *t,
                             struct queue_result *r)
{
    int64_t beside = 1;
    if (t->attempt == NULL) {
        return true;
    }
    if (t->keep_count == 0) {
        sqlite3_stmt *q = store_entry_statement(s, SQL_ENTRIES_BESIDE, t->entry_id, r);
        if (!store_query_number(s, q, 0, &beside, r)) {
            return false;
        }
    }
    return beside == 0 || insert_attempt(s, t->entry_id, t->attempt, r);
}

bool sqlite_settle(struct queue_store *s, const struct queue_settlement *t,
                   struct queue_result *r)
{
    check(entry_number(t->entry_id) == (int64_t)t->number);
    if (!remember_attempt(s, t, r)) {
        return false;
    }
    if (t->keep_count > 0) {
        return settle_keep(s, t, r);
    }
    return store_remove_entry(s, t->entry_id, r);
}
