/* mapping: compiling the tables of `mappings`, and finding them. What is lost by a table
 * that PMDF asks by itself and nobody asks here is said, and what it would let through is
 * an error. Tables of other names are the site's own, for its rules to call. */
#include "base/check.h"
#include "tables/compile.h"
#include "tables/mapping_table.h"
#include "tables/nearest.h"

static const char punctuation[] = "!,<>";

uint64_t mapping_flag(char c)
{
    c = ascii_lower(c);
    if (c >= 'a' && c <= 'z') {
        return (uint64_t)1 << (c - 'a');
    }
    const char *at = c != '\0' ? strchr(punctuation, c) : NULL;
    return at != NULL ? (uint64_t)1 << (26 + (at - punctuation)) : 0;
}

str mapping_flags_text(struct arena *a, uint64_t flags)
{
    char text[32];
    size_t n = 0;
    for (char c = 'A'; c <= 'Z'; c++) {
        if ((flags & mapping_flag(c)) != 0) {
            text[n++] = c;
        }
    }
    for (const char *c = punctuation; *c != '\0'; c++) {
        if ((flags & mapping_flag(*c)) != 0) {
            text[n++] = *c;
        }
    }
    return arena_str(a, str_n(text, n));
}

const struct mapping *mapping_find(const struct snapshot *s, str table)
{
    return map_get(s->mappings, table);
}

str mapping_name(const struct mapping *t)
{
    return t->name;
}

/* Tables that PMDF or Messaging Server asks by itself. */
static const char *const asked[] = {"AUTH_ACCESS",
                                    "AUTH_REWRITE",
                                    "CHARSET-CONVERSION",
                                    "COMMENT_STRINGS",
                                    "CONVERSIONS",
                                    "DEQUEUE_ACCESS",
                                    "DISPOSITION_LANGUAGE",
                                    "ETRN_ACCESS",
                                    "FORWARD",
                                    "FROM_ACCESS",
                                    "IP_ACCESS",
                                    "LOG_ACTION",
                                    "MAIL_ACCESS",
                                    "ORIG_MAIL_ACCESS",
                                    "ORIG_SEND_ACCESS",
                                    "NOTIFICATION_LANGUAGE",
                                    "PERSONAL_NAMES",
                                    "PORT_ACCESS",
                                    "REVERSE",
                                    "SEND_ACCESS",
                                    "TLS_ACCESS",
                                    "TLS_CLIENT_POLICY",
                                    "TLS_PEER_ACCESS"};

/* Other tables may follow that convention too; what they refuse is not to be lost. */
static bool is_access(str name)
{
    return str_iends(name, STR("_ACCESS"));
}

static bool is_asked(str name)
{
    bool found = is_access(name);
    for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++) {
        found = found || str_ieq(name, str_from(asked[i]));
    }
    return found;
}

/* Says what is lost because nobody asks the table. */
static void check_asked(struct compile *c, const struct mapping *t)
{
    if (access_check(c, t) || str_ieq(t->name, STR("FORWARD")) ||
        str_ieq(t->name, STR("TLS_CLIENT_POLICY"))) { /* tls_client_table.c */
        return;
    }
    if (is_access(t->name)) {
        compile_restriction(c, t->at,
                            "table %.*s is not honoured yet: what it refuses would be "
                            "accepted",
                            STR_ARG(t->name));
    } else if (is_asked(t->name) && !str_ieq(t->name, STR("REVERSE")) &&
               !str_ieq(t->name, STR("NOTIFICATION_LANGUAGE"))) {
        diag_warning(c->diags, t->at, "unhonoured-mapping",
                     "table %.*s is not honoured yet: nothing is mapped by it",
                     STR_ARG(t->name));
    }
}

/* Reports calls of tables that are not there: the entry always fails. */
static void check_calls(struct compile *c, const struct mapping_template *t)
{
    for (unsigned i = 0; i < t->count; i++) {
        const struct mapping_op *op = &t->ops[i];
        check_calls(c, &op->argument);
        if (op->kind == MAPPING_OP_TABLE && mapping_find(c->s, op->text) == NULL) {
            str near = nearest_key(c->s->mappings, op->text, &c->nearest);
            diag_warning(
                c->diags, op->at, "mapping-unknown-table",
                "there is no table %.*s, and the entry always fails here%s%.*s%s",
                STR_ARG(op->text), near.len > 0 ? "; did you mean '" : "", STR_ARG(near),
                near.len > 0 ? "'?" : "");
        }
    }
}

bool mapping_asks_general(const struct snapshot *s)
{
    for (size_t i = 0; i < map_count(s->mappings); i++) {
        const struct mapping *t = map_at(s->mappings, i, NULL);
        for (unsigned n = 0; n < t->count; n++) {
            if (mapping_template_asks(&t->entries[n].template)) {
                return true;
            }
        }
    }
    return false;
}

static void compile_entry(struct compile *c, struct arena *scratch,
                          const struct ast_entry *from, struct mapping_entry *to)
{
    *to = (struct mapping_entry){.pattern_text = from->pattern,
                                 .template_text = from->template,
                                 .at = span_join(from->pattern_at, from->template_at)};
    if (from->pattern_at.source != from->template_at.source) {
        to->at = from->pattern_at;
    }
    mapping_pattern_compile(c->arena, scratch, from->pattern, from->pattern_at, c->diags,
                            &to->pattern);
    mapping_template_compile(c->arena, scratch, from->template, from->template_at,
                             to->pattern.saved, c->diags, &to->template);
}

static struct mapping *compile_table(struct compile *c, const struct ast_table *from)
{
    struct mapping *t = arena_new_of(c->arena, struct mapping);
    *t = (struct mapping){.name = from->name, .at = from->at};
    for (const struct ast_entry *e = from->entries; e != NULL; e = e->next) {
        t->count++;
    }
    t->entries = arena_array(c->arena, struct mapping_entry, t->count);
    struct arena *scratch = arena_new();
    const struct mapping_pattern **patterns =
        arena_array(scratch, const struct mapping_pattern *, t->count);
    struct arena_mark mark = arena_mark(scratch);
    unsigned i = 0;
    for (const struct ast_entry *e = from->entries; e != NULL; e = e->next) {
        compile_entry(c, scratch, e, &t->entries[i]);
        arena_reset(scratch, mark);
        patterns[i] = &t->entries[i].pattern;
        i++;
    }
    t->index = mapping_index_new(c->arena, patterns, t->count);
    arena_free(&scratch);
    return t;
}

static void compile_tables(struct compile *c, const struct ast *ast)
{
    for (const struct ast_table *a = ast->tables; a != NULL; a = a->next) {
        if (a->name.len == 0) {
            continue;
        }
        struct mapping *t = compile_table(c, a);
        const struct mapping *first = map_add(c->s->mappings, a->name, t);
        if (first != t) {
            struct diag *d =
                diag_error(c->diags, a->at, "duplicate-mapping",
                           "there is a table %.*s already", STR_ARG(a->name));
            diag_note(c->diags, d, first->at, "here it was given first");
        }
    }
}

void mapping_compile(struct compile *c, const struct ast *ast)
{
    if (ast != NULL) {
        compile_tables(c, ast);
    }
    for (size_t i = 0; i < map_count(c->s->mappings); i++) {
        const struct mapping *t = map_at(c->s->mappings, i, NULL);
        check_asked(c, t);
        for (unsigned n = 0; n < t->count; n++) {
            check_calls(c, &t->entries[n].template);
        }
    }
}

/* Adds the tables that the template calls. */
static void note_calls(struct map *called, const struct mapping_template *t)
{
    for (unsigned i = 0; i < t->count; i++) {
        const struct mapping_op *op = &t->ops[i];
        note_calls(called, &op->argument);
        if (op->kind == MAPPING_OP_TABLE) {
            map_add(called, op->text, called);
        }
    }
}

/* A slip in the name of a table that PMDF asks would open what it was to close. */
static void warn_not_called(struct compile *c, const struct map *names,
                            const struct mapping *t)
{
    str near = nearest_key(names, t->name, &c->nearest);
    diag_warning(c->diags, t->at, "mapping-not-called",
                 "no rule and no table calls %.*s, and it is not asked by itself%s%.*s%s",
                 STR_ARG(t->name), near.len > 0 ? "; did you mean '" : "", STR_ARG(near),
                 near.len > 0 ? "'?" : "");
}

void mapping_check_called(struct compile *c, struct map *called)
{
    struct map *names = map_new(c->arena, MAP_NOCASE);
    for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++) {
        map_add(names, str_from(asked[i]), names);
    }
    for (size_t i = 0; i < map_count(c->s->mappings); i++) {
        const struct mapping *t = map_at(c->s->mappings, i, NULL);
        for (unsigned n = 0; n < t->count; n++) {
            note_calls(called, &t->entries[n].template);
        }
    }
    for (size_t i = 0; i < map_count(c->s->mappings); i++) {
        const struct mapping *t = map_at(c->s->mappings, i, NULL);
        if (!is_asked(t->name) && map_get(called, t->name) == NULL) {
            warn_not_called(c, names, t);
        }
    }
}
