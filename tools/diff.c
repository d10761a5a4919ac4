/* diff: telling changes, and comparing lists. */
#include "tools/diff.h"

#include "tools/record.h"
#include "tools/text.h"

enum { LABEL_WIDTH = 28 };

static const char *const change_names[] = {
    [CHANGE_REMOVED] = "removed",
    [CHANGE_ADDED] = "added",
    [CHANGE_CHANGED] = "changed",
    [CHANGE_ORDER] = "order",
};

/* ---- telling ----------------------------------------------------------------------- */

void diff_label(const char *kind, str name)
{
    int width = printf("%s %.*s", kind, STR_ARG(name));

    printf("%*s", width < LABEL_WIDTH ? LABEL_WIDTH - width : 2, "");
}

static str was(struct diff *d, struct span at)
{
    return span_text(d->arena, d->old.snapshot->sources, at);
}

static str now(struct diff *d, struct span at)
{
    return span_text(d->arena, d->new.snapshot->sources, at);
}

/* "(was site.cnf:40, now site.cnf:44)", as far as known. */
static void print_places(struct diff *d, const struct diff_change *c)
{
    bool old = c->was.source != 0, new = c->now.source != 0;

    if (old && new) {
        printf(" (was %.*s, now %.*s)", STR_ARG(was(d, c->was)), STR_ARG(now(d, c->now)));
    } else if (old) {
        printf(" (was %.*s)", STR_ARG(was(d, c->was)));
    } else if (new) {
        printf(" (%.*s)", STR_ARG(now(d, c->now)));
    }
}

static void print_change(struct diff *d, const struct diff_change *c)
{
    str old = c->old.ptr ? text_plain(d->arena, c->old) : STR("");
    str new = c->new.ptr ? text_plain(d->arena, c->new) : STR("");

    diff_label(c->kind, c->name);
    if (c->what.ptr) {
        printf("%.*s ", STR_ARG(c->what));
    }
    switch (c->change) {
    case CHANGE_REMOVED:
        printf("removed%s%.*s", old.len > 0 ? "   " : "", STR_ARG(old));
        break;
    case CHANGE_ADDED:
        printf("added%s%.*s", new.len > 0 ? "   " : "", STR_ARG(new));
        break;
    case CHANGE_CHANGED:
        printf("%.*s -> %.*s", STR_ARG(old.len > 0 ? old : STR("none")),
               STR_ARG(new.len > 0 ? new : STR("none")));
        break;
    case CHANGE_ORDER:
        printf("in another order");
        break;
    }
    print_places(d, c);
    putchar('\n');
}

static void print_json(struct diff *d, const struct diff_change *c)
{
    struct record out;

    record_begin(&out);
    record_str(&out, "kind", str_from(c->kind));
    record_str(&out, "name", c->name);
    record_str(&out, "change", str_from(change_names[c->change]));
    record_str(&out, "what", c->what);
    record_str(&out, "old", c->old);
    record_str(&out, "new", c->new);
    record_place(&out, "was", d->old.snapshot->sources, c->was);
    record_place(&out, "now", d->new.snapshot->sources, c->now);
    record_print(&out);
}

void diff_tell(struct diff *d, const struct diff_change *c)
{
    struct arena_mark mark = arena_mark(d->arena);

    d->changes++;
    if (d->in->options.json) {
        print_json(d, c);
    } else {
        print_change(d, c);
    }
    arena_reset(d->arena, mark);
}

/* ---- lists ------------------------------------------------------------------------- */

/* How often the items not yet paired occur. */
struct count {
    size_t left;
};

static struct count *count_of(struct arena *a, struct map *counts, str text)
{
    struct count *c = map_get(counts, text);

    return c ? c : map_add(counts, text, arena_new_of(a, struct count));
}

static bool in_order(const diff_list *old, const diff_list *new)
{
    size_t o = 0, n = 0;

    for (;;) {
        while (o < old->n && old->at[o].gone) {
            o++;
        }
        while (n < new->n &&new->at[n].gone) {
            n++;
        }
        if (o == old->n || n == new->n) {
            return true; /* as many of either were paired */
        }
        if (!str_eq(old->at[o++].text, new->at[n++].text)) {
            return false;
        }
    }
}

/* Marks the items of either list that the other has not (or has less often); the last
 * ones of equal items. True when those that both have stand in another order. */
static bool mark_gone(struct arena *a, diff_list *old, diff_list *new)
{
    struct map *counts = map_new(a, MAP_CASE);

    for (size_t i = 0; i < old->n; i++) {
        count_of(a, counts, old->at[i].text)->left++;
    }
    for (size_t i = 0; i < new->n; i++) {
        struct count *c = count_of(a, counts, new->at[i].text);
        new->at[i].gone = c->left == 0;
        c->left -= c->left > 0;
    }
    for (size_t i = old->n; i > 0; i--) {
        struct count *c = count_of(a, counts, old->at[i - 1].text);
        old->at[i - 1].gone = c->left > 0;
        c->left -= c->left > 0;
    }
    return !in_order(old, new);
}

/* The only item that is gone; NULL: none, or several. */
static const struct diff_item *only_gone(const diff_list *list)
{
    const struct diff_item *found = NULL;

    for (size_t i = 0; i < list->n; i++) {
        if (list->at[i].gone) {
            if (found) {
                return NULL;
            }
            found = &list->at[i];
        }
    }
    return found;
}

static void tell_gone(struct diff *d, const struct diff_change *like,
                      const diff_list *list, enum change change)
{
    for (size_t i = 0; i < list->n; i++) {
        struct diff_change c = *like;
        c.change = change;
        if (change == CHANGE_REMOVED) {
            c.old = list->at[i].text;
            c.was = list->at[i].at;
        } else {
            c.new = list->at[i].text;
            c.now = list->at[i].at;
        }
        if (list->at[i].gone) {
            diff_tell(d, &c);
        }
    }
}

void diff_tell_lists(struct diff *d, const struct diff_change *like, diff_list *old,
                     diff_list *new, bool order)
{
    bool moved = mark_gone(d->arena, old, new);
    const struct diff_item *was = only_gone(old), *now = only_gone(new);
    struct diff_change c = *like;

    if (was && now && like->name.len > 0) { /* items of a list have no name */
        c.change = CHANGE_CHANGED;
        c.old = was->text;
        c.new = now->text;
        c.was = was->at;
        c.now = now->at;
        diff_tell(d, &c);
    } else {
        tell_gone(d, like, old, CHANGE_REMOVED);
        tell_gone(d, like, new, CHANGE_ADDED);
    }
    if (moved && order) {
        c = *like;
        c.change = CHANGE_ORDER;
        c.was = old->at[0].at;
        c.now = new->at[0].at;
        diff_tell(d, &c);
    }
}
