/* ast: constructors for the grammar's actions, and the printer. Nodes live in the
 * parse arena; nothing is freed singly. */
#include "parser/ast.h"

#include "base/buf.h"
#include "base/check.h"

void ast_begin(struct ast_builder *b, struct arena *a)
{
    struct ast *ast = arena_new_of(a, struct ast);
    *b = (struct ast_builder){.arena = a,
                              .ast = ast,
                              .rule_end = &ast->rules,
                              .block_end = &ast->blocks,
                              .section_end = &ast->sections,
                              .table_end = &ast->tables,
                              .alias_end = &ast->aliases,
                              .word_end = &ast->words};
}

void ast_rule(struct ast_builder *b, str pattern, struct span pattern_at, str template,
              struct span template_at)
{
    struct ast_rule *r = arena_new_of(b->arena, struct ast_rule);
    *r = (struct ast_rule){pattern, template, pattern_at, template_at, NULL};
    *b->rule_end = r;
    b->ast->rule_count++;
    b->rule_end = &r->next;
}

void ast_block(struct ast_builder *b, enum ast_block_kind kind, str name, struct span at)
{
    struct ast_block *block = arena_new_of(b->arena, struct ast_block);
    *block = (struct ast_block){.kind = kind, .name = name, .name_at = at};
    *b->block_end = block;
    b->block_end = &block->next;
    b->keyword_end = &block->keywords;
    b->host_end = &block->hosts;
}

void ast_keyword(struct ast_builder *b, str name, struct span at,
                 const struct keyword *known)
{
    struct ast_keyword *k = arena_new_of(b->arena, struct ast_keyword);
    check(b->keyword_end != NULL);
    *k = (struct ast_keyword){.name = name, .at = at, .known = known};
    *b->keyword_end = k;
    b->keyword_end = &k->next;
    b->word_end = &k->args;
}

void ast_word(struct ast_builder *b, str text, struct span at)
{
    struct ast_word *w = arena_new_of(b->arena, struct ast_word);
    *w = (struct ast_word){text, at, NULL};
    *b->word_end = w;
    b->word_end = &w->next;
}

void ast_host(struct ast_builder *b, str name, struct span name_at, str second,
              struct span second_at)
{
    struct ast_host *h = arena_new_of(b->arena, struct ast_host);
    check(b->host_end != NULL);
    *h = (struct ast_host){name, second, name_at, second_at, NULL};
    *b->host_end = h;
    b->host_end = &h->next;
}

void ast_section(struct ast_builder *b, str name, str value, struct span at)
{
    struct ast_section *s = arena_new_of(b->arena, struct ast_section);
    *s = (struct ast_section){name, value, at, NULL, NULL};
    *b->section_end = s;
    b->section_end = &s->next;
    b->option_end = &s->options;
}

void ast_option(struct ast_builder *b, str name, struct span name_at, str value,
                struct span value_at)
{
    if (b->option_end == NULL) {
        ast_section(b, STR_NONE, STR_NONE, SPAN_NONE);
    }
    struct ast_option *o = arena_new_of(b->arena, struct ast_option);
    *o = (struct ast_option){name, value, name_at, value_at, NULL};
    *b->option_end = o;
    b->option_end = &o->next;
}

void ast_table(struct ast_builder *b, str name, struct span at)
{
    struct ast_table *t = arena_new_of(b->arena, struct ast_table);
    *t = (struct ast_table){name, at, NULL, NULL};
    *b->table_end = t;
    b->table_end = &t->next;
    b->entry_end = &t->entries;
}

void ast_alias(struct ast_builder *b, str name, struct span at)
{
    struct ast_alias *alias = arena_new_of(b->arena, struct ast_alias);
    *alias = (struct ast_alias){name, at, NULL, NULL};
    *b->alias_end = alias;
    b->alias_end = &alias->next;
    b->word_end = &alias->items;
}

void ast_entry(struct ast_builder *b, str pattern, struct span pattern_at, str template,
               struct span template_at)
{
    struct ast_entry *e = arena_new_of(b->arena, struct ast_entry);
    check(b->entry_end != NULL);
    *e = (struct ast_entry){pattern, template, pattern_at, template_at, NULL};
    *b->entry_end = e;
    b->entry_end = &e->next;
}

/* What stands at the beginning of the text must not be taken for a byte order mark. */
static void print_guard(str word, struct buf *out)
{
    if (out->len == 0 && str_starts(word, STR("\xEF\xBB\xBF"))) {
        buf_puts(out, "!\n");
    }
}

/* The first word of a line: away from column 1 if it would mean something else there. */
static void print_first(str word, struct buf *out)
{
    bool special = word.len > 0 && strchr("!<#", word.ptr[0]) != NULL;
    print_guard(word, out);
    buf_printf(out, special ? " %.*s" : "%.*s", STR_ARG(word));
}

/* Ends a line, so that a backslash at its end does not continue it. */
static void print_end(struct buf *out)
{
    bool backslash = out->len > 0 && out->data[out->len - 1] == '\\';
    buf_puts(out, backslash ? " \n" : "\n");
}

/* A word that holds a blank, or nothing, stands in quotes. */
static void print_word(str word, struct buf *out)
{
    bool quoted = word.len == 0 || str_find(word, ' ') >= 0 || str_find(word, '\t') >= 0;
    buf_printf(out, quoted ? " \"%.*s\"" : " %.*s", STR_ARG(word));
}

static void print_block(const struct ast_block *block, struct buf *out)
{
    buf_putc(out, '\n');
    print_first(block->name, out);
    for (const struct ast_keyword *k = block->keywords; k != NULL; k = k->next) {
        print_word(k->name, out);
        for (const struct ast_word *w = k->args; w != NULL; w = w->next) {
            print_word(w->text, out);
        }
    }
    print_end(out);
    for (const struct ast_host *h = block->hosts; h != NULL; h = h->next) {
        print_first(h->name, out);
        if (h->second.len > 0) {
            buf_printf(out, " %.*s", STR_ARG(h->second));
        }
        print_end(out);
    }
}

static void print_section(const struct ast_section *s, struct buf *out)
{
    if (s->name.ptr != NULL) {
        buf_printf(out, s->value.ptr != NULL ? "[%.*s=%.*s]\n" : "[%.*s%.*s]\n",
                   STR_ARG(s->name), STR_ARG(s->value));
    }
    for (const struct ast_option *o = s->options; o != NULL; o = o->next) {
        print_first(o->name, out);
        buf_printf(out, "=%.*s", STR_ARG(o->value));
        print_end(out);
    }
}

/* A blank line stands behind the name and between tables. */
static void print_table(const struct ast_table *t, struct buf *out)
{
    if (out->len > 0) {
        buf_putc(out, '\n');
    }
    print_guard(t->name, out);
    buf_str(out, t->name);
    print_end(out);
    buf_puts(out, t->entries != NULL ? "\n" : "");
    for (const struct ast_entry *e = t->entries; e != NULL; e = e->next) {
        buf_printf(out, "  %.*s %.*s", STR_ARG(e->pattern), STR_ARG(e->template));
        print_end(out);
    }
}

static void print_alias(const struct ast_alias *alias, struct buf *out)
{
    print_guard(alias->name, out);
    buf_printf(out, "%.*s:", STR_ARG(alias->name));
    for (const struct ast_word *w = alias->items; w != NULL; w = w->next) {
        buf_printf(out, "%s%.*s", w != alias->items ? ", " : " ", STR_ARG(w->text));
    }
    print_end(out);
}

void ast_print(const struct ast *ast, struct buf *out)
{
    for (const struct ast_rule *r = ast->rules; r != NULL; r = r->next) {
        print_first(r->pattern, out);
        buf_printf(out, " %.*s", STR_ARG(r->template));
        print_end(out);
    }
    for (const struct ast_block *b = ast->blocks; b != NULL; b = b->next) {
        print_block(b, out);
    }
    for (const struct ast_section *s = ast->sections; s != NULL; s = s->next) {
        print_section(s, out);
    }
    for (const struct ast_table *t = ast->tables; t != NULL; t = t->next) {
        print_table(t, out);
    }
    for (const struct ast_alias *alias = ast->aliases; alias; alias = alias->next) {
        print_alias(alias, out);
    }
    for (const struct ast_word *w = ast->words; w != NULL; w = w->next) {
        print_first(w->text, out);
        print_end(out);
    }
}
