/* diff of the channel/host table. Keywords are compared by what is in force after
 * `defaults`, so that a changed default shows on every channel it changes; channels with
 * the same change stand together. */
#include "parser/channel_opts.h"
#include "tools/diff.h"
#include "tools/record.h"

enum { WORDS_MAX = 1 << 20, NAMES_SHOWN = 6 };

/* ---- keywords ---------------------------------------------------------------------- */

/* Channels whose keywords changed in the same way. */
struct group {
    str words; /* "- port 25" and "+ mx", one a line */
    VEC(const struct channel *) channels;
};

static void put_word(const struct channel *c, const struct channel_opts *built_in,
                     const struct keyword *k, struct buf *out)
{
    buf_clear(out);
    channel_opts_word(&c->opts, built_in, k, out);
}

/* What became of every word, each on a line of out. */
static void compare_words(const struct channel *old, const struct channel *new,
                          struct buf *out)
{
    struct channel_opts built_in;
    struct buf was, now;
    const struct keyword *k;

    channel_opts_init(&built_in);
    buf_init(&was, WORDS_MAX);
    buf_init(&now, WORDS_MAX);
    for (size_t i = 0; (k = keyword_at(i)) != NULL; i++) {
        put_word(old, &built_in, k, &was);
        put_word(new, &built_in, k, &now);
        if (str_eq(buf_slice(&was), buf_slice(&now))) {
            continue;
        }
        if (was.len > 0) {
            buf_printf(out, "-%.*s\n", STR_ARG(buf_slice(&was)));
        }
        if (now.len > 0) {
            buf_printf(out, "+%.*s\n", STR_ARG(buf_slice(&now)));
        }
    }
    buf_free(&was);
    buf_free(&now);
}

static void print_group(const struct group *g)
{
    str rest = g->words, word;
    size_t n = g->channels.n, shown = n > NAMES_SHOWN ? NAMES_SHOWN : n;

    if (n == 1) {
        diff_label("channel", g->channels.at[0]->name);
    } else {
        printf("%zu channels: ", n);
        for (size_t i = 0; i < shown; i++) {
            printf("%s%.*s", i > 0 ? ", " : "", STR_ARG(g->channels.at[i]->name));
        }
        printf(n > shown ? ", ...  " : "  ");
    }
    const char *gap = "";
    while (str_split(&rest, '\n', &word)) {
        if (word.len > 0) {
            printf("%s%.*s", gap, STR_ARG(word));
            gap = "   ";
        }
    }
    putchar('\n');
}

static void record_words(struct record *out, const char *name, char sign, str words)
{
    str word;

    record_open(out, name, '[');
    while (str_split(&words, '\n', &word)) {
        if (word.len > 2 && word.ptr[0] == sign) {
            record_str(out, NULL, str_from_pos(word, 2));
        }
    }
    record_close(out, ']');
}

static void print_group_json(const struct group *g)
{
    struct record out;

    record_begin(&out);
    record_str(&out, "kind", STR("keywords"));
    record_open(&out, "channels", '[');
    for (size_t i = 0; i < g->channels.n; i++) {
        record_str(&out, NULL, g->channels.at[i]->name);
    }
    record_close(&out, ']');
    record_words(&out, "removed", '-', g->words);
    record_words(&out, "added", '+', g->words);
    record_print(&out);
}

static void group_channel(struct diff *d, struct map *groups, const struct channel *old,
                          const struct channel *new, struct buf *words)
{
    buf_clear(words);
    compare_words(old, new, words);
    if (words->len == 0) {
        return;
    }
    struct group *g = map_get(groups, buf_slice(words));
    if (!g) {
        g = arena_new_of(d->arena, struct group);
        g->words = arena_str(d->arena, buf_slice(words));
        map_add(groups, g->words, g);
    }
    *vec_add(d->arena, &g->channels) = new;
}

static void diff_keywords(struct diff *d)
{
    struct map *groups = map_new(d->arena, MAP_CASE);
    const struct snapshot *s = d->new.snapshot;
    struct buf words;

    buf_init(&words, WORDS_MAX);
    for (unsigned i = 0; i < s->channel_count; i++) {
        const struct channel *old =
            snapshot_channel(d->old.snapshot, s->channels[i]->name);
        if (old) {
            group_channel(d, groups, old, s->channels[i], &words);
        }
    }
    buf_free(&words);
    for (size_t i = 0; i < map_count(groups); i++) {
        const struct group *g = map_at(groups, i, NULL);
        d->changes++;
        if (d->in->options.json) {
            print_group_json(g);
        } else {
            print_group(g);
        }
    }
}

/* ---- channels and hosts ------------------------------------------------------------ */

static void tell_value(struct diff *d, const struct channel *old,
                       const struct channel *new, const char *what, str was, str now)
{
    struct diff_change c = {.kind = "channel",
                            .name = new->name,
                            .change = CHANGE_CHANGED,
                            .what = str_from(what),
                            .old = was,
                            .new = now,
                            .was = old->span,
                            .now = new->span};
    if (!str_eq(was, now)) {
        diff_tell(d, &c);
    }
}

static void tell_channel(struct diff *d, const struct channel *c, enum change change)
{
    struct diff_change told = {.kind = "channel", .name = c->name, .change = change};

    *(change == CHANGE_ADDED ? &told.now : &told.was) = c->span;
    diff_tell(d, &told);
}

static void diff_blocks(struct diff *d)
{
    const struct snapshot *old = d->old.snapshot, *new = d->new.snapshot;

    for (unsigned i = 0; i < old->channel_count; i++) {
        if (!snapshot_channel(new, old->channels[i]->name)) {
            tell_channel(d, old->channels[i], CHANGE_REMOVED);
        }
    }
    for (unsigned i = 0; i < new->channel_count; i++) {
        const struct channel *now = new->channels[i];
        const struct channel *was = snapshot_channel(old, now->name);
        if (!was) {
            tell_channel(d, now, CHANGE_ADDED);
            continue;
        }
        tell_value(d, was, now, "official host", was->official_host, now->official_host);
        tell_value(d, was, now, "local host alias", was->local_alias, now->local_alias);
    }
}

/* The host line of a channel block below the second; NULL for the others. */
static const struct host_entry *host_line(const struct snapshot *s, str host)
{
    const struct host_entry *h = snapshot_host(s, host);

    return h && !str_ieq(h->host, h->channel->official_host) ? h : NULL;
}

/* "tcp_partner mx.partner.test": where a host line leads. */
static str host_value(struct diff *d, const struct host_entry *h)
{
    return arena_printf(d->arena, "%.*s%s%.*s", STR_ARG(h->channel->name),
                        h->proper_name.len > 0 ? " " : "", STR_ARG(h->proper_name));
}

static void compare_host(struct diff *d, const struct host_entry *was,
                         const struct host_entry *now)
{
    struct diff_change c = {.kind = "host",
                            .name = now ? now->host : was->host,
                            .change = !now   ? CHANGE_REMOVED
                                      : !was ? CHANGE_ADDED
                                             : CHANGE_CHANGED,
                            .old = was ? host_value(d, was) : STR_NONE,
                            .new = now ? host_value(d, now) : STR_NONE,
                            .was = was ? was->span : SPAN_NONE,
                            .now = now ? now->span : SPAN_NONE};
    if (!was || !now || !str_eq(c.old, c.new)) {
        diff_tell(d, &c);
    }
}

static void diff_hosts(struct diff *d)
{
    const struct snapshot *old = d->old.snapshot, *new = d->new.snapshot;
    str host;

    for (size_t i = 0; i < map_count(old->hosts); i++) {
        map_at(old->hosts, i, &host);
        const struct host_entry *was = host_line(old, host);
        if (was && !host_line(new, host)) {
            compare_host(d, was, NULL);
        }
    }
    for (size_t i = 0; i < map_count(new->hosts); i++) {
        map_at(new->hosts, i, &host);
        const struct host_entry *now = host_line(new, host);
        if (now) {
            compare_host(d, host_line(old, host), now);
        }
    }
}

void diff_channels(struct diff *d)
{
    str was = d->old.snapshot->channels[0]->name,
        now = d->new.snapshot->channels[0]->name;
    struct diff_change local = {.kind = "local channel",
                                .name = STR(""),
                                .change = CHANGE_CHANGED,
                                .old = was,
                                .new = now};

    if (!str_ieq(was, now)) {
        diff_tell(d, &local);
    }
    diff_blocks(d);
    diff_hosts(d);
    diff_keywords(d);
}
