/* ast: what was WRITTEN in one file: names unresolved, nothing checked. Node texts
 * are slices of the parse arena; every node keeps its span. */
#ifndef PARSER_AST_H
#define PARSER_AST_H

#include "base/diag.h"
#include "base/str.h"
#include "parser/keywords.h"

/* A rewrite rule: pattern, blanks, template. */
struct ast_rule {
    str pattern, template;
    struct span pattern_at, template_at;
    struct ast_rule *next;
};

/* One argument of a keyword. */
struct ast_word {
    str text;
    struct span at;
    struct ast_word *next;
};

/* One keyword as written, with the arguments the lexer's three shapes gave it. */
struct ast_keyword {
    str name;
    struct span at;
    const struct keyword *known; /* NULL: nobody knows the word */
    struct ast_word *args;
    struct ast_keyword *next;
};

/* A host line of a channel block: line 2 is the official host and the local host
 * alias, later lines are host-name and proper-name. */
struct ast_host {
    str name, second;
    struct span name_at, second_at;
    struct ast_host *next;
};

enum ast_block_kind { AST_CHANNEL, AST_DEFAULTS, AST_NODEFAULTS };
struct ast_block {
    enum ast_block_kind kind;
    str name;
    struct span name_at;
    struct ast_keyword *keywords;
    struct ast_host *hosts;
    struct ast_block *next;
};

/* name=value of dispatcher.cnf, option.dat, tls.cnf. */
struct ast_option {
    str name, value;
    struct span name_at, value_at;
    struct ast_option *next;
};
/* [NAME] or [NAME=value]; the options before any head are in a section with an
 * empty name. */
struct ast_section {
    str name, value;
    struct span at;
    struct ast_option *options;
    struct ast_section *next;
};

/* An entry of a mapping table: pattern, blanks, template. */
struct ast_entry {
    str pattern, template;
    struct span pattern_at, template_at;
    struct ast_entry *next;
};

/* A mapping table; one without entries is legal. The name is empty when what stood there
 * could not be one; that has been reported. */
struct ast_table {
    str name;
    struct span at;
    struct ast_entry *entries;
    struct ast_table *next;
};

/* An alias: its name as written, what stands behind the colon between commas. */
struct ast_alias {
    str name; /* empty when what stood there could be none; that has been reported */
    struct span at;
    struct ast_word *items;
    struct ast_alias *next;
};

struct ast {
    struct ast_rule *rules; /* SYNTAX_CONFIG */
    uint32_t rule_count;
    struct span rules_end;        /* the blank line that ends the rules, or SPAN_NONE */
    struct ast_block *blocks;     /* SYNTAX_CONFIG */
    struct ast_section *sections; /* SYNTAX_OPTIONS */
    struct ast_table *tables;     /* SYNTAX_MAPPINGS; SYNTAX_DATABASE has one, unnamed */
    struct ast_alias *aliases;    /* SYNTAX_ALIASES */
    struct ast_word *words;       /* SYNTAX_LIST, SYNTAX_MEMBERS */
    uint32_t source;              /* id of the file itself; 0: it could not be read */
};

/* Appends nodes in the order of the text; the grammar does nothing else. The *_end
 * pointers are where the next node of a kind is linked in. */
struct ast_builder {
    struct arena *arena;
    struct ast *ast;
    struct ast_rule **rule_end;
    struct ast_block **block_end;
    struct ast_keyword **keyword_end; /* of the block begun last */
    struct ast_host **host_end;       /* of the block begun last */
    struct ast_section **section_end;
    struct ast_option **option_end; /* of the section begun last */
    struct ast_table **table_end;
    struct ast_entry **entry_end; /* of the table begun last */
    struct ast_alias **alias_end;
    struct ast_word **word_end; /* arguments, items of an alias, or list words */
};
/* Starts an empty AST with its unnamed section, all in the arena. */
void ast_begin(struct ast_builder *b, struct arena *a);
void ast_rule(struct ast_builder *b, str pattern, struct span pattern_at, str template,
              struct span template_at);
void ast_block(struct ast_builder *b, enum ast_block_kind kind, str name, struct span at);
void ast_keyword(struct ast_builder *b, str name, struct span at,
                 const struct keyword *known);
/* An argument of the last keyword, an item of the last alias; in a list file, a word of
 * it. */
void ast_word(struct ast_builder *b, str text, struct span at);
/* A host line of the last block. */
void ast_host(struct ast_builder *b, str name, struct span name_at, str second,
              struct span second_at);
void ast_section(struct ast_builder *b, str name, str value, struct span at);
void ast_option(struct ast_builder *b, str name, struct span name_at, str value,
                struct span value_at);
void ast_table(struct ast_builder *b, str name, struct span at);
void ast_alias(struct ast_builder *b, str name, struct span at);
/* An entry of the last table. */
void ast_entry(struct ast_builder *b, str pattern, struct span pattern_at, str template,
               struct span template_at);

struct buf;
/* Prints it in canonical form (one blank between words, no comments, includes spliced
 * in). What is printed parses to an AST that prints the same. */
void ast_print(const struct ast *ast, struct buf *out);

#endif
