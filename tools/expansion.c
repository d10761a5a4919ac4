/* expansion: see expansion.h. */
#include "tools/expansion.h"

#include <stdio.h>

/* The node behind n in the order of the text: its first child, else its next sibling,
 * else that of what it is below. Children of one node follow each other by next. */
static const struct expand_node *after(const struct expand_node *n)
{
    if (n->children > 0) {
        return n->child;
    }
    for (; n->parent != NULL; n = n->parent) {
        if (n->next != NULL && n->next->parent == n->parent) {
            return n->next;
        }
    }
    return NULL;
}

static const char *kind_name(const struct expand_node *n)
{
    static const char *const names[] = {
        [EXPAND_LEAF] = "address",      [EXPAND_ALIAS] = "alias",
        [EXPAND_FORWARDED] = "forward", [EXPAND_DUPLICATE] = "duplicate",
        [EXPAND_BAD] = "bad",           [EXPAND_LATER] = "later"};
    return names[n->kind];
}

/* ---- text ----------------------------------------------------------------------------
 */

static void print_alias(const struct snapshot *s, struct arena *a,
                        const struct expand_node *n)
{
    const struct alias *alias = n->alias;
    str at = snapshot_where(a, s, alias->at), name = text_plain(a, alias->name);

    printf("alias %.*s   %.*s", STR_ARG(name), STR_ARG(at));
    if (alias->file != NULL) {
        printf("   members in %.*s", STR_ARG(alias->file->name));
    }
    if (alias->sender.ptr != NULL) {
        printf("   sender <%.*s>", STR_ARG(alias->sender));
    }
}

static void print_what(const struct snapshot *s, struct arena *a,
                       const struct expand_node *n)
{
    str text;

    switch (n->kind) {
    case EXPAND_ALIAS:
        print_alias(s, a, n);
        break;
    case EXPAND_FORWARDED:
        text = snapshot_where(a, s, n->forward);
        printf("forwarded   %.*s", STR_ARG(text));
        break;
    case EXPAND_DUPLICATE:
        printf("there already");
        break;
    case EXPAND_LEAF:
        text = address_print(a, &n->route.address);
        printf("%.*s   channel %.*s%s", STR_ARG(text), STR_ARG(n->route.channel->name),
               n->hold ? "   held" : "");
        break;
    case EXPAND_BAD:
    case EXPAND_LATER:
        text = text_plain(a, n->reason);
        printf("%s: %u.%u.%u %.*s", n->kind == EXPAND_BAD ? "BAD" : "NOT NOW",
               n->status[0], n->status[1], n->status[2], STR_ARG(text));
        break;
    }
}

static void print_node(const struct snapshot *s, struct arena *a,
                       const struct expand_node *n)
{
    int indent = 2 * (int)(n->level < 20 ? n->level : 20) + 2;
    str written = text_plain(a, n->text);

    if (n->parent == NULL) {
        printf("%*s-> ", indent, "");
    } else {
        str at = snapshot_where(a, s, n->at);
        printf("%*s%.*s   %.*s   -> ", indent, "", STR_ARG(written), STR_ARG(at));
    }
    print_what(s, a, n);
    putchar('\n');
}

void expansion_print(const struct snapshot *s, struct arena *a, const struct expansion *e)
{
    for (const struct expand_node *n = e->first; n != NULL; n = after(n)) {
        struct arena_mark mark = arena_mark(a);
        print_node(s, a, n);
        arena_reset(a, mark);
    }
}

/* ---- JSON ----------------------------------------------------------------------------
 */

static void record_node(struct record *out, const struct snapshot *s, struct arena *a,
                        const struct expand_node *n)
{
    const unsigned *x = n->status;
    bool routed = n->route.channel != NULL;
    bool bad = n->kind == EXPAND_BAD || n->kind == EXPAND_LATER;

    record_open(out, NULL, '{');
    record_uint(out, "level", n->level);
    record_str(out, "written", n->text);
    record_place(out, "at", s->sources, n->at);
    record_str(out, "kind", str_from(kind_name(n)));
    record_str(out, "rewritten", routed ? address_print(a, &n->route.address) : STR_NONE);
    record_str(out, "channel", routed ? n->route.channel->name : STR_NONE);
    record_place(out, "rule", s->sources, n->route.rule);
    record_str(out, "alias", n->alias != NULL ? n->alias->name : STR_NONE);
    record_place(out, "alias_at", s->sources,
                 n->alias != NULL ? n->alias->at : SPAN_NONE);
    record_place(out, "forward_at", s->sources, n->forward);
    record_str(out, "sender", n->sender);
    record_bool(out, "held", n->hold);
    record_str(out, "status",
               bad ? arena_printf(a, "%u.%u.%u", x[0], x[1], x[2]) : STR_NONE);
    record_str(out, "reason", bad ? n->reason : STR_NONE);
    record_close(out, '}');
}

void expansion_record(struct record *out, const char *name, const struct snapshot *s,
                      struct arena *a, const struct expansion *e)
{
    record_open(out, name, '[');
    for (const struct expand_node *n = e->first; n != NULL; n = after(n)) {
        struct arena_mark mark = arena_mark(a);
        record_node(out, s, a, n);
        arena_reset(a, mark);
    }
    record_close(out, ']');
}
