/* diff of the rewrite rules. Only the order among equal patterns has a meaning, so the
 * templates of one pattern are compared as a list. */
#include "tables/rewrite.h"
#include "tools/diff.h"

/* The rules of one pattern on both sides. */
struct pair {
    str pattern;
    diff_list old, new;
};

static void collect(struct diff *d, const struct snapshot *s, bool old, struct map *pairs)
{
    const struct rewrite_rule *r;

    for (r = rewrite_first(s->rules); r; r = r->next) {
        struct pair *p = map_get(pairs, r->pattern_text);
        if (!p) {
            p = arena_new_of(d->arena, struct pair);
            p->pattern = r->pattern_text;
            map_add(pairs, r->pattern_text, p);
        }
        struct diff_item *item = vec_add(d->arena, old ? &p->old : &p->new);
        *item = (struct diff_item){.text = r->template_text, .at = r->span};
    }
}

void diff_rules(struct diff *d)
{
    struct map *pairs = map_new(d->arena, MAP_NOCASE);

    collect(d, d->old.snapshot, true, pairs);
    collect(d, d->new.snapshot, false, pairs);
    for (size_t i = 0; i < map_count(pairs); i++) {
        struct pair *p = map_at(pairs, i, NULL);
        struct diff_change like = {.kind = "rule", .name = p->pattern};
        struct arena_mark mark = arena_mark(d->arena);
        diff_tell_lists(d, &like, &p->old, &p->new, true);
        arena_reset(d->arena, mark);
    }
}
