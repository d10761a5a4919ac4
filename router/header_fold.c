/* header_fold: words are put down one after another; a line that would get too long ends
 * before the word. */
#include "router/header_fold.h"

struct fold {
    struct buf *out;
    const struct header_shape *shape;
    size_t column;
    bool at_label;   /* behind the label: no fold before the first word of the value */
    unsigned indent; /* blanks a further line begins with; 0: those that stood there */
    bool ok;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void put(struct fold *f, str text)
{
    f->ok = f->ok && buf_str(f->out, text);
    f->column += text.len;
}

static void put_blanks(struct fold *f, size_t n)
{
    while (n-- > 0) {
        put(f, STR(" "));
    }
}

/* A gap without its line ends. */
static void put_gap(struct fold *f, str gap)
{
    for (size_t i = 0; i < gap.len; i++) {
        if (ascii_is_space(gap.ptr[i])) {
            put(f, str_sub(gap, i, 1));
        }
    }
}

static size_t gap_width(str gap)
{
    size_t n = 0;
    for (size_t i = 0; i < gap.len; i++) {
        n += ascii_is_space(gap.ptr[i]);
    }
    return n;
}

static void put_label(struct fold *f, str name)
{
    f->column = 0;
    put(f, name);
    put(f, STR(":"));
    put_blanks(f, f->column < f->shape->align ? f->shape->align - f->column : 1);
    f->at_label = true;
}

/* `room`: octets that follow without a gap. */
static void put_word(struct fold *f, str gap, str word, size_t room)
{
    if (f->at_label) {
        f->at_label = false;
        put(f, word);
        return;
    }
    if (gap_width(gap) == 0) {
        gap = STR(" "); /* a bare CR or LF: two words stay two */
    }
    if (f->column + gap_width(gap) + word.len + room > f->shape->width) {
        f->ok = f->ok && buf_puts(f->out, "\r\n");
        f->column = 0;
        put_blanks(f, f->indent);
        gap = f->indent > 0 ? STR("") : gap;
    }
    put_gap(f, gap);
    put(f, word);
}

/* The end of the word at `at`; what is quoted is not taken apart, but a backslash does
 * not quote a line end: behind a word that ends with one, a fold would be an empty line.
 */
static size_t word_end(str text, size_t at)
{
    bool quoted = false;
    while (at < text.len && (quoted || !is_blank(text.ptr[at]))) {
        if (text.ptr[at] == '\\' && at + 1 < text.len && text.ptr[at + 1] != '\r' &&
            text.ptr[at + 1] != '\n') {
            at++;
        } else if (text.ptr[at] == '"') {
            quoted = !quoted;
        }
        at++;
    }
    return at;
}

static size_t gap_end(str text, size_t at)
{
    while (at < text.len && is_blank(text.ptr[at])) {
        at++;
    }
    return at;
}

/* Puts down the words of text, the first one behind `gap`. */
static void put_words(struct fold *f, str gap, str text, size_t room)
{
    text = str_trim(text);
    size_t at = 0;
    while (at < text.len) {
        size_t end = word_end(text, at);
        bool last = end == text.len;
        put_word(f, gap, str_sub(text, at, end - at), last ? room : 0);
        at = gap_end(text, end);
        gap = str_sub(text, end, at - end);
    }
}

/* --- lists --- */

static bool separated(const struct header_piece *p, bool last)
{
    return p->end != '\0' && !(last && p->end == ',');
}

static void put_piece(struct fold *f, const struct header_piece *p, bool last)
{
    bool end = separated(p, last);
    put_words(f, STR(" "), p->text, end ? 1 : 0);
    if (end) {
        put(f, str_n(&p->end, 1));
    }
}

/* How many pieces make the next field. A group stays in one, and so does a first unit
 * that is too large by itself. */
static size_t field_pieces(const struct header_piece *p, size_t count,
                           const struct header_shape *shape)
{
    size_t good = 0, chars = 0;
    unsigned addresses = 0;
    for (size_t i = 0; i < count; i++) {
        addresses += p[i].addresses;
        chars += str_trim(p[i].text).len + (i > 0 ? 2 : 0);
        bool fits = (shape->max_addresses == 0 || addresses <= shape->max_addresses) &&
                    (shape->max_chars == 0 || chars <= shape->max_chars);
        if (!fits && good > 0) {
            return good;
        }
        good = p[i].whole ? good : i + 1;
    }
    return count;
}

bool header_fold_splits(const struct header_piece *pieces, size_t count,
                        const struct header_shape *shape)
{
    return field_pieces(pieces, count, shape) < count;
}

bool header_fold_list(struct buf *out, str name, const struct header_piece *pieces,
                      size_t count, const struct header_shape *shape)
{
    struct fold f = {.out = out, .shape = shape, .ok = true};
    f.indent = shape->align > 0 ? shape->align : 1;
    while (count > 0 && f.ok) {
        size_t n = field_pieces(pieces, count, shape);
        put_label(&f, name);
        for (size_t i = 0; i < n; i++) {
            put_piece(&f, &pieces[i], i + 1 == n);
        }
        f.ok = f.ok && buf_puts(out, "\r\n");
        pieces += n;
        count -= n;
    }
    return f.ok;
}

bool header_fold_text(struct buf *out, str name, str value,
                      const struct header_shape *shape)
{
    struct fold f = {.out = out, .shape = shape, .ok = true};
    put_label(&f, name);
    put_words(&f, STR(""), value, 0);
    f.ok = f.ok && buf_puts(out, "\r\n");
    return f.ok;
}
