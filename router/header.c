/* header: the Received field, and counting the ones there are. */
#include "router/header.h"

#include "base/address.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/clock.h"
#include "tables/pattern.h"

enum { LINE_COLUMNS = 78, FIELD_MAX = 4096, NAME_MAX_SHOWN = 255 };

/* A field being put together word by word. */
struct fold {
    struct buf out;
    size_t column;
};

/* Adds a word after a blank, or after a line end when the line would get too long. */
static void fold_word(struct fold *f, str word)
{
    bool fits = f->column + 1 + word.len <= LINE_COLUMNS;
    check(buf_puts(&f->out, fits ? " " : "\r\n "));
    check(buf_str(&f->out, word));
    f->column = (fits ? f->column + 1 : 1) + word.len;
}

/* Text of a peer as it may stand in a comment (RFC 5322 3.2.2): printable, without
 * what could end the comment, no longer than a good name is. */
static str defused(struct arena *a, str text)
{
    str part = str_sub(text, 0, NAME_MAX_SHOWN);
    char *out = arena_strndup(a, part.ptr, part.len);
    for (size_t i = 0; i < part.len; i++) {
        if (out[i] <= ' ' || out[i] > '~' || strchr("()\\\"", out[i]) != NULL) {
            out[i] = '?';
        }
    }
    return str_n(out, part.len);
}

static bool name_good(str name)
{
    return name.len <= NAME_MAX_SHOWN &&
           (domain_name_ok(name) || domain_literal_ok(name));
}

/* Who connected, as the comment tells it: "name [address]" or one of the two. */
static void fold_peer(struct fold *f, struct arena *a, const struct header_received *r,
                      str name, str literal)
{
    if (str_empty(name)) {
        fold_word(f, arena_printf(a, "(%.*s)", STR_ARG(literal)));
        return;
    }
    const char *mark = r->name_doubted ? "*" : "";
    const char *end = r->name_only ? ")" : "";
    fold_word(f, arena_printf(a, "(%.*s%s%s", STR_ARG(name), mark, end));
    if (!r->name_only) {
        fold_word(f, arena_printf(a, "%.*s)", STR_ARG(literal)));
    }
}

static void fold_from(struct fold *f, struct arena *a, const struct header_received *r)
{
    str literal, name = domain_name_ok(r->peer_name) ? r->peer_name : STR_NONE;
    if (!literal_from_ip(a, r->peer_ip, &literal)) {
        literal = STR("[unknown]");
    }
    fold_word(f, STR("from"));
    if (name_good(r->helo)) {
        fold_word(f, r->helo);
        fold_peer(f, a, r, name, literal);
        return;
    }
    bool hide = r->name_only && !str_empty(name);
    fold_word(f, hide ? STR("[unknown]") : literal);
    if (!str_empty(name)) {
        fold_word(f,
                  arena_printf(a, "(%.*s%s)", STR_ARG(name), r->name_doubted ? "*" : ""));
    }
    fold_word(f, arena_printf(a, "(helo=%.*s)", STR_ARG(defused(a, r->helo))));
}

static void fold_with(struct fold *f, struct arena *a, const struct header_received *r)
{
    /* RFC 3848; it has no keyword for HELO inside TLS: the comment tells. */
    const char *with = !r->esmtp ? "SMTP" : r->tls ? "ESMTPS" : "ESMTP";
    fold_word(f, arena_printf(a, "with %s", with));
    if (r->tls) {
        fold_word(f,
                  arena_printf(a, "(version=%.*s", STR_ARG(defused(a, r->tls_version))));
        fold_word(f, arena_printf(a, "cipher=%.*s)", STR_ARG(defused(a, r->tls_cipher))));
    }
}

/* True for an address that can stand after "for": one line of printable ASCII. */
static bool path_good(str path)
{
    for (size_t i = 0; i < path.len; i++) {
        if (path.ptr[i] < ' ' || path.ptr[i] > '~') {
            return false;
        }
    }
    return path.len > 0 && path.len <= ADDRESS_PATH_MAX;
}

/* The sender as the client gave it; what a comment cannot hold is defused. */
static void fold_sender(struct fold *f, struct arena *a, const struct header_received *r)
{
    if (!str_empty(r->sender)) {
        fold_word(f, STR("(sender was"));
        fold_word(f, arena_printf(a, "<%.*s>)", STR_ARG(defused(a, r->sender))));
    }
}

str header_received(struct arena *a, const struct header_received *r)
{
    struct fold f = {.column = sizeof "Received:" - 1};
    char date[40];
    bool path = path_good(r->recipient);
    buf_init(&f.out, FIELD_MAX);
    check(buf_puts(&f.out, "Received:"));
    if (!r->internal) {
        fold_from(&f, a, r);
    }
    fold_word(&f, arena_printf(a, "by %.*s", STR_ARG(r->by)));
    fold_word(
        &f, arena_printf(a, "(Pointsman channel %.*s)", STR_ARG(defused(a, r->channel))));
    if (!r->internal) {
        fold_with(&f, a, r);
    }
    fold_sender(&f, a, r);
    fold_word(&f, arena_printf(a, "id %.*s%s", STR_ARG(r->id), path ? "" : ";"));
    if (path) {
        fold_word(&f, arena_printf(a, "for <%.*s>;", STR_ARG(r->recipient)));
    }
    clock_rfc5322(r->now_ms, date, sizeof date);
    fold_word(&f, str_from(date));
    check(buf_puts(&f.out, "\r\n"));
    str field = arena_str(a, buf_slice(&f.out));
    buf_free(&f.out);
    return field;
}

/* --- the scanner --- */

/* Where in a header line the scanner is. */
enum scan_state {
    SCAN_START,    /* before the first octet */
    SCAN_START_CR, /* a line of nothing but CR so far */
    SCAN_NAME,     /* so far a beginning of "received" */
    SCAN_BLANKS,   /* "received" and blanks */
    SCAN_REST      /* of no more interest */
};

static enum scan_state scan_name(struct header_scan *h, char c)
{
    static const char name[] = "received";
    if (h->matched < sizeof name - 1) {
        return ascii_lower(c) == name[h->matched++] ? SCAN_NAME : SCAN_REST;
    }
    if (c == ':') {
        h->received++;
        return SCAN_REST;
    }
    return ascii_is_space(c) ? SCAN_BLANKS : SCAN_REST;
}

static void scan_octet(struct header_scan *h, char c)
{
    h->size++;
    if (c == '\n') {
        h->done = h->state == SCAN_START || h->state == SCAN_START_CR;
        h->state = SCAN_START;
        h->matched = 0;
        return;
    }
    switch ((enum scan_state)h->state) {
    case SCAN_START:
        h->state = c == '\r' ? SCAN_START_CR : scan_name(h, c);
        break;
    case SCAN_NAME:
    case SCAN_BLANKS:
        h->state = scan_name(h, c);
        break;
    case SCAN_START_CR:
        h->state = SCAN_REST;
        break;
    case SCAN_REST:
        break;
    }
}

/* Whether an octet above 0x7F is among the len at p. Eight at a time: this looks at
 * every octet of every message. */
static bool has_eight_bit(const char *p, size_t len)
{
    uint64_t seen = 0, word;
    for (; len >= sizeof word; p += sizeof word, len -= sizeof word) {
        memcpy(&word, p, sizeof word);
        seen |= word;
    }
    for (; len > 0; p++, len--) {
        seen |= (unsigned char)*p & 0x80u;
    }
    return (seen & 0x8080808080808080ull) != 0;
}

void header_scan(struct header_scan *h, str data)
{
    for (size_t i = 0; i < data.len && !h->done; i++) {
        scan_octet(h, data.ptr[i]);
    }
    h->eight_bit = h->eight_bit || has_eight_bit(data.ptr, data.len);
}
