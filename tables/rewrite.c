/* rewrite: compiling the rules, and looking one host spec up. */
#include "tables/rewrite.h"

#include "base/check.h"

/* ---- compiling ----------------------------------------------------------------- */

struct compiling {
    struct rule_builder *builder;
    struct arena *scratch; /* what the table copies */
    struct diags *diags;
};

static bool pattern_compile(struct compiling *c, const struct ast_rule *written,
                            struct pattern *out)
{
    str reason;

    if (pattern_parse(c->scratch, written->pattern, out, &reason)) {
        return true;
    }
    diag_error(c->diags, written->pattern_at, "pattern-bad", "bad pattern '%.*s': %.*s",
               STR_ARG(written->pattern), STR_ARG(reason));
    return false;
}

/* A template that was parsed before is not parsed again: sites repeat a few templates
 * over all their rules. One with something to say is not kept for sharing. */
static bool template_compile(struct compiling *c, const struct ast_rule *written,
                             uint32_t *index)
{
    struct template t;
    unsigned before = diags_warnings(c->diags);

    if (rule_builder_knows(c->builder, written->template, index)) {
        return true;
    }
    if (!template_parse(c->scratch, written->template, written->template_at, c->diags,
                        &t)) {
        return false;
    }
    *index = rule_builder_keep(c->builder, &t, diags_warnings(c->diags) == before);
    return true;
}

static void rule_compile(struct compiling *c, const struct ast_rule *written)
{
    struct arena_mark mark = arena_mark(c->scratch);
    struct rule_places at = {written->pattern_at, written->template_at};
    struct pattern pattern;
    uint32_t template;
    bool good = pattern_compile(c, written, &pattern);

    good = template_compile(c, written, &template) && good;
    if (good) {
        rule_builder_add(c->builder, &pattern, template, &at);
    }
    arena_reset(c->scratch, mark);
}

struct rule_table *rewrite_compile(struct snapshot *s, const struct ast_rule *rules,
                                   struct diags *diags)
{
    struct compiling c = {rule_builder_new(), arena_new(), diags};

    s->rule_count = 0;
    for (const struct ast_rule *r = rules; r; r = r->next) {
        rule_compile(&c, r);
        s->rule_count++;
    }
    arena_free(&c.scratch);
    return rule_builder_finish(&c.builder, s->arena);
}

/* ---- looking up ---------------------------------------------------------------- */

struct lookup {
    const struct rewrite_query *query;
    const struct rule_table *table;
    struct template_input input;
};

static void trace_add(struct lookup *l, str probe, const struct rule_record *rule,
                      str outcome)
{
    const struct rewrite_query *q = l->query;

    if (!q->trace) {
        return;
    }
    struct route_step *step = arena_new_of(q->arena, struct route_step);
    step->probe =
        arena_printf(q->arena, "%.*s%.*s", STR_ARG(q->state->tag), STR_ARG(probe));
    step->rule = rule ? rule_span(rule) : SPAN_NONE;
    step->template = rule ? rule_template(l->table, rule).text : STR("");
    step->outcome = outcome;
    *q->trace->end = step;
    q->trace->end = &step->next;
}

static void trace_failure(struct lookup *l, str probe, const struct rule_record *rule,
                          str what)
{
    if (l->query->trace) {
        trace_add(l, probe, rule,
                  arena_printf(l->query->arena, "failed: %.*s", STR_ARG(what)));
    }
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
static const char *result_fault(const struct template_output *out)
{
    if (out->domain.len == 0) {
        return "an empty domain";
    }
    if (out->form != TEMPLATE_REPEAT && out->routing_host.len == 0) {
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
    bool routed = out->form == TEMPLATE_ROUTED || out->form == TEMPLATE_VIA;
    if (routed && !domain_name_ok(out->source_route) &&
        !domain_literal_ok(out->source_route)) {
        return "a source route that is no host name";
    }
    return NULL;
}

/* A rule that applies leaves its tag and its error text behind. */
static void state_take(struct rewrite_state *state, const struct template_output *made)
{
    if (made->tag.ptr) {
        state->tag = made->tag;
    }
    if (made->error.ptr) {
        state->error = made->error;
        memcpy(state->status, made->status, sizeof state->status);
    }
}

static void rule_done(const struct lookup *l, const struct rule_record *rule,
                      const struct template_output *made, struct rewrite_found *out)
{
    out->rule = rule;
    state_take(l->query->state, made);
    if (made->form == TEMPLATE_AS_IS) {
        return; /* out holds the host spec */
    }
    const char *fault = result_fault(made);
    out->user = made->user;
    out->domain = made->domain;
    out->routing_host = made->routing_host;
    out->source_route = made->source_route;
    out->result = made->form == TEMPLATE_REPEAT ? REWRITE_REPEAT : REWRITE_DONE;
    if (fault) {
        out->result = REWRITE_BAD;
        out->reason = str_from(fault);
    }
}

static void rule_bad(const struct rule_record *rule, const char *reason,
                     struct rewrite_found *out)
{
    out->rule = rule;
    out->result = REWRITE_BAD;
    out->reason = str_from(reason);
}

/* Applies one rule; false when it fails. */
static bool try_rule(struct lookup *l, str probe, const struct rule_record *rule,
                     struct rewrite_found *out)
{
    struct template t = rule_template(l->table, rule);
    struct template_output made;

    switch (template_run(&t, &l->input, l->query->arena, &made)) {
    case TEMPLATE_FAILS:
        trace_failure(l, probe, rule, made.failed);
        return false;
    case TEMPLATE_TOO_LONG:
        trace_failure(l, probe, rule, STR("too long"));
        rule_bad(rule, "a text that is too long", out);
        return true;
    case TEMPLATE_BAD_FORM:
        trace_failure(l, probe, rule, STR("form"));
        rule_bad(rule, "a template of no known form with what its call-out answered",
                 out);
        return true;
    case TEMPLATE_APPLIES:
        break;
    }
    trace_add(l, probe, rule,
              made.form == TEMPLATE_REPEAT ? STR("repeat") : STR("applied"));
    rule_done(l, rule, &made, out);
    return true;
}

/* Tries the rules of one probe in file order; false when none applies. */
static bool try_rules(struct lookup *l, struct pattern_probe *p,
                      struct rewrite_found *out)
{
    uint32_t number = rule_table_find(l->table, l->query->state->tag, p->key);

    if (number == 0) {
        trace_add(l, p->key, NULL, STR("no rule"));
    }
    l->input.match = &p->match;
    while (number != 0) {
        const struct rule_record *rule = rule_table_at(l->table, number);
        if (try_rule(l, p->key, rule, out)) {
            return true;
        }
        number = rule->next_equal;
    }
    return false;
}

/* The source channel for $M and $N; with `norules` they are passed over (PMDF 2.2.6.10).
 */
static const struct channel *tested_source(const struct rewrite_query *q)
{
    const struct snapshot *s = q->snapshot;
    const struct channel *c = q->ctx->source;

    if (!c && s->channel_count > 0) {
        c = s->channels[0];
    }
    return c && !c->opts.norules ? c : NULL;
}

/* The destination channel for $Q and $C: nobody knows it while an envelope To is being
 * rewritten (PMDF 2.2.6.11). */
static const struct channel *tested_destination(const struct rewrite_query *q)
{
    const struct channel *c = q->ctx->destination;
    bool known = q->ctx->form != ROUTE_ENVELOPE || q->ctx->direction != ROUTE_FORWARD;

    return c && known && !c->opts.norules ? c : NULL;
}

static void lookup_start(struct lookup *l, const struct rewrite_query *q,
                         struct rewrite_found *out)
{
    l->query = q;
    l->table = q->snapshot->rules;
    l->input = (struct template_input){
        .snapshot = q->snapshot,
        .spec = q->spec,
        .address = q->address,
        .envelope = q->ctx->form == ROUTE_ENVELOPE,
        .forward = q->ctx->direction == ROUTE_FORWARD,
        .source = tested_source(q),
        .destination = tested_destination(q),
    };
    *out = (struct rewrite_found){.result = REWRITE_AS_IS,
                                  .user = q->spec->user,
                                  .domain = q->spec->host,
                                  .routing_host = q->spec->host,
                                  .source_route = STR("")};
}

static bool try_any(struct lookup *l, struct pattern_probe *probe, enum pattern_kind kind,
                    struct rewrite_found *out)
{
    pattern_probe_any(probe, kind);
    return try_rules(l, probe, out);
}

void rewrite_match(const struct rewrite_query *q, struct rewrite_found *out)
{
    struct pattern_probe probe;
    struct lookup l;

    lookup_start(&l, q, out);
    if (!l.table) {
        return;
    }
    probe.match.spec = q->spec->host;
    if (rule_table_find(l.table, q->state->tag, STR("$*")) != 0 &&
        try_any(&l, &probe, PATTERN_FIRST, out)) {
        return;
    }
    pattern_probe_start(&probe, q->spec->host, l.table->stars || q->trace);
    while (pattern_probe_next(&probe)) {
        if (try_rules(&l, &probe, out)) {
            return;
        }
    }
    /* a host of the channel table needs no rule and is not swallowed by "." */
    if (!map_get(q->snapshot->hosts, q->spec->host)) {
        try_any(&l, &probe, PATTERN_ALL, out);
    }
}

bool rewrite_match_special(const struct rewrite_query *q, enum pattern_kind kind,
                           struct rewrite_found *out)
{
    struct pattern_probe probe;
    struct lookup l;

    lookup_start(&l, q, out);
    probe.match.spec = q->spec->host;
    return l.table &&
           rule_table_find(l.table, q->state->tag,
                           kind == PATTERN_PERCENT ? STR("$%") : STR("$!")) &&
           try_any(&l, &probe, kind, out);
}
