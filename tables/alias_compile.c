/* alias_compile: `aliases` and the files of its lists into snapshot->aliases. */
#include "tables/alias_compile.h"

#include "tables/mapping.h"
#include "tables/route.h"

/* ---- members ----------------------------------------------------------------------- */

/* What sendmail knows and we do not: a program, a file, an include in a value. */
static const char *foreign(str local)
{
    bool quoted = local.len > 0 && local.ptr[0] == '"';
    char first = local.len > (quoted ? 1u : 0u) ? local.ptr[quoted] : '\0';
    return first == '|'   ? "would be a program, and mail is not given to programs"
           : first == '/' ? "would be a file, and mail is not written to files"
                          : NULL;
}

/* A member as written. What is no address is reported: as an error in the alias file, as
 * a warning in a list file. */
static void member_read(struct alias_compile *k, str text, struct span at, bool in_file,
                        struct alias_member *out)
{
    *out = (struct alias_member){.text = text, .at = at};
    out->bad = alias_address_read(k->c->arena, text, &out->address);
    if (out->bad == NULL && out->address.domain.len == 0) {
        out->bad = foreign(out->address.local);
    }
    if (out->bad != NULL && in_file) {
        diag_warning(k->c->diags, at, "list-address", "the address '%.*s' %s",
                     STR_ARG(text), out->bad);
    } else if (out->bad != NULL) {
        diag_error(k->c->diags, at, "alias-address", "the address '%.*s' %s",
                   STR_ARG(text), out->bad);
    }
}

/* ---- files ------------------------------------------------------------------------- */

static const struct input_list *input_find(const struct inputs *in, str path)
{
    const struct input_list *l = in->lists;
    while (l != NULL && !str_eq(l->path, path)) {
        l = l->next;
    }
    return l;
}

static void file_read(struct alias_compile *k, const struct ast *ast,
                      struct alias_file *out)
{
    for (const struct ast_word *w = ast->words; w != NULL; w = w->next) {
        out->count++;
    }
    out->members = arena_array(k->c->arena, struct alias_member, out->count);
    struct alias_member *m = out->members;
    for (const struct ast_word *w = ast->words; w != NULL; w = w->next) {
        member_read(k, w->text, w->at, true, m++);
    }
}

static void file_mailboxes(struct alias_compile *k, struct alias_file *f)
{
    if (f->mailboxes != NULL) {
        return;
    }
    f->mailboxes = map_new(k->c->arena, MAP_CASE);
    for (unsigned i = 0; i < f->count; i++) {
        const struct alias_member *m = &f->members[i];
        if (m->bad == NULL) {
            map_add(f->mailboxes,
                    alias_mailbox(k->c->arena, &m->address, k->c->s->local_host), f);
        }
    }
}

const struct alias_file *alias_file_compile(struct alias_compile *k, str written,
                                            struct span at, bool senders)
{
    str path = locate_written(k->c, written);
    struct alias_file *f = map_get(k->files, path);
    if (f == NULL) {
        const struct input_list *in = input_find(k->inputs, path);
        f = arena_new_of(k->c->arena, struct alias_file);
        *f = (struct alias_file){.name = written, .at = at};
        map_add(k->files, path, f);
        if (in != NULL && in->ast != NULL) {
            file_read(k, in->ast, f);
        } else {
            f->missing = in != NULL ? in->reason : STR("it was not looked for");
            diag_warning(k->c->diags, at, "list-missing",
                         "cannot read '%.*s': %.*s; mail to '%.*s' is refused for the "
                         "time being",
                         STR_ARG(written), STR_ARG(f->missing), STR_ARG(k->alias->name));
        }
    }
    if (senders) {
        file_mailboxes(k, f);
    }
    return f;
}

/* ---- one alias --------------------------------------------------------------------- */

static void misplaced(struct alias_compile *k, struct span at, const char *text)
{
    diag_error(k->c->diags, at, "alias-item", "%s", text);
}

static void read_first(struct alias_compile *k, const struct alias_item *item,
                       struct span at)
{
    k->alias->list = true;
    if (item->kind == ALIAS_ITEM_FILE) {
        if (item->value.len == 0) {
            misplaced(k, at, "'<' needs the name of a file");
            return;
        }
        k->alias->file = alias_file_compile(k, item->value, at, false);
        return;
    }
    k->alias->failed = STR("there are no directory look-ups");
    diag_warning(k->c->diags, at, "unsupported-callout",
                 "directory look-ups are not supported: mail to '%.*s' is refused for "
                 "the time being; list its members in a file",
                 STR_ARG(k->alias->name));
}

/* What follows a list file: up to five values, '*' for one that is not given. */
static void read_position(struct alias_compile *k, str text, struct span at)
{
    static const char *const names[] = {"error-return-address", "reply-to-address",
                                        "errors-to-address", "warnings-to-address",
                                        "comments"};
    unsigned position = k->positions++;
    if (position >= sizeof names / sizeof *names) {
        misplaced(k, at,
                  "five values can follow a list file, not more; its members "
                  "stand in the file");
    } else if (str_eq(text, STR("*"))) {
        return;
    } else if (position == 0) {
        alias_sender_read(k, text, at);
    } else {
        diag_warning(k->c->diags, at, "unhonoured-parameter",
                     "the %s of a list is not honoured: no field is added",
                     names[position]);
    }
}

static void read_address(struct alias_compile *k, const struct alias_item *item, str text,
                         struct span at)
{
    if (k->alias->failed.ptr != NULL) {
        return; /* perhaps a part of the URL, which may have commas */
    }
    if (k->alias->file != NULL) {
        read_position(k, text, at);
        return;
    }
    if (item->kind == ALIAS_ITEM_HIDDEN) {
        diag_warning(k->c->diags, at, "unhonoured-parameter",
                     "':' is not honoured: reports name the address, not the alias");
    }
    member_read(k, item->value, at, false, vec_add(k->c->arena, &k->members));
}

static void read_item(struct alias_compile *k, const struct ast_word *w, bool first)
{
    struct alias_item item;
    alias_item_read(w->text, &item);
    switch (item.kind) {
    case ALIAS_ITEM_FILE:
    case ALIAS_ITEM_URL:
        if (first) {
            read_first(k, &item, w->at);
        } else {
            misplaced(k, w->at, "a list file stands first, and alone");
        }
        break;
    case ALIAS_ITEM_PARAMETER:
        if (k->members.n > 0 || k->positions > 0) {
            misplaced(k, w->at, "a named parameter stands before all addresses");
        } else {
            alias_parameter_read(k, &item, w->at);
        }
        break;
    case ALIAS_ITEM_ADDRESS:
    case ALIAS_ITEM_HIDDEN:
        read_address(k, &item, w->text, w->at);
        break;
    }
}

static void read_alias(struct alias_compile *k, const struct ast_alias *from)
{
    k->clauses = (alias_clause_list){0};
    k->members = (alias_member_list){0};
    k->either = k->c->s->options.or_clauses == 1;
    k->positions = 0;
    k->given = map_new(k->c->arena, MAP_NOCASE);
    for (const struct ast_word *w = from->items; w != NULL; w = w->next) {
        read_item(k, w, w == from->items);
    }
    k->alias->members = k->members.at;
    k->alias->count = (unsigned)k->members.n;
    k->alias->clauses = k->clauses.at;
    k->alias->clause_count = (unsigned)k->clauses.n;
    if (k->alias->count == 0 && k->alias->file == NULL && k->alias->failed.ptr == NULL &&
        diags_errors(k->c->diags) == 0) {
        misplaced(k, from->at, "this alias has no address and no list file");
    }
}

/* Would it ever be asked for? */
static void check_reached(struct alias_compile *k, const struct ast_alias *from,
                          const struct address *name)
{
    const struct snapshot *s = k->c->s;
    bool all = str_eq(name->local, STR("*"));
    unsigned bit = all ? 4 : 2;
    struct route route;
    if (name->domain.len == 0) {
        return;
    }
    if ((s->options.alias_domains & bit) == 0) {
        diag_warning(k->c->diags, from->at, "alias-unreachable",
                     "'%.*s' is never looked up: ALIAS_DOMAINS is %u, and whole "
                     "addresses%s need %u in it",
                     STR_ARG(from->name), s->options.alias_domains,
                     all ? " with '*'" : "", bit);
        return;
    }
    if (s->channel_count == 0 ||
        !route_envelope_to(s, s->channels[0], name, k->c->arena, &route)) {
        return;
    }
    const struct channel *c = route.channel;
    if (c != s->channels[0] && c->type != CHANNEL_LOCAL && !c->opts.alias_local) {
        diag_warning(k->c->diags, from->at, "alias-unreachable",
                     "'%.*s' is never looked up: mail for it goes to %.*s, which has no "
                     "aliaslocal",
                     STR_ARG(from->name), STR_ARG(c->name));
    } else if (!str_ieq(route.address.domain, name->domain)) {
        diag_warning(k->c->diags, from->at, "alias-unreachable",
                     "'%.*s' is never looked up: its domain is rewritten to %.*s before",
                     STR_ARG(from->name), STR_ARG(route.address.domain));
    }
}

static void compile_alias(struct alias_compile *k, const struct ast_alias *from)
{
    struct arena *a = k->c->arena;
    struct address name;
    const char *reason = address_parse(from->name, &name);
    if (reason != NULL || name.local.len == 0 || name.route.len > 0) {
        diag_error(k->c->diags, from->at, "alias-name",
                   "'%.*s' cannot be the name of an alias: it %s", STR_ARG(from->name),
                   reason != NULL ? reason : "is no local part and no address");
        return;
    }
    struct alias *alias = arena_new_of(a, struct alias);
    *alias = (struct alias){.name = from->name,
                            .at = from->at,
                            .written = from,
                            .closed = STR(""),
                            .owner = STR("")};
    str key = alias_key(a, address_unquote_local(a, name.local), name.domain);
    const struct alias *first = map_add(k->c->s->aliases, key, alias);
    if (first != alias) {
        struct diag *d =
            diag_error(k->c->diags, from->at, "duplicate-alias",
                       "there is an alias '%.*s' already", STR_ARG(from->name));
        diag_note(k->c->diags, d, first->at, "here it was given first");
        return;
    }
    k->alias = alias;
    read_alias(k, from);
    check_reached(k, from, &name);
}

void alias_compile(struct compile *c, const struct inputs *in)
{
    const struct ast *ast = in->beside[INPUT_ALIASES];
    struct alias_compile k = {.c = c, .inputs = in, .files = map_new(c->arena, MAP_CASE)};
    for (const struct ast_alias *from = ast != NULL ? ast->aliases : NULL; from;
         from = from->next) {
        if (from->name.len > 0) {
            compile_alias(&k, from);
        }
    }
}

void alias_note_tables(const struct snapshot *s, struct map *called)
{
    for (size_t i = 0; i < map_count(s->aliases); i++) {
        const struct alias *alias = map_at(s->aliases, i, NULL);
        for (unsigned n = 0; n < alias->clause_count; n++) {
            const struct mapping *t = alias->clauses[n].table;
            if (t != NULL) {
                map_add(called, mapping_name(t), called);
            }
        }
    }
}
