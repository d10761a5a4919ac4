/* alias_item: see alias_item.h. */
#include "tables/alias_item.h"

bool alias_is_url(str text)
{
    return str_istarts(text, STR("ldap:")) || str_istarts(text, STR("ldaps:")) ||
           str_istarts(text, STR("ldapi:"));
}

/* Without the quotes around all of it. */
static str unquoted(str text)
{
    bool quoted = text.len >= 2 && text.ptr[0] == '"' && text.ptr[text.len - 1] == '"';
    str inside = quoted ? str_sub(text, 1, text.len - 2) : text;
    return quoted && str_find(inside, '"') < 0 ? inside : text;
}

static bool read_parameter(str text, struct alias_item *out)
{
    ptrdiff_t end = str_find(text, ']');
    if (text.ptr[0] != '[' || end < 0) {
        return false;
    }
    out->kind = ALIAS_ITEM_PARAMETER;
    out->name = str_trim(str_sub(text, 1, (size_t)end - 1));
    out->value = unquoted(str_trim(str_from_pos(text, (size_t)end + 1)));
    return true;
}

void alias_item_read(str text, struct alias_item *out)
{
    *out = (struct alias_item){ALIAS_ITEM_ADDRESS, STR(""), text};
    if (text.len == 0 || read_parameter(text, out)) {
        return;
    }
    if (text.ptr[0] == '<' && text.ptr[text.len - 1] != '>') {
        out->value = unquoted(str_trim(str_from_pos(text, 1)));
        out->kind = alias_is_url(out->value) ? ALIAS_ITEM_URL : ALIAS_ITEM_FILE;
    } else if (text.ptr[0] == ':') {
        out->value = str_trim(str_from_pos(text, 1));
        out->kind = ALIAS_ITEM_HIDDEN;
    }
}

/* ---- addresses ------------------------------------------------------------------- */

/* The end of the quoted string or comment that begins at i; the length if it has none. */
static size_t skip_enclosed(str text, size_t i)
{
    bool comment = text.ptr[i] == '(';
    unsigned depth = 1;
    for (i++; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '\\') {
            i++;
        } else if (c == (comment ? ')' : '"')) {
            depth--;
        } else if (comment && c == '(') {
            depth++;
        }
        if (depth == 0) {
            return i + 1;
        }
    }
    return text.len;
}

/* The text without comments and blanks outside of quotes, up to `end`. The first
 * character that stands outside of both and ends it is at *stop. */
static str without_comments(struct arena *a, str text, char end, size_t *stop)
{
    char *out = arena_alloc(a, text.len + 1);
    size_t n = 0, i = 0;
    while (i < text.len && (end == '\0' || text.ptr[i] != end)) {
        bool quoted = text.ptr[i] == '"', comment = text.ptr[i] == '(';
        size_t next = quoted || comment ? skip_enclosed(text, i) : i + 1;
        if (!comment && !ascii_is_space(text.ptr[i])) {
            memcpy(out + n, text.ptr + i, next - i);
            n += next - i;
        }
        i = next;
    }
    *stop = i;
    return str_n(out, n);
}

const char *alias_address_read(struct arena *a, str text, struct address *out)
{
    size_t angle, end;
    str bare = without_comments(a, text, '<', &angle);
    if (angle < text.len) {
        str rest = str_from_pos(text, angle + 1);
        bare = without_comments(a, rest, '>', &end);
        if (end == rest.len) {
            return "has a '<' without a '>'";
        }
        if (without_comments(a, str_from_pos(rest, end + 1), '\0', &angle).len > 0) {
            return "goes on behind its '>'";
        }
    } else if (str_find(str_trim(text), ' ') >= 0 && bare.len > 0 &&
               str_find(text, '"') < 0 && str_find(text, '(') < 0) {
        return "has a blank in it";
    }
    if (bare.len == 0) {
        return "is empty";
    }
    const char *reason = address_parse(bare, out);
    return reason != NULL ? reason : out->local.len == 0 ? "has no local part" : NULL;
}
