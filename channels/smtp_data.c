/* smtp_data: the decoder looks at single bytes only around line ends and dots; runs of
 * text between two CRs are searched and copied whole. */
#include "channels/smtp_data.h"

void smtp_data_start(struct smtp_data *d, uint64_t size_limit_bytes)
{
    *d = (struct smtp_data){.at = SMTP_DATA_LINE_START,
                            .size_limit_bytes = size_limit_bytes};
}

/* Counts and stores decoded bytes; nothing is stored of a message with a flaw. */
static void data_emit(struct smtp_data *d, struct buf *out, const char *bytes, size_t len)
{
    d->size_bytes += len;
    if (d->size_limit_bytes > 0 && d->size_bytes > d->size_limit_bytes) {
        d->flaws |= SMTP_DATA_TOO_BIG;
    }
    if (d->flaws == 0 && !buf_append(out, bytes, len)) {
        d->flaws |= SMTP_DATA_TOO_BIG; /* smtp_data_decode made room: not reached */
    }
}

/* Text up to the next CR, at most as much as out has room for. Returns its length. */
static size_t data_run(struct smtp_data *d, str rest, struct buf *out)
{
    ptrdiff_t cr = str_find(rest, '\r');
    size_t len = cr < 0 ? rest.len : (size_t)cr;
    size_t room = out->max - out->len;
    if (d->flaws == 0 && len > room) {
        len = room;
    }
    str run = str_sub(rest, 0, len);
    d->line_len += len;
    d->flaws |= str_find(run, '\n') >= 0 ? SMTP_DATA_BARE_LF : 0;
    d->flaws |= str_find(run, '\0') >= 0 ? SMTP_DATA_NUL : 0;
    d->flaws |= d->line_len > SMTP_DATA_LINE_MAX ? SMTP_DATA_LONG_LINE : 0;
    data_emit(d, out, run.ptr, run.len);
    return len;
}

/* The byte behind a CR. Returns the bytes taken: 0 when c has to be looked at again. */
static size_t data_after_cr(struct smtp_data *d, char c, struct buf *out)
{
    if (c == '\n') {
        if (d->at == SMTP_DATA_DOT_CR) {
            d->at = SMTP_DATA_END;
            return 1;
        }
        data_emit(d, out, "\r\n", 2);
        d->line_len = 0;
        d->at = SMTP_DATA_LINE_START;
        return 1;
    }
    d->flaws |= SMTP_DATA_BARE_CR;
    d->at = SMTP_DATA_TEXT;
    return 0;
}

static size_t data_step(struct smtp_data *d, str rest, struct buf *out)
{
    char c = rest.ptr[0];
    switch (d->at) {
    case SMTP_DATA_CR:
    case SMTP_DATA_DOT_CR:
        return data_after_cr(d, c, out);
    case SMTP_DATA_LINE_START:
        if (c == '.') {
            d->at = SMTP_DATA_DOT;
            return 1;
        }
        break;
    case SMTP_DATA_DOT:
    case SMTP_DATA_TEXT:
    case SMTP_DATA_END:
        break;
    }
    if (c == '\r') {
        d->at = d->at == SMTP_DATA_DOT ? SMTP_DATA_DOT_CR : SMTP_DATA_CR;
        return 1;
    }
    d->at = SMTP_DATA_TEXT;
    return data_run(d, rest, out);
}

void smtp_data_decode(struct smtp_data *d, str *rest, struct buf *out)
{
    while (rest->len > 0 && d->at != SMTP_DATA_END &&
           (d->flaws != 0 || out->max - out->len >= SMTP_DATA_ROOM)) {
        *rest = str_from_pos(*rest, data_step(d, *rest, out));
    }
}

void smtp_data_encode_start(struct smtp_data_encoder *e)
{
    *e = (struct smtp_data_encoder){0};
}

static char *put_line_end(struct smtp_data_encoder *e, char *to)
{
    *to++ = '\r';
    *to++ = '\n';
    e->in_line = false;
    e->cr = false;
    return to;
}

/* One byte of the message that is not text in the middle of a line. */
static char *encode_byte(struct smtp_data_encoder *e, char c, char *to)
{
    bool cr = e->cr;
    if (cr) {
        to = put_line_end(e, to);
    }
    if (c == '\n') {
        return cr ? to : put_line_end(e, to);
    }
    if (c == '\r') {
        e->cr = true;
    } else if (c != '\0') {
        if (c == '.' && !e->in_line) {
            *to++ = '.';
        }
        *to++ = c;
        e->in_line = true;
    }
    return to;
}

bool smtp_data_encode(struct smtp_data_encoder *e, str data, struct buf *out)
{
    char *from = data.len <= out->max / 2 ? buf_reserve(out, 2 * data.len + 2) : NULL;
    if (from == NULL) {
        return false;
    }
    char *to = from;
    for (size_t i = 0; i < data.len; i++) {
        to = encode_byte(e, data.ptr[i], to);
    }
    out->len += (size_t)(to - from);
    return true;
}

bool smtp_data_encode_end(struct smtp_data_encoder *e, struct buf *out)
{
    bool open_line = e->in_line || e->cr;
    smtp_data_encode_start(e);
    return buf_puts(out, open_line ? "\r\n.\r\n" : ".\r\n");
}
