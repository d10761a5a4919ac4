/* queue_sqlite_claim: taking entries that are due out of the store, each as a message
 * of its own with its body. An entry that cannot be read is set aside or put off, and
 * logged; it never stands in the way of the others. */
#include "router/queue_sqlite.h"

#include <uv.h>

#include <stdio.h>

#include "base/check.h"
#include "base/vec.h"

enum {
    LANES_PER_CLAIM = 500, /* looked at, where some are passed over */
    LANE_SHARE = 20,       /* entries of each */
    UNREADABLE_MS = 10 * 60 * 1000
};

static str column_str(struct arena *a, sqlite3_stmt *q, int column)
{
    const void *text = sqlite3_column_text(q, column);
    return arena_str(a, str_n(text, (size_t)sqlite3_column_bytes(q, column)));
}

/* The entry of a row and, when it has a header of its own, a place for that. */
static void entry_from_row(sqlite3_stmt *q, struct queue_message *m)
{
    m->entries = arena_array(m->arena, struct queue_entry, 1);
    m->entry_count = 1;
    m->entries->id = entry_id(m->number, sqlite3_column_int64(q, 1));
    m->entries->channel = column_str(m->arena, q, 2);
    m->entries->host = column_str(m->arena, q, 3);
    m->entries->attempts = (unsigned)sqlite3_column_int64(q, 4);
    int priority = sqlite3_column_int(q, 17);
    bool known = priority >= 0 && priority < RETRY_CLASSES;
    m->entries->priority = known ? (enum retry_class)priority : RETRY_NORMAL;
    m->entries->notices = (unsigned)sqlite3_column_int64(q, 14);
    m->entries->returned = sqlite3_column_int(q, 18) == ORDERED_RETURN;
    m->entries->redirected = sqlite3_column_int(q, 19) != 0;
    if (sqlite3_column_type(q, 11) != SQLITE_NULL) {
        m->entries->sender = column_str(m->arena, q, 11);
    }
    if (sqlite3_column_type(q, 13) != SQLITE_NULL) {
        m->entries->returns = column_str(m->arena, q, 13);
    }
    if (sqlite3_column_type(q, 12) != SQLITE_NULL) {
        m->headers = arena_array(m->arena, struct queue_header, 1);
        m->header_count = 1;
        m->headers->number = (unsigned)sqlite3_column_int64(q, 12);
        m->entries->header = m->headers;
    }
}

/* A message with one entry from a row of SQL_DUE; its body, header and recipients come
 * later. The name of the body file is left in *file, its size in *size. */
static struct queue_message *message_from_row(sqlite3_stmt *q, int64_t *size, str *file)
{
    uint64_t number = (uint64_t)sqlite3_column_int64(q, 0);
    struct queue_message *m = queue_message_empty(number, sqlite3_column_int64(q, 5));
    m->sender = column_str(m->arena, q, 6);
    m->source_channel = column_str(m->arena, q, 7);
    m->eight_bit = sqlite3_column_int(q, 8) != 0;
    m->ret = (enum queue_ret)sqlite3_column_int(q, 15);
    if (sqlite3_column_type(q, 16) != SQLITE_NULL) {
        m->envid = column_str(m->arena, q, 16);
    }
    *size = sqlite3_column_int64(q, 9);
    *file = sqlite3_column_type(q, 10) == SQLITE_NULL ? STR_NONE
                                                      : column_str(m->arena, q, 10);
    entry_from_row(q, m);
    return m;
}

static bool load_recipients(struct queue_store *s, struct queue_message *m,
                            struct queue_result *r)
{
    VEC(struct queue_recipient) list = {0};
    int rc;
    sqlite3_stmt *q = store_entry_statement(s, SQL_RECIPIENTS, m->entries->id, r);
    if (q == NULL) {
        return false;
    }
    while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
        struct queue_recipient *to = vec_add(m->arena, &list);
        *to = (struct queue_recipient){.address = column_str(m->arena, q, 0),
                                       .notify = (unsigned)sqlite3_column_int(q, 1)};
        if (sqlite3_column_type(q, 2) != SQLITE_NULL) {
            to->orcpt = column_str(m->arena, q, 2);
        }
    }
    bool good = rc == SQLITE_DONE || store_fail(s, r);
    sqlite3_reset(q);
    m->entries->recipients = list.at;
    m->entries->recipient_count = (unsigned)list.n;
    return good;
}

/* Why an entry cannot be had. */
struct trouble {
    const char *why; /* NULL: nothing is wrong */
    bool passing;    /* another time it may be there */
};

/* Leaves m->body NULL and a reason when the body is lost. */
static bool load_inline(struct queue_store *s, struct queue_message *m, struct trouble *t,
                        struct queue_result *r)
{
    sqlite3_stmt *q = store_statement(s, SQL_BODY, r);
    if (q == NULL) {
        return false;
    }
    sqlite3_bind_int64(q, 1, (int64_t)m->number);
    int rc = sqlite3_step(q);
    if (rc == SQLITE_ROW) {
        const void *data = sqlite3_column_blob(q, 0);
        m->body = body_from_memory(data, (size_t)sqlite3_column_bytes(q, 0));
    } else {
        t->why = "its body is not in the store";
    }
    bool good = rc == SQLITE_ROW || rc == SQLITE_DONE || store_fail(s, r);
    sqlite3_reset(q);
    return good;
}

static bool load_body(struct queue_store *s, struct queue_message *m, str file,
                      int64_t size, struct trouble *t, struct queue_result *r)
{
    int error = 0;
    if (str_empty(file)) {
        if (!load_inline(s, m, t, r)) {
            return false;
        }
    } else {
        m->body = body_from_file(s->place->bodies, file.ptr, &error);
    }
    if (error == UV_EMFILE || error == UV_ENFILE || error == UV_ENOMEM) {
        return queue_result_fail(r, "cannot look at a body file: %s", uv_strerror(error));
    }
    if (error == UV_ENOENT || error == UV_EINVAL || error == UV_ELOOP) {
        t->why = "its body file is missing";
    } else if (error != 0) {
        *t = (struct trouble){uv_strerror(error), true};
    }
    if (m->body != NULL && body_size(m->body) != (uint64_t)size) {
        t->why = "its body has another size than when it was stored";
        body_unref(&m->body);
    }
    return true;
}

/* The header of the entry, if it has one; a reason in *why when it is lost. */
static bool load_header(struct queue_store *s, struct queue_message *m,
                        const struct queue_message *before, struct trouble *t,
                        struct queue_result *r)
{
    struct queue_header *h = m->headers;
    if (m->header_count == 0 || t->why != NULL) {
        return true;
    }
    if (before != NULL && before->number == m->number && before->header_count > 0 &&
        before->headers->number == h->number) {
        h->text = body_ref(before->headers->text);
        h->replaces = before->headers->replaces;
        return true;
    }
    sqlite3_stmt *q = store_statement(s, SQL_HEADER, r);
    if (q == NULL) {
        return false;
    }
    sqlite3_bind_int64(q, 1, (int64_t)m->number);
    sqlite3_bind_int64(q, 2, h->number);
    int rc = sqlite3_step(q);
    if (rc == SQLITE_ROW) {
        h->replaces = (uint64_t)sqlite3_column_int64(q, 0);
        h->text = body_from_memory(sqlite3_column_blob(q, 1),
                                   (size_t)sqlite3_column_bytes(q, 1));
    }
    if (rc == SQLITE_DONE || (rc == SQLITE_ROW && h->replaces > body_size(m->body))) {
        t->why = "its header is not in the store";
    }
    bool good = rc == SQLITE_ROW || rc == SQLITE_DONE || store_fail(s, r);
    sqlite3_reset(q);
    return good;
}

static bool set_aside(struct queue_store *s, const struct queue_message *m,
                      const char *why, struct queue_result *r)
{
    sqlite3_stmt *q = store_entry_statement(s, SQL_SET_ASIDE, m->entries->id, r);
    if (q == NULL) {
        return false;
    }
    sqlite3_bind_text(q, 3, why, -1, SQLITE_STATIC);
    if (!store_run(s, q, r)) {
        return false;
    }
    store_log(s, "held", m->number, why);
    return true;
}

/* Its rights or its disk: that may be put right, and then it goes on by itself. */
static bool put_off(struct queue_store *s, const struct queue_message *m, int64_t now_ms,
                    const char *error, struct queue_result *r)
{
    char why[200];
    sqlite3_stmt *q = store_entry_statement(s, SQL_PUT_OFF, m->entries->id, r);
    if (q == NULL) {
        return false;
    }
    snprintf(why, sizeof why, "its body file cannot be read: %s", error);
    sqlite3_bind_int64(q, 3, now_ms + UNREADABLE_MS);
    sqlite3_bind_text(q, 4, why, -1, SQLITE_STATIC);
    if (!store_run(s, q, r)) {
        return false;
    }
    store_log(s, "put_off", m->number, why);
    return true;
}

struct due {
    struct queue_message *message;
    int64_t size;
    str file;
    bool stopped; /* its channel is */
};

/* Completes one message and marks it; a broken one is set aside and freed. */
static bool claim_one(struct queue_store *s, struct queue_message **m,
                      const struct queue_message *before, const struct due *d,
                      int64_t now_ms, struct queue_result *r)
{
    struct trouble t = {0};
    if (before != NULL && before->number == (*m)->number) {
        (*m)->body = body_ref(before->body); /* another entry of the same message */
    } else if (!load_body(s, *m, d->file, d->size, &t, r)) {
        return false;
    }
    if (!load_header(s, *m, before, &t, r) || !load_recipients(s, *m, r)) {
        return false;
    }
    if (t.why == NULL && (*m)->entries->recipient_count == 0) {
        t.why = "it has no recipients";
    }
    if (t.why != NULL) {
        bool good =
            t.passing ? put_off(s, *m, now_ms, t.why, r) : set_aside(s, *m, t.why, r);
        queue_message_free(m);
        return good;
    }
    sqlite3_stmt *q = store_entry_statement(s, SQL_SET_STATE, (*m)->entries->id, r);
    if (q != NULL) {
        sqlite3_bind_int(q, 3, QUEUE_CLAIMED);
    }
    return store_run(s, q, r);
}

/* An operator has stopped the channel. What is due there is put off so far that it is not
 * read at each claim, many at a time, so that it does not stand in front of others; but
 * not all, so that nobody waits long for this. */
enum { PARKED_MS = 10 * 60 * 1000, PARKED_AT_ONCE = 2000 };

static bool park(struct queue_store *s, str channel, int64_t now_ms,
                 struct queue_result *r)
{
    sqlite3_stmt *q = store_statement(s, SQL_PARK, r);
    if (q == NULL) {
        return false;
    }
    store_bind(q, 1, channel);
    sqlite3_bind_int64(q, 2, now_ms);
    sqlite3_bind_int64(q, 3, now_ms + PARKED_MS);
    sqlite3_bind_int(q, 4, ORDERED_PARKED);
    sqlite3_bind_int(q, 5, ORDERED_RETURN);
    sqlite3_bind_int(q, 6, PARKED_AT_ONCE);
    return store_run(s, q, r);
}

/* Reads the rows of q, whose time and limit are still to be bound, behind those there
 * are. */
static bool read_rows(struct queue_store *s, sqlite3_stmt *q, int64_t now_ms,
                      unsigned limit, struct due *due, unsigned *count,
                      struct queue_result *r)
{
    int rc;
    sqlite3_bind_int64(q, 1, now_ms);
    sqlite3_bind_int64(q, 2, limit);
    while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
        struct due *d = &due[(*count)++];
        d->message = message_from_row(q, &d->size, &d->file);
        d->stopped = sqlite3_column_int(q, 20) != 0;
    }
    bool good = rc == SQLITE_DONE || store_fail(s, r);
    sqlite3_reset(q);
    return good;
}

/* Reads the rows first: they are changed below, and a changed index must not be
 * walked. */
static bool read_due(struct queue_store *s, struct queue_store_claim *c, struct due *due,
                     unsigned *count, struct queue_result *r)
{
    sqlite3_stmt *q = store_statement(s, SQL_DUE, r);
    return q != NULL && read_rows(s, q, c->now_ms, c->limit, due, count, r);
}

static bool read_lane(struct queue_store *s, struct queue_store_claim *c, str channel,
                      str host, unsigned limit, struct due *due, unsigned *count,
                      struct queue_result *r)
{
    sqlite3_stmt *q = store_statement(s, SQL_DUE_OF_LANE, r);
    if (q == NULL) {
        return false;
    }
    sqlite3_bind_text(q, 3, channel.ptr, (int)channel.len, SQLITE_STATIC);
    sqlite3_bind_text(q, 4, host.len > 0 ? host.ptr : "", (int)host.len, SQLITE_STATIC);
    return read_rows(s, q, c->now_ms, limit, due, count, r);
}

/* The first lane that the statement finds behind the one whose turn was last. */
static bool step_lane(struct queue_store *s, enum sqlite_statement id,
                      struct queue_result *r, bool *good)
{
    sqlite3_stmt *q = store_statement(s, id, r);
    if (q == NULL) {
        *good = false;
        return false;
    }
    sqlite3_bind_text(q, 1, s->lane_channel, -1, SQLITE_TRANSIENT);
    if (id == SQL_NEXT_HOST) {
        sqlite3_bind_text(q, 2, s->lane_host, -1, SQLITE_TRANSIENT);
    }
    int rc = sqlite3_step(q);
    if (rc == SQLITE_ROW) {
        snprintf(s->lane_channel, sizeof s->lane_channel, "%s",
                 (const char *)sqlite3_column_text(q, 0));
        snprintf(s->lane_host, sizeof s->lane_host, "%s",
                 (const char *)sqlite3_column_text(q, 1));
    }
    *good = rc == SQLITE_ROW || rc == SQLITE_DONE || store_fail(s, r);
    sqlite3_reset(q);
    return rc == SQLITE_ROW;
}

static bool channel_listed(const struct queue_store_claim *c, str channel)
{
    for (unsigned i = 0; i < c->lane_count; i++) {
        if (c->lanes[i].host.ptr == NULL && str_ieq(c->lanes[i].channel, channel)) {
            return true;
        }
    }
    return false;
}

/* The next lane has its turn; false: that was the last one, and then the first has. */
static bool next_lane(struct queue_store *s, const struct queue_store_claim *c,
                      struct queue_result *r, bool *good)
{
    bool found = (!channel_listed(c, str_from(s->lane_channel)) &&
                  step_lane(s, SQL_NEXT_HOST, r, good)) ||
                 (*good && step_lane(s, SQL_NEXT_CHANNEL, r, good));
    if (!found) {
        s->lane_channel[0] = s->lane_host[0] = '\0';
    }
    return found;
}

static bool lane_listed(const struct queue_store_claim *c, str channel, str host)
{
    for (unsigned i = 0; i < c->lane_count; i++) {
        if (str_ieq(c->lanes[i].channel, channel) && str_ieq(c->lanes[i].host, host)) {
            return true;
        }
    }
    return channel_listed(c, channel);
}

/* Some of each lane in turn but for those that are listed; then of the listed ones that
 * may come last. */
static bool read_lanes(struct queue_store *s, struct queue_store_claim *c,
                       struct due *due, unsigned *count, struct queue_result *r)
{
    bool good = true, around = false;
    char channel_before[sizeof s->lane_channel], host_before[sizeof s->lane_host];
    memcpy(channel_before, s->lane_channel, sizeof channel_before);
    memcpy(host_before, s->lane_host, sizeof host_before);
    for (unsigned i = 0; good && i < LANES_PER_CLAIM && *count < c->limit; i++) {
        if (!next_lane(s, c, r, &good)) {
            if (around || channel_before[0] == '\0') {
                break;
            }
            around = true;
            continue;
        }
        int order = strcmp(s->lane_channel, channel_before);
        order = order != 0 ? order : strcmp(s->lane_host, host_before);
        if (around && order > 0) {
            /* all had their turn */
            memcpy(s->lane_channel, channel_before, sizeof s->lane_channel);
            memcpy(s->lane_host, host_before, sizeof s->lane_host);
            break;
        }
        str channel = str_from(s->lane_channel), host = str_from(s->lane_host);
        unsigned left = c->limit - *count;
        if (good && !lane_listed(c, channel, host)) {
            good = read_lane(s, c, channel, host, left < LANE_SHARE ? left : LANE_SHARE,
                             due, count, r);
        }
    }
    bool nothing_else = *count == 0;
    for (unsigned i = 0; good && nothing_else && i < c->lane_count; i++) {
        const struct queue_lane *l = &c->lanes[i];
        if (l->last && *count < c->limit) {
            good = read_lane(s, c, l->channel, l->host, c->limit - *count, due, count, r);
        }
    }
    return good;
}

static bool read_next_due(struct queue_store *s, struct queue_store_claim *c,
                          struct queue_result *r)
{
    sqlite3_stmt *q = store_statement(s, SQL_NEXT_DUE, r);
    if (q == NULL) {
        return false;
    }
    bool good = sqlite3_step(q) == SQLITE_ROW || store_fail(s, r);
    c->next_due_ms = 0;
    if (good && sqlite3_column_type(q, 0) != SQLITE_NULL) {
        int64_t at = sqlite3_column_int64(q, 0);
        c->next_due_ms = at > 0 ? at : 1; /* 0 means none */
    }
    sqlite3_reset(q);
    return good;
}

bool sqlite_claim(struct queue_store *s, struct queue_store_claim *c,
                  struct queue_result *r)
{
    struct arena *scratch = arena_new();
    struct due *due = arena_array(scratch, struct due, c->limit);
    str parked = STR_NONE; /* the channel that was last */
    unsigned count = 0;
    bool good = clock_look(s, c->now_ms, r) &&
                (c->lane_count == 0 ? read_due : read_lanes)(s, c, due, &count, r);
    c->count = 0;
    for (unsigned i = 0; i < count; i++) {
        struct due *d = &due[i];
        const struct queue_message *before =
            c->count > 0 ? c->messages[c->count - 1] : NULL;
        if (d->stopped && !d->message->entries->returned) {
            /* those behind it went with the first one of the channel */
            if (good && !str_eq(parked, d->message->entries->channel)) {
                parked = arena_str(scratch, d->message->entries->channel);
                good = park(s, parked, c->now_ms, r);
            }
            queue_message_free(&d->message);
            continue;
        }
        good = good && claim_one(s, &d->message, before, d, c->now_ms, r);
        if (good && d->message != NULL) {
            c->messages[c->count++] = d->message;
        } else {
            queue_message_free(&d->message);
        }
    }
    good = good && read_next_due(s, c, r);
    arena_free(&scratch);
    return good;
}
