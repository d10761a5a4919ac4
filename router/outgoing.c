/* outgoing: one pass over the header for each channel; most of them find nothing to do.
 */
#include "router/outgoing.h"

#include "base/check.h"
#include "base/map.h"
#include "base/vec.h"
#include "router/body.h"
#include "router/header_rewrite.h"
#include "tables/pattern.h"
#include "tables/shown.h"

enum {
    HEADER_MADE_MAX = 2 * HEADER_PROCESSED_MAX,
    OCTETS_MAX = 4 << 20, /* of headers that are gone through for one message */
    ALIKE_MAX = 16        /* headers made before that are compared with one */
};

struct outgoings {
    struct outgoing_facts facts;
    struct arena *arena;
    VEC(struct outgoing) list;
    struct map *places; /* channel name and sender -> index + 1 */
    bool sender_changed, sender_reversed, receipt_asked;
    struct reversal reversal;
};

struct outgoings *outgoings_new(struct arena *a, const struct outgoing_facts *facts)
{
    struct outgoings *o = arena_new_of(a, struct outgoings);
    o->facts = *facts;
    o->arena = a;
    o->places = map_new(a, MAP_CASE);
    o->reversal.work = REVERSE_WORK_MAX;
    return o;
}

/* --- the sender --- */

static void sender_make(struct outgoings *o, struct outgoing *out, struct arena *keep)
{
    struct rewrite_context ctx = {.source = o->facts.source,
                                  .direction = ROUTE_BACKWARD,
                                  .form = ROUTE_ENVELOPE,
                                  .destination = out->channel};
    struct address given, shown;
    str sender = out->given.ptr != NULL ? out->given : o->facts.sender;
    out->sender = out->given.ptr != NULL ? arena_str(keep, out->given) : STR_NONE;
    o->sender_changed = o->sender_changed || out->given.ptr != NULL;
    if (sender.len == 0 || address_parse(sender, &given) != NULL) {
        return;
    }
    struct arena_mark mark = arena_mark(o->arena);
    o->reversal.by = SPAN_NONE;
    if (shown_address(o->facts.snapshot, &ctx, &given, o->arena, &o->reversal, &shown) &&
        !shown_same(&given, &shown)) {
        out->sender = address_print(keep, &shown);
        o->sender_changed = true;
    }
    o->sender_reversed = o->sender_reversed || o->reversal.by.source != 0;
    arena_reset(o->arena, mark);
}

const struct outgoing *outgoings_get(struct outgoings *o, const struct channel *c,
                                     str given, struct arena *keep)
{
    str key = given.ptr == NULL ? c->name
                                : arena_printf(o->arena, "%.*s\n%.*s", STR_ARG(c->name),
                                               STR_ARG(given));
    uintptr_t place = (uintptr_t)map_get(o->places, key);
    if (place > 0) {
        return &o->list.at[place - 1];
    }
    check(keep != o->arena);
    struct outgoing *out = vec_add(o->arena, &o->list);
    map_add(o->places, key, (void *)(uintptr_t)o->list.n);
    out->channel = c;
    out->given = given.ptr != NULL ? arena_str(o->arena, given) : STR_NONE;
    sender_make(o, out, keep);
    return out;
}

bool outgoings_sender_changed(const struct outgoings *o)
{
    return o->sender_changed;
}

bool outgoings_sender_reversed(const struct outgoings *o)
{
    return o->sender_reversed;
}

const struct reversal *outgoings_reversal(const struct outgoings *o)
{
    return &o->reversal;
}

/* --- the header --- */

/* The header of m with this text; a new one if none of the last ones has it. */
static const struct queue_header *header_add(struct queue_message *m, str text,
                                             uint64_t replaces)
{
    unsigned n = m->header_count;
    for (unsigned i = n > ALIKE_MAX ? n - ALIKE_MAX : 0; i < n; i++) {
        if (str_eq(body_part(m->headers[i].text, 0), text)) {
            return &m->headers[i];
        }
    }
    struct queue_header *h = &m->headers[n];
    *h = (struct queue_header){body_from_memory(text.ptr, text.len), replaces, n};
    m->header_count++;
    return h;
}

bool outgoings_headers(struct outgoings *o, str header, struct queue_message *m)
{
    unsigned work = HEADER_WORK_MAX;
    bool good = header.len * o->list.n <= OCTETS_MAX;
    struct buf made;
    buf_init(&made, HEADER_MADE_MAX);
    o->receipt_asked = header_receipt_asked(header, o->facts.sender, o->arena);
    m->headers = arena_array(m->arena, struct queue_header, o->list.n);
    for (size_t i = 0; good && i < o->list.n; i++) {
        struct outgoing *out = &o->list.at[i];
        struct header_context c = {
            .snapshot = o->facts.snapshot,
            .source = o->facts.source,
            .destination = out->channel,
            .bare_domain = o->facts.bare_domain,
            .receipt_moved = o->receipt_asked && out->given.ptr == NULL,
            .reversal = &o->reversal,
            .sender = out->sender.ptr != NULL ? out->sender : o->facts.sender,
        };
        struct arena_mark mark = arena_mark(o->arena);
        enum header_verdict v = header_rewrite(&c, header, &work, o->arena, &made);
        arena_reset(o->arena, mark);
        if (v == HEADER_CHANGED) {
            out->header = header_add(m, buf_slice(&made), header.len);
        }
        good = v != HEADER_TOO_MUCH;
        buf_clear(&made);
    }
    buf_free(&made);
    return good;
}

bool outgoings_receipt_asked(const struct outgoings *o)
{
    return o->receipt_asked;
}

/* --- addresses without a host --- */

/* The name the client gives itself, if it is a whole one; else its name in the DNS; else
 * its address. */
static str client_domain(str helo, str peer_name, str peer_ip, struct arena *a)
{
    str literal;
    if (domain_name_ok(helo) && str_find(helo, '.') >= 0) {
        return helo;
    }
    if (domain_name_ok(peer_name)) {
        return peer_name;
    }
    return literal_from_ip(a, peer_ip, &literal) ? literal : STR("");
}

str outgoing_bare_domain(const struct snapshot *s, const struct channel *source, str helo,
                         str peer_name, str peer_ip, struct arena *a)
{
    str domain = STR("");
    switch (source->opts.bare) {
    case BARE_DOMAIN:
        return source->opts.defaulthost[0];
    case BARE_REMOTE:
        domain = client_domain(helo, peer_name, peer_ip, a);
        break;
    case BARE_REFUSED:
    case BARE_LOCAL:
        break;
    }
    return domain.len > 0 ? domain : s->local_host;
}
