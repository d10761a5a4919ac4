/* relay_report as JSON; the members are told in pointsman.1. */
#include "tools/record.h"
#include "tools/relay_report.h"

static void record_at(const struct snapshot *s, struct record *out, struct span at)
{
    record_place(out, "at", s->sources, at);
}

static void record_entry(const struct snapshot *s, struct record *out,
                         const struct mapping_view *e)
{
    record_open(out, NULL, '{');
    record_str(out, "pattern", e->pattern);
    record_str(out, "template", e->template);
    record_at(s, out, e->at);
    record_close(out, '}');
}

static void record_asked(const struct snapshot *s, struct record *out,
                         const struct mapping *table)
{
    record_open(out, NULL, '{');
    record_str(out, "table", mapping_name(table));
    record_at(s, out, mapping_span(table));
    record_open(out, "yes", '[');
    for (unsigned i = 0; i < mapping_entry_count(table); i++) {
        struct mapping_view e = mapping_entry_view(table, i);
        if (mapping_entry_says(&e, 'Y') != MAPPING_SAYS_NOT) {
            record_entry(s, out, &e);
        }
    }
    record_close(out, ']');
    record_close(out, '}');
}

static void record_reason(const struct snapshot *s, struct arena *a, struct record *out,
                          const struct trust_reason *r)
{
    struct relay_asked asked;

    relay_asked_find(s, r, a, &asked);
    record_open(out, NULL, '{');
    record_str(out, "pattern", r->pattern);
    record_str(out, "template", r->template.len > 0 ? r->template : STR_NONE);
    record_at(s, out, r->at);
    record_bool(out, "everybody", r->everybody);
    record_bool(out, "computed", r->computed);
    record_bool(out, "general", asked.general);
    record_open(out, "asks", '[');
    for (size_t i = 0; i < asked.tables.n; i++) {
        record_asked(s, out, asked.tables.at[i]);
    }
    record_close(out, ']');
    record_close(out, '}');
}

static void record_way(const struct snapshot *s, struct arena *a, struct record *out,
                       const struct trust_way *way)
{
    static const char *const kinds[] = {
        [TRUST_SERVICE] = "service",  [TRUST_ADDRESS] = "address",
        [TRUST_NAME] = "name",        [TRUST_TLS] = "tls",
        [TRUST_PEER] = "certificate", [TRUST_TABLE] = "tls_table"};

    record_open(out, NULL, '{');
    record_str(out, "by", str_from(kinds[way->kind]));
    record_str(out, "service", way->service ? way->service->name : STR_NONE);
    record_str(out, "from", way->from ? way->from->name : STR_NONE);
    record_at(s, out, relay_way_at(way));
    record_bool(out, "trusted", way->trusted);
    record_bool(out, "not_trusted", way->stranger);
    record_open(out, "rules", '[');
    for (size_t i = 0; i < way->reasons.n; i++) {
        record_reason(s, a, out, &way->reasons.at[i]);
    }
    record_close(out, ']');
    record_close(out, '}');
}

static void record_access(const struct snapshot *s, struct record *out,
                          const struct relay_access *access)
{
    record_open(out, NULL, '{');
    record_str(out, "table", mapping_name(access->table));
    record_at(s, out, mapping_span(access->table));
    record_uint(out, "entries", access->concern);
    record_open(out, "open", '[');
    for (size_t i = 0; i < access->open.n; i++) {
        record_entry(s, out, &access->open.at[i]);
    }
    record_close(out, ']');
    record_close(out, '}');
}

static void print_channel(const struct snapshot *s, struct arena *a,
                          const struct trust_channel *c)
{
    struct record out;
    struct relay_accesses access;

    relay_access_find(s, c->channel, a, &access);
    record_begin(&out);
    record_str(&out, "channel", c->channel->name);
    record_at(s, &out, c->channel->span);
    record_bool(&out, "trusted", c->trusted);
    record_bool(&out, "not_trusted", c->stranger);
    record_open(&out, "ways", '[');
    for (size_t i = 0; i < c->ways.n; i++) {
        record_way(s, a, &out, &c->ways.at[i]);
    }
    record_close(&out, ']');
    record_open(&out, "access_tables", '[');
    for (size_t i = 0; i < access.tables.n; i++) {
        record_access(s, &out, &access.tables.at[i]);
    }
    record_close(&out, ']');
    record_print(&out);
}

static void print_ours(const struct snapshot *s)
{
    struct record out;

    record_begin(&out);
    record_open(&out, "ours", '{');
    record_open(&out, "domains", '[');
    for (size_t i = 0; i < map_count(s->localdomains); i++) {
        str domain;
        const struct span *at = map_at(s->localdomains, i, &domain);
        record_open(&out, NULL, '{');
        record_str(&out, "domain", domain);
        record_at(s, &out, *at);
        record_close(&out, '}');
    }
    record_close(&out, ']');
    record_open(&out, "channels", '[');
    for (unsigned i = 0; i < s->channel_count; i++) {
        if (s->channels[i]->final) {
            record_str(&out, NULL, s->channels[i]->name);
        }
    }
    record_close(&out, ']');
    record_close(&out, '}');
    record_print(&out);
}

void relay_report_json(const struct snapshot *s, struct arena *a)
{
    struct trust trust;

    trust_find(s, a, &trust);
    for (unsigned i = 0; i < s->channel_count; i++) {
        if (trust.channels[i].ways.n > 0) {
            print_channel(s, a, &trust.channels[i]);
        }
    }
    print_ours(s);
}
