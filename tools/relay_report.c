/* relay_report: what is found for it, and the text; see relay_report.h. */
#include "tools/relay_report.h"

#include <stdio.h>

#include "tables/access.h"
#include "tools/text.h"

enum { SHOWN_MAX = 8 };

/* ---- finding ----------------------------------------------------------------------- */

/* The tables that decide; in the first two the first field is the source channel. */
static const struct {
    enum access_table table;
    bool channel_first;
} deciding[] = {{ACCESS_ORIG_SEND, true},
                {ACCESS_SEND, true},
                {ACCESS_ORIG_MAIL, false},
                {ACCESS_MAIL, false}};

/* Can the first field of the pattern be this name? What is no plain text can be all. */
static bool first_field_fits(str pattern, str name)
{
    size_t n = 0;

    while (n < pattern.len && !strchr("*%$|", pattern.ptr[n])) {
        n++;
    }
    str text = str_sub(pattern, 0, n);
    bool whole = n < pattern.len && pattern.ptr[n] == '|';
    return whole ? str_ieq(text, name) : str_istarts(name, text);
}

/* Does the entry let mail pass that the relay rule would refuse? What is thrown away
 * ($B, $V, $Z) goes nowhere. */
static bool opens(const struct mapping_view *e)
{
    bool refuses = mapping_entry_says(e, 'N') == MAPPING_SAYS_YES ||
                   mapping_entry_says(e, 'F') == MAPPING_SAYS_YES;
    return !refuses && (mapping_entry_says(e, 'Y') != MAPPING_SAYS_NOT ||
                        mapping_entry_says(e, 'H') != MAPPING_SAYS_NOT);
}

void relay_access_find(const struct snapshot *s, const struct channel *from,
                       struct arena *a, struct relay_accesses *out)
{
    *out = (struct relay_accesses){0};
    for (size_t i = 0; i < sizeof deciding / sizeof *deciding; i++) {
        const struct mapping *table =
            mapping_find(s, str_from(access_table_name(deciding[i].table)));
        if (!table) {
            continue;
        }
        struct relay_access *access = vec_add(a, &out->tables);
        access->table = table;
        for (unsigned n = 0; n < mapping_entry_count(table); n++) {
            struct mapping_view e = mapping_entry_view(table, n);
            if (deciding[i].channel_first && !first_field_fits(e.pattern, from->name)) {
                continue;
            }
            access->concern++;
            if (opens(&e)) {
                *vec_add(a, &access->open) = e;
            }
        }
    }
}

struct asking {
    const struct snapshot *s;
    struct arena *a;
    struct relay_asked *out;
};

static void add_asked(void *arg, enum template_name what, str name, struct span at)
{
    struct asking *asking = arg;
    const struct mapping *table = mapping_find(asking->s, name);

    (void)at;
    if (what == TEMPLATE_NAMES_TABLE && table) {
        *vec_add(asking->a, &asking->out->tables) = table;
    }
}

void relay_asked_find(const struct snapshot *s, const struct trust_reason *reason,
                      struct arena *a, struct relay_asked *out)
{
    struct asking asking = {s, a, out};

    *out = (struct relay_asked){0};
    if (reason->rule) {
        struct template t = rule_template(s->rules, reason->rule);
        template_names(&t, reason->at, add_asked, &asking);
        out->general = template_asks_general(&t);
    }
}

/* "service SMTP, port 25", "client address, from tcp_local". */
static str way_text(const struct trust_way *way, struct arena *a)
{
    switch (way->kind) {
    case TRUST_SERVICE:
        return arena_printf(a, "service %.*s, port %u%s", STR_ARG(way->service->name),
                            way->service->port,
                            way->service->implicit_tls ? ", TLS at once" : "");
    case TRUST_ADDRESS:
        return arena_printf(a, "client address, from %.*s", STR_ARG(way->from->name));
    case TRUST_NAME:
        return arena_printf(a, "client name, from %.*s", STR_ARG(way->from->name));
    case TRUST_PEER:
        return arena_printf(a, "verified certificate, from %.*s",
                            STR_ARG(way->from->name));
    case TRUST_TABLE:
        return arena_printf(a, "table about TLS, from %.*s", STR_ARG(way->from->name));
    default:
        return arena_printf(a, "TLS turned on, from %.*s", STR_ARG(way->from->name));
    }
}

struct span relay_way_at(const struct trust_way *way)
{
    switch (way->kind) {
    case TRUST_SERVICE:
        return way->service->span;
    case TRUST_NAME:
        return way->from->opts.ident_at;
    case TRUST_TLS:
        return way->from->opts.tlsswitchchannel_at;
    case TRUST_PEER:
        return way->from->opts.tlspeerswitchchannel_at;
    default:
        return SPAN_NONE;
    }
}

/* ---- text -------------------------------------------------------------------------- */

struct telling {
    const struct snapshot *s;
    struct arena *a;
};

static str where(const struct telling *t, struct span at)
{
    return snapshot_where(t->a, t->s, at);
}

static void print_more(const char *indent, size_t all)
{
    if (all > SHOWN_MAX) {
        printf("%sand %zu more; --json tells them\n", indent, all - SHOWN_MAX);
    }
}

static void print_entry(const struct telling *t, const struct mapping_view *e,
                        const char *more)
{
    str pattern = text_plain(t->a, e->pattern), template = text_plain(t->a, e->template);

    printf("        %.*s   %.*s   %.*s%s\n", STR_ARG(where(t, e->at)), STR_ARG(pattern),
           STR_ARG(template), more);
}

/* What to say of an entry that may or may not set the flag. */
static const char *perhaps(const struct mapping_view *e, char flag)
{
    bool asks = mapping_entry_says(e, flag) == MAPPING_SAYS_PERHAPS;
    return asks ? "   (the general database decides)" : "";
}

/* The entries by which a table that a rule calls lets clients pass. */
static void print_asked(const struct telling *t, const struct mapping *table)
{
    unsigned n = mapping_entry_count(table);
    VEC(struct mapping_view) saying = {0};

    for (unsigned i = 0; i < n; i++) {
        struct mapping_view e = mapping_entry_view(table, i);
        if (mapping_entry_says(&e, 'Y') != MAPPING_SAYS_NOT) {
            *vec_add(t->a, &saying) = e;
        }
    }
    printf("      if table %.*s says $Y (%.*s); of its entries, %u, these can:\n",
           STR_ARG(mapping_name(table)), STR_ARG(where(t, mapping_span(table))), n);
    for (size_t i = 0; i < saying.n && i < SHOWN_MAX; i++) {
        print_entry(t, &saying.at[i], perhaps(&saying.at[i], 'Y'));
    }
    print_more("        ", saying.n);
}

static void print_reason(const struct telling *t, const struct trust_reason *r)
{
    struct relay_asked asked;

    printf("    %.*s   %.*s%s%.*s\n", STR_ARG(where(t, r->at)),
           STR_ARG(text_plain(t->a, r->pattern)), r->template.len > 0 ? "   " : "",
           STR_ARG(text_plain(t->a, r->template)));
    relay_asked_find(t->s, r, t->a, &asked);
    for (size_t i = 0; i < asked.tables.n; i++) {
        print_asked(t, asked.tables.at[i]);
    }
    if (asked.general) {
        printf("      what the general database has for the key is put in\n");
    }
    if (r->computed) {
        printf("      whether it leads here is decided for each %s\n",
               r->rule ? "address" : "client");
    }
    if (r->everybody) {
        printf("      THIS MATCHES EVERY CLIENT: everybody may relay\n");
    }
}

static void print_way(const struct telling *t, const struct trust_way *way)
{
    const char *trust = !way->trusted    ? "not trusted"
                        : !way->stranger ? "trusted"
                                         : "as before";
    struct span at = relay_way_at(way);
    str place =
        at.source != 0
            ? arena_printf(t->a, " (%.*s)", STR_ARG(text_column(t->a, t->s->sources, at)))
            : STR("");

    printf("  %-12s  %.*s%.*s\n", trust, STR_ARG(way_text(way, t->a)), STR_ARG(place));
    for (size_t i = 0; i < way->reasons.n && i < SHOWN_MAX; i++) {
        print_reason(t, &way->reasons.at[i]);
    }
    print_more("    ", way->reasons.n);
}

static void print_access(const struct telling *t, const struct relay_access *access)
{
    printf(
        "  table         %.*s (%.*s) decides before the relay rule\n"
        "      entries that can match mail from here: %u; that accept it ($Y, $H): %zu\n",
        STR_ARG(mapping_name(access->table)),
        STR_ARG(where(t, mapping_span(access->table))), access->concern, access->open.n);
    for (size_t i = 0; i < access->open.n && i < SHOWN_MAX; i++) {
        print_entry(t, &access->open.at[i], perhaps(&access->open.at[i], 'Y'));
    }
    print_more("        ", access->open.n);
}

static void print_channel(const struct telling *t, const struct trust_channel *c)
{
    struct relay_accesses access;

    printf("\nchannel %.*s (%.*s)\n", STR_ARG(c->channel->name),
           STR_ARG(where(t, c->channel->span)));
    for (size_t i = 0; i < c->ways.n; i++) {
        print_way(t, &c->ways.at[i]);
    }
    relay_access_find(t->s, c->channel, t->a, &access);
    for (size_t i = 0; i < access.tables.n; i++) {
        print_access(t, &access.tables.at[i]);
    }
}

static void print_ours(const struct telling *t)
{
    size_t domains = map_count(t->s->localdomains);

    printf("\nOURS: from everybody mail is taken for\n");
    printf("  the domains in localdomains: %zu\n", domains);
    for (size_t i = 0; i < domains && i < SHOWN_MAX; i++) {
        str domain;
        const struct span *at = map_at(t->s->localdomains, i, &domain);
        printf("    %.*s   %.*s\n", STR_ARG(where(t, *at)), STR_ARG(domain));
    }
    print_more("    ", domains);
    for (unsigned i = 0; i < t->s->channel_count; i++) {
        const struct channel *c = t->s->channels[i];
        if (c->final) {
            printf("  what leads to channel %.*s (%.*s), where it is %s\n",
                   STR_ARG(c->name), STR_ARG(where(t, c->span)),
                   c->type == CHANNEL_BITBUCKET ? "deleted" : "delivered");
        }
    }
}

void relay_report_text(const struct snapshot *s, struct arena *a)
{
    struct telling t = {s, a};
    struct trust trust;
    unsigned told = 0;

    trust_find(s, a, &trust);
    printf("\nWHO MAY RELAY: by channel, how sessions come to it, and whether the client "
           "is trusted\nthen, that is, may send wherever the rules lead\n");
    for (unsigned i = 0; i < s->channel_count; i++) {
        if (trust.channels[i].ways.n > 0) {
            print_channel(&t, &trust.channels[i]);
            told++;
        }
    }
    if (told == 0) {
        printf("\nno session comes to any channel: there is no service\n");
    }
    print_ours(&t);
}
