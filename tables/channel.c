/* channel: channel blocks, with what `defaults` gave them, into channels and the host
 * table (PMDF 2.3). */
#include "tables/channel.h"

#include "base/address.h"
#include "base/vec.h"
#include "parser/channel_opts.h"
#include "tables/compile.h"
#include "tables/pattern.h"

enum {
    CHANNEL_NAME_MAX = 32, /* PMDF 2.3.6 */
    CHANNEL_HOST_MAX = 128
};

/* Names PMDF gives a driver of their own (2.3.6); with '_' at the end: prefixes. */
static const char *const RESERVED[] = {
    "bsin_",     "bsout_",         "circuitcheck", "conversion", "defragment",
    "directory", "filter_discard", "ims-ms",       "ims-ms_",    "mailserv",
    "msgstore",  "native",         "popstore",     "printer"};

struct channels {
    struct compile *c;
    struct channel_opts base; /* built-ins and all defaults so far */
    VEC(struct channel *) list;
    bool misread_rules; /* a rule was found where a block should be; told once */
};

str channel_local_name(const struct snapshot *s, const struct channel *c)
{
    return c != NULL && c->local_alias.len > 0 ? c->local_alias : s->local_host;
}

const char *channel_type_name(enum channel_type t)
{
    switch (t) {
    case CHANNEL_TCP:
        return "tcp";
    case CHANNEL_LOCAL:
        return "local";
    case CHANNEL_BITBUCKET:
        return "bitbucket";
    case CHANNEL_PIPE:
        return "pipe";
    case CHANNEL_REPROCESS:
        return "reprocess";
    case CHANNEL_HOLD:
        return "hold";
    case CHANNEL_UNSUPPORTED:
        break;
    }
    return "unsupported";
}

const char *channel_holds(const struct channel *c)
{
    return c->type == CHANNEL_HOLD ? "mail for the channel hold waits" : NULL;
}

/* Is it that name, or does it begin with that name and '_'? */
static bool is_kin(str name, const char *of)
{
    str whole = str_from(of);
    return str_istarts(name, whole) &&
           (name.len == whole.len || name.ptr[whole.len] == '_');
}

bool channel_reprocesses(const struct channel *c)
{
    static const char *const names[] = {"conversion", "defragment", "process",
                                        "reprocess"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (is_kin(c->name, names[i])) {
            return true;
        }
    }
    return false;
}

static bool is_reserved(str name)
{
    for (size_t i = 0; i < sizeof RESERVED / sizeof RESERVED[0]; i++) {
        str word = str_from(RESERVED[i]);
        bool prefix = word.ptr[word.len - 1] == '_';
        if (prefix ? str_istarts(name, word) : str_ieq(name, word)) {
            return true;
        }
    }
    return false;
}

static enum channel_type type_of(const struct channel *ch)
{
    if (str_ieq(ch->name, STR("l"))) {
        return CHANNEL_LOCAL;
    }
    if (str_ieq(ch->name, STR("bitbucket"))) {
        return CHANNEL_BITBUCKET;
    }
    if (str_ieq(ch->name, STR("hold"))) {
        return CHANNEL_HOLD;
    }
    if (is_kin(ch->name, "pipe")) {
        return CHANNEL_PIPE;
    }
    if (is_kin(ch->name, "process") || is_kin(ch->name, "reprocess")) {
        return CHANNEL_REPROCESS;
    }
    if (str_istarts(ch->name, STR("tcp_"))) {
        return CHANNEL_TCP;
    }
    return ch->opts.protocol != PROTOCOL_BY_NAME && !is_reserved(ch->name)
               ? CHANNEL_TCP
               : CHANNEL_UNSUPPORTED;
}

static void check_name(struct channels *on, str name, struct span at)
{
    bool good = name.len <= CHANNEL_NAME_MAX;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        good =
            good && (ascii_is_digit(c) || (c >= 'a' && c <= 'z') || c == '_' || c == '$');
    }
    if (!good && !is_reserved(name)) {
        diag_error(on->c->diags, at, "channel-name",
                   "a channel name has up to %d lower-case letters, digits, '_' and '$'",
                   CHANNEL_NAME_MAX);
    }
}

/* Host names are looked up as routing does: literals in one form only. */
static bool host_key(struct channels *on, str name, struct span at, str *key)
{
    *key = name;
    bool good = domain_literal_ok(name)
                    ? literal_canonical(on->c->arena, name, key)
                    : domain_name_ok(name) && name.len <= CHANNEL_HOST_MAX;
    if (!good) {
        diag_error(on->c->diags, at, "bad-host-name",
                   "'%.*s' is no host name (letters, digits, '-', '_' and dots, up to %d "
                   "bytes) and no address in brackets",
                   STR_ARG(name), CHANNEL_HOST_MAX);
    }
    return good;
}

static void add_host(struct channels *on, struct channel *ch, const struct ast_host *h,
                     bool official)
{
    struct host_entry *entry = arena_new_of(on->c->arena, struct host_entry);
    str key, proper = STR("");
    bool good = host_key(on, h->name, h->name_at, &key);
    if (h->second.len > 0) {
        good = host_key(on, h->second, h->second_at, &proper) && good;
    }
    *entry = (struct host_entry){ch, key, official ? STR("") : proper, h->name_at};
    if (official) {
        ch->official_host = key;
        ch->local_alias = h->second;
    }
    const struct host_entry *first = good ? map_add(on->c->s->hosts, key, entry) : entry;
    if (first != entry) {
        struct diag *d = diag_error(on->c->diags, h->name_at, "duplicate-host",
                                    "host '%.*s' leads to channel '%.*s' already",
                                    STR_ARG(key), STR_ARG(first->channel->name));
        diag_note(on->c->diags, d, first->span, "here it was given first");
    }
}

static void add_hosts(struct channels *on, struct channel *ch, const struct ast_block *b)
{
    if (b->hosts == NULL) {
        diag_error(
            on->c->diags, b->name_at, "no-official-host",
            "channel '%.*s' has no official host; its name stands on the line below",
            STR_ARG(b->name));
    }
    for (const struct ast_host *h = b->hosts; h != NULL; h = h->next) {
        add_host(on, ch, h, h == b->hosts);
    }
}

/* A line that asks for less TLS than the defaults above it do is often a slip. */
static void check_tls(struct channels *on, const struct channel_opts *o)
{
    const struct channel_opts *base = &on->base;
    bool server = o->tls_server < base->tls_server && base->tls_server_at.source != 0;
    bool client = o->tls_client < base->tls_client && base->tls_client_at.source != 0;
    if (!server && !client) {
        return;
    }
    struct diag *d = diag_warning(
        on->c->diags, server ? o->tls_server_at : o->tls_client_at,
        "tls-weaker-than-default",
        "this asks for less TLS than 'defaults' does: leave it out, and what is asked "
        "there holds here, too");
    if (server) {
        diag_note(on->c->diags, d, base->tls_server_at, "the default it is weaker than");
    }
    bool told = server && base->tls_server_at.source == base->tls_client_at.source &&
                base->tls_server_at.offset == base->tls_client_at.offset;
    if (client && !told) {
        diag_note(on->c->diags, d, base->tls_client_at,
                  server ? "another default that is lost"
                         : "the default it is weaker than");
    }
}

/* The same for what is asked of certificates, and of failures. */
static void check_verify(struct channels *on, const struct channel_opts *o)
{
    const struct channel_opts *base = &on->base;
    const struct {
        bool weaker;
        struct span at, base_at;
    } rows[] = {
        {o->tls_verify < base->tls_verify && o->tls_verify <= TLS_VERIFY_TRY,
         o->tls_verify_at, base->tls_verify_at},
        {o->tls_peer < base->tls_peer, o->tls_peer_at, base->tls_peer_at},
        {o->tls_fallback && !base->tls_fallback, o->tls_fallback_at,
         base->tls_fallback_at},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].weaker) {
            struct diag *d =
                diag_warning(on->c->diags, rows[i].at, "tls-weaker-than-default",
                             "this asks for less than 'defaults' does: leave it out, and "
                             "what is asked "
                             "there holds here, too");
            diag_note(on->c->diags, d, rows[i].base_at, "the default it is weaker than");
        }
    }
}

static void add_channel(struct channels *on, const struct ast_block *b)
{
    struct compile *c = on->c;
    struct channel *ch = arena_new_of(c->arena, struct channel);
    ch->index = (unsigned)on->list.n;
    ch->name = b->name;
    ch->span = b->name_at;
    ch->opts = on->base;
    tcp_options_init(&ch->tcp);
    pipe_options_init(&ch->pipe);
    check_name(on, b->name, b->name_at);
    const struct channel *first = map_add(c->s->channels_by_name, b->name, ch);
    if (first != ch) {
        struct diag *d =
            diag_error(c->diags, b->name_at, "duplicate-channel",
                       "there is a channel '%.*s' already", STR_ARG(b->name));
        diag_note(c->diags, d, first->span, "here it was defined first");
    }
    channel_opts_apply(&ch->opts, b->keywords, c->allow_unhonoured, c->arena, c->diags);
    ch->type = type_of(ch);
    ch->final = ch->type == CHANNEL_LOCAL || ch->type == CHANNEL_BITBUCKET ||
                ch->type == CHANNEL_PIPE;
    if (!ch->final) {
        check_tls(on, &ch->opts);
        check_verify(on, &ch->opts);
    }
    *vec_add(c->arena, &on->list) = ch;
    add_hosts(on, ch, b);
}

bool channel_wrote(const struct snapshot *s, const struct channel *ch, struct span at)
{
    const struct host_entry *h = snapshot_host(s, ch->official_host);
    return h != NULL && at.source == ch->span.source && h->span.source == at.source &&
           at.offset > ch->span.offset && at.offset < h->span.offset;
}

/* A block that begins with a pattern and a template comes from a blank line among the
 * rules (PMDF 2.4.1); everything said about its words would only mislead. */
static bool is_misread_rule(struct channels *on, const struct ast *ast,
                            const struct ast_block *b)
{
    const struct ast_keyword *k = b->keywords;
    if (b->kind != AST_CHANNEL || k == NULL || k->known != NULL ||
        (str_find(k->name, '@') < 0 && str_find(k->name, '$') < 0)) {
        return false;
    }
    if (!on->misread_rules) {
        struct span at = ast->rules_end;
        struct diag *d =
            ast->rule_count == 0
                ? diag_error(on->c->diags, at, "blank-line-in-rules",
                             "this blank line stands above all rewrite rules and so ends "
                             "them: all below it is read as channel blocks; delete it, "
                             "or write '!' in column 1")
                : diag_error(on->c->diags, at, "blank-line-in-rules",
                             "the first blank line ends the rewrite rules: all below it "
                             "is read as channel blocks; delete it, or write '!' in "
                             "column 1");
        diag_note(on->c->diags, d, b->name_at, "but this reads like a rule");
        on->misread_rules = true;
    }
    return true;
}

static void warn_ignored(struct channels *on, const struct ast_block *b)
{
    if (b->hosts != NULL) {
        diag_warning(on->c->diags, b->hosts->name_at, "ignored-line",
                     "lines below '%.*s' mean nothing; if a channel begins here, put a "
                     "blank line above it",
                     STR_ARG(b->name));
    }
    if (b->kind == AST_NODEFAULTS && b->keywords != NULL) {
        diag_warning(on->c->diags, b->keywords->at, "ignored-line",
                     "words behind 'nodefaults' mean nothing");
    }
}

/* Channels that would be reached if the keyword were honoured. */
static void note_mentions(struct compile *c, const struct ast_block *b)
{
    for (const struct ast_keyword *k = b->keywords; k != NULL; k = k->next) {
        if (k->known != NULL && k->known->kind == KEYWORD_KIND_NOTHING &&
            k->args != NULL && strcmp(k->known->argument, "channel") == 0) {
            map_add(c->mentioned, k->args->text, (void *)(uintptr_t)k);
        }
    }
}

static void add_block(struct channels *on, const struct ast_block *b)
{
    struct compile *c = on->c;
    note_mentions(c, b);
    switch (b->kind) {
    case AST_CHANNEL:
        add_channel(on, b);
        break;
    case AST_DEFAULTS:
        channel_opts_apply(&on->base, b->keywords, c->allow_unhonoured, c->arena,
                           c->diags);
        warn_ignored(on, b);
        break;
    case AST_NODEFAULTS:
        channel_opts_init(&on->base);
        warn_ignored(on, b);
        break;
    }
}

/* The first channel is the local one (PMDF 2.3). */
static void check_local(struct channels *on, const struct ast *ast)
{
    struct compile *c = on->c;
    if (on->list.n == 0) {
        diag_error(c->diags, (struct span){ast->source, 0, 0}, "no-channels",
                   "there are no channel blocks; they come after the first blank line");
        return;
    }
    struct channel *first = on->list.at[0];
    c->s->local_host = first->official_host;
    if (first->type != CHANNEL_LOCAL) {
        diag_warning(c->diags, first->span, "no-local-channel",
                     "the first channel should be the local one, 'l'; now '%.*s' gives "
                     "this system its name",
                     STR_ARG(first->name));
    }
}

struct span channel_argument_span(const struct diags *d, struct span at, str argument)
{
    const struct source *s = sources_get(diags_sources(d), at.source);
    size_t end = (size_t)at.offset + at.length;
    bool quoted = end > 0 && end <= s->text.len && s->text.ptr[end - 1] == '"';
    uint32_t length = (uint32_t)argument.len + (quoted ? 2 : 0);
    if (at.length > length) {
        at.offset += at.length - length;
        at.length = length;
    }
    return at;
}

/* The channel a keyword names; NULL: none does, or there is none. A name that came from
 * `defaults` is looked at once: *wrong is the last one that was. */
static struct channel *resolve_switch(struct channels *on, str name, struct span at,
                                      struct span *wrong)
{
    if (at.source == 0 || name.ptr == NULL ||
        (at.source == wrong->source && at.offset == wrong->offset)) {
        return NULL;
    }
    const struct channel *target = channel_resolve(
        on->c, name, channel_argument_span(on->c->diags, at, name), "unknown-channel");
    if (target == NULL) {
        *wrong = at;
        return NULL;
    }
    return on->list.at[target->index];
}

static void resolve_switches(struct channels *on)
{
    struct span wrong = SPAN_NONE, wrong_peer = SPAN_NONE;
    for (size_t i = 0; i < on->list.n; i++) {
        struct channel *ch = on->list.at[i];
        const struct channel_opts *o = &ch->opts;
        ch->tls_switch =
            resolve_switch(on, o->tlsswitchchannel, o->tlsswitchchannel_at, &wrong);
        ch->tls_peer_switch = resolve_switch(on, o->tlspeerswitchchannel,
                                             o->tlspeerswitchchannel_at, &wrong_peer);
    }
}

void channel_compile(struct compile *c, const struct ast *ast)
{
    struct channels on = {.c = c};
    channel_opts_init(&on.base);
    for (const struct ast_block *b = ast->blocks; b != NULL; b = b->next) {
        if (!is_misread_rule(&on, ast, b)) {
            add_block(&on, b);
        }
    }
    c->s->channels = on.list.at;
    c->s->channel_count = (unsigned)on.list.n;
    check_local(&on, ast);
    resolve_switches(&on);
}

const struct channel *channel_resolve(struct compile *c, str name, struct span at,
                                      const char *slug)
{
    const struct channel *found = snapshot_channel(c->s, name);
    if (found != NULL) {
        return found;
    }
    str best = nearest_key(c->s->channels_by_name, name, &c->nearest);
    diag_error(c->diags, at, slug, "channel '%.*s' does not exist%s%.*s%s", STR_ARG(name),
               best.len > 0 ? "; did you mean '" : "", STR_ARG(best),
               best.len > 0 ? "'?" : "");
    return NULL;
}
