/* ast_archive: one function for each kind of node, for both directions. A kind of node
 * that is new in ast.h needs its line here; test/unit/test_image.c compares what is
 * printed of every configuration there is. */
#include "parser/ast_archive.h"

/* Walks a list of nodes: ARCHIVE_LIST(ar, &ast->words, struct ast_word, n) { ... n ... }.
 * A macro, because C has no type parameters. */
#define ARCHIVE_LIST(ar, first, type, n)                                                 \
    for (type **at_##n = (first), *n;                                                    \
         (n = *at_##n = archive_node((ar), *at_##n, sizeof(type))) != NULL;              \
         at_##n = &n->next)

static void words_archive(struct archive *ar, struct ast_word **first)
{
    ARCHIVE_LIST(ar, first, struct ast_word, w)
    {
        archive_str(ar, &w->text);
        archive_span(ar, &w->at);
    }
}

static void keywords_archive(struct archive *ar, struct ast_keyword **first)
{
    ARCHIVE_LIST(ar, first, struct ast_keyword, k)
    {
        archive_str(ar, &k->name);
        archive_span(ar, &k->at);
        words_archive(ar, &k->args);
        if (archive_reading(ar)) {
            k->known = keyword_find(k->name);
        }
    }
}

static void hosts_archive(struct archive *ar, struct ast_host **first)
{
    ARCHIVE_LIST(ar, first, struct ast_host, h)
    {
        archive_str(ar, &h->name);
        archive_str(ar, &h->second);
        archive_span(ar, &h->name_at);
        archive_span(ar, &h->second_at);
    }
}

static void blocks_archive(struct archive *ar, struct ast_block **first)
{
    ARCHIVE_LIST(ar, first, struct ast_block, b)
    {
        unsigned kind = b->kind;
        archive_choice(ar, AST_NODEFAULTS + 1, &kind);
        b->kind = (enum ast_block_kind)kind;
        archive_str(ar, &b->name);
        archive_span(ar, &b->name_at);
        keywords_archive(ar, &b->keywords);
        hosts_archive(ar, &b->hosts);
    }
}

static void options_archive(struct archive *ar, struct ast_option **first)
{
    ARCHIVE_LIST(ar, first, struct ast_option, o)
    {
        archive_str(ar, &o->name);
        archive_str(ar, &o->value);
        archive_span(ar, &o->name_at);
        archive_span(ar, &o->value_at);
    }
}

static void sections_archive(struct archive *ar, struct ast_section **first)
{
    ARCHIVE_LIST(ar, first, struct ast_section, s)
    {
        archive_str(ar, &s->name);
        archive_str(ar, &s->value);
        archive_span(ar, &s->at);
        options_archive(ar, &s->options);
    }
}

static void entries_archive(struct archive *ar, struct ast_entry **first)
{
    ARCHIVE_LIST(ar, first, struct ast_entry, e)
    {
        archive_str(ar, &e->pattern);
        archive_str(ar, &e->template);
        archive_span(ar, &e->pattern_at);
        archive_span(ar, &e->template_at);
    }
}

static void tables_archive(struct archive *ar, struct ast_table **first)
{
    ARCHIVE_LIST(ar, first, struct ast_table, t)
    {
        archive_str(ar, &t->name);
        archive_span(ar, &t->at);
        entries_archive(ar, &t->entries);
    }
}

static void aliases_archive(struct archive *ar, struct ast_alias **first)
{
    ARCHIVE_LIST(ar, first, struct ast_alias, a)
    {
        archive_str(ar, &a->name);
        archive_span(ar, &a->at);
        words_archive(ar, &a->items);
    }
}

void ast_archive(struct archive *ar, struct ast **ast)
{
    struct ast *a = *ast = archive_node(ar, *ast, sizeof *a);
    if (a == NULL) {
        return;
    }
    archive_u32(ar, &a->rule_count);
    archive_span(ar, &a->rules_end);
    archive_u32(ar, &a->source);
    blocks_archive(ar, &a->blocks);
    sections_archive(ar, &a->sections);
    tables_archive(ar, &a->tables);
    aliases_archive(ar, &a->aliases);
    words_archive(ar, &a->words);
}
