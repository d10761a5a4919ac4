/* bounce_text: the part for humans, in the site's words or in ours. Octets beyond ASCII
 * come from texts of the site and from addresses; the part says then what they are. */
#include "base/clock.h"
#include "router/bounce_private.h"
#include "router/dsn.h"

enum {
    HUMAN_MAX = 100, /* recipients named */
    HUMAN_TEXT_MAX = 1 << 20,
    HOUR_MS = 60 * 60 * 1000,
    DAY_HOURS = 24
};

/* What the recipients of a report have in common: its first one tells. */
static enum bounce_action bounce_kind(const struct bounce *b)
{
    return b->recipients[0].action;
}

const char *bounce_subject(const struct bounce *b)
{
    bool copy = b->copy_for.ptr != NULL;
    switch (bounce_kind(b)) {
    case BOUNCE_FAILED:
        if (b->returned) {
            return copy ? "A message was returned" : "Your message was returned";
        }
        return copy ? "A message could not be delivered"
                    : "Your message could not be delivered";
    case BOUNCE_DELAYED:
        return copy ? "A message is delayed" : "Your message is delayed";
    case BOUNCE_DELIVERED:
    case BOUNCE_RELAYED:
    case BOUNCE_EXPANDED:
        break;
    }
    return "Your message was delivered";
}

/* --- recipients --- */

static bool put_success(struct buf *out, const struct bounce_recipient *r)
{
    switch (r->action) {
    case BOUNCE_RELAYED:
        return buf_puts(out, "handed to ") &&
               bounce_put_clean(out, r->remote.len > 0 ? r->remote : STR("its next hop"),
                                false) &&
               buf_puts(out, ", which may not tell what becomes of it");
    case BOUNCE_EXPANDED:
        return buf_puts(out, "sent on to all addresses that this one stands for");
    default:
        return buf_puts(out, "delivered");
    }
}

static bool put_outcome(struct buf *out, const struct bounce_recipient *r)
{
    if (r->action != BOUNCE_FAILED && r->action != BOUNCE_DELAYED) {
        return put_success(out, r);
    }
    bool ok = r->remote.len == 0 ||
              (bounce_put_clean(out, r->remote, false) && buf_puts(out, " said: "));
    return ok && bounce_put_reply(out, r->outcome);
}

static bool put_recipients(struct buf *out, const struct bounce *b)
{
    bool utf8 = b->text == NULL || str_ieq(b->text->charset, STR("utf-8"));
    bool ok = true;
    for (unsigned i = 0; ok && i < b->count && i < HUMAN_MAX; i++) {
        char decoded[DSN_ORCPT_MAX];
        const struct bounce_recipient *r = &b->recipients[i];
        ok = buf_puts(out, "  <") &&
             bounce_put_clean(out, bounce_shown_recipient(b, r, decoded), utf8) &&
             buf_puts(out, ">\r\n    ") && put_outcome(out, r) &&
             buf_puts(out, "\r\n\r\n");
    }
    if (b->count > HUMAN_MAX) {
        ok = ok && buf_printf(out,
                              "and %u more, listed in the second part of this report."
                              "\r\n\r\n",
                              b->count - HUMAN_MAX);
    }
    if (b->more > 0) {
        ok = ok && buf_printf(out,
                              "and %u more, which the log of this system names."
                              "\r\n\r\n",
                              b->more);
    }
    return ok;
}

/* --- our words --- */

static bool put_what(struct buf *out, const struct bounce *b)
{
    const char *whose = b->copy_for.ptr != NULL ? "A" : "Your";
    const char *them = b->count == 1 ? "this recipient" : "these recipients";
    if (b->list.len > 0) {
        return buf_puts(out, "A message for '") &&
               bounce_put_clean(out, b->list, false) &&
               buf_puts(out, "' was accepted, but it could not be sent to all\r\nof the "
                             "addresses that this stands for. These are bad:\r\n\r\n");
    }
    switch (bounce_kind(b)) {
    case BOUNCE_FAILED:
        if (b->returned) {
            return buf_printf(out,
                              "The postmaster of this system has returned %s message,"
                              " which has not\r\nreached %s:\r\n\r\n",
                              b->copy_for.ptr != NULL ? "a" : "your", them);
        }
        return buf_printf(out, "%s message could not be delivered to %s:\r\n\r\n", whose,
                          them);
    case BOUNCE_DELAYED:
        return buf_printf(out, "%s message could not be delivered yet to %s:\r\n\r\n",
                          whose, them);
    default:
        return buf_printf(out, "%s message has reached %s, as you asked to know:\r\n\r\n",
                          whose, them);
    }
}

static bool put_end(struct buf *out, const struct bounce *b)
{
    char until[40];
    if (b->list.len > 0) {
        return buf_puts(out, "The others get the message. Please correct the list.\r\n");
    }
    switch (bounce_kind(b)) {
    case BOUNCE_FAILED:
        return buf_puts(out, "It will not be tried again.\r\n");
    case BOUNCE_DELAYED:
        if (b->until_ms == 0) {
            return buf_puts(out, "It will be tried again. Do not send it again.\r\n");
        }
        clock_rfc5322(b->until_ms, until, sizeof until);
        return buf_printf(out,
                          "It will be tried again until %s.\r\nYou need not send it "
                          "again.\r\n",
                          until);
    default:
        return true;
    }
}

static bool put_returned(struct buf *out, const struct bounce *b, const char *whose)
{
    if (b->content.ptr != NULL) {
        bool yours = whose[0] == 'Y';
        bool ok = b->content_cut
                      ? buf_printf(out, "The beginning of %s message is attached",
                                   yours ? "your" : "the")
                      : buf_printf(out, "%s message is attached", whose);
        return ok && buf_puts(out, bounce_eight_bit(b)
                                       ? ",\r\nor its header where a system on the way "
                                         "takes no 8-bit mail.\r\n"
                                       : ".\r\n");
    }
    if (b->header.ptr == NULL) {
        return buf_printf(out, "The header of %s message could not be read.\r\n",
                          whose[0] == 'Y' ? "your" : "the");
    }
    return buf_printf(out, "The header of %s message is attached%s.\r\n",
                      whose[0] == 'Y' ? "your" : "the",
                      b->header_cut ? " (its beginning; it is very long)" : "");
}

static bool put_ours(struct buf *out, const struct bounce *b)
{
    const char *whose = b->list.len == 0 && b->copy_for.ptr == NULL ? "Your" : "The";
    bool ok = buf_puts(out, "This is the mail system at ") &&
              bounce_put_clean(out, b->local_host, false) && buf_puts(out, ".\r\n\r\n");
    if (b->copy_for.ptr != NULL) {
        ok = ok && buf_puts(out, "The sender of the message is <") &&
             bounce_put_clean(out, b->copy_for, true) && buf_puts(out, ">.\r\n\r\n");
    }
    ok = ok && put_what(out, b) && put_recipients(out, b) && put_end(out, b) &&
         put_returned(out, b, whose);
    return ok &&
           buf_printf(out, "\r\nThe number of %s message here was ",
                      whose[0] == 'Y' ? "your" : "the") &&
           bounce_put_clean(out, b->message_id, false) && buf_puts(out, "\r\n");
}

/* --- the words of the site --- */

/* Whole hours or days; what was begun counts where the message waits for it. */
static int64_t units(const struct bounce *b, int64_t ms)
{
    int64_t unit = (int64_t)HOUR_MS * (b->hours ? 1 : DAY_HOURS);
    return ms > 0 ? (ms + unit / 2) / unit : 0;
}

/* State of a text while its sequences are replaced. */
struct replacing {
    const struct bounce *b;
    struct buf *out;
    int64_t number; /* the last one, for %S */
};

static bool put_number(struct replacing *r, int64_t number)
{
    r->number = number;
    return buf_printf(r->out, "%lld", (long long)number);
}

static bool put_sequence(struct replacing *r, char c)
{
    const struct bounce *b = r->b;
    bool utf8 = str_ieq(b->text->charset, STR("utf-8"));
    int64_t until_ms = b->until_ms > 0 ? b->until_ms : b->now_ms;
    switch (c) {
    case 'R':
        return put_recipients(r->out, b);
    case 'H':
        return b->header.ptr == NULL || bounce_put_lines(r->out, b->header, utf8);
    case 'C':
        return put_number(r, units(b, b->now_ms - b->arrived_ms));
    case 'L':
        return put_number(r, units(b, until_ms - b->now_ms));
    case 'F':
        return put_number(r, units(b, until_ms - b->arrived_ms));
    case 'U':
        return buf_puts(r->out, b->hours ? "HOUR" : "DAY");
    case 'u':
        return buf_puts(r->out, b->hours ? "hour" : "day");
    case 'S':
        return r->number == 1 || buf_putc(r->out, 'S');
    case 's':
        return r->number == 1 || buf_putc(r->out, 's');
    default:
        return buf_putc(r->out, '%'); /* "%%"; others were refused when it was read */
    }
}

static bool put_replaced(struct replacing *r, str text)
{
    bool ok = true;
    for (size_t i = 0; ok && i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '%' && i + 1 < text.len) {
            ok = put_sequence(r, text.ptr[++i]);
        } else if (c == '\n') {
            ok = buf_puts(r->out, "\r\n");
        } else {
            ok = buf_putc(r->out, c);
        }
    }
    return ok;
}

static bool put_theirs(struct buf *out, const struct bounce *b)
{
    struct replacing r = {.b = b, .out = out};
    return put_replaced(&r, b->text->prefix) && put_replaced(&r, b->text->body) &&
           put_replaced(&r, b->text->suffix);
}

/* --- the part --- */

/* Theirs, or ours where theirs become too long: a report is not lost for its words. */
static bool put_words(struct buf *text, const struct bounce *b, struct bounce *said)
{
    *said = *b;
    if (b->text != NULL && put_theirs(text, b)) {
        return true;
    }
    buf_clear(text);
    said->text = NULL;
    return put_ours(text, said);
}

static bool put_part_header(struct buf *out, const struct report_text *t, bool encode)
{
    str charset = t != NULL ? t->charset : encode ? STR("utf-8") : STR("us-ascii");
    bool ok =
        buf_printf(out, "Content-Type: text/plain; charset=%.*s\r\n", STR_ARG(charset));
    if (t != NULL && t->language.len > 0) {
        ok = ok && buf_printf(out, "Content-Language: %.*s\r\n", STR_ARG(t->language));
    }
    ok = ok && buf_puts(out, "Content-Description: Notification\r\n");
    if (encode) {
        ok = ok && buf_puts(out, "Content-Transfer-Encoding: quoted-printable\r\n");
    }
    return ok && buf_puts(out, "\r\n");
}

/* Behind all words, the site's as well: they have no sequence for it. */
static bool put_history(struct buf *out, const struct bounce *b)
{
    bool ok = b->history_count == 0 ||
              buf_puts(out, "\r\nEarlier attempts to deliver it:\r\n\r\n");
    for (unsigned i = 0; ok && i < b->history_count; i++) {
        char date[40];
        clock_rfc5322(b->history[i].at_ms, date, sizeof date);
        ok = buf_printf(out, "  %s\r\n    ", date) &&
             bounce_put_clean(out, b->history[i].outcome, false) && buf_puts(out, "\r\n");
    }
    return ok;
}

bool bounce_put_text(struct buf *out, const struct bounce *b)
{
    struct buf text;
    struct bounce said;
    buf_init(&text, HUMAN_TEXT_MAX);
    bool ok = put_words(&text, b, &said);
    size_t words = text.len;
    if (ok && !put_history(&text, b)) {
        text.len = words; /* no report is lost for that */
    }
    bool encode = bounce_needs_encoding(buf_slice(&text));
    ok = ok && put_part_header(out, said.text, encode);
    ok = ok && (encode ? bounce_put_quoted_printable(out, buf_slice(&text))
                       : buf_str(out, buf_slice(&text)));
    buf_free(&text);
    return ok;
}
