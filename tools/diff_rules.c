/* diff of the rewrite rules. Only the order among equal patterns has a meaning, so the
 * templates of one pattern are compared as a list. */
#include "tables/rule_table.h"
#include "tools/diff.h"

/* The rules of one pattern on both sides. */
struct pair {
    str pattern;
    diff_list old, new;
};

static void collect(struct diff *d, const struct snapshot *s, bool old, struct map *pairs)
{
    for (uint32_t number = 1; number <= s->rules->rule_count; number++) {
        const struct rule_record *r = rule_table_at(s->rules, number);
        str key = rule_key(s->rules, r);
        struct pair *p = map_get(pairs, key);
        if (!p) {
            p = arena_new_of(d->arena, struct pair);
            p->pattern = key;
            map_add(pairs, key, p);
        }
        struct diff_item *item = vec_add(d->arena, old ? &p->old : &p->new);
        *item = (struct diff_item){.text = rule_template(s->rules, r).text,
                                   .at = rule_span(r)};
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
