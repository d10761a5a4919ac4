/* bounce: the text of a report. Everything here is 7-bit with CRLF line ends, so that
 * any next hop takes it; the returned header is quoted-printable when it is not so
 * itself (RFC 6522 section 4). */
#include "router/bounce.h"

#include <stdio.h>

#include "base/address.h"
#include "base/check.h"
#include "base/clock.h"

enum {
    LINE_MAX_OCTETS = 998, /* RFC 5322 2.1.1, without CRLF */
    QP_LINE_MAX = 76,      /* RFC 2045 6.7 */
    HUMAN_MAX = 100        /* recipients named in the text for humans */
};

/* --- the header of the message --- */

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

/* Would the text break as it stands: 8-bit, control bytes, bare CR or LF, long lines? */
static bool needs_encoding(str text)
{
    size_t line = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c == '\r' && i + 1 < text.len && text.ptr[i + 1] == '\n') {
            i++;
            line = 0;
            continue;
        }
        if ((c < ' ' && c != '\t') || c > '~' || ++line > LINE_MAX_OCTETS) {
            return true;
        }
    }
    return false;
}

/* Quoted-printable (RFC 2045 6.7). */
static bool put_quoted_printable(struct buf *out, str text)
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

/* --- small parts --- */

/* Printable ASCII as it is, anything else as '?'. */
static bool put_clean(struct buf *out, str text)
{
    bool ok = true;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        ok = ok && buf_putc(out, c >= ' ' && c <= '~' ? c : '?');
    }
    return ok;
}

static bool put_field(struct buf *out, const char *name, str value)
{
    return buf_puts(out, name) && put_clean(out, value) && buf_puts(out, "\r\n");
}

static bool put_time(struct buf *out, const char *name, int64_t ms)
{
    char text[40];
    clock_rfc5322(ms, text, sizeof text);
    return buf_printf(out, "%s%s\r\n", name, text);
}

void bounce_status(const struct outcome *o, unsigned status[3])
{
    for (unsigned i = 0; i < 3; i++) {
        status[i] = o->enhanced[i];
    }
    if (status[0] != 4 && status[0] != 5) {
        status[0] = o->code >= 400 && o->code < 500 ? 4 : 5;
        status[1] = status[2] = 0;
    }
}

/* The reply as it came: code and enhanced code, when there were any, and text. */
static bool put_reply(struct buf *out, const struct outcome *o)
{
    bool ok = true;
    if (o->code != 0) {
        ok = buf_printf(out, "%u ", o->code);
        if (o->enhanced[0] != 0) {
            ok = ok && buf_printf(out, "%u.%u.%u ", o->enhanced[0], o->enhanced[1],
                                  o->enhanced[2]);
        }
    }
    return ok && put_clean(out, str_from(o->text));
}

/* --- the text for humans --- */

static bool put_human_recipient(struct buf *out, const struct bounce_recipient *r)
{
    const struct outcome *o = r->outcome;
    bool ok =
        buf_puts(out, "  <") && put_clean(out, r->address) && buf_puts(out, ">\r\n");
    ok = ok && buf_puts(out, "    ");
    if (r->remote.len > 0) {
        ok = ok && put_clean(out, r->remote) && buf_puts(out, " said: ");
    }
    return ok && put_reply(out, o) && buf_puts(out, "\r\n\r\n");
}

static bool put_what(struct buf *out, const struct bounce *b)
{
    if (b->list.len == 0) {
        return buf_printf(out, "Your message could not be delivered to %s:\r\n\r\n",
                          b->count == 1 ? "this recipient" : "these recipients");
    }
    return buf_puts(out, "A message for '") && put_clean(out, b->list) &&
           buf_puts(out, "' was accepted, but it could not be sent to all\r\nof the "
                         "addresses that this stands for. These are bad:\r\n\r\n");
}

static bool put_end(struct buf *out, const struct bounce *b)
{
    bool ok = true;
    if (b->list.len == 0) {
        return buf_puts(out, "It will not be tried again.\r\n");
    }
    if (b->more > 0) {
        ok = buf_printf(out, "and %u more, which the log of this system names.\r\n\r\n",
                        b->more);
    }
    return ok &&
           buf_puts(out, "The others get the message. Please correct the list.\r\n");
}

static bool put_human(struct buf *out, const struct bounce *b)
{
    const char *whose = b->list.len == 0 ? "your" : "the";
    bool ok =
        buf_puts(out, "This is the mail system at ") && put_clean(out, b->local_host);
    ok = ok && buf_puts(out, ".\r\n\r\n") && put_what(out, b);
    for (unsigned i = 0; ok && i < b->count && i < HUMAN_MAX; i++) {
        ok = put_human_recipient(out, &b->recipients[i]);
    }
    if (b->count > HUMAN_MAX) {
        ok = ok && buf_printf(out,
                              "and %u more, listed in the second part of this report."
                              "\r\n\r\n",
                              b->count - HUMAN_MAX);
    }
    ok = ok && put_end(out, b);
    if (b->header.ptr == NULL) {
        ok = ok &&
             buf_printf(out, "The header of %s message could not be read.\r\n", whose);
    } else {
        ok = ok && buf_printf(out, "The header of %s message is attached%s.\r\n", whose,
                              b->header_cut ? " (its beginning; it is very long)" : "");
    }
    return ok && buf_printf(out, "\r\nThe number of %s message here was ", whose) &&
           put_field(out, "", b->message_id);
}

/* --- the part for programs (RFC 3464) --- */

static bool put_status_recipient(struct buf *out, const struct bounce *b,
                                 const struct bounce_recipient *r)
{
    const struct outcome *o = r->outcome;
    unsigned status[3];
    bounce_status(o, status);
    bool ok = put_field(out, "\r\nFinal-Recipient: rfc822; ", r->address);
    ok = ok && buf_puts(out, "Action: failed\r\n");
    ok = ok && buf_printf(out, "Status: %u.%u.%u\r\n", status[0], status[1], status[2]);
    if (r->remote.len > 0) {
        ok = ok && put_field(out, "Remote-MTA: dns; ", r->remote);
    }
    ok =
        ok && buf_printf(out, "Diagnostic-Code: %s; ", o->code != 0 ? "smtp" : "x-local");
    ok = ok && put_reply(out, o) && buf_puts(out, "\r\n");
    ok = ok && put_time(out, "Last-Attempt-Date: ", b->now_ms);
    return ok && put_field(out, "Final-Log-ID: ", b->message_id);
}

static bool put_status(struct buf *out, const struct bounce *b)
{
    bool ok = put_field(out, "Reporting-MTA: dns; ", b->local_host);
    ok = ok && put_time(out, "Arrival-Date: ", b->arrived_ms);
    for (unsigned i = 0; ok && i < b->count; i++) {
        ok = put_status_recipient(out, b, &b->recipients[i]);
    }
    return ok;
}

/* --- the whole --- */

/* A boundary with "=_" cannot occur in quoted-printable text; one that occurs in a
 * returned header was put there by somebody who guessed it, so the next is taken. */
static void make_boundary(const struct bounce *b, char *boundary, size_t size)
{
    for (unsigned serial = 0;; serial++) {
        snprintf(boundary, size, "=_%.*s.%llx.%u", STR_ARG(b->report_id),
                 (unsigned long long)b->now_ms, serial);
        if (b->header.len == 0 ||
            memmem(b->header.ptr, b->header.len, boundary, strlen(boundary)) == NULL) {
            return;
        }
    }
}

static bool put_header(struct buf *out, const struct bounce *b, const char *boundary)
{
    struct address to;
    str sender = b->sender;
    char printed[ADDRESS_PATH_MAX + 1];
    if (address_parse(sender, &to) == NULL && to.route.len > 0) {
        /* A source route belongs to the envelope, not into a header field. */
        snprintf(printed, sizeof printed, "%.*s@%.*s", STR_ARG(to.local),
                 STR_ARG(to.domain));
        sender = str_from(printed);
    }
    bool ok = put_time(out, "Date: ", b->now_ms);
    ok = ok && buf_puts(out, "From: Mail Delivery System <postmaster@");
    ok = ok && put_clean(out, b->local_host) && buf_puts(out, ">\r\nTo: <");
    ok = ok && put_clean(out, sender) && buf_puts(out, ">\r\n");
    ok = ok && (b->list.len == 0
                    ? buf_puts(out, "Subject: Your message could not be delivered\r\n")
                    : put_field(out, "Subject: Bad addresses in ", b->list));
    ok = ok && buf_puts(out, "Message-ID: <") && put_clean(out, b->report_id);
    ok = ok && buf_printf(out, ".%lld@", (long long)b->now_ms);
    ok = ok && put_clean(out, b->local_host) && buf_puts(out, ">\r\n");
    ok = ok && buf_puts(out, "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n");
    return ok && buf_printf(out,
                            "Content-Type: multipart/report; "
                            "report-type=delivery-status;\r\n boundary=\"%s\"\r\n\r\n",
                            boundary);
}

static bool put_returned(struct buf *out, const struct bounce *b, const char *boundary)
{
    bool encode = needs_encoding(b->header);
    bool ok = buf_printf(out, "\r\n--%s\r\n", boundary);
    ok = ok && buf_puts(out, "Content-Type: text/rfc822-headers\r\n");
    ok = ok && buf_puts(out, "Content-Description: Header of the message\r\n");
    if (encode) {
        ok = ok && buf_puts(out, "Content-Transfer-Encoding: quoted-printable\r\n");
    }
    ok = ok && buf_puts(out, "\r\n");
    return ok &&
           (encode ? put_quoted_printable(out, b->header) : buf_str(out, b->header));
}

bool bounce_write(const struct bounce *b, struct buf *out)
{
    char boundary[96];
    check(b->count > 0 && b->sender.len > 0 && b->report_id.len < 32);
    make_boundary(b, boundary, sizeof boundary);
    bool ok = put_header(out, b, boundary);
    ok = ok && buf_printf(out, "--%s\r\n", boundary);
    ok = ok && buf_puts(out, "Content-Type: text/plain; charset=us-ascii\r\n");
    ok = ok && buf_puts(out, "Content-Description: Notification\r\n\r\n");
    ok = ok && put_human(out, b);
    ok = ok && buf_printf(out, "\r\n--%s\r\n", boundary);
    ok = ok && buf_puts(out, "Content-Type: message/delivery-status\r\n");
    ok = ok && buf_puts(out, "Content-Description: Delivery report\r\n\r\n");
    ok = ok && put_status(out, b);
    if (b->header.ptr != NULL) {
        ok = ok && put_returned(out, b, boundary);
    }
    return ok && buf_printf(out, "\r\n--%s--\r\n", boundary);
}
