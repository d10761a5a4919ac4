/* queue_sqlite_redirect: an entry goes to another channel, another next hop, or both.
 * Where the channel sends to the domain of each recipient, an entry with several domains
 * becomes several entries: one entry has one next hop. */
#include "router/queue_sqlite.h"

#include "base/address.h"
#include "base/check.h"
#include "base/map.h"
#include "tables/hostspec.h"

/* Recipients of an entry that have one next hop. */
struct part {
    str host;
    int64_t position; /* of its entry; 0 while it has none */
};

static bool move(struct queue_store *s, const struct queue_order *o, str channel,
                 str host, const struct queue_seen *e, struct queue_result *r)
{
    sqlite3_stmt *q =
        store_entry_statement(s, SQL_MOVE, entry_id(e->number, e->position), r);
    if (q == NULL) {
        return false;
    }
    store_bind(q, 3, channel);
    store_bind(q, 4, host);
    sqlite3_bind_int(q, 5, o->host.ptr != NULL);
    sqlite3_bind_int64(q, 6, o->now_ms);
    return store_run(s, q, r);
}

/* --- by domain --- */

/* As route_next_hop() has it for a channel that names none. */
static str recipient_host(str recipient, str otherwise)
{
    struct address address;
    str host, rest;
    if (address_parse(recipient, &address) != NULL) {
        return otherwise;
    }
    if (address.route.len == 0) {
        return address.domain;
    }
    hostspec_route_first(address.route, &host, &rest);
    return host;
}

/* The parts by their host, in the order of the recipients. */
static struct map *parts_find(struct arena *a, const struct queue_seen *e)
{
    struct map *parts = map_new(a, MAP_NOCASE);
    for (unsigned i = 0; i < e->recipient_count; i++) {
        str host = recipient_host(e->recipients[i], e->host);
        if (map_get(parts, host) == NULL) {
            struct part *p = arena_new_of(a, struct part);
            *p = (struct part){.host = host};
            map_add(parts, host, p);
        }
    }
    return parts;
}

static bool part_entry(struct queue_store *s, const struct queue_seen *e, struct part *p,
                       struct queue_result *r)
{
    int64_t last;
    sqlite3_stmt *q = store_statement(s, SQL_LAST_POSITION, r);
    if (q != NULL) {
        sqlite3_bind_int64(q, 1, (int64_t)e->number);
    }
    if (!store_query_number(s, q, 0, &last, r)) {
        return false;
    }
    if (last + 1 >= (int64_t)1 << ENTRY_POSITION_BITS) {
        return queue_result_fail(r, "message %s has too many entries", e->id);
    }
    p->position = last + 1;
    q = store_entry_statement(s, SQL_SPLIT_ENTRY, entry_id(e->number, e->position), r);
    if (q == NULL) {
        return false;
    }
    sqlite3_bind_int64(q, 3, p->position);
    store_bind(q, 4, p->host);
    return store_run(s, q, r);
}

static bool part_recipient(struct queue_store *s, const struct queue_seen *e,
                           int64_t rank, const struct part *p, struct queue_result *r)
{
    sqlite3_stmt *q = store_entry_statement(s, SQL_SPLIT_RECIPIENT,
                                            entry_id(e->number, e->position), r);
    if (q != NULL) {
        sqlite3_bind_int64(q, 3, rank);
        sqlite3_bind_int64(q, 4, p->position);
    }
    return store_run(s, q, r);
}

/* Ranks ascend with the recipients, but after a settlement not from 0 on. */
static bool ranks_read(struct queue_store *s, struct arena *a, const struct queue_seen *e,
                       int64_t **ranks, struct queue_result *r)
{
    int rc;
    unsigned n = 0;
    sqlite3_stmt *q =
        store_entry_statement(s, SQL_RANKS, entry_id(e->number, e->position), r);
    *ranks = arena_alloc(a, (e->recipient_count + 1) * sizeof **ranks);
    if (q == NULL) {
        return false;
    }
    while ((rc = sqlite3_step(q)) == SQLITE_ROW && n < e->recipient_count) {
        (*ranks)[n++] = sqlite3_column_int64(q, 0);
    }
    bool good = rc == SQLITE_DONE || store_fail(s, r);
    sqlite3_reset(q);
    check(!good || n == e->recipient_count);
    return good;
}

/* The entry itself, which has been moved already, keeps the first part. */
static bool split(struct queue_store *s, struct arena *a, const struct queue_seen *e,
                  const struct map *parts, struct queue_result *r)
{
    int64_t *ranks;
    const struct part *first = map_at(parts, 0, NULL);
    bool good = ranks_read(s, a, e, &ranks, r);
    for (size_t i = 1; good && i < map_count(parts); i++) {
        good = part_entry(s, e, map_at(parts, i, NULL), r);
    }
    for (unsigned i = 0; good && i < e->recipient_count; i++) {
        const struct part *p = map_get(parts, recipient_host(e->recipients[i], e->host));
        good = p == first || part_recipient(s, e, ranks[i], p, r);
    }
    return good;
}

/* One that is being delivered cannot be divided: its worker has all the recipients. */
static bool by_domain(struct queue_store *s, struct arena *a, const struct queue_order *o,
                      struct queue_seen *e, bool *changed, struct queue_result *r)
{
    if (e->recipients == NULL && !store_recipients(s, a, e, r)) {
        return false;
    }
    const struct map *parts = parts_find(a, e);
    size_t count = map_count(parts);
    *changed = count > 0 && (count == 1 || e->state != QUEUE_CLAIMED);
    if (!*changed || o->dry_run) {
        return true;
    }
    const struct part *first = map_at(parts, 0, NULL);
    return move(s, o, o->channel, first->host, e, r) &&
           (count == 1 || split(s, a, e, parts, r));
}

bool store_redirect(struct queue_store *s, struct arena *a, const struct queue_order *o,
                    struct queue_seen *e, bool *changed, struct queue_result *r)
{
    bool stays_here = e->host.len == 0; /* on its channel no host means anything */
    *changed = o->channel.ptr != NULL || !stays_here;
    if (!*changed) {
        return true;
    }
    if (o->host.ptr == NULL && o->next_hop.ptr == NULL) {
        return by_domain(s, a, o, e, changed, r);
    }
    str channel = o->channel.ptr != NULL ? o->channel : e->channel;
    str host = o->host.ptr != NULL ? o->host : o->next_hop;
    return o->dry_run || move(s, o, channel, host, e, r);
}
