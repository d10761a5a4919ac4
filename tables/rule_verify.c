/* rule_verify: are these arrays a rule table? Asked of images, whose bytes may be
 * anything. What is checked is what the code relies on; whether the rules are those of
 * the source is the business of the image's digests. */
#include "tables/rule_table.h"

static bool slice_fits(const struct rule_table *t, uint32_t at, uint32_t len)
{
    return (uint64_t)at + len <= t->strings_len;
}

static bool rules_good(const struct rule_table *t, uint32_t source_count)
{
    for (uint32_t i = 0; i < t->rule_count; i++) {
        const struct rule_record *r = &t->rules[i];
        bool forward = r->next_equal == 0 ||
                       (r->next_equal > i + 1 && r->next_equal <= t->rule_count);
        if (!forward || !slice_fits(t, r->key, r->key_len) || r->tag_len > r->key_len ||
            r->template >= t->template_count || r->kind >= PATTERN_KINDS ||
            r->source > source_count) {
            return false;
        }
    }
    return true;
}

static bool ops_good(const struct template_op *ops, const struct template_record *m)
{
    for (uint32_t i = 0; i < m->op_count; i++) {
        if (!template_op_valid(&ops[i], m->text_len)) {
            return false;
        }
    }
    return true;
}

static bool templates_good(const struct rule_table *t)
{
    for (uint32_t i = 0; i < t->template_count; i++) {
        const struct template_record *m = &t->templates[i];
        if (!slice_fits(t, m->text, m->text_len) || m->text_len > TEMPLATE_TEXT_MAX ||
            !slice_fits(t, m->routing_host, m->routing_host_len) ||
            (uint64_t)m->first_op + m->op_count > t->op_count ||
            m->form >= TEMPLATE_FORMS || m->traits > TEMPLATE_TRAITS || m->zero != 0 ||
            !ops_good(t->ops + m->first_op, m)) {
            return false;
        }
    }
    return true;
}

/* At least one slot is free, or a look-up would not end. */
static bool slots_good(const struct rule_table *t)
{
    uint32_t used = 0;

    for (uint32_t i = 0; i < t->slot_count; i++) {
        uint32_t rule = t->slots[i].rule;
        if (rule > t->rule_count) {
            return false;
        }
        used += rule != 0;
    }
    bool power = (t->slot_count & (t->slot_count - 1)) == 0;
    return power && (t->slot_count == 0 ? t->rule_count == 0 : used < t->slot_count);
}

bool rule_table_verify(const struct rule_table *t, uint32_t source_count,
                       const char **reason)
{
    if (!templates_good(t)) {
        *reason = "a template of a rewrite rule is damaged";
    } else if (!rules_good(t, source_count)) {
        *reason = "a rewrite rule is damaged";
    } else if (!slots_good(t)) {
        *reason = "the index of the rewrite rules is damaged";
    } else {
        return true;
    }
    return false;
}
