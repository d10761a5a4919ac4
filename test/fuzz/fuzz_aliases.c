/* Fuzzes alias files, list files and FORWARD, with recipients that are expanded by them.
 * The input is a configuration as the memory loader reads it; behind the line
 * "!== recipients" stand recipients, one a line: an address, and perhaps a blank and the
 * sender. What must hold is checked: all is bounded, the numbers are those of the nodes,
 * each mailbox comes once, who is refused has a reply, and a loaded configuration is
 * dumped as one that dumps the same. */
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/check.h"
#include "tables/dump.h"
#include "tables/recipient.h"
#include "test/fuzz/load.h"

enum { RECIPIENTS_MAX = 16, DUMP_MAX = 1 << 22 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Children follow each other, behind their parent and one level deeper. */
static void check_children(const struct expand_node *n)
{
    const struct expand_node *child = n->child;
    for (unsigned i = 0; i < n->children; i++, child = child->next) {
        check(child != NULL && child->parent == n && child->level == n->level + 1);
    }
}

static void check_node(const struct snapshot *s, const struct expand_node *n)
{
    check(n->level <= s->options.alias_levels);
    check(n->parent == NULL || n->at.source > 0);
    check_children(n);
    switch (n->kind) {
    case EXPAND_LEAF:
        check(n->route.channel != NULL && n->route.address.local.len > 0);
        break;
    case EXPAND_ALIAS:
        check(n->alias != NULL);
        break;
    case EXPAND_FORWARDED:
        check(n->children == 1);
        break;
    case EXPAND_DUPLICATE:
        check(n->children == 0);
        break;
    case EXPAND_BAD:
        check(n->code >= 500 && n->status[0] == 5 && n->reason.len > 0);
        break;
    case EXPAND_LATER:
        check(n->code < 500 && n->status[0] == 4 && n->reason.len > 0);
        break;
    }
}

static void check_expansion(const struct snapshot *s, const struct recipient_answer *r)
{
    const struct expansion *e = &r->expansion;
    unsigned count = 0, leaves = 0, bad = 0;
    for (const struct expand_node *n = e->first; n != NULL; n = n->next) {
        check_node(s, n);
        count++;
        leaves += n->kind == EXPAND_LEAF;
        bad += n->kind == EXPAND_BAD;
    }
    check(count == e->count && count <= EXPAND_MAX);
    check(leaves == e->leaves && bad == e->bad);
    check(r->verdict != RECIPIENT_TAKEN ||
          (r->leaf_count > 0 && r->leaf_count == leaves));
    check(r->verdict == RECIPIENT_TAKEN || r->reply.code >= 400);
    check(e->later == NULL || r->verdict == RECIPIENT_ALIAS);
}

/* No mailbox twice. */
static void check_leaves(const struct recipient_answer *r, struct arena *a)
{
    struct map *seen = map_new(a, MAP_CASE);
    for (unsigned i = 0; i < r->leaf_count; i++) {
        const struct route *route = &r->leaves[i].route;
        str box = alias_mailbox(a, &route->address, STR(""));
        str local = address_unquote_local(a, route->address.local);
        str key = arena_printf(a, "%u %.*s %.*s", route->channel->index, STR_ARG(local),
                               STR_ARG(box));
        check(map_add(seen, key, seen) == seen && map_count(seen) == i + 1);
    }
}

static void resolve(const struct snapshot *s, str line, struct arena *a)
{
    struct recipient_request q = {
        .snapshot = s, .source = s->channels[s->channel_count - 1], .trusted = true};
    struct recipient_answer r;
    str to;
    if (!str_split(&line, ' ', &to) || address_parse(to, &q.to) != NULL) {
        return;
    }
    if (line.ptr != NULL && address_parse(line, &q.sender) != NULL) {
        return;
    }
    recipient_resolve(&q, a, &r);
    check_expansion(s, &r);
    if (r.verdict == RECIPIENT_TAKEN) {
        check_leaves(&r, a);
    }
}

static void check_dump(const struct snapshot *s)
{
    struct arena *a = arena_new();
    struct buf first, second;
    buf_init(&first, DUMP_MAX);
    buf_init(&second, DUMP_MAX);
    dump_beside(s, &first);
    if (first.len < DUMP_MAX / 2) {
        dump_snapshot(s, &second);
        struct snapshot *copy = fuzz_load(buf_slice(&second), a);
        if (copy != NULL) {
            check(map_count(copy->aliases) == map_count(s->aliases));
            buf_clear(&second);
            dump_beside(copy, &second);
            check(str_eq(buf_slice(&first), buf_slice(&second)));
            snapshot_unref(&copy);
        }
    }
    buf_free(&first);
    buf_free(&second);
    arena_free(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str recipients, line;
    struct arena *a = arena_new();
    struct snapshot *s =
        fuzz_load(fuzz_cut(data, size, "\n!== recipients\n", &recipients), a);
    if (s != NULL) {
        check_dump(s);
        for (int n = 0; n < RECIPIENTS_MAX && str_split(&recipients, '\n', &line); n++) {
            resolve(s, line, a);
        }
        snapshot_unref(&s);
    }
    arena_free(&a);
    return 0;
}
