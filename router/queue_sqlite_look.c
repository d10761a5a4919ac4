/* queue_sqlite_look: entries as an operator sees them, read page by page. */
#include "router/queue_sqlite.h"

static str column(struct arena *a, sqlite3_stmt *q, int at)
{
    const void *text = sqlite3_column_text(q, at);
    if (text == NULL) {
        return STR_NONE;
    }
    return arena_str(a, str_n(text, (size_t)sqlite3_column_bytes(q, at)));
}

/* A row of SQL_LOOK. */
static void seen_read(struct arena *a, sqlite3_stmt *q, struct queue_seen *e)
{
    *e = (struct queue_seen){
        .number = (uint64_t)sqlite3_column_int64(q, 0),
        .position = (unsigned)sqlite3_column_int64(q, 1),
        .state = (enum queue_state)sqlite3_column_int(q, 2),
        .channel = column(a, q, 3),
        .host = column(a, q, 4),
        .attempts = (unsigned)sqlite3_column_int64(q, 5),
        .next_try_ms = sqlite3_column_int64(q, 6),
        .reason = column(a, q, 7),
        .created_ms = sqlite3_column_int64(q, 8),
        .sender = column(a, q, 9),
        .source_channel = column(a, q, 10),
        .size = sqlite3_column_int64(q, 11),
        .ordered = (enum queue_ordered)sqlite3_column_int(q, 12),
        .redirected = sqlite3_column_int(q, 13) != 0,
        .priority = sqlite3_column_int(q, 14),
    };
    queue_id_print(e->number, e->id);
}

bool store_recipients(struct queue_store *s, struct arena *a, struct queue_seen *e,
                      struct queue_result *r)
{
    VEC(str) list = {0};
    int rc;
    sqlite3_stmt *q =
        store_entry_statement(s, SQL_RECIPIENTS, entry_id(e->number, e->position), r);
    if (q == NULL) {
        return false;
    }
    while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
        *vec_add(a, &list) = column(a, q, 0);
    }
    bool good = rc == SQLITE_DONE || store_fail(s, r);
    sqlite3_reset(q);
    e->recipients = list.at;
    e->recipient_count = (unsigned)list.n;
    return good;
}

bool store_look(struct queue_store *s, struct arena *a, struct look_page *page,
                struct queue_result *r)
{
    int rc = SQLITE_DONE;
    bool good = true;
    sqlite3_stmt *q = store_statement(s, SQL_LOOK, r);
    page->seen.at = NULL;
    page->seen.n = page->seen.cap = 0;
    if (q == NULL) {
        return false;
    }
    sqlite3_bind_int64(q, 1, (int64_t)page->at.number);
    sqlite3_bind_int64(q, 2, page->at.position);
    sqlite3_bind_int(q, 3, page->held);
    sqlite3_bind_int(q, 4, (int)page->limit);
    while (good && (rc = sqlite3_step(q)) == SQLITE_ROW) {
        struct queue_seen *e = vec_add(a, &page->seen);
        seen_read(a, q, e);
        good = !page->recipients || store_recipients(s, a, e, r);
        page->at = (struct queue_cursor){e->number, e->position};
    }
    good = good && (rc == SQLITE_DONE || store_fail(s, r));
    sqlite3_reset(q);
    return good;
}

bool store_filter(struct queue_store *s, struct arena *a, const struct queue_filter *f,
                  struct queue_seen *e, bool *passes, struct queue_result *r)
{
    struct queue_filter without = *f;
    struct queue_filter_entry entry = {
        .number = e->number,
        .held = e->state == QUEUE_HELD,
        .created_ms = e->created_ms,
        .channel = e->channel,
        .host = e->host,
        .sender = e->sender,
    };
    if (f->to.ptr != NULL) {
        /* Most entries fail for another reason: their recipients are not read. */
        without.to = STR_NONE;
        without.from = f->either ? STR_NONE : f->from;
        if (queue_filter_matches(&without, &entry) && e->recipients == NULL &&
            !store_recipients(s, a, e, r)) {
            return false;
        }
        entry.recipients = e->recipients;
        entry.recipient_count = e->recipient_count;
    }
    *passes = queue_filter_matches(f, &entry);
    return true;
}
