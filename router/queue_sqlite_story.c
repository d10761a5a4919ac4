/* queue_sqlite_story: all that is known of one message, read in one transaction. */
#include "router/queue_sqlite_inspect.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"

struct reading {
    struct queue_store *store;
    struct arena *arena;
    struct queue_story *story;
    struct queue_result *result;
};

static str column(struct arena *a, sqlite3_stmt *q, int at)
{
    const void *text = sqlite3_column_text(q, at);
    if (text == NULL) {
        return STR_NONE;
    }
    return arena_str(a, str_n(text, (size_t)sqlite3_column_bytes(q, at)));
}

/* The statement with the number bound, or NULL. */
static sqlite3_stmt *story_statement(struct reading *g, enum sqlite_statement id)
{
    sqlite3_stmt *q = store_statement(g->store, id, g->result);
    if (q != NULL) {
        sqlite3_bind_int64(q, 1, (int64_t)g->story->number);
    }
    return q;
}

/* The walk over q ended with rc. */
static bool ended(struct reading *g, sqlite3_stmt *q, int rc)
{
    bool good = rc == SQLITE_DONE || store_fail(g->store, g->result);
    sqlite3_reset(q);
    return good;
}

static bool read_message(struct reading *g)
{
    struct queue_story *m = g->story;
    int rc;
    sqlite3_stmt *q = story_statement(g, SQL_STORY_MESSAGE);
    if (q == NULL) {
        return false;
    }
    while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
        m->found = true;
        m->created_ms = sqlite3_column_int64(q, 0);
        m->sender = column(g->arena, q, 1);
        m->source_channel = column(g->arena, q, 2);
        m->eight_bit = sqlite3_column_int(q, 3) != 0;
        m->size = sqlite3_column_int64(q, 4);
        m->body_file = column(g->arena, q, 5);
        m->ret = (enum queue_ret)sqlite3_column_int(q, 6);
        m->envid = column(g->arena, q, 7);
    }
    return ended(g, q, rc);
}

static void entry_read(struct reading *g, sqlite3_stmt *q, struct queue_story_entry *e)
{
    const struct queue_story *m = g->story;
    e->seen = (struct queue_seen){
        .number = m->number,
        .position = (unsigned)sqlite3_column_int64(q, 0),
        .channel = column(g->arena, q, 1),
        .host = column(g->arena, q, 2),
        .state = (enum queue_state)sqlite3_column_int(q, 3),
        .attempts = (unsigned)sqlite3_column_int64(q, 4),
        .next_try_ms = sqlite3_column_int64(q, 5),
        .reason = column(g->arena, q, 6),
        .priority = sqlite3_column_int(q, 11),
        .ordered = (enum queue_ordered)sqlite3_column_int(q, 12),
        .redirected = sqlite3_column_int(q, 13) != 0,
        .created_ms = m->created_ms,
        .sender = m->sender,
        .source_channel = m->source_channel,
        .size = m->size,
    };
    memcpy(e->seen.id, m->id, sizeof e->seen.id);
    e->sender = column(g->arena, q, 7);
    e->returns = column(g->arena, q, 8);
    e->own_header = sqlite3_column_type(q, 9) != SQLITE_NULL;
    e->notices = (unsigned)sqlite3_column_int64(q, 10);
}

static bool read_recipients(struct reading *g, struct queue_story_entry *e)
{
    VEC(struct queue_recipient) list = {0};
    int rc;
    sqlite3_stmt *q =
        store_entry_statement(g->store, SQL_RECIPIENTS,
                              entry_id(g->story->number, e->seen.position), g->result);
    if (q == NULL) {
        return false;
    }
    while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
        *vec_add(g->arena, &list) = (struct queue_recipient){
            .address = column(g->arena, q, 0),
            .notify = (unsigned)sqlite3_column_int(q, 1),
            .orcpt = column(g->arena, q, 2),
        };
    }
    e->recipients = list.at;
    e->recipient_count = (unsigned)list.n;
    return ended(g, q, rc);
}

static bool read_entries(struct reading *g)
{
    VEC(struct queue_story_entry) list = {0};
    int rc = SQLITE_ROW;
    sqlite3_stmt *q = story_statement(g, SQL_STORY_ENTRIES);
    if (q == NULL) {
        return false;
    }
    while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
        entry_read(g, q, vec_add(g->arena, &list));
    }
    bool good = ended(g, q, rc);
    for (size_t i = 0; good && i < list.n; i++) {
        good = read_recipients(g, &list.at[i]);
    }
    g->story->entries = list.at;
    g->story->entry_count = list.n;
    return good;
}

static bool read_attempts(struct reading *g)
{
    VEC(struct queue_story_attempt) list = {0};
    int rc;
    sqlite3_stmt *q = story_statement(g, SQL_STORY_ATTEMPTS);
    if (q == NULL) {
        return false;
    }
    while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
        *vec_add(g->arena, &list) = (struct queue_story_attempt){
            .position = (unsigned)sqlite3_column_int64(q, 0),
            .attempt = (unsigned)sqlite3_column_int64(q, 1),
            .at_ms = sqlite3_column_int64(q, 2),
            .channel = column(g->arena, q, 3),
            .host = column(g->arena, q, 4),
            .peer = column(g->arena, q, 5),
            .tls = column(g->arena, q, 6),
            .outcome = column(g->arena, q, 7),
            .delivered = (unsigned)sqlite3_column_int64(q, 8),
            .deferred = (unsigned)sqlite3_column_int64(q, 9),
            .failed = (unsigned)sqlite3_column_int64(q, 10),
        };
    }
    g->story->attempts = list.at;
    g->story->attempt_count = list.n;
    return ended(g, q, rc);
}

bool queue_story_read(const char *directory, uint64_t number, struct arena *a,
                      struct queue_story *out, char *reason, size_t reason_size)
{
    struct queue_result r = {.ok = true};
    struct reading g = {calloc(1, sizeof *g.store), a, out, &r};
    check(g.store != NULL);
    *out = (struct queue_story){.number = number};
    queue_id_print(number, out->id);
    bool good = reader_open(g.store, directory, &r) &&
                (sqlite3_exec(g.store->db, "BEGIN", NULL, NULL, NULL) == SQLITE_OK ||
                 store_fail(g.store, &r)) &&
                read_message(&g) && read_entries(&g) && read_attempts(&g);
    queue_sqlite.close(&g.store);
    snprintf(reason, reason_size, "%s", good ? "" : r.reason);
    return good;
}
