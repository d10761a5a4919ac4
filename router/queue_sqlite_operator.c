/* queue_sqlite_operator: what an operator wants of entries, step by step; and, for those
 * that were claimed then, when their claim ends. */
#include "router/queue_sqlite.h"

#include "base/check.h"

/* The daemon's store does nothing else during a step. */
enum {
    PAGE_ENTRIES = 200,
    STEP_ENTRIES = 20000, /* looked at in one step: some 20 ms */
    STEP_MS = 25          /* with many recipients, or a slow disk */
};

static const char HELD[] = "held by an operator";

/* --- one entry --- */

static bool change(struct queue_store *s, int64_t entry, enum queue_state state,
                   int64_t next_try_ms, enum queue_ordered ordered, const char *why,
                   struct queue_result *r)
{
    sqlite3_stmt *q = store_entry_statement(s, SQL_CHANGE, entry, r);
    if (q == NULL) {
        return false;
    }
    sqlite3_bind_int(q, 3, state);
    sqlite3_bind_int64(q, 4, next_try_ms);
    sqlite3_bind_int(q, 5, ordered);
    sqlite3_bind_text(q, 6, why, -1, SQLITE_STATIC); /* NULL: leave */
    return store_run(s, q, r);
}

static bool set_ordered(struct queue_store *s, int64_t entry, enum queue_ordered ordered,
                        struct queue_result *r)
{
    sqlite3_stmt *q = store_entry_statement(s, SQL_SET_ORDERED, entry, r);
    if (q != NULL) {
        sqlite3_bind_int(q, 3, ordered);
    }
    return store_run(s, q, r);
}

/* Of an entry that is not claimed. *changed: there was something to do. */
static bool order_idle(struct queue_store *s, struct arena *a,
                       const struct queue_order *o, struct queue_seen *e, bool *changed,
                       struct queue_result *r)
{
    int64_t id = entry_id(e->number, e->position);
    bool held = e->state == QUEUE_HELD;
    *changed = true;
    switch (o->action) {
    case QUEUE_HOLD:
        *changed = !held;
        return held || o->dry_run ||
               change(s, id, QUEUE_HELD, e->next_try_ms, ORDERED_NONE, HELD, r);
    case QUEUE_UNHOLD:
        *changed = held;
        return !held || o->dry_run ||
               change(s, id, QUEUE_WAITING, o->now_ms, ORDERED_NONE, NULL, r);
    case QUEUE_RETRY:
        *changed = !held;
        return held || o->dry_run ||
               change(s, id, QUEUE_WAITING, o->now_ms, e->ordered, NULL, r);
    case QUEUE_RETURN:
        return o->dry_run ||
               change(s, id, QUEUE_WAITING, o->now_ms, ORDERED_RETURN, NULL, r);
    case QUEUE_DELETE:
        return o->dry_run || store_remove_entry(s, id, r);
    case QUEUE_REDIRECT:
        return store_redirect(s, a, o, e, changed, r);
    case QUEUE_START:
        *changed = !held && e->ordered == ORDERED_PARKED;
        return !*changed || o->dry_run ||
               change(s, id, QUEUE_WAITING, o->now_ms, ORDERED_NONE, NULL, r);
    case QUEUE_STOP:
    case QUEUE_ACTIONS:
        break;
    }
    *changed = false;
    return true;
}

/* Of one that is claimed: it is remembered until the claim ends, but what only changes
 * where it goes next. */
static bool order_claimed(struct queue_store *s, struct arena *a,
                          const struct queue_order *o, struct queue_seen *e,
                          bool *changed, struct queue_result *r)
{
    enum queue_ordered ordered = e->ordered;
    switch (o->action) {
    case QUEUE_HOLD:
        ordered = ORDERED_HOLD;
        break;
    case QUEUE_UNHOLD: /* what was to be held */
        ordered = e->ordered == ORDERED_HOLD ? ORDERED_NONE : e->ordered;
        break;
    case QUEUE_RETURN:
        ordered = ORDERED_RETURN;
        break;
    case QUEUE_DELETE:
        ordered = ORDERED_DELETE;
        break;
    case QUEUE_REDIRECT:
        return store_redirect(s, a, o, e, changed, r);
    case QUEUE_RETRY: /* it is being tried */
    case QUEUE_STOP:
    case QUEUE_START:
    case QUEUE_ACTIONS:
        break;
    }
    *changed = ordered != e->ordered;
    return !*changed || o->dry_run ||
           set_ordered(s, entry_id(e->number, e->position), ordered, r);
}

bool store_carry_out(struct queue_store *s, int64_t entry, struct queue_result *r)
{
    int64_t ordered;
    sqlite3_stmt *q = store_entry_statement(s, SQL_ORDERED, entry, r);
    if (!store_query_number(s, q, ORDERED_NONE, &ordered, r)) {
        return false;
    }
    switch ((enum queue_ordered)ordered) {
    case ORDERED_NONE:
        return true;
    case ORDERED_HOLD:
        return change(s, entry, QUEUE_HELD, 0, ORDERED_NONE, HELD, r);
    case ORDERED_DELETE:
        return store_remove_entry(s, entry, r);
    case ORDERED_RETURN: /* due at once */
        return change(s, entry, QUEUE_WAITING, 0, ORDERED_RETURN, NULL, r);
    case ORDERED_PARKED:
        return set_ordered(s, entry, ORDERED_NONE, r);
    }
    return true;
}

bool store_carry_out_all(struct queue_store *s, struct queue_result *r)
{
    VEC(int64_t) list = {0};
    struct arena *a = arena_new();
    sqlite3_stmt *q = store_statement(s, SQL_CLAIMED_ORDERED, r);
    int rc = SQLITE_DONE;
    while (q != NULL && (rc = sqlite3_step(q)) == SQLITE_ROW) {
        *vec_add(a, &list) =
            entry_id((uint64_t)sqlite3_column_int64(q, 0), sqlite3_column_int64(q, 1));
    }
    bool good = q != NULL && (rc == SQLITE_DONE || store_fail(s, r));
    sqlite3_reset(q);
    for (size_t i = 0; good && i < list.n; i++) {
        good = store_carry_out(s, list.at[i], r);
    }
    arena_free(&a);
    return good;
}

/* --- a step --- */

static bool order_one(struct queue_store *s, struct arena *a, const struct queue_order *o,
                      struct queue_seen *e, struct queue_step *step,
                      struct queue_result *r)
{
    bool passes, changed = false;
    if (!store_filter(s, a, &o->filter, e, &passes, r)) {
        return false;
    }
    if (!passes) {
        return true;
    }
    bool claimed = e->state == QUEUE_CLAIMED;
    if (!(claimed ? order_claimed : order_idle)(s, a, o, e, &changed, r)) {
        return false;
    }
    step->entries++;
    step->changed += changed;
    if (claimed && changed) {
        step->claimed[step->active++] = entry_id(e->number, e->position);
    }
    return true;
}

/* Has the step done enough? It does something in any case, so that an order ends. */
static bool step_full(const struct queue_step *step, int64_t until_ms)
{
    return step->changed >= QUEUE_STEP_MAX || store_clock_ms() >= until_ms;
}

static bool order_page(struct queue_store *s, struct arena *a,
                       const struct queue_order *o, struct look_page *page,
                       int64_t until_ms, struct queue_step *step, struct queue_result *r)
{
    size_t i = 0;
    if (!store_look(s, a, page, r)) {
        return false;
    }
    while (i < page->seen.n && (i == 0 || !step_full(step, until_ms))) {
        struct queue_seen *e = &page->seen.at[i++];
        if (!order_one(s, a, o, e, step, r)) {
            return false;
        }
        step->at = (struct queue_cursor){e->number, e->position};
    }
    if (i == page->seen.n) { /* those behind the last one do not pass */
        step->at = page->at;
        step->more = !page->end;
    }
    return true;
}

static bool order_pages(struct queue_store *s, const struct queue_order *o,
                        struct queue_step *step, struct queue_result *r)
{
    int64_t until_ms = store_clock_ms() + STEP_MS;
    struct look_page page = {.at = step->at, .filter = &o->filter, .limit = PAGE_ENTRIES};
    struct arena *a = arena_new();
    unsigned looked = 0;
    bool good;
    do {
        struct arena_mark mark = arena_mark(a);
        good = order_page(s, a, o, &page, until_ms, step, r);
        looked += page.looked;
        arena_reset(a, mark);
    } while (good && step->more && looked < STEP_ENTRIES && !step_full(step, until_ms));
    arena_free(&a);
    return good;
}

/* The channel as such; its entries follow. */
static bool order_channel(struct queue_store *s, const struct queue_order *o,
                          struct queue_step *step, struct queue_result *r)
{
    bool stop = o->action == QUEUE_STOP;
    check(o->filter.channel.ptr != NULL);
    if (o->dry_run || step->at.position != -1) {
        return true;
    }
    sqlite3_stmt *q = store_statement(s, stop ? SQL_STOP : SQL_START, r);
    if (q == NULL) {
        return false;
    }
    store_bind(q, 1, o->filter.channel);
    if (stop) {
        sqlite3_bind_int64(q, 2, o->now_ms);
    }
    if (!store_run(s, q, r)) {
        return false;
    }
    step->changed += sqlite3_changes(s->db) > 0;
    return true;
}

bool sqlite_order(struct queue_store *s, const struct queue_order *o,
                  struct queue_step *step, struct queue_result *r)
{
    step->more = false;
    step->entries = step->changed = step->active = 0;
    if ((o->action == QUEUE_STOP || o->action == QUEUE_START) &&
        !order_channel(s, o, step, r)) {
        return false;
    }
    if (o->action == QUEUE_STOP) {
        return true;
    }
    step->more = true;
    return order_pages(s, o, step, r);
}

bool sqlite_stopped(struct queue_store *s, void (*fn)(str channel, void *arg), void *arg,
                    struct queue_result *r)
{
    int rc;
    sqlite3_stmt *q = store_statement(s, SQL_STOPPED, r);
    if (q == NULL) {
        return false;
    }
    while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
        fn(str_n((const char *)sqlite3_column_text(q, 0),
                 (size_t)sqlite3_column_bytes(q, 0)),
           arg);
    }
    bool good = rc == SQLITE_DONE || store_fail(s, r);
    sqlite3_reset(q);
    return good;
}
