/* parse_aliases: lines of an alias file (PMDF 3.1.1) and of a file with the members of a
 * list. What the items mean is found out when they are compiled. */
#include "parser/parse_state.h"

/* The first blank outside of quotes, or the length. */
static size_t blank_at(str name)
{
    bool quoted = false;
    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] == '\\' && i + 1 < name.len) {
            i++;
        } else if (name.ptr[i] == '"') {
            quoted = !quoted;
        } else if (ascii_is_space(name.ptr[i]) && !quoted) {
            return i;
        }
    }
    return name.len;
}

/* Says what is wrong with the name of an alias. */
static bool name_is_good(struct parse *p, const struct token *name)
{
    size_t blank = blank_at(name->text);
    if (blank == name->text.len) {
        return true;
    }
    bool trailing = str_trim(str_from_pos(name->text, blank)).len == 0;
    parse_error(p, name->at, "alias-name",
                trailing ? "no blank may stand between the name of an alias and its colon"
                         : "the name of an alias has no blanks, unless it is quoted");
    return false;
}

void parse_alias_name(struct parse *p, const struct token *name)
{
    if (name == NULL) {
        parse_error(p, p->last, "alias-name", "the name before the colon is missing");
        ast_alias(&p->build, STR(""), p->last);
        return;
    }
    ast_alias(&p->build, name_is_good(p, name) ? name->text : STR(""), name->at);
}

void parse_alias_item(struct parse *p, const struct token *item)
{
    if (item != NULL && item->text.len > 0) {
        ast_word(&p->build, item->text, item->at);
    } else if (p->syntax == SYNTAX_ALIASES) {
        parse_error(p, p->last, "alias-item",
                    "an address is missing here; a line that goes on ends with a "
                    "backslash");
    }
}
