/* smtp_reply: lines come from smtp_line; here are codes, continuation and limits. */
#include "channels/smtp_reply.h"

void smtp_reply_init(struct smtp_reply *r)
{
    *r = (struct smtp_reply){0};
    smtp_line_init(&r->line, SMTP_REPLY_LINE_MAX);
    buf_init(&r->text, SMTP_REPLY_BYTES_MAX);
}

void smtp_reply_free(struct smtp_reply *r)
{
    smtp_line_free(&r->line);
    buf_free(&r->text);
}

void smtp_reply_reset(struct smtp_reply *r)
{
    smtp_line_reset(&r->line);
    buf_clear(&r->text);
    r->lines = 0;
    r->code = 0;
    memset(r->enhanced, 0, sizeof r->enhanced);
    r->flaw = NULL;
}

bool smtp_reply_line_take(str *rest, str *line)
{
    return str_split(rest, '\n', line);
}

/* Takes "250 " or "250-" off the line. */
static bool take_code(str *line, unsigned *code, bool *more)
{
    uint64_t n = 0;
    if (!str_u64(str_sub(*line, 0, 3), 599, &n) || n < 200) {
        return false;
    }
    *code = (unsigned)n;
    *line = str_from_pos(*line, 3);
    *more = line->len > 0 && line->ptr[0] == '-';
    if (line->len > 0 && line->ptr[0] != ' ' && line->ptr[0] != '-') {
        return false;
    }
    *line = str_from_pos(*line, 1);
    return true;
}

/* Takes "5.1.1 " off the line when it is there and of the class of the code (RFC 2034
 * 4). Numbers past 255 do not fit an outcome and are taken for text. */
static void take_enhanced(str *line, unsigned code, unsigned enhanced[3])
{
    str rest = *line, word, part;
    uint64_t n[3];
    if (!str_word(&rest, &word)) {
        return;
    }
    str numbers = word;
    for (size_t i = 0; i < 3; i++) {
        if (!str_split(&numbers, '.', &part) || part.len > 3 ||
            !str_u64(part, 255, &n[i])) {
            return;
        }
    }
    bool class_ok = n[0] == code / 100 && (n[0] == 2 || n[0] == 4 || n[0] == 5);
    if (numbers.ptr != NULL || !class_ok) {
        return;
    }
    bool known = enhanced[0] != 0;
    *line = str_from_pos(rest, 1);
    for (size_t i = 0; i < 3 && !known; i++) {
        enhanced[i] = (unsigned)n[i];
    }
}

/* A complete line. Returns what is wrong with it, or NULL. */
static const char *reply_line(struct smtp_reply *r, bool *more)
{
    unsigned code = 0;
    str line = buf_slice(&r->line.text);
    if ((r->line.flaws & SMTP_LINE_LONG) != 0) {
        return "a reply line is too long";
    }
    if (!take_code(&line, &code, more)) {
        return "a reply does not begin with a code";
    }
    if (r->lines > 0 && code != r->code) {
        return "the lines of a reply have different codes";
    }
    r->code = code;
    take_enhanced(&line, code, r->enhanced);
    if ((r->lines > 0 && !buf_putc(&r->text, '\n')) || !buf_str(&r->text, line) ||
        ++r->lines > SMTP_REPLY_LINES_MAX) {
        return "a reply is too long";
    }
    return NULL;
}

enum smtp_reply_status smtp_reply_feed(struct smtp_reply *r, str *rest)
{
    bool more = true;
    while (r->flaw == NULL && more) {
        bool whole = smtp_line_feed(&r->line, rest);
        if ((r->line.flaws & (SMTP_LINE_BARE_CR | SMTP_LINE_BARE_LF)) != 0) {
            r->flaw = "a reply line does not end in CR LF"; /* more may never come */
        } else if ((r->line.flaws & SMTP_LINE_NUL) != 0) {
            r->flaw = "a reply holds a NUL";
        } else if (!whole && (r->line.flaws & SMTP_LINE_LONG) == 0) {
            return SMTP_REPLY_MORE;
        } else {
            r->flaw = reply_line(r, &more);
            smtp_line_reset(&r->line);
        }
    }
    return r->flaw != NULL ? SMTP_REPLY_BAD : SMTP_REPLY_DONE;
}
