/* parse_mappings: which line of a mapping file may stand where. PMDF asks for a blank
 * line behind the name of a table, allows none among its entries, and says nothing when
 * that is wrong: entries are lost, or taken for names. Here each such line is an error
 * (PMDF 5.2). */
#include "parser/parse_state.h"

static bool is_letter(char c)
{
    c = ascii_lower(c);
    return c >= 'a' && c <= 'z';
}

static bool has_blank(str text)
{
    return str_find(text, ' ') >= 0 || str_find(text, '\t') >= 0;
}

void parse_table_blank(struct parse *p, struct span at)
{
    if (p->table == PARSE_TABLE_ENTRY || p->table == PARSE_TABLE_OPEN) {
        p->table_end = at;
    }
    p->table = p->table == PARSE_TABLE_NAME ? PARSE_TABLE_OPEN : PARSE_TABLE_NONE;
}

bool parse_table_unindented(const struct parse *p, str text)
{
    text = str_trim(text);
    return (p->table == PARSE_TABLE_OPEN || p->table == PARSE_TABLE_ENTRY) &&
           text.len > 0 && (!is_letter(text.ptr[0]) || has_blank(text));
}

/* Says what is wrong with the name of a table. */
static bool name_is_good(struct parse *p, const struct token *name)
{
    if (name->text.len == 0 || !is_letter(name->text.ptr[0]) || has_blank(name->text)) {
        parse_error(p, name->at, "mapping-name",
                    "the name of a table begins with a letter and has no blanks; entries "
                    "begin with a blank");
    } else if (name->text.len > PARSE_TABLE_NAME_MAX) {
        parse_error(p, name->at, "mapping-name",
                    "the name of a table can have %d bytes, not more",
                    PARSE_TABLE_NAME_MAX);
    } else {
        return true;
    }
    return false;
}

void parse_table_name(struct parse *p, const struct token *name)
{
    bool good = name_is_good(p, name);
    if (good && (p->table == PARSE_TABLE_NAME || p->table == PARSE_TABLE_ENTRY)) {
        parse_error(p, name->at, "mapping-blank-line",
                    "a blank line must stand between a table and the name of the next");
    }
    p->table = PARSE_TABLE_NAME;
    p->table_end = SPAN_NONE;
    ast_table(&p->build, good ? name->text : STR(""), name->at);
}

/* An entry where no table is open, told once for those that follow each other. */
static void stray_entry(struct parse *p, struct span at)
{
    if (p->table_end.source == 0) {
        parse_error(p, at, "mapping-no-table",
                    "an entry stands here, but no table begins before it; the name of a "
                    "table stands in column 1");
        return;
    }
    struct diag *d = parse_error(p, at, "mapping-no-table",
                                 "this entry belongs to no table: the blank line before "
                                 "it ends the table; take that line out");
    if (d != NULL) {
        diag_note(p->diags, d, p->table_end, "the table ends here");
    }
}

void parse_table_entry(struct parse *p, const struct token *pattern,
                       const struct token *template)
{
    if (p->table == PARSE_TABLE_NONE) {
        stray_entry(p, pattern->at);
    } else if (p->table == PARSE_TABLE_NAME) {
        parse_error(p, pattern->at, "mapping-blank-line",
                    "a blank line must stand between the name of a table and its "
                    "entries");
    }
    p->table = PARSE_TABLE_ENTRY;
    if (p->build.ast->tables != NULL) {
        ast_entry(&p->build, pattern->text, pattern->at, template->text, template->at);
    }
}
