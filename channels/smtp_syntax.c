/* smtp_syntax: by hand, one function per production. */
#include "channels/smtp_syntax.h"

#include <stdio.h>

static bool is_control(char c)
{
    return (unsigned char)c < ' ' || c == 0x7f;
}

static bool is_graphic(char c)
{
    return c > ' ' && c <= '~';
}

ptrdiff_t smtp_find_control(str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (is_control(s.ptr[i])) {
            return (ptrdiff_t)i;
        }
    }
    return -1;
}

ptrdiff_t smtp_find_non_ascii(str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if ((unsigned char)s.ptr[i] >= 0x80) {
            return (ptrdiff_t)i;
        }
    }
    return -1;
}

static str skip_blanks(str s)
{
    while (s.len > 0 && s.ptr[0] == ' ') {
        s = str_from_pos(s, 1);
    }
    return s;
}

void smtp_command_split(str line, str *verb, str *args)
{
    while (line.len > 0 && ascii_is_space(line.ptr[line.len - 1])) {
        line.len--;
    }
    ptrdiff_t blank = str_find(line, ' ');
    size_t len = blank < 0 ? line.len : (size_t)blank;
    *verb = str_sub(line, 0, len);
    *args = skip_blanks(str_from_pos(line, len));
}

/* The index of the '>' that ends a path, or -1. */
static ptrdiff_t path_end(str s)
{
    bool quoted = false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (quoted && c == '\\') {
            i++;
        } else if (c == '"') {
            quoted = !quoted;
        } else if (c == '>' && !quoted) {
            return (ptrdiff_t)i;
        }
    }
    return -1;
}

bool smtp_path_take(str *args, str keyword, str *path)
{
    if (!str_istarts(*args, keyword)) {
        return false;
    }
    str rest = skip_blanks(str_from_pos(*args, keyword.len));
    if (rest.len == 0 || rest.ptr[0] != '<') {
        return false;
    }
    rest = str_from_pos(rest, 1);
    ptrdiff_t end = path_end(rest);
    if (end < 0) {
        return false;
    }
    *path = str_sub(rest, 0, (size_t)end);
    *args = str_from_pos(rest, (size_t)end + 1);
    return args->len == 0 || args->ptr[0] == ' ';
}

static bool param_keyword_ok(str s)
{
    if (s.len == 0 || !ascii_is_alnum(s.ptr[0])) {
        return false;
    }
    for (size_t i = 1; i < s.len; i++) {
        if (!ascii_is_alnum(s.ptr[i]) && s.ptr[i] != '-') {
            return false;
        }
    }
    return true;
}

static bool param_value_ok(str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (!is_graphic(s.ptr[i]) || s.ptr[i] == '=') {
            return false;
        }
    }
    return s.len > 0;
}

enum smtp_param_status smtp_param_take(str *rest, struct smtp_param *p)
{
    str s = skip_blanks(*rest);
    ptrdiff_t blank = str_find(s, ' ');
    str word = blank < 0 ? s : str_sub(s, 0, (size_t)blank);
    *p = (struct smtp_param){word, STR_NONE};
    *rest = str_from_pos(s, word.len);
    if (word.len == 0) {
        return SMTP_PARAM_END;
    }
    ptrdiff_t equals = str_find(word, '=');
    if (equals >= 0) {
        p->keyword = str_sub(word, 0, (size_t)equals);
        p->value = str_from_pos(word, (size_t)equals + 1);
        if (!param_value_ok(p->value)) {
            return SMTP_PARAM_BAD;
        }
    }
    return param_keyword_ok(p->keyword) ? SMTP_PARAM_GOOD : SMTP_PARAM_BAD;
}

bool smtp_helo_ok(str name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (!is_graphic(name.ptr[i])) {
            return false;
        }
    }
    return name.len > 0 && name.len <= SMTP_HELO_MAX;
}

static bool is_header_name(str word)
{
    if (word.len < 2 || word.ptr[word.len - 1] != ':') {
        return false;
    }
    for (size_t i = 0; i + 1 < word.len; i++) {
        if (!ascii_is_alnum(word.ptr[i]) && word.ptr[i] != '-') {
            return false;
        }
    }
    return true;
}

bool smtp_is_http(str line)
{
    /* RFC 9110 9.3, RFC 5789; "PRI" begins HTTP/2. */
    static const char *const methods[] = {"GET",     "HEAD",  "POST",  "PUT", "DELETE",
                                          "CONNECT", "TRACE", "PATCH", "PRI", "OPTIONS"};
    str verb, args;
    smtp_command_split(line, &verb, &args);
    if (is_header_name(verb)) {
        return true;
    }
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        if (str_ieq(verb, str_from(methods[i]))) {
            return true;
        }
    }
    return false;
}

enum { PATH_SENDABLE_MAX = 512 };

bool smtp_path_sendable(str path)
{
    bool quoted = false;
    for (size_t i = 0; i < path.len; i++) {
        char c = path.ptr[i];
        if (c < ' ' || c > '~' || (!quoted && strchr(" <>", c) != NULL)) {
            return false;
        }
        if (c == '"') {
            quoted = !quoted;
        } else if (quoted && c == '\\' && ++i >= path.len) {
            return false;
        }
    }
    return !quoted && path.len <= PATH_SENDABLE_MAX;
}

bool smtp_reply_print(struct buf *out, const struct smtp_reply_line *r)
{
    char line[SMTP_REPLY_TEXT_MAX + 16];
    const unsigned *e = r->enhanced;
    int head = e[0] > 0 ? snprintf(line, 32, "%03u %u.%u.%u ", r->code % 1000, e[0] % 10,
                                   e[1] % 1000, e[2] % 1000)
                        : snprintf(line, 32, "%03u ", r->code % 1000);
    size_t len = (size_t)head;
    for (const char *p = r->text; *p != '\0' && len < SMTP_REPLY_TEXT_MAX; p++) {
        line[len++] = is_graphic(*p) || *p == ' ' ? *p : '?';
    }
    line[len++] = '\r';
    line[len++] = '\n';
    return buf_append(out, line, len);
}
