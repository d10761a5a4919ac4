/* rewrite: the rule table: compiling, looking up, and what can be said against rules
 * before any mail comes. One look-up of one host spec; the iteration over an address
 * is route.c. */
#include "tables/rewrite.h"

#include "base/check.h"

/* The rules with one pattern, in file order. */
struct rule_list {
    struct rewrite_rule *first, *last;
};

struct rewrite_rules {
    struct map *by_pattern; /* case-blind key -> struct rule_list */
    struct rewrite_rule *first, *last;
};

/* ---- compiling ----------------------------------------------------------------- */

static struct rewrite_rule *rule_compile(struct arena *a, const struct ast_rule *written,
                                         struct diags *diags)
{
    struct rewrite_rule *rule = arena_new_of(a, struct rewrite_rule);
    str reason;
    enum pattern_result result =
        pattern_parse(a, written->pattern, &rule->pattern, &reason);

    if (result == PATTERN_LATER) {
        diag_error(diags, written->pattern_at, "pattern-unsupported",
                   "not supported yet: %.*s", STR_ARG(reason));
    } else if (result == PATTERN_BAD) {
        diag_error(diags, written->pattern_at, "pattern-bad", "bad pattern '%.*s': %.*s",
                   STR_ARG(written->pattern), STR_ARG(reason));
    }
    rule->template = template_parse(a, written->template, written->template_at, diags);
    if (result != PATTERN_OK || !rule->template) {
        return NULL;
    }
    rule->pattern_text = written->pattern;
    rule->template_text = written->template;
    rule->pattern_at = written->pattern_at;
    rule->template_at = written->template_at;
    rule->span = span_join(written->pattern_at, written->template_at);
    return rule;
}

static void rule_add(struct arena *a, struct rewrite_rules *rules,
                     struct rewrite_rule *rule)
{
    struct rule_list *list = map_get(rules->by_pattern, rule->pattern.key);

    if (!list) {
        list = arena_new_of(a, struct rule_list);
        map_add(rules->by_pattern, rule->pattern.key, list);
    }
    if (list->last) {
        list->last->next_equal = rule;
    } else {
        list->first = rule;
    }
    list->last = rule;
    if (rules->last) {
        rules->last->next = rule;
    } else {
        rules->first = rule;
    }
    rules->last = rule;
}

struct rewrite_rules *rewrite_compile(struct snapshot *s, const struct ast_rule *rules,
                                      struct diags *diags)
{
    struct rewrite_rules *compiled = arena_new_of(s->arena, struct rewrite_rules);

    compiled->by_pattern = map_new(s->arena, MAP_NOCASE);
    s->rule_count = 0;
    for (const struct ast_rule *r = rules; r; r = r->next) {
        struct rewrite_rule *rule = rule_compile(s->arena, r, diags);
        s->rule_count++;
        if (rule) {
            rule_add(s->arena, compiled, rule);
        }
    }
    return compiled;
}

const struct rewrite_rule *rewrite_first(const struct rewrite_rules *rules)
{
    return rules ? rules->first : NULL;
}

/* ---- checks -------------------------------------------------------------------- */

static void check_routing_host(const struct snapshot *s, const struct rewrite_rule *rule,
                               struct nearest_budget *nearest, struct diags *diags)
{
    str host = rule->template->routing_host;

    if (host.len == 0 || map_get(s->hosts, host)) {
        return;
    }
    str near = nearest_key(s->hosts, host, nearest);
    struct span at = rule->template_at;
    ptrdiff_t sep = str_rfind(rule->template_text, '@');
    if (sep >= 0) {
        at.offset += (uint32_t)sep + 1;
        at.length -= (uint32_t)sep + 1;
    }
    diag_warning(diags, at, "unknown-routing-host",
                 "no channel has the host '%.*s': mail for '%.*s' is refused%s%.*s%s",
                 STR_ARG(host), STR_ARG(rule->pattern_text),
                 near.len > 0 ? "; did you mean '" : "", STR_ARG(near),
                 near.len > 0 ? "'?" : "");
}

/* Warns when an earlier rule with the same pattern always applies. */
static void check_equal_rules(const struct rewrite_rule *first, struct diags *diags)
{
    const struct rewrite_rule *winner = NULL;

    for (const struct rewrite_rule *r = first; r; r = r->next_equal) {
        if (winner) {
            struct diag *d = diag_warning(
                diags, r->span, "unreachable-rule",
                "this rule is never reached: an earlier rule for '%.*s' always applies",
                STR_ARG(r->pattern_text));
            diag_note(diags, d, winner->span, "the rule that always applies");
        } else if (!r->template->may_fail) {
            winner = r;
        }
    }
}

/* True when a repeat rule leads to its own pattern again, whatever the address. */
static bool rule_loops(const struct rewrite_rule *r)
{
    str text = r->template_text;
    ptrdiff_t sep = str_find(text, '%');

    if (r->template->form != TEMPLATE_REPEAT || r->template->may_fail || sep < 0) {
        return false;
    }
    str domain = str_from_pos(text, (size_t)sep + 1);
    bool whole = str_ieq(domain, STR("$D")) || str_ieq(domain, STR("$H$D"));
    switch (r->pattern.kind) {
    case PATTERN_EXACT:
    case PATTERN_LITERAL:
        return whole || str_ieq(domain, r->pattern_text);
    case PATTERN_SUFFIX:
        return str_ieq(domain, STR("$H$D"));
    case PATTERN_ALL:
        return str_ieq(domain, STR("$H"));
    default:
        return false;
    }
}

static void check_behaviour(const struct rewrite_rule *r, struct diags *diags)
{
    bool exact = r->pattern.kind == PATTERN_EXACT || r->pattern.kind == PATTERN_LITERAL;

    if (r->template->never) {
        diag_warning(diags, r->template_at, "rule-never-applies",
                     "this rule never applies: its controls exclude each other");
    } else if (exact && r->template->uses_labels) {
        diag_warning(diags, r->template_at, "rule-never-applies",
                     "this rule never applies: '%.*s' matches a whole host, so there is "
                     "no label left for '$&' or '$!'",
                     STR_ARG(r->pattern_text));
    } else if (r->template->uses_rest && r->pattern.kind <= PATTERN_LITERAL) {
        diag_warning(
            diags, r->template_at, "empty-substitution",
            "'$L' is always empty here: it stands for the part of a literal that "
            "'%.*s' leaves over; '$D' is the host itself",
            STR_ARG(r->pattern_text));
    } else if (rule_loops(r)) {
        diag_warning(
            diags, r->span, "rewrite-loop",
            "this rule leads to its own pattern again: mail for '%.*s' is refused",
            STR_ARG(r->pattern_text));
    }
}

/* "[]" matches every client: where it switches, the whole world becomes trusted. */
static void check_switch(const struct snapshot *s, const struct rewrite_rule *r,
                         struct diags *diags)
{
    const struct host_entry *to = map_get(s->hosts, r->template->routing_host);

    if (r->pattern.kind != PATTERN_LITERAL_ANY || !r->template->for_clients || !to ||
        to->channel->opts.ip_switch == IP_SWITCH_NO) {
        return;
    }
    for (unsigned i = 0; i < s->channel_count; i++) {
        const struct channel *from = s->channels[i];
        if (from == to->channel || from->opts.ip_switch != IP_SWITCH_START) {
            continue;
        }
        diag_warning(diags, r->span, "switch-everybody",
                     "this rule switches every client of '%.*s' to '%.*s' and lets it "
                     "relay; $F keeps it to recipients, or put noswitchchannel on '%.*s'",
                     STR_ARG(from->name), STR_ARG(to->channel->name),
                     STR_ARG(to->channel->name));
        return;
    }
}

struct channel_check {
    const struct snapshot *snapshot;
    struct diags *diags;
};

static void check_channel(void *arg, str channel, struct span at)
{
    const struct channel_check *c = arg;

    if (!map_get(c->snapshot->channels_by_name, channel)) {
        diag_warning(c->diags, at, "unknown-channel", "channel '%.*s' does not exist",
                     STR_ARG(channel));
    }
}

void rewrite_check_hosts(const struct snapshot *s, struct nearest_budget *nearest,
                         struct diags *diags)
{
    struct channel_check channels = {s, diags};

    for (const struct rewrite_rule *r = rewrite_first(s->rules); r; r = r->next) {
        check_routing_host(s, r, nearest, diags);
        check_behaviour(r, diags);
        check_switch(s, r, diags);
        template_channels(r->template, r->template_at, check_channel, &channels);
    }
    for (size_t i = 0; s->rules && i < map_count(s->rules->by_pattern); i++) {
        const struct rule_list *list = map_at(s->rules->by_pattern, i, NULL);
        check_equal_rules(list->first, diags);
    }
}

/* ---- looking up ---------------------------------------------------------------- */

struct lookup {
    const struct snapshot *snapshot;
    struct template_input input;
    struct rewrite_trace *trace;
    struct arena *arena;
};

static void trace_add(struct lookup *l, str probe, const struct rewrite_rule *rule,
                      str outcome)
{
    if (!l->trace) {
        return;
    }
    struct route_step *step = arena_new_of(l->arena, struct route_step);
    step->probe = arena_str(l->arena, probe);
    step->rule = rule ? rule->span : SPAN_NONE;
    step->template = rule ? rule->template_text : STR("");
    step->outcome = outcome;
    *l->trace->end = step;
    l->trace->end = &step->next;
}

/* True for what must not go into an envelope or a log line as it is. */
static bool has_bad_character(str text, bool quotes)
{
    bool quoted = false;

    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c < ' ' || c >= 0x7f || (c == ' ' && !quoted)) {
            return true;
        }
        if (quotes && c == '\\') {
            i++;
        } else if (quotes && c == '"') {
            quoted = !quoted;
        }
    }
    return quoted;
}

/* Why the result of a template is no address, or NULL. An empty user is left to the
 * caller: the IP switch rewrites a literal without one. */
static const char *result_fault(const struct template_output *out, bool repeat)
{
    if (out->domain.len == 0) {
        return "an empty domain";
    }
    if (!repeat && out->routing_host.len == 0) {
        return "an empty routing host";
    }
    if (has_bad_character(out->user, true)) {
        return "a local part with a blank, a control character or an open quote";
    }
    if (has_bad_character(out->domain, false) ||
        has_bad_character(out->routing_host, false)) {
        return "a host with a blank or a control character";
    }
    if (!domain_name_ok(out->domain) && !domain_literal_ok(out->domain)) {
        return "a domain that is no host name";
    }
    return NULL;
}

static void rule_done(const struct rewrite_rule *rule, const struct template_output *made,
                      struct rewrite_found *out)
{
    bool repeat = rule->template->form == TEMPLATE_REPEAT;
    const char *fault = result_fault(made, repeat);

    out->rule = rule;
    out->user = made->user;
    out->domain = made->domain;
    out->routing_host = made->routing_host;
    out->result = repeat ? REWRITE_REPEAT : REWRITE_DONE;
    if (fault) {
        out->result = REWRITE_BAD;
        out->reason = str_from(fault);
    }
}

/* Tries the rules of one probe in file order; false when none applies. */
static bool try_rules(struct lookup *l, struct pattern_probe *p,
                      struct rewrite_found *out)
{
    const struct rule_list *list =
        l->snapshot->rules ? map_get(l->snapshot->rules->by_pattern, p->key) : NULL;

    if (!list) {
        trace_add(l, p->key, NULL, STR("no rule"));
    }
    l->input.match = &p->match;
    for (const struct rewrite_rule *r = list ? list->first : NULL; r; r = r->next_equal) {
        struct template_output made;
        switch (template_run(r->template, &l->input, l->arena, &made)) {
        case TEMPLATE_FAILS:
            if (l->trace) {
                trace_add(l, p->key, r,
                          arena_printf(l->arena, "failed: %.*s", STR_ARG(made.failed)));
            }
            continue;
        case TEMPLATE_TOO_LONG:
            trace_add(l, p->key, r, STR("too long"));
            out->rule = r;
            out->result = REWRITE_BAD;
            out->reason = STR("a text that is too long");
            return true;
        case TEMPLATE_APPLIES:
            trace_add(l, p->key, r,
                      r->template->form == TEMPLATE_REPEAT ? STR("repeat")
                                                           : STR("applied"));
            rule_done(r, &made, out);
            return true;
        }
    }
    return false;
}

static str context_source(const struct snapshot *s, const struct rewrite_context *ctx)
{
    if (ctx->source) {
        return ctx->source->name;
    }
    return s->channel_count > 0 ? s->channels[0]->name : STR("");
}

void rewrite_match(const struct snapshot *s, const struct rewrite_context *ctx,
                   const struct hostspec *spec, struct rewrite_trace *trace,
                   struct arena *a, struct rewrite_found *out)
{
    struct pattern_probe probe;
    struct lookup l = {.snapshot = s,
                       .input = {.spec = spec,
                                 .envelope = ctx->form == ROUTE_ENVELOPE,
                                 .forward = ctx->direction == ROUTE_FORWARD,
                                 .source_channel = context_source(s, ctx)},
                       .trace = trace,
                       .arena = a};

    *out = (struct rewrite_found){.result = REWRITE_AS_IS};
    pattern_probe_start(&probe, spec->host);
    while (pattern_probe_next(&probe)) {
        if (try_rules(&l, &probe, out)) {
            return;
        }
    }
    /* a host of the channel table needs no rule and is not swallowed by "." */
    if (!map_get(s->hosts, spec->host)) {
        pattern_probe_all(&probe);
        if (try_rules(&l, &probe, out)) {
            return;
        }
    }
    out->user = spec->user;
    out->domain = spec->host;
    out->routing_host = spec->host;
}
