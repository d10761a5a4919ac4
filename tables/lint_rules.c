/* lint_rules: what can be said against rewrite rules when channels and hosts are known.
 */
#include "tables/lint.h"
#include "tables/rule_table.h"

/* A rule with its parts at hand. */
struct looking {
    struct compile *c;
    const struct rule_record *rule;
    struct template template;
    str pattern;
    const struct channel *switching[2]; /* the first ones with switchchannel, or NULL */
    struct map *called;                 /* mapping tables that rules call */
};

static void check_routing_host(const struct looking *l)
{
    const struct snapshot *s = l->c->s;
    str host = l->template.routing_host;

    if (host.len == 0 || snapshot_host(s, host)) {
        return;
    }
    str near = nearest_key(s->hosts, host, &l->c->nearest);
    struct span at = rule_template_span(l->rule);
    ptrdiff_t sep = str_rfind(l->template.text, '@');
    if (sep >= 0 && at.length == l->template.text.len) {
        /* Controls may stand behind the host. */
        str rest = str_from_pos(l->template.text, (size_t)sep + 1);
        at.offset += (uint32_t)sep + 1;
        at.length = (uint32_t)(str_starts(rest, host) ? host.len : rest.len);
    }
    diag_warning(l->c->diags, at, "unknown-routing-host",
                 "no channel has the host '%.*s': mail for '%.*s' is refused%s%.*s%s",
                 STR_ARG(host), STR_ARG(l->pattern),
                 near.len > 0 ? "; did you mean '" : "", STR_ARG(near),
                 near.len > 0 ? "'?" : "");
}

/* Where the first rule of each key that always applies is: warns of those behind it. */
static void check_equal_rules(struct compile *c, const struct rule_table *t,
                              uint32_t first)
{
    const struct rule_record *winner = NULL;

    while (first != 0) {
        const struct rule_record *r = rule_table_at(t, first);
        struct template m = rule_template(t, r);
        if (winner) {
            str pattern = rule_key(t, r);
            struct diag *d = diag_warning(
                c->diags, rule_span(r), "unreachable-rule",
                "this rule is never reached: an earlier rule for '%.*s' always applies",
                STR_ARG(pattern));
            diag_note(c->diags, d, rule_span(winner), "the rule that always applies");
        } else if (!(m.traits & TEMPLATE_MAY_FAIL)) {
            winner = r;
        }
        first = r->next_equal;
    }
}

/* True when a repeat rule leads to its own pattern again, whatever the address. One that
 * sets a tag leads elsewhere. */
static bool rule_loops(const struct looking *l)
{
    ptrdiff_t sep = str_find(l->template.text, '%');

    if (l->template.form != TEMPLATE_REPEAT ||
        (l->template.traits & (TEMPLATE_MAY_FAIL | TEMPLATE_SETS_TAG)) || sep < 0) {
        return false;
    }
    str domain = str_from_pos(l->template.text, (size_t)sep + 1);
    bool whole = str_ieq(domain, STR("$D")) || str_ieq(domain, STR("$H$D"));
    switch ((enum pattern_kind)l->rule->kind) {
    case PATTERN_EXACT:
        return whole; /* literal text is followed by lint_loops.c */
    case PATTERN_LITERAL:
        return whole || str_ieq(domain, l->pattern);
    case PATTERN_SUFFIX:
    case PATTERN_STARS:
        return str_ieq(domain, STR("$H$D"));
    case PATTERN_ALL:
    case PATTERN_FIRST:
        return str_ieq(domain, STR("$H"));
    default:
        return false;
    }
}

static void check_behaviour(const struct looking *l)
{
    unsigned traits = l->template.traits;
    struct diags *diags = l->c->diags;
    bool exact = l->rule->kind == PATTERN_EXACT || l->rule->kind == PATTERN_LITERAL;
    bool name = l->rule->kind == PATTERN_EXACT || l->rule->kind == PATTERN_SUFFIX ||
                l->rule->kind == PATTERN_STARS || l->rule->kind == PATTERN_LITERAL;

    if (traits & TEMPLATE_NEVER) {
        diag_warning(diags, rule_template_span(l->rule), "rule-never-applies",
                     "this rule never applies: its controls exclude each other, or it "
                     "calls what cannot be called");
    } else if (exact && (traits & TEMPLATE_LABELS)) {
        diag_warning(diags, rule_template_span(l->rule), "rule-never-applies",
                     "this rule never applies: '%.*s' matches a whole host, so there is "
                     "no label left for '$&' or '$!'",
                     STR_ARG(l->pattern));
    } else if (name && (traits & TEMPLATE_REST)) {
        diag_warning(
            diags, rule_template_span(l->rule), "empty-substitution",
            "'$L' is always empty here: it stands for the part of a literal that "
            "'%.*s' leaves over; '$D' is the host itself",
            STR_ARG(l->pattern));
    } else if (rule_loops(l)) {
        diag_warning(
            diags, rule_span(l->rule), "rewrite-loop",
            "this rule leads to its own pattern again: mail for '%.*s' is refused",
            STR_ARG(l->pattern));
    }
}

/* "[]" matches every client: where it switches, the whole world becomes trusted. */
static void check_switch(const struct looking *l)
{
    const struct snapshot *s = l->c->s;
    const struct host_entry *to = snapshot_host(s, l->template.routing_host);
    bool always = (l->template.traits & TEMPLATE_FOR_CLIENTS) &&
                  !(l->template.traits & (TEMPLATE_CALLS | TEMPLATE_NEVER));

    if ((l->rule->kind != PATTERN_LITERAL_ANY &&
         l->rule->kind != PATTERN_LITERAL_STARS) ||
        !always || !to || to->channel->opts.ip_switch == IP_SWITCH_NO) {
        return;
    }
    const struct channel *from = l->switching[l->switching[0] == to->channel];
    if (from != NULL) {
        diag_warning(l->c->diags, rule_span(l->rule), "switch-everybody",
                     "this rule switches every client of '%.*s' to '%.*s' and lets it "
                     "relay; $F keeps it to recipients, or put noswitchchannel on '%.*s'",
                     STR_ARG(from->name), STR_ARG(to->channel->name),
                     STR_ARG(to->channel->name));
    }
}

static void check_name(void *arg, enum template_name what, str name, struct span at)
{
    const struct looking *l = arg;
    const struct snapshot *s = l->c->s;

    if (what == TEMPLATE_NAMES_CHANNEL && !snapshot_channel(s, name)) {
        str near = nearest_key(s->channels_by_name, name, &l->c->nearest);
        diag_warning(l->c->diags, at, "unknown-channel",
                     "channel '%.*s' does not exist%s%.*s%s", STR_ARG(name),
                     near.len > 0 ? "; did you mean '" : "", STR_ARG(near),
                     near.len > 0 ? "'?" : "");
    } else if (what == TEMPLATE_NAMES_TABLE && map_get(s->mappings, name)) {
        map_add(l->called, name, l->called);
    } else if (what == TEMPLATE_NAMES_TABLE) {
        str near = nearest_key(s->mappings, name, &l->c->nearest);
        diag_warning(l->c->diags, at, "rule-unknown-table",
                     "there is no mapping table '%.*s': the rule always fails%s%.*s%s",
                     STR_ARG(name), near.len > 0 ? "; did you mean '" : "", STR_ARG(near),
                     near.len > 0 ? "'?" : "");
    }
}

void lint_rules(struct compile *c)
{
    const struct rule_table *t = c->s->rules;
    struct looking l = {.c = c, .called = map_new(c->arena, MAP_NOCASE)};
    unsigned n = 0;

    for (unsigned i = 0; i < c->s->channel_count && n < 2; i++) {
        if (c->s->channels[i]->opts.ip_switch == IP_SWITCH_START) {
            l.switching[n++] = c->s->channels[i];
        }
    }

    for (uint32_t number = 1; number <= t->rule_count; number++) {
        l.rule = rule_table_at(t, number);
        l.template = rule_template(t, l.rule);
        l.pattern = rule_key(t, l.rule);
        check_routing_host(&l);
        check_behaviour(&l);
        check_switch(&l);
        template_names(&l.template, rule_template_span(l.rule), check_name, &l);
    }
    for (uint32_t i = 0; i < t->slot_count; i++) {
        check_equal_rules(c, t, t->slots[i].rule);
    }
    alias_note_tables(c->s, l.called);
    mapping_check_called(c, l.called);
}
