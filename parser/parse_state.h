/* parse_state: what one run of parse_file() shares between parse.c, lexer.l and
 * grammar.y. Internal to parser/. The lexer knows what kind of line it is in, so that
 * the grammar can stay line by line. */
#ifndef PARSER_PARSE_STATE_H
#define PARSER_PARSE_STATE_H

#include "parser/parse.h"

enum {
    PARSE_INCLUDE_DEPTH = 3,   /* PMDF 2.1.4 */
    PARSE_LINE_MAX = 4096,     /* bytes, continuation lines joined */
    PARSE_ENTRY_MAX = 16384,   /* the same, of a line of a mapping table */
    PARSE_ALIAS_MAX = 1 << 20, /* the same, of an alias */
    PARSE_TABLE_NAME_MAX = 128,
    PARSE_INCLUDES_MAX = 10000
};

/* One word of the text: joined over continuation lines, without quotes. */
struct token {
    str text;
    struct span at;
    const struct keyword *known; /* for the keyword tokens */
};

/* Where in a mapping file the parser is: blank lines have a meaning there. */
enum parse_table {
    PARSE_TABLE_NONE, /* at the beginning, or behind the blank line that ends a table */
    PARSE_TABLE_NAME, /* behind the name: a blank line must follow */
    PARSE_TABLE_OPEN, /* behind that blank line: entries follow */
    PARSE_TABLE_ENTRY /* behind an entry */
};

/* A file being read: the main one or an include. */
struct parse_frame {
    uint32_t source;
    size_t offset; /* where the lexer stands */
    str path;
};

struct parse {
    struct arena *arena;
    const struct loader *loader;
    struct sources *sources;
    struct diags *diags;
    enum syntax syntax;
    str root; /* folder of the first file: names are shown relative to it */
    struct ast_builder build;

    int start_token; /* told to the grammar once, at the beginning */
    void *scanner;   /* flex's */
    struct parse_frame frames[PARSE_INCLUDE_DEPTH + 1];
    unsigned depth;            /* index of the current frame */
    unsigned includes;         /* files included so far */
    size_t bytes;              /* of all texts so far */
    size_t line_length;        /* of the joined line */
    bool in_blocks;            /* SYNTAX_CONFIG: past the rules */
    bool in_block;             /* past the first line of a block */
    bool in_line;              /* a token of this line was given out */
    enum parse_table table;    /* SYNTAX_MAPPINGS */
    struct span table_end;     /* the blank line that ended the last table */
    bool reported;             /* this line's fault has been told already */
    bool stopped;              /* too many includes: the rest is not read */
    enum keyword_args awaited; /* what the last keyword still takes ... */
    unsigned awaited_max;      /* ... and how many at most */
    struct span last;          /* the token given out last */
};

/* An include line names `name`: reads that file and makes it the current frame. False
 * when there is nothing to read; it has been reported then. */
bool parse_include(struct parse *p, str name, struct span at, str *text);
/* Reports a fault of syntax, the first one of a line only; NULL when it is not told. */
struct diag *parse_error(struct parse *p, struct span at, const char *slug,
                         const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* Lines of a mapping file (parse_mappings.c): a blank one; a name in column 1; an entry.
 * They check what blank lines must stand where, and build the AST. */
void parse_table_blank(struct parse *p, struct span at);
void parse_table_name(struct parse *p, const struct token *name);
void parse_table_entry(struct parse *p, const struct token *pattern,
                       const struct token *template);
/* Is the line that begins here, in column 1, an entry that should be indented? */
bool parse_table_unindented(const struct parse *p, str text);

/* Lines of an alias file, and of a file with the members of a list (parse_aliases.c): the
 * name, with nothing taken off it; an item, NULL for one that is empty. */
void parse_alias_name(struct parse *p, const struct token *name);
void parse_alias_item(struct parse *p, const struct token *item);

/* A scanner that begins with text, the contents of frame 0. Freed with lexer_close(). */
void *lexer_open(struct parse *p, str text);
void lexer_close(void *scanner);

#endif
