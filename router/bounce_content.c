/* bounce_content: what of the message comes back: its header (RFC 6522 4, RFC 6533 6),
 * quoted-printable when it is not 7-bit itself, or all of it, which no encoding may touch
 * (RFC 2046 5.2.1). */
#include "router/bounce_private.h"
#include "router/header_fields.h"

enum {
    LINE_MAX_OCTETS = 998, /* RFC 5322 2.1.1, without CRLF */
    QP_LINE_MAX = 76       /* RFC 2045 6.7 */
};

str bounce_header(str start, bool *cut)
{
    size_t line = 0; /* where the current line begins */
    *cut = false;
    while (line < start.len) {
        str rest = str_from_pos(start, line);
        ptrdiff_t lf = str_find(rest, '\n');
        if (lf == 0 || (lf == 1 && rest.ptr[0] == '\r')) {
            return str_sub(start, 0, line);
        }
        if (lf < 0) {
            break;
        }
        line += (size_t)lf + 1;
    }
    if (start.len < BOUNCE_HEADER_MAX) {
        return start; /* a message that is nothing but header */
    }
    *cut = true;
    return line > 0 ? str_sub(start, 0, line) : start;
}

/* Lines as mail has them: CRLF, no NUL, not too long; with plain 7-bit text only, without
 * control characters. */
static bool lines_ok(str text, bool plain)
{
    size_t line = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c == '\r' && i + 1 < text.len && text.ptr[i + 1] == '\n') {
            i++;
            line = 0;
            continue;
        }
        bool bad = plain ? (c < ' ' && c != '\t') || c > '~'
                         : c == '\0' || c == '\r' || c == '\n';
        if (bad || ++line > LINE_MAX_OCTETS) {
            return false;
        }
    }
    return true;
}

bool bounce_needs_encoding(str text)
{
    return !lines_ok(text, true);
}

/* Is it UTF-8 without control characters, and not only ASCII? */
static bool is_utf8(str text)
{
    bool beyond_ascii = false;
    while (text.len > 0) {
        uint32_t code;
        size_t n = str_utf8(text, &code);
        if (n == 0 || (code < ' ' && strchr("\t\r\n", (int)code) == NULL) || code == 0) {
            return false;
        }
        beyond_ascii = beyond_ascii || n > 1;
        text = str_from_pos(text, n);
    }
    return beyond_ascii;
}

bool bounce_put_quoted_printable(struct buf *out, str text)
{
    bool ok = true;
    size_t column = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        str rest = str_from_pos(text, i + 1);
        if (c == '\r' && str_starts(rest, STR("\n"))) {
            ok = ok && buf_puts(out, "\r\n");
            column = 0;
            i++;
            continue;
        }
        bool at_end = rest.len == 0 || str_starts(rest, STR("\r\n"));
        bool blank = c == ' ' || c == '\t';
        bool plain = (c > ' ' && c <= '~' && c != '=') || (blank && !at_end);
        size_t width = plain ? 1 : 3;
        if (column + width > QP_LINE_MAX - 1) {
            ok = ok && buf_puts(out, "=\r\n");
            column = 0;
        }
        ok = ok && (plain ? buf_putc(out, (char)c) : buf_printf(out, "=%02X", c));
        column += width;
    }
    return ok;
}

bool bounce_text_eight_bit(str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.ptr[i] >= 0x80) {
            return true;
        }
    }
    return false;
}

bool bounce_eight_bit(const struct bounce *b)
{
    return bounce_text_eight_bit(b->content);
}

str bounce_beginning(str start, bool whole, unsigned lines, bool *cut)
{
    size_t end = header_length(start);
    bool cr = str_starts(str_from_pos(start, end), STR("\r\n"));
    *cut = false;
    if (!cr || bounce_text_eight_bit(str_sub(start, 0, end))) {
        return STR_NONE; /* it is longer than what was read, or only alone to be encoded
                          */
    }
    end += 2;
    for (; lines > 0 && end < start.len; lines--) {
        ptrdiff_t lf = str_find(str_from_pos(start, end), '\n');
        if (lf < 0) {
            break;
        }
        end += (size_t)lf + 1;
    }
    *cut = !whole || end < start.len;
    return lines_ok(str_sub(start, 0, end), false) ? str_sub(start, 0, end) : STR_NONE;
}

static bool put_message(struct buf *out, const struct bounce *b)
{
    bool ok = buf_puts(out, "Content-Type: message/rfc822\r\n"
                            "Content-Description: ") &&
              buf_puts(out, b->content_cut ? "The beginning of the message\r\n"
                                           : "The message\r\n");
    if (bounce_eight_bit(b)) {
        ok = ok && buf_puts(out, "Content-Transfer-Encoding: 8bit\r\n");
    }
    return ok && buf_puts(out, "\r\n") && buf_str(out, b->content);
}

bool bounce_put_header(struct buf *out, const struct bounce *b)
{
    bool encode = bounce_needs_encoding(b->header);
    bool ok = buf_puts(out, bounce_international(b) && is_utf8(b->header)
                                ? "Content-Type: message/global-headers\r\n"
                                : "Content-Type: text/rfc822-headers\r\n");
    ok = ok && buf_puts(out, "Content-Description: Header of the message\r\n");
    if (encode) {
        ok = ok && buf_puts(out, "Content-Transfer-Encoding: quoted-printable\r\n");
    }
    ok = ok && buf_puts(out, "\r\n");
    return ok && (encode ? bounce_put_quoted_printable(out, b->header)
                         : buf_str(out, b->header));
}

bool bounce_put_content(struct buf *out, const struct bounce *b, const char *boundary)
{
    if (b->header.ptr == NULL && b->content.ptr == NULL) {
        return true;
    }
    return buf_printf(out, "\r\n--%s\r\n", boundary) &&
           (b->content.ptr != NULL ? put_message(out, b) : bounce_put_header(out, b));
}
