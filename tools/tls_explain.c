/* tls explain: the TLS policy for an address, a channel or a connection: each field, and
 * where it comes from. */
#include "tables/recipient.h"
#include "tables/tls_audit.h"
#include "tools/addresses.h"
#include "tools/configuration.h"
#include "tools/record.h"
#include "tools/setting.h"
#include "tools/text.h"
#include "tools/tls_report.h"
#include "tools/tls_telling.h"

/* ---- one field --------------------------------------------------------------------- */

const char *telling_from(const struct telling *t, struct span at)
{
    return setting_from_name(setting_of(t->s, t->channel, at, "").from);
}

static const char *from_name(const struct telling *t, struct span at, bool mapped)
{
    return mapped ? TLS_CLIENT_POLICY : telling_from(t, at);
}

static str place_text(const struct telling *t, struct span at)
{
    return at.source == 0 ? STR("") : snapshot_where(t->arena, t->s, at);
}

void telling_field(const struct telling *t, const char *name, str value, struct span at,
                   const char *from)
{
    if (t->out) {
        record_open(t->out, name, '{');
        record_str(t->out, "value", value);
        record_str(t->out, "from", str_from(from));
        record_place(t->out, "at", t->s->sources, at);
        record_close(t->out, '}');
        return;
    }
    str where = place_text(t, at);
    printf("  %-16s %-28.*s %s%s%.*s%s\n", name, STR_ARG(value), from,
           where.len > 0 ? " (" : "", STR_ARG(where), where.len > 0 ? ")" : "");
}

static void tell_field(const struct telling *t, enum tls_field f, str value,
                       struct span at)
{
    telling_field(t, tls_field_name(f), value, at, from_name(t, at, t->answer.mapped[f]));
}

/* ---- the profile ------------------------------------------------------------------- */

/* Options that matter to a client, and what holds where nobody says anything. */
static const enum tls_option options[] = {
    TLS_OPTION_client_cert,     TLS_OPTION_client_key,   TLS_OPTION_ca_file,
    TLS_OPTION_ca_dir,          TLS_OPTION_ca_store,     TLS_OPTION_ca_system,
    TLS_OPTION_fingerprint,     TLS_OPTION_preset,       TLS_OPTION_protocol_min,
    TLS_OPTION_protocol_max,    TLS_OPTION_ciphers,      TLS_OPTION_ciphersuites,
    TLS_OPTION_groups,          TLS_OPTION_groups_retry, TLS_OPTION_dhe,
    TLS_OPTION_dh_params,       TLS_OPTION_provider,     TLS_OPTION_propquery,
    TLS_OPTION_session_tickets,
};

static const char *protocol_name(enum tls_protocol p)
{
    return p == TLS_PROTOCOL_1_2 ? "TLSv1.2" : "TLSv1.3";
}

/* What an option without a line comes to; NULL: nothing is set. */
static const char *derived(const struct tls_profile *p, enum tls_option o)
{
    static const char *const presets[] = {"intermediate", "modern", "old"};
    static const char *const fails[] = {"reject", "tempfail", "note"};
    switch (o) {
    case TLS_OPTION_ca_system:
        return p->ca_system ? "yes" : "no";
    case TLS_OPTION_preset:
        return presets[p->preset];
    case TLS_OPTION_protocol_min:
        return protocol_name(p->protocol_min);
    case TLS_OPTION_protocol_max:
        return protocol_name(p->protocol_max);
    case TLS_OPTION_dhe:
        return p->dhe ? "yes" : "no";
    case TLS_OPTION_send_ca_names:
        return p->send_ca_names ? "yes" : "no";
    case TLS_OPTION_peer_fail:
        return fails[p->peer_fail];
    case TLS_OPTION_session_tickets:
        return p->session_tickets ? "yes" : "no";
    default:
        return NULL;
    }
}

static bool follows_preset(enum tls_option o)
{
    return o == TLS_OPTION_protocol_min || o == TLS_OPTION_protocol_max ||
           o == TLS_OPTION_dhe;
}

/* The section in which the line stands that p has the setting from. */
static const struct tls_profile *section_of(const struct tls_profile *p,
                                            enum tls_option o)
{
    while (p->parent != NULL &&
           p->parent->settings[o].at.source == p->settings[o].at.source &&
           p->parent->settings[o].at.offset == p->settings[o].at.offset) {
        p = p->parent;
    }
    return p;
}

/* Paths in the configuration folder without it. */
static str shown(const struct telling *t, str text)
{
    str folder = t->s->directory;
    bool inside =
        str_starts(text, folder) && text.len > folder.len && text.ptr[folder.len] == '/';
    return text_plain(t->arena, inside ? str_from_pos(text, folder.len + 1) : text);
}

void telling_option(const struct telling *t, const struct tls_profile *p,
                    enum tls_option o)
{
    const struct tls_setting *set = &p->settings[o];
    const char *name = tls_option_name(o), *value = derived(p, o);
    if (set->at.source == 0) {
        bool preset = follows_preset(o) && p->settings[TLS_OPTION_preset].at.source != 0;
        if (value != NULL) {
            telling_field(t, name, str_from(value),
                          preset ? p->settings[TLS_OPTION_preset].at : SPAN_NONE,
                          preset ? "preset" : "built in");
        }
        return;
    }
    str from = arena_printf(t->arena, "[%.*s]", STR_ARG(section_of(p, o)->name));
    str all = set->items == NULL ? STR("none") : STR("");
    for (const struct tls_item *i = set->items; i != NULL; i = i->next) {
        all = arena_printf(t->arena, "%.*s%s%.*s", STR_ARG(all), all.len > 0 ? ", " : "",
                           STR_ARG(shown(t, i->text)));
    }
    telling_field(t, name, value != NULL ? str_from(value) : all, set->at,
                  arena_str(t->arena, from).ptr);
}

/* ---- the policy -------------------------------------------------------------------- */

static void tell_weakest(const struct telling *t)
{
    const struct tls_policy *p = &t->answer.policy;
    str name = str_from(tls_outcome_name(tls_outcome_of(p)));
    if (t->out) {
        record_str(t->out, "weakest", name);
    } else {
        printf("  %-16s %.*s\n", "weakest", STR_ARG(name));
    }
}

static void tell_pinned(const struct telling *t)
{
    const struct tls_client_answer *a = &t->answer;
    if (a->pinned || t->out) {
        telling_field(t, "pinned", a->pinned ? STR("yes") : STR("no"), a->pinned_at,
                      a->pinned ? TLS_CLIENT_POLICY : "built in");
    }
}

/* Where it cannot be, the field that forbids it is its place. */
static void tell_fallback(const struct telling *t)
{
    const struct tls_policy *p = &t->answer.policy;
    bool level = p->level != TLS_LEVEL_MAY;
    enum tls_field f = !p->fallback || tls_policy_falls_back(p) ? TLS_FIELD_FALLBACK
                       : level                                  ? TLS_FIELD_LEVEL
                                                                : TLS_FIELD_VERIFY;
    struct span at = f == TLS_FIELD_FALLBACK ? p->fallback_at
                     : level                 ? p->level_at
                                             : p->verify_at;
    telling_field(t, tls_field_name(TLS_FIELD_FALLBACK),
                  tls_policy_falls_back(p) ? STR("yes") : STR("no"), at,
                  from_name(t, at, t->answer.mapped[f]));
}

/* Not of the policy: it is what a channel does beside it. */
static void tell_remember(const struct telling *t)
{
    uint32_t seconds = t->channel->opts.tlsremember;
    struct span at = t->channel->opts.tlsremember_at;
    if (seconds > 0) {
        char text[32];
        int n = snprintf(text, sizeof text, "%u s", (unsigned)seconds);
        telling_field(t, "remember", str_n(text, (size_t)n), at, from_name(t, at, false));
    }
}

static void tell_policy(const struct telling *t)
{
    const struct tls_policy *p = &t->answer.policy;
    tell_field(t, TLS_FIELD_LEVEL, str_from(tls_level_name(p->level)), p->level_at);
    telling_field(t, "implicit", p->implicit ? STR("yes") : STR("no"), p->implicit_at,
                  from_name(t, p->implicit_at, false));
    tell_field(t, TLS_FIELD_VERIFY, str_from(tls_verify_name(p->verify)), p->verify_at);
    tell_fallback(t);
    tell_remember(t);
    tell_field(t, TLS_FIELD_PROFILE, p->profile->name, p->profile_at);
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        telling_option(t, p->profile, options[i]);
    }
    tell_pinned(t);
    tell_weakest(t);
}

static void tell_fault(struct telling *t)
{
    const struct tls_client_answer *a = &t->answer;
    if (t->out) {
        record_str(t->out, "fault", a->fault);
        record_place(t->out, "fault_at", t->s->sources, a->fault_at);
    } else {
        printf("  nothing is sent: %.*s: %.*s\n", STR_ARG(place_text(t, a->fault_at)),
               STR_ARG(a->fault));
    }
    t->code = TOOL_NO;
}

/* ---- an address -------------------------------------------------------------------- */

static void tell_leaf(struct telling *t, const struct recipient_leaf *leaf)
{
    const struct tool_options *o = &t->in->options;
    const struct route *r = &leaf->route;
    struct record record;
    str to = address_print(t->arena, &r->address);
    str host = route_next_hop(r->channel, &r->address);
    bool leaves = tls_channel_sends(r->channel);
    t->channel = r->channel;
    t->out = NULL;
    if (o->json) {
        record_begin(&record);
        t->out = &record;
        record_str(&record, "recipient", to);
        record_str(&record, "channel", r->channel->name);
        record_str(&record, "host", leaves ? host : STR_NONE);
        record_bool(&record, "leaves", leaves);
    } else {
        printf("%.*s\n  %-16s %.*s\n", STR_ARG(text_plain(t->arena, to)), "channel",
               STR_ARG(r->channel->name));
        if (leaves) {
            printf("  %-16s %.*s\n", "next hop", STR_ARG(host));
        } else {
            puts("  it stays here");
        }
    }
    struct tls_client_query q = {.snapshot = t->s,
                                 .channel = r->channel,
                                 .domain = host,
                                 .mx = str_from(o->mx ? o->mx : ""),
                                 .ip = str_from(o->ip ? o->ip : "")};
    if (leaves && !tls_client_policy(&q, t->arena, &t->answer)) {
        tell_fault(t);
    } else if (leaves) {
        tell_policy(t);
    }
    if (o->json) {
        record_print(&record);
    }
}

static int explain_address(struct telling *t, const char *written)
{
    const struct tool_options *o = &t->in->options;
    struct recipient_request q = {
        .snapshot = t->s, .source = t->s->channels[0], .trusted = true};
    struct recipient_answer r;
    const char *reason = address_read(str_from(written), &q.to);
    if (reason) {
        fprintf(stderr, "pointsman: the address '%s' %s\n", written, reason);
        return TOOL_USAGE;
    }
    if (o->source_channel) {
        q.source = channel_given(t->s, o->source_channel);
    }
    if (!q.source) {
        return TOOL_USAGE;
    }
    if (recipient_resolve(&q, t->arena, &r) != RECIPIENT_TAKEN) {
        fprintf(stderr, "pointsman: mail to '%s' is refused: %.*s\n", written,
                STR_ARG(text_plain(t->arena, r.reply.text)));
        return TOOL_NO;
    }
    for (unsigned i = 0; i < r.leaf_count; i++) {
        tell_leaf(t, &r.leaves[i]);
    }
    return t->code;
}

/* ---- a channel --------------------------------------------------------------------- */

/* What the channel says by itself; the table is asked for next hops. */
static int explain_channel(struct telling *t)
{
    struct record record;
    t->channel = channel_given(t->s, t->in->options.channel);
    if (!t->channel) {
        return TOOL_USAGE;
    }
    t->answer = (struct tls_client_answer){.policy = t->channel->tls_client};
    if (t->in->options.json) {
        record_begin(&record);
        t->out = &record;
        record_str(&record, "channel", t->channel->name);
        record_bool(&record, "leaves", tls_channel_sends(t->channel));
    } else {
        printf("%.*s\n", STR_ARG(t->channel->name));
    }
    if (tls_channel_sends(t->channel)) {
        tell_policy(t);
    } else if (!t->out) {
        puts("  what goes there stays here");
    }
    if (!t->out && t->s->tls_client && tls_channel_sends(t->channel)) {
        puts("  " TLS_CLIENT_POLICY
             " may say something else for a next hop: 'tls explain "
             "ADDRESS', 'tls audit'");
    }
    if (t->channel->type == CHANNEL_TCP) {
        telling_server(t);
    }
    if (t->out) {
        record_print(&record);
    }
    return TOOL_OK;
}

int tls_explain(const struct invocation *in)
{
    struct configuration c;
    bool address = in->arg_count == 2;
    if (in->arg_count > 2 || address == (in->options.channel != NULL)) {
        fputs("pointsman: tls explain takes an address, or --channel\n", stderr);
        return TOOL_USAGE;
    }
    if (in->options.mx && !in->options.ip) {
        fputs("pointsman: --mx needs --ip: a connection has both\n", stderr);
        return TOOL_USAGE;
    }
    if (!configuration_need(&c, in)) {
        return TOOL_USAGE;
    }
    struct telling t = {
        .in = in, .c = &c, .s = c.snapshot, .arena = c.arena, .code = TOOL_OK};
    int code = address ? explain_address(&t, in->args[1]) : explain_channel(&t);
    configuration_free(&c);
    return code;
}
