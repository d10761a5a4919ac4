/* queue_sqlite_operator: what an operator asks of single messages. */
#include "router/queue_sqlite.h"

static bool count_entries(struct queue_store *s, uint64_t number, unsigned *count,
                          struct queue_result *r)
{
    sqlite3_stmt *q = store_statement(s, SQL_ENTRIES_OF, r);
    if (q == NULL) {
        return false;
    }
    sqlite3_bind_int64(q, 1, (int64_t)number);
    bool good = sqlite3_step(q) == SQLITE_ROW || store_fail(s, r);
    *count = good ? (unsigned)sqlite3_column_int64(q, 0) : 0;
    sqlite3_reset(q);
    return good;
}

bool sqlite_unhold(struct queue_store *s, uint64_t number, int64_t next_try_ms,
                   struct queue_touched *t, struct queue_result *r)
{
    *t = (struct queue_touched){0};
    if (!count_entries(s, number, &t->entries, r)) {
        return false;
    }
    sqlite3_stmt *q = store_statement(s, SQL_UNHOLD, r);
    if (q == NULL) {
        return false;
    }
    sqlite3_bind_int64(q, 1, (int64_t)number);
    sqlite3_bind_int64(q, 2, next_try_ms);
    if (!store_run(s, q, r)) {
        return false;
    }
    t->changed = (unsigned)sqlite3_changes(s->db);
    return true;
}
