/* dump: see dump.h. */
#include "tables/dump.h"

#include "parser/channel_opts.h"
#include "tables/alias.h"
#include "tables/forward.h"
#include "tables/general.h"
#include "tables/inputs.h"
#include "tables/mapping_table.h"
#include "tables/reverse.h"
#include "tables/rule_table.h"
#include "tables/site_options.h"

static void dump_rules(const struct snapshot *s, struct buf *out)
{
    for (uint32_t number = 1; number <= s->rules->rule_count; number++) {
        const struct rule_record *r = rule_table_at(s->rules, number);
        str key = rule_key(s->rules, r), template = rule_template(s->rules, r).text;
        buf_printf(out, "%.*s %.*s\n", STR_ARG(key), STR_ARG(template));
    }
}

/* The hosts of a channel follow each other in the table, from *host on. */
static void dump_channel(const struct snapshot *s, const struct channel *ch, size_t *host,
                         struct buf *out)
{
    buf_printf(out, "\n%.*s", STR_ARG(ch->name));
    channel_opts_print(&ch->opts, out);
    buf_printf(out, "\n%.*s", STR_ARG(ch->official_host));
    if (ch->local_alias.len > 0) {
        buf_printf(out, " %.*s", STR_ARG(ch->local_alias));
    }
    buf_putc(out, '\n');
    for (; *host < map_count(s->hosts); ++*host) {
        const struct host_entry *h = map_at(s->hosts, *host, NULL);
        if (h->channel != ch) {
            break;
        }
        if (!str_ieq(h->host, ch->official_host)) {
            buf_printf(out, h->proper_name.len > 0 ? "%.*s %.*s\n" : "%.*s%.*s\n",
                       STR_ARG(h->host), STR_ARG(h->proper_name));
        }
    }
}

/* Ends a line, so that a backslash at its end does not continue it. */
static void end_line(struct buf *out)
{
    bool backslash = out->len > 0 && out->data[out->len - 1] == '\\';
    buf_puts(out, backslash ? " \n" : "\n");
}

/* Paths in the configuration folder are written without it. */
static str path_shown(const struct snapshot *s, str path)
{
    str folder = s->directory;
    if (str_starts(path, folder) && path.len > folder.len + 1 && folder.len > 1 &&
        path.ptr[folder.len] == '/') {
        path = str_from_pos(path, folder.len + 1);
    }
    return path;
}

static void dump_path(const struct snapshot *s, const char *name, str path,
                      struct span at, struct buf *out)
{
    if (at.source != 0) {
        path = path_shown(s, path);
        buf_printf(out, "%s=%.*s\n", name, STR_ARG(path));
    }
}

static void dump_text(const char *name, str text, struct buf *out)
{
    if (text.len > 0) {
        buf_printf(out, "%s=%.*s\n", name, STR_ARG(text));
    }
}

static void dump_silence(const struct snapshot *s, struct buf *out)
{
    if (s->options.silence_at.source == 0) {
        return;
    }
    buf_puts(out, "SILENCE=");
    for (size_t i = 0; i < s->silenced.n; i++) {
        buf_printf(out, "%s%s", i > 0 ? "," : "", s->silenced.at[i]->name);
    }
    buf_putc(out, '\n');
}

static void dump_options(const struct snapshot *s, struct buf *out)
{
    const struct site_options *o = &s->options;
    buf_puts(out, "!== option.dat\n");
    dump_path(s, "QUEUE_DIRECTORY", o->queue_directory, o->queue_directory_at, out);
    dump_path(s, "MAILDIR_ROOT", o->maildir_root, o->maildir_root_at, out);
    if (o->maildir_folder_at.source != 0) {
        dump_text("MAILDIR_FOLDER", o->maildir_folder, out);
    }
    dump_path(s, "CONTROL_SOCKET", o->control_socket, o->control_socket_at, out);
    dump_path(s, "DNSSEC_ANCHOR", o->dnssec_anchor, o->dnssec_anchor_at, out);
    if (o->user_at.source != 0) {
        dump_text("USER", o->user, out);
    }
    if (o->dialect == DIALECT_IMTA) { /* the dump's own name is not imta.cnf */
        buf_puts(out, "DIALECT=imta\n");
    }
    dump_text("RECEIVED_DOMAIN", o->received_domain, out);
    dump_text("RETURN_ADDRESS", o->return_address, out);
    dump_text("RETURN_PERSONAL", o->return_personal, out);
    if (o->mapping_paranoia_at.source != 0) {
        buf_printf(out, "MAPPING_PARANOIA=%d\n", o->mapping_paranoia);
    }
#define NUMBER(name, field, max)                                                         \
    if (o->field##_at.source != 0) {                                                     \
        buf_printf(out, #name "=%u\n", o->field);                                        \
    }
    SITE_NUMBERS(NUMBER)
    SITE_OTHER_NUMBERS(NUMBER)
#undef NUMBER
    dump_silence(s, out);
}

/* The listeners of a service follow each other: its ports, each with all addresses.
 * A line for each, as a list of many could become too long a line. */
static void dump_service(const struct service *v, unsigned count, struct buf *out)
{
    unsigned addresses = 1;
    while (addresses < count && v[addresses].port == v->port &&
           v[addresses].implicit_tls == v->implicit_tls) {
        addresses++;
    }
    buf_printf(out, "[SERVICE=%.*s]\n", STR_ARG(v->name));
    for (unsigned i = 0; i < count; i += addresses) {
        buf_printf(out, "%s=%u\n", v[i].implicit_tls ? "TLS_PORT" : "PORT",
                   (unsigned)v[i].port);
    }
    for (unsigned i = 0; i < addresses && v->interface_address.len > 0; i++) {
        buf_printf(out, "INTERFACE_ADDRESS=%.*s\n", STR_ARG(v[i].interface_address));
    }
    buf_printf(out, "PARAMETER=CHANNEL=%.*s\nBACKLOG=%u\n", STR_ARG(v->channel->name),
               v->backlog);
    if (v->max_conns > 0) {
        buf_printf(out, "MAX_CONNS=%u\nMAX_PROCS=%u\n", v->max_conns, v->max_procs);
    }
}

static void dump_pools(const struct snapshot *s, struct buf *out)
{
    buf_puts(out, s->pool_count > 0 ? "!== job_controller.cnf\n" : "");
    for (unsigned i = 0; i < s->pool_count; i++) {
        const struct pool *p = s->pools[i];
        buf_printf(out, "[POOL=%.*s]\n", STR_ARG(p->name));
        if (p->job_limit > 0) {
            buf_printf(out, "JOB_LIMIT=%u\n", p->job_limit);
        }
    }
}

static void dump_services(const struct snapshot *s, struct buf *out)
{
    buf_puts(out, "!== dispatcher.cnf\n");
    for (unsigned i = 0; i < s->service_count;) {
        unsigned count = 1;
        while (i + count < s->service_count &&
               str_ieq(s->services[i + count].name, s->services[i].name)) {
            count++;
        }
        dump_service(&s->services[i], count, out);
        i += count;
    }
}

/* A path, or a URI, of which those of files have a path. Written in full where it would
 * be read as something else without its folder. */
static void dump_place(const struct snapshot *s, str place, struct buf *out)
{
    str path = tls_file_path(place);
    bool file = tls_is_uri(place) && path.len > 0;
    str brief = path_shown(s, path.len > 0 ? path : place);
    bool other =
        !file && path.len > 0 && (tls_is_uri(brief) || str_ieq(brief, STR("none")));
    brief = other ? path : brief;
    buf_printf(out, "%s%.*s", file ? "file:" : "", STR_ARG(brief));
}

static void dump_tls_option(const struct snapshot *s, const struct tls_profile *p,
                            enum tls_option o, struct buf *out)
{
    const char *name = tls_option_name(o);
    const struct tls_item *item = p->settings[o].items;
    if (item == NULL && p->settings[o].at.source != 0) {
        buf_printf(out, "%s=none\n", name);
    }
    for (; item != NULL; item = item->next) {
        buf_printf(out, "%s=%s", name, o == TLS_OPTION_fingerprint ? "sha256:" : "");
        if (tls_option_is_path(o)) {
            dump_place(s, item->text, out);
        } else {
            buf_printf(out, "%.*s", STR_ARG(item->text));
        }
        if (item->cert.len > 0) {
            buf_puts(out, " : ");
            dump_place(s, item->cert, out);
            buf_puts(out, " : ");
            dump_place(s, item->key, out);
        }
        end_line(out);
    }
}

/* Sections as they are in force, so that what they inherit stands in each. */
static void dump_tls(const struct snapshot *s, struct buf *out)
{
    buf_puts(out, "!== tls.cnf\n");
    for (unsigned i = 0; i < s->tls_profile_count; i++) {
        const struct tls_profile *p = s->tls_profiles[i];
        size_t before = out->len;
        buf_printf(out, "[%.*s]\n", STR_ARG(p->name));
        size_t head = out->len;
        for (unsigned o = 0; o < TLS_OPTIONS; o++) {
            dump_tls_option(s, p, o, out);
        }
        if (i == 0 && out->len == head) {
            out->len = before; /* nothing in [*] */
        }
    }
}

/* Files that sites mostly do not have are left out when there is nothing in them. */
static void dump_general(const struct snapshot *s, struct buf *out)
{
    if (map_count(s->general) > 0) {
        buf_puts(out, "!== general\n");
    }
    for (size_t i = 0; i < map_count(s->general); i++) {
        str key;
        const struct general_entry *e = map_at(s->general, i, &key);
        buf_printf(out, " %.*s %.*s", STR_ARG(key), STR_ARG(e->value));
        end_line(out);
    }
}

static void dump_reverse(const struct snapshot *s, struct buf *out)
{
    if (map_count(s->reverse) > 0) {
        buf_puts(out, "!== reverse\n");
    }
    for (size_t i = 0; i < map_count(s->reverse); i++) {
        str key;
        const struct reverse_entry *e = map_at(s->reverse, i, &key);
        buf_printf(out, " %.*s %.*s", STR_ARG(key), STR_ARG(e->value));
        end_line(out);
    }
}

static void dump_mappings(const struct snapshot *s, struct buf *out)
{
    buf_puts(out, map_count(s->mappings) > 0 ? "!== mappings\n" : "");
    for (size_t i = 0; i < map_count(s->mappings); i++) {
        const struct mapping *t = map_at(s->mappings, i, NULL);
        buf_printf(out, "%s%.*s", i > 0 ? "\n" : "", STR_ARG(t->name));
        end_line(out);
        buf_puts(out, t->count > 0 ? "\n" : "");
        for (unsigned n = 0; n < t->count; n++) {
            const struct mapping_entry *e = &t->entries[n];
            buf_printf(out, "  %.*s %.*s", STR_ARG(e->pattern_text),
                       STR_ARG(e->template_text));
            end_line(out);
        }
    }
}

static void dump_members(const struct input_list *l, struct buf *out)
{
    const struct ast_word *w = l->ast != NULL ? l->ast->words : NULL;
    for (; w != NULL; w = w->next) {
        /* what would be a comment, or the head of the next file */
        bool special = w->text.ptr[0] == '!';
        buf_printf(out, special ? " %.*s" : "%.*s", STR_ARG(w->text));
        end_line(out);
    }
}

static void dump_aliases(const struct snapshot *s, struct buf *out)
{
    buf_puts(out, map_count(s->aliases) > 0 ? "!== aliases\n" : "");
    for (size_t i = 0; i < map_count(s->aliases); i++) {
        const struct alias *alias = map_at(s->aliases, i, NULL);
        const struct ast_word *w = alias->written->items;
        buf_printf(out, "%.*s:", STR_ARG(alias->name));
        for (; w != NULL; w = w->next) {
            buf_printf(out, w->next != NULL ? " %.*s," : " %.*s", STR_ARG(w->text));
        }
        end_line(out);
    }
    for (const struct input_list *l = s->inputs->lists; l != NULL; l = l->next) {
        if (l->ast != NULL) {
            buf_printf(out, "!== %.*s\n", STR_ARG(path_shown(s, l->path)));
            dump_members(l, out);
        }
    }
}

static void dump_forward(const struct snapshot *s, struct buf *out)
{
    buf_puts(out, map_count(s->forward) > 0 ? "!== forward\n" : "");
    for (size_t i = 0; i < map_count(s->forward); i++) {
        str key;
        const struct forward_entry *e = map_at(s->forward, i, &key);
        buf_printf(out, " %.*s %.*s", STR_ARG(key), STR_ARG(e->value));
        end_line(out);
    }
}

/* The option files that say something that counts. */
static void dump_tcp_options(const struct snapshot *s, struct buf *out)
{
    for (unsigned i = 0; i < s->channel_count; i++) {
        const struct channel *ch = s->channels[i];
        size_t before = out->len;
        buf_printf(out, "!== %.*s" INPUT_CHANNEL_ENDING "\n", STR_ARG(ch->name));
        size_t head = out->len;
        tcp_options_print(&ch->tcp, out);
        pipe_options_print(&ch->pipe, out);
        if (out->len == head) {
            out->len = before;
        }
    }
}

/* What notifications say, line by line. One that looks like the head of the next file
 * gets a blank in front, and a file without a line gets one: it is there. */
static void dump_texts(const struct snapshot *s, struct buf *out)
{
    for (size_t i = 0; i < s->text_sources.n; i++) {
        const struct source *file = sources_get(s->sources, s->text_sources.at[i]);
        str rest = file->text, line;
        buf_printf(out, "!== %.*s\n%s", STR_ARG(file->name), rest.len == 0 ? "\n" : "");
        while (rest.len > 0) {
            str_split(&rest, '\n', &line);
            buf_printf(out, "%s%.*s\n", str_starts(line, STR("!== ")) ? " " : "",
                       STR_ARG(line));
        }
    }
}

void dump_beside(const struct snapshot *s, struct buf *out)
{
    dump_options(s, out);
    dump_services(s, out);
    dump_pools(s, out);
    dump_tls(s, out);
    buf_puts(out, "!== localdomains\n");
    for (size_t i = 0; i < map_count(s->localdomains); i++) {
        str domain;
        map_at(s->localdomains, i, &domain);
        buf_printf(out, "%.*s\n", STR_ARG(domain));
    }
    dump_general(s, out);
    dump_reverse(s, out);
    dump_mappings(s, out);
    dump_aliases(s, out);
    dump_forward(s, out);
    dump_tcp_options(s, out);
    dump_texts(s, out);
}

void dump_snapshot(const struct snapshot *s, struct buf *out)
{
    buf_puts(out, "!== pointsman.cnf\n");
    dump_rules(s, out);
    size_t host = 0;
    for (unsigned i = 0; i < s->channel_count; i++) {
        dump_channel(s, s->channels[i], &host, out);
    }
    dump_beside(s, out);
}
