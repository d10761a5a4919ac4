/* rule_table: looking up, and what a record says. Building is in rule_builder.c, checking
 * arrays of unknown origin in rule_verify.c. */
#include "tables/rule_table.h"

#include "base/check.h"
#include "tables/rule_hash.h"

/* Of a tag and a probe: the longest probe has a star for each label. Longer patterns are
 * never looked for. */
enum { KEY_MAX = 1024 };

static str table_str(const struct rule_table *t, uint32_t at, size_t len)
{
    return str_n(t->strings + at, len);
}

const struct rule_record *rule_table_at(const struct rule_table *t, uint32_t number)
{
    check(number >= 1 && number <= t->rule_count);
    return &t->rules[number - 1];
}

str rule_key(const struct rule_table *t, const struct rule_record *r)
{
    return table_str(t, r->key, r->key_len);
}

str rule_tag(const struct rule_table *t, const struct rule_record *r)
{
    return table_str(t, r->key, r->tag_len);
}

str rule_pattern(const struct rule_table *t, const struct rule_record *r)
{
    return str_from_pos(rule_key(t, r), r->tag_len);
}

struct template rule_template(const struct rule_table *t, const struct rule_record *r)
{
    const struct template_record *m = &t->templates[r->template];

    return (struct template){
        .text = table_str(t, m->text, m->text_len),
        .ops = t->ops + m->first_op,
        .op_count = m->op_count,
        .form = (enum template_form)m->form,
        .traits = m->traits,
        .routing_host = table_str(t, m->routing_host, m->routing_host_len),
    };
}

static struct span pattern_span(const struct rule_record *r)
{
    return (struct span){r->source, r->pattern_at, r->pattern_len};
}

struct span rule_template_span(const struct rule_record *r)
{
    return (struct span){r->source, r->template_at, r->template_len};
}

struct span rule_span(const struct rule_record *r)
{
    return span_join(pattern_span(r), rule_template_span(r));
}

uint32_t rule_table_find(const struct rule_table *t, str tag, str probe)
{
    char joined[KEY_MAX];
    str key = probe;

    if (t->slot_count == 0 || tag.len + probe.len > sizeof joined) {
        return 0;
    }
    if (tag.len > 0) {
        memcpy(joined, tag.ptr, tag.len);
        memcpy(joined + tag.len, probe.ptr, probe.len);
        key = str_n(joined, tag.len + probe.len);
    }
    uint32_t hash = rule_hash(key), mask = t->slot_count - 1;
    for (uint32_t at = hash & mask; t->slots[at].rule != 0; at = (at + 1) & mask) {
        const struct rule_slot *slot = &t->slots[at];
        if (slot->hash == hash && str_ieq(rule_key(t, &t->rules[slot->rule - 1]), key)) {
            return slot->rule;
        }
    }
    return 0;
}
