/* template_words: the parts of users, names and texts that substitutions ask for. Pure
 * functions; the machine that asks is template_run.c. */
#include "tables/template_ops.h"

/* Position of the subaddress separator of a local part, or its length. What is quoted
 * has none. */
static size_t subaddress_at(str user)
{
    ptrdiff_t plus = user.len > 0 && user.ptr[0] != '"' ? str_find(user, '+') : -1;

    return plus > 0 ? (size_t)plus : user.len;
}

str template_user_part(str local, bool subaddress)
{
    size_t at = subaddress_at(local);

    return subaddress ? str_from_pos(local, at + 1) : str_sub(local, 0, at);
}

str template_drop_labels(str name, unsigned n)
{
    bool dotted = name.len > 1 && name.ptr[0] == '.';

    while (n-- > 0 && name.len > 0) {
        size_t start = dotted ? 1 : 0;
        ptrdiff_t dot = str_find(str_from_pos(name, start), '.');
        if (dot < 0) {
            return STR("");
        }
        name = str_from_pos(name, start + (size_t)dot + (dotted ? 0 : 1));
    }
    return name;
}

bool template_label(str name, unsigned n, bool from_right, str *label)
{
    if (name.len > 0 && name.ptr[0] == '.') {
        name = str_from_pos(name, 1);
    }
    if (name.len == 0) {
        return false;
    }
    for (;;) {
        ptrdiff_t dot = from_right ? str_rfind(name, '.') : str_find(name, '.');
        if (n-- == 0) {
            size_t at = (size_t)dot;
            *label = dot < 0      ? name
                     : from_right ? str_from_pos(name, at + 1)
                                  : str_sub(name, 0, at);
            return true;
        }
        if (dot < 0) {
            return false;
        }
        name = from_right ? str_sub(name, 0, (size_t)dot)
                          : str_from_pos(name, (size_t)dot + 1);
    }
}

str template_error_text(struct arena *a, str written)
{
    char *text = arena_alloc(a, written.len + 1);
    size_t n = 0;

    for (size_t i = 0; i < written.len; i++) {
        char next = i + 1 < written.len ? written.ptr[i + 1] : '\0';
        if (written.ptr[i] == '$' && (next == '$' || next == '%' || next == '@')) {
            i++;
        }
        text[n++] = written.ptr[i];
    }
    return str_n(text, n);
}
