/* rule_builder: makes a rule table. The arrays grow by doubling and are copied into the
 * arena once, when their sizes are known. */
#include <stdlib.h>

#include "base/check.h"
#include "tables/rule_hash.h"
#include "tables/rule_table.h"

enum { SLOTS_FIRST = 64, TEMPLATE_SLOTS_FIRST = 64 };

/* A growing array of bytes; `used` and `cap` in bytes. */
struct pile {
    char *data;
    size_t used, cap;
};

struct rule_builder {
    struct pile rules, templates, ops, strings;
    struct pile tails; /* uint32_t for each rule: the last one of its key */
    struct rule_slot *slots;
    uint32_t slot_count, keys;
    uint32_t *template_slots; /* number (index + 1) of a template, or 0 */
    uint32_t template_slot_count, template_keys;
    uint32_t stars;
};

static void *must(void *p)
{
    check(p != NULL); /* documented: out of memory aborts */
    return p;
}

/* Room for size more bytes, zeroed. */
static void *pile_add(struct pile *p, size_t size)
{
    if (p->cap - p->used < size) {
        size_t cap = p->cap * 2 > p->used + size ? p->cap * 2 : p->used + size + 4096;
        p->data = must(realloc(p->data, cap));
        p->cap = cap;
    }
    void *at = p->data + p->used;
    memset(at, 0, size);
    p->used += size;
    return at;
}

static uint32_t string_add(struct rule_builder *b, str text)
{
    uint32_t at = (uint32_t)b->strings.used;

    if (text.len > 0) {
        memcpy(pile_add(&b->strings, text.len), text.ptr, text.len);
    }
    return at;
}

static struct rule_record *rules(const struct rule_builder *b)
{
    return (struct rule_record *)(void *)b->rules.data;
}

static const struct template_record *templates(const struct rule_builder *b)
{
    return (const struct template_record *)(const void *)b->templates.data;
}

static uint32_t rule_count(const struct rule_builder *b)
{
    return (uint32_t)(b->rules.used / sizeof(struct rule_record));
}

static uint32_t template_count(const struct rule_builder *b)
{
    return (uint32_t)(b->templates.used / sizeof(struct template_record));
}

struct rule_builder *rule_builder_new(void)
{
    struct rule_builder *b = must(calloc(1, sizeof *b));

    b->slot_count = SLOTS_FIRST;
    b->slots = must(calloc(b->slot_count, sizeof *b->slots));
    b->template_slot_count = TEMPLATE_SLOTS_FIRST;
    b->template_slots = must(calloc(b->template_slot_count, sizeof *b->template_slots));
    return b;
}

/* ---- templates ----------------------------------------------------------------- */

static str template_text(const struct rule_builder *b, uint32_t index)
{
    const struct template_record *t = &templates(b)[index];

    return str_n(b->strings.data + t->text, t->text_len);
}

/* The slot of the template with that text, or the free one where it belongs. */
static uint32_t *template_slot(const struct rule_builder *b, str text)
{
    uint32_t mask = b->template_slot_count - 1;
    uint32_t at = (uint32_t)str_hash(text) & mask;

    while (b->template_slots[at] != 0 &&
           !str_eq(template_text(b, b->template_slots[at] - 1), text)) {
        at = (at + 1) & mask;
    }
    return &b->template_slots[at];
}

static void template_slots_grow(struct rule_builder *b)
{
    uint32_t *old = b->template_slots, count = b->template_slot_count;

    b->template_slot_count = count * 2;
    b->template_slots = must(calloc(b->template_slot_count, sizeof *b->template_slots));
    for (uint32_t i = 0; i < count; i++) {
        if (old[i] != 0) {
            *template_slot(b, template_text(b, old[i] - 1)) = old[i];
        }
    }
    free(old);
}

bool rule_builder_knows(const struct rule_builder *b, str text, uint32_t *template)
{
    uint32_t found = *template_slot(b, text);

    *template = found - 1;
    return found != 0;
}

uint32_t rule_builder_keep(struct rule_builder *b, const struct template *t, bool share)
{
    uint32_t index = template_count(b);

    if ((b->template_keys + 1) * 2 > b->template_slot_count) {
        template_slots_grow(b);
    }
    size_t ops_bytes = t->op_count * sizeof *t->ops;
    struct template_record made = {
        .text = string_add(b, t->text),
        .first_op = (uint32_t)(b->ops.used / sizeof *t->ops),
        .op_count = (uint32_t)t->op_count,
        .routing_host = string_add(b, t->routing_host),
        .text_len = (uint16_t)t->text.len,
        .routing_host_len = (uint16_t)t->routing_host.len,
        .traits = (uint16_t)t->traits,
        .form = (uint8_t)t->form,
    };
    if (ops_bytes > 0) {
        memcpy(pile_add(&b->ops, ops_bytes), t->ops, ops_bytes);
    }
    *(struct template_record *)pile_add(&b->templates, sizeof made) = made;
    if (share) {
        *template_slot(b, t->text) = index + 1;
        b->template_keys++;
    }
    return index;
}

/* ---- rules --------------------------------------------------------------------- */

static str key_of(const struct rule_builder *b, uint32_t number)
{
    const struct rule_record *r = &rules(b)[number - 1];

    return str_n(b->strings.data + r->key, r->key_len);
}

/* The slot of the key, or the free one where it belongs. */
static struct rule_slot *slot_of(const struct rule_builder *b, str key, uint32_t hash)
{
    uint32_t mask = b->slot_count - 1, at = hash & mask;

    while (b->slots[at].rule != 0 &&
           (b->slots[at].hash != hash || !str_ieq(key_of(b, b->slots[at].rule), key))) {
        at = (at + 1) & mask;
    }
    return &b->slots[at];
}

static void slots_grow(struct rule_builder *b)
{
    struct rule_slot *old = b->slots;
    uint32_t count = b->slot_count, mask = count * 2 - 1;

    b->slot_count = count * 2;
    b->slots = must(calloc(b->slot_count, sizeof *b->slots));
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = old[i].hash & mask;
        while (old[i].rule != 0 && b->slots[at].rule != 0) {
            at = (at + 1) & mask;
        }
        if (old[i].rule != 0) {
            b->slots[at] = old[i];
        }
    }
    free(old);
}

/* Puts the newest rule behind the others of its key. */
static void rule_chain(struct rule_builder *b, str key)
{
    uint32_t number = rule_count(b), hash = rule_hash(key);

    if ((b->keys + 1) * 2 > b->slot_count) {
        slots_grow(b);
    }
    struct rule_slot *slot = slot_of(b, key, hash);
    uint32_t *tail = pile_add(&b->tails, sizeof *tail);
    uint32_t *tails = (uint32_t *)(void *)b->tails.data;
    if (slot->rule == 0) {
        *slot = (struct rule_slot){hash, number};
        b->keys++;
    } else {
        rules(b)[tails[slot->rule - 1] - 1].next_equal = number;
    }
    tails[slot->rule - 1] = number;
}

/* A place is kept with 16 bits of its length. */
static uint16_t length16(struct span at)
{
    return at.length < UINT16_MAX ? (uint16_t)at.length : UINT16_MAX;
}

static bool has_room(const struct rule_builder *b, const struct pattern *p)
{
    return rule_count(b) < INT32_MAX && p->key.len <= UINT16_MAX &&
           b->strings.used + p->key.len + 2 * (size_t)TEMPLATE_TEXT_MAX < UINT32_MAX;
}

void rule_builder_add(struct rule_builder *b, const struct pattern *p, uint32_t template,
                      const struct rule_places *at)
{
    check(has_room(b, p));
    struct rule_record made = {
        .key = string_add(b, p->key),
        .template = template,
        .source = at->pattern.source,
        .pattern_at = at->pattern.offset,
        .template_at = at->template.offset,
        .key_len = (uint16_t)p->key.len,
        .pattern_len = length16(at->pattern),
        .template_len = length16(at->template),
        .kind = (uint8_t)p->kind,
        .tag_len = (uint8_t)p->tag.len,
    };
    *(struct rule_record *)pile_add(&b->rules, sizeof made) = made;
    rule_chain(b, p->key);
    b->stars |= p->kind == PATTERN_STARS || p->kind == PATTERN_ALL_STARS ||
                p->kind == PATTERN_LITERAL_STARS;
}

static const void *moved(struct arena *a, const void *from, size_t size)
{
    void *to = arena_alloc(a, size);

    if (size > 0) {
        memcpy(to, from, size);
    }
    return to;
}

struct rule_table *rule_builder_finish(struct rule_builder **builder, struct arena *a)
{
    struct rule_builder *b = *builder;
    struct rule_table *t = arena_new_of(a, struct rule_table);

    *t = (struct rule_table){
        .rules = moved(a, b->rules.data, b->rules.used),
        .templates = moved(a, b->templates.data, b->templates.used),
        .ops = moved(a, b->ops.data, b->ops.used),
        .slots = moved(a, b->slots, b->slot_count * sizeof *b->slots),
        .strings = moved(a, b->strings.data, b->strings.used),
        .rule_count = rule_count(b),
        .template_count = template_count(b),
        .op_count = (uint32_t)(b->ops.used / sizeof(struct template_op)),
        .slot_count = b->slot_count,
        .strings_len = (uint32_t)b->strings.used,
        .stars = b->stars,
    };
    struct pile *const piles[] = {&b->rules, &b->templates, &b->ops, &b->strings,
                                  &b->tails};
    for (size_t i = 0; i < sizeof piles / sizeof *piles; i++) {
        free(piles[i]->data);
    }
    free(b->slots);
    free(b->template_slots);
    free(b);
    *builder = NULL;
    return t;
}
