/* queue_sqlite_look: entries as an operator sees them, read page by page. */
#include "router/queue_sqlite.h"

enum { PAGE_ROWS = 10000 }; /* some 5 to 10 ms */

/* The value as it lies there, good until the next step: sqlite3_column_text() would copy
 * it to end it with NUL. */
static str slice(sqlite3_stmt *q, int at)
{
    const char *text = sqlite3_column_blob(q, at);
    return text == NULL ? STR("") : str_n(text, (size_t)sqlite3_column_bytes(q, at));
}

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

/* What the row itself says, without a copy. */
static bool row_passes(sqlite3_stmt *q, const struct queue_filter *f)
{
    const struct queue_filter_entry entry = {
        .number = (uint64_t)sqlite3_column_int64(q, 0),
        .held = sqlite3_column_int(q, 2) == QUEUE_HELD,
        .channel = slice(q, 3),
        .host = slice(q, 4),
        .created_ms = sqlite3_column_int64(q, 8),
        .sender = slice(q, 9),
    };
    return queue_filter_matches(f, &entry);
}

/* The same filter without what it asks of recipients: nothing passes the whole that does
 * not pass this. */
static struct queue_filter filter_of_row(const struct queue_filter *f)
{
    struct queue_filter without = *f;
    if (f->to.ptr != NULL) {
        without.to = STR_NONE;
        without.from = f->either ? STR_NONE : f->from;
    }
    return without;
}

bool store_look(struct queue_store *s, struct arena *a, struct look_page *page,
                struct queue_result *r)
{
    int rc = SQLITE_ROW;
    const struct queue_filter filter = filter_of_row(page->filter);
    sqlite3_stmt *q = store_statement(s, SQL_LOOK, r);
    page->seen.at = NULL;
    page->seen.n = page->seen.cap = 0;
    page->looked = 0;
    if (q == NULL) {
        return false;
    }
    sqlite3_bind_int64(q, 1, (int64_t)page->at.number);
    sqlite3_bind_int64(q, 2, page->at.position);
    sqlite3_bind_int(q, 3, PAGE_ROWS);
    while (page->seen.n < page->limit && (rc = sqlite3_step(q)) == SQLITE_ROW) {
        page->looked++;
        page->at = (struct queue_cursor){(uint64_t)sqlite3_column_int64(q, 0),
                                         sqlite3_column_int64(q, 1)};
        if (row_passes(q, &filter)) {
            seen_read(a, q, vec_add(a, &page->seen));
        }
        if (filter.number != 0 && page->at.number > filter.number) {
            rc = SQLITE_DONE; /* the walk for one message ends behind it */
            break;
        }
    }
    bool good = rc == SQLITE_ROW || rc == SQLITE_DONE || store_fail(s, r);
    page->end = rc == SQLITE_DONE && page->looked < PAGE_ROWS;
    sqlite3_reset(q);
    return good;
}

bool store_filter(struct queue_store *s, struct arena *a, const struct queue_filter *f,
                  struct queue_seen *e, bool *passes, struct queue_result *r)
{
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
        const struct queue_filter without = filter_of_row(f);
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
