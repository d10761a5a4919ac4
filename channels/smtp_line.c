/* smtp_line: one byte at a time; lines are short and every byte matters. */
#include "channels/smtp_line.h"

#include "base/check.h"

void smtp_line_init(struct smtp_line *l, size_t max)
{
    check(max > 2);
    *l = (struct smtp_line){0};
    buf_init(&l->text, max - 2);
}

void smtp_line_free(struct smtp_line *l)
{
    buf_free(&l->text);
}

void smtp_line_reset(struct smtp_line *l)
{
    buf_clear(&l->text);
    l->flaws = 0;
    l->cr = false;
}

static void line_add(struct smtp_line *l, char c)
{
    if (!buf_putc(&l->text, c)) {
        l->flaws |= SMTP_LINE_LONG;
    }
}

bool smtp_line_feed(struct smtp_line *l, str *rest)
{
    for (size_t i = 0; i < rest->len; i++) {
        char c = rest->ptr[i];
        if (l->cr && c == '\n') {
            *rest = str_from_pos(*rest, i + 1);
            return true;
        }
        if (l->cr) {
            l->flaws |= SMTP_LINE_BARE_CR;
            line_add(l, '\r');
        }
        l->cr = c == '\r';
        if (l->cr) {
            continue;
        }
        if (c == '\n') {
            l->flaws |= SMTP_LINE_BARE_LF;
        } else if (c == '\0') {
            l->flaws |= SMTP_LINE_NUL;
        }
        line_add(l, c);
    }
    *rest = str_from_pos(*rest, rest->len);
    return false;
}
