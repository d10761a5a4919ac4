/* route_fixture: see the header. */
#include "test/unit/route_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/vec.h"
#include "parser/channel_opts.h"
#include "tables/lint.h"

struct builder {
    struct fixture *f;
    uint32_t source;
    str text;
    VEC(struct channel *) channels;
};

static struct span span_of(const struct builder *b, str part)
{
    return (struct span){b->source, (uint32_t)(part.ptr - b->text.ptr),
                         (uint32_t)part.len};
}

static struct ast_rule *build_rules(struct builder *b, str *text)
{
    struct ast_rule *first = NULL, **end = &first;
    str line;

    while (str_split(text, '\n', &line) && line.len > 0) {
        struct ast_rule *r = arena_new_of(b->f->arena, struct ast_rule);
        str rest = line;
        assert_true(str_word(&rest, &r->pattern));
        assert_true(str_word(&rest, &r->template));
        r->pattern_at = span_of(b, r->pattern);
        r->template_at = span_of(b, r->template);
        *end = r;
        end = &r->next;
    }
    return first;
}

/* A word about copies for the postmaster. */
static bool build_post(struct channel *c, str word)
{
    static const struct {
        const char *prefix;
        enum post_mode mode;
    } modes[] = {
        {"copy", POST_COPY}, {"err", POST_ERROR}, {"no", POST_NEVER}, {"", POST_ALWAYS}};
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        str prefix = str_from(modes[i].prefix);
        str rest = str_starts(word, prefix) ? str_from_pos(word, prefix.len) : STR("");
        if (str_eq(rest, STR("sendpost"))) {
            c->opts.send_post = modes[i].mode;
            return true;
        }
        if (str_eq(rest, STR("warnpost"))) {
            c->opts.warn_post = modes[i].mode;
            return true;
        }
    }
    return false;
}

static void build_word(struct builder *b, struct channel *c, str word)
{
    if (str_eq(word, STR("switchchannel"))) {
        c->opts.ip_switch = IP_SWITCH_START;
    } else if (str_eq(word, STR("noswitchchannel"))) {
        c->opts.ip_switch = IP_SWITCH_NO;
    } else if (str_eq(word, STR("identnonelimited"))) {
        c->opts.ident = IDENT_LIMITED;
    } else if (str_eq(word, STR("identnonenumeric"))) {
        c->opts.ident = IDENT_NUMERIC;
    } else if (str_eq(word, STR("identnonesymbolic"))) {
        c->opts.ident = IDENT_SYMBOLIC;
    } else if (str_starts(word, STR("daemon="))) {
        c->opts.daemon = str_from_pos(word, 7);
    } else if (str_starts(word, STR("tls="))) {
        c->opts.tlsswitchchannel = str_from_pos(word, 4);
    } else if (str_eq(word, STR("postheadonly"))) {
        c->opts.post_header_only = true;
    } else if (!build_post(c, word)) {
        fail_msg("fixture: unknown word %.*s", STR_ARG(word));
    }
    (void)b;
}

static struct channel *build_channel(struct builder *b, str line)
{
    struct channel *c = arena_new_of(b->f->arena, struct channel);
    str word;

    assert_true(str_word(&line, &c->name));
    c->span = span_of(b, c->name);
    c->index = (unsigned)b->channels.n;
    channel_opts_init(&c->opts);
    for (unsigned i = 0; i < RETRY_CLASSES; i++) {
        c->retry[i] = retry_policy_default;
    }
    c->type = str_eq(c->name, STR("l"))           ? CHANNEL_LOCAL
              : str_eq(c->name, STR("bitbucket")) ? CHANNEL_BITBUCKET
              : str_starts(c->name, STR("tcp_"))  ? CHANNEL_TCP
                                                  : CHANNEL_UNSUPPORTED;
    c->final = c->type == CHANNEL_LOCAL || c->type == CHANNEL_BITBUCKET;
    while (str_word(&line, &word)) {
        build_word(b, c, word);
    }
    *vec_add(b->f->arena, &b->channels) = c;
    map_add(b->f->s->channels_by_name, c->name, c);
    return c;
}

static void build_host(struct builder *b, struct channel *c, str line)
{
    struct host_entry *entry = arena_new_of(b->f->arena, struct host_entry);

    entry->channel = c;
    assert_true(str_word(&line, &entry->host));
    entry->span = span_of(b, entry->host);
    if (!str_word(&line, &entry->proper_name)) {
        entry->proper_name = STR("");
    }
    if (c->official_host.len == 0) {
        c->official_host = entry->host;
        c->local_alias = entry->proper_name;
        entry->proper_name = STR("");
    }
    assert_ptr_equal(map_add(b->f->s->hosts, entry->host, entry), entry);
}

static void build_blocks(struct builder *b, str *text)
{
    struct snapshot *s = b->f->s;
    struct channel *c = NULL;
    str line;

    while (str_split(text, '\n', &line)) {
        if (line.len == 0) {
            c = NULL;
        } else if (!c) {
            c = build_channel(b, line);
        } else {
            build_host(b, c, line);
        }
    }
    s->channels = b->channels.at;
    s->channel_count = (unsigned)b->channels.n;
    assert_true(s->channel_count > 0);
    s->local_host = s->channels[0]->official_host;
    for (unsigned i = 0; i < s->channel_count; i++) {
        str name = s->channels[i]->opts.tlsswitchchannel;
        if (name.len > 0) {
            s->channels[i]->tls_switch = map_get(s->channels_by_name, name);
        }
    }
}

struct fixture fixture_new(const char *config, const char *localdomains)
{
    struct fixture f = {.arena = arena_new()};
    struct snapshot *s = f.s = arena_new_of(f.arena, struct snapshot);
    struct builder b = {.f = &f, .text = arena_str(f.arena, str_from(config))};
    str text = b.text, domain, domains;
    struct ast_rule *rules;

    s->arena = f.arena;
    s->sources = sources_new(f.arena);
    s->channels_by_name = map_new(f.arena, MAP_NOCASE);
    s->hosts = map_new(f.arena, MAP_NOCASE);
    s->localdomains = map_new(f.arena, MAP_NOCASE);
    s->general = map_new(f.arena, MAP_NOCASE);
    s->mappings = map_new(f.arena, MAP_NOCASE);
    f.diags = diags_new(f.arena, s->sources);
    b.source = sources_add(s->sources, STR("t.cnf"), STR("t.cnf"), text, SPAN_NONE);
    domains = arena_str(f.arena, str_from(localdomains ? localdomains : ""));
    while (str_word(&domains, &domain)) {
        map_add(s->localdomains, domain, arena_new_of(f.arena, struct span));
    }
    rules = build_rules(&b, &text);
    build_blocks(&b, &text);
    s->rules = rewrite_compile(s, rules, f.diags);
    struct compile c = {.s = s, .arena = f.arena, .diags = f.diags};
    lint_rules(&c);
    lint_loops(&c);
    return f;
}

void fixture_free(struct fixture *f)
{
    arena_free(&f->arena);
}

const struct channel *fixture_channel(const struct fixture *f, const char *name)
{
    const struct channel *c = map_get(f->s->channels_by_name, str_from(name));

    if (!c) {
        fail_msg("fixture: no channel %s", name);
    }
    return c;
}

struct address fixture_address(const char *text)
{
    struct address out;
    const char *reason = address_parse(str_from(text), &out);

    if (reason) {
        fail_msg("fixture: %s: %s", text, reason);
    }
    return out;
}

const char *fixture_route(const struct fixture *f, const char *source,
                          const char *address)
{
    struct rewrite_context ctx = {fixture_channel(f, source), ROUTE_FORWARD,
                                  ROUTE_ENVELOPE, NULL};
    struct address addr = fixture_address(address);
    struct route r;

    route_rewrite(f->s, &ctx, &addr, false, f->arena, &r);
    if (!r.channel) {
        return arena_printf(f->arena, "- %u.%u.%u %.*s", r.status[0], r.status[1],
                            r.status[2], STR_ARG(r.error))
            .ptr;
    }
    return arena_printf(f->arena, "%.*s %.*s",
                        STR_ARG(address_print(f->arena, &r.address)),
                        STR_ARG(r.channel->name))
        .ptr;
}

const char *fixture_messages(const struct fixture *f)
{
    static const char *const names[] = {"note", "warning", "error"};
    str all = STR("");

    for (const struct diag *d = diags_first(f->diags); d; d = d->next) {
        struct place at = span_place(f->s->sources, d->span);
        all = arena_printf(f->arena, "%.*s%u:%u: %s: %.*s [%s]\n", STR_ARG(all), at.line,
                           at.column, names[d->severity], STR_ARG(d->text), d->slug);
    }
    return all.ptr;
}
