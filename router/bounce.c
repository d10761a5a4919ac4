/* bounce: the whole of a report: its header and its three parts. Everything but a whole
 * message that is returned is 7-bit with CRLF line ends, so that any next hop takes it.
 */
#include "router/bounce.h"

#include <stdio.h>

#include "base/address.h"
#include "base/check.h"
#include "base/clock.h"
#include "router/bounce_private.h"

/* A boundary with "=_" cannot occur in quoted-printable text; one that occurs in what is
 * returned was put there by somebody who guessed it, so the next is taken. */
static void make_boundary(const struct bounce *b, char *boundary, size_t size)
{
    str returned = b->content.ptr != NULL ? b->content : b->header;
    for (unsigned serial = 0;; serial++) {
        snprintf(boundary, size, "=_%.*s.%llx.%u", STR_ARG(b->report_id),
                 (unsigned long long)b->now_ms, serial);
        if (returned.len == 0 ||
            memmem(returned.ptr, returned.len, boundary, strlen(boundary)) == NULL) {
            return;
        }
    }
}

static bool put_to(struct buf *out, str sender)
{
    struct address to;
    char printed[ADDRESS_PATH_MAX + 1];
    if (address_parse(sender, &to) == NULL && to.route.len > 0) {
        /* A source route belongs to the envelope, not into a header field. */
        snprintf(printed, sizeof printed, "%.*s@%.*s", STR_ARG(to.local),
                 STR_ARG(to.domain));
        sender = str_from(printed);
    }
    return buf_puts(out, "To: <") && bounce_put_clean(out, sender, false) &&
           buf_puts(out, ">\r\n");
}

static bool put_from(struct buf *out, const struct bounce *b)
{
    bool ok = buf_puts(out, "From: ");
    ok = ok && (b->from_name.len > 0 ? bounce_put_phrase(out, b->from_name)
                                     : buf_puts(out, "Mail Delivery System"));
    ok = ok && buf_puts(out, " <");
    if (b->from_address.len > 0) {
        ok = ok && bounce_put_clean(out, b->from_address, false);
    } else {
        ok = ok && buf_puts(out, "postmaster@") &&
             bounce_put_clean(out, b->local_host, false);
    }
    return ok && buf_puts(out, ">\r\n");
}

static bool put_subject(struct buf *out, const struct bounce *b)
{
    if (b->list.len == 0) {
        return buf_printf(out, "Subject: %s\r\n", bounce_subject(b));
    }
    return buf_puts(out, "Subject: Bad addresses in ") &&
           bounce_put_clean(out, b->list, false) && buf_puts(out, "\r\n");
}

static bool put_header(struct buf *out, const struct bounce *b, const char *boundary)
{
    char date[40];
    clock_rfc5322(b->now_ms, date, sizeof date);
    bool ok = buf_printf(out, "Date: %s\r\n", date);
    ok = ok && put_from(out, b) && put_to(out, b->sender) && put_subject(out, b);
    ok = ok && buf_puts(out, "Message-ID: <") &&
         bounce_put_clean(out, b->report_id, false) &&
         buf_printf(out, ".%lld@", (long long)b->now_ms) &&
         bounce_put_clean(out, b->local_host, false) && buf_puts(out, ">\r\n");
    ok = ok && buf_puts(out, "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n");
    if (b->copy_for.ptr != NULL) {
        ok = ok && buf_puts(out, BOUNCE_COPY_FIELD ": of ") &&
             bounce_put_clean(out, b->message_id, false) && buf_puts(out, "\r\n");
    }
    if (bounce_eight_bit(b)) {
        ok = ok && buf_puts(out, "Content-Transfer-Encoding: 8bit\r\n");
    }
    return ok && buf_printf(out,
                            "Content-Type: multipart/report; "
                            "report-type=delivery-status;\r\n boundary=\"%s\"\r\n\r\n",
                            boundary);
}

/* The type of RFC 6533 where an address asks for it, and encoded there. */
static bool put_status_part(struct buf *out, const struct bounce *b)
{
    if (!bounce_international(b)) {
        return buf_puts(out, "Content-Type: message/delivery-status\r\n"
                             "Content-Description: Delivery report\r\n\r\n") &&
               bounce_put_status(out, b);
    }
    struct buf status;
    buf_init(&status, BOUNCE_MAX);
    bool ok = buf_puts(out, "Content-Type: message/global-delivery-status\r\n"
                            "Content-Description: Delivery report\r\n"
                            "Content-Transfer-Encoding: quoted-printable\r\n\r\n") &&
              bounce_put_status(&status, b) &&
              bounce_put_quoted_printable(out, buf_slice(&status));
    buf_free(&status);
    return ok;
}

bool bounce_write(const struct bounce *b, struct buf *out)
{
    char boundary[96];
    check(b->count > 0 && b->sender.len > 0 && b->report_id.len < 32);
    make_boundary(b, boundary, sizeof boundary);
    bool ok = put_header(out, b, boundary);
    ok = ok && buf_printf(out, "--%s\r\n", boundary) && bounce_put_text(out, b);
    ok = ok && buf_printf(out, "\r\n--%s\r\n", boundary) && put_status_part(out, b);
    ok = ok && bounce_put_content(out, b, boundary);
    return ok && buf_printf(out, "\r\n--%s--\r\n", boundary);
}
