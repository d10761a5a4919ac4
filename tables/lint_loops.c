/* lint_loops: repeat rules (A%B) that lead to each other. Told is only what is certain:
 * rules whose new host is literal text and that apply to every address. Each of them has
 * one rule that comes next or none, so following them from each finds all loops, and no
 * rule is followed twice. */
#include "base/address.h"
#include "tables/lint.h"
#include "tables/rule_table.h"
#include "tables/template_ops.h"

enum { LOOP_NOTES_MAX = 8 };

struct loops {
    struct compile *c;
    const struct rule_table *table;
    uint32_t *walks; /* by rule number: the walk that came by, 0 none */
};

static bool rule_always(const struct template *t)
{
    return !(t->traits &
             (TEMPLATE_MAY_FAIL | TEMPLATE_NEVER | TEMPLATE_SETS_TAG | TEMPLATE_CALLS));
}

/* The host of every address a repeat rule makes; empty if that is not certain. */
static str repeat_host(const struct template *t)
{
    str host = STR("");
    bool behind = false;
    if (t->form != TEMPLATE_REPEAT || !rule_always(t)) {
        return STR("");
    }
    for (size_t i = 0; i < t->op_count; i++) {
        const struct template_op *op = &t->ops[i];
        if (op->kind == OP_PERCENT) {
            behind = true;
        } else if (behind && (op->kind != OP_TEXT || host.len > 0)) {
            return STR("");
        } else if (behind) {
            host = str_sub(t->text, op->text_at, op->text_len);
        }
    }
    return domain_name_ok(host) ? host : STR("");
}

/* The rule, if it applies to every address its pattern meets; else 0. */
static uint32_t certain(const struct loops *on, uint32_t number)
{
    if (number == 0) {
        return 0;
    }
    struct template t = rule_template(on->table, rule_table_at(on->table, number));
    return rule_always(&t) ? number : 0;
}

/* The rule that every address at this host meets first (PMDF 2.2.3.2), or 0. */
static uint32_t rule_for_host(const struct loops *on, str host)
{
    struct pattern_probe probe;
    uint32_t number = rule_table_find(on->table, STR(""), STR("$*"));
    if (number != 0) {
        return certain(on, number);
    }
    pattern_probe_start(&probe, host, on->table->stars);
    while (pattern_probe_next(&probe)) {
        number = rule_table_find(on->table, STR(""), probe.key);
        if (number != 0) {
            return certain(on, number);
        }
    }
    if (snapshot_host(on->c->s, host) != NULL) {
        return 0;
    }
    return certain(on, rule_table_find(on->table, STR(""), STR(".")));
}

static uint32_t rule_after(const struct loops *on, uint32_t number)
{
    struct template t = rule_template(on->table, rule_table_at(on->table, number));
    str host = repeat_host(&t);
    return host.len > 0 ? rule_for_host(on, host) : 0;
}

/* Told at the first rule of the loop in file order. */
static void report(const struct loops *on, uint32_t member)
{
    uint32_t first = member, n = rule_after(on, member);
    for (; n != member; n = rule_after(on, n)) {
        first = n < first ? n : first;
    }
    const struct rule_record *r = rule_table_at(on->table, first);
    str pattern = rule_key(on->table, r);
    n = rule_after(on, first);
    struct diag *d = diag_warning(
        on->c->diags, rule_span(r), "rewrite-loop",
        "this rule leads to its own pattern again%s: mail for '%.*s' is refused",
        n != first ? " by way of others" : "", STR_ARG(pattern));
    for (unsigned notes = 0; n != first && notes < LOOP_NOTES_MAX; notes++) {
        diag_note(on->c->diags, d, rule_span(rule_table_at(on->table, n)),
                  "next comes this rule");
        n = rule_after(on, n);
    }
}

void lint_loops(struct compile *c)
{
    const struct rule_table *t = c->s->rules;
    struct arena *scratch = arena_new();
    struct loops on = {c, t, arena_array(scratch, uint32_t, (size_t)t->rule_count + 1)};
    for (uint32_t start = 1; start <= t->rule_count; start++) {
        uint32_t n = start;
        while (n != 0 && on.walks[n] == 0) {
            on.walks[n] = start;
            n = rule_after(&on, n);
        }
        if (n != 0 && on.walks[n] == start) {
            report(&on, n);
        }
    }
    arena_free(&scratch);
}
