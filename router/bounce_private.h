/* bounce_private: what the parts of bounce share. Nobody else includes it. */
#ifndef ROUTER_BOUNCE_PRIVATE_H
#define ROUTER_BOUNCE_PRIVATE_H

#include "router/bounce.h"

/* --- bounce_content.c --- */

/* Would the text break as it stands: 8-bit, control bytes, bare CR or LF, long lines? */
bool bounce_needs_encoding(str text);
/* Appends it as quoted-printable (RFC 2045 6.7). This and all below: false when out is
 * full. */
bool bounce_put_quoted_printable(struct buf *out, str text);
bool bounce_text_eight_bit(str text);
/* The third part with no more than the header of the message (RFC 6522 4). */
bool bounce_put_header(struct buf *out, const struct bounce *b);
/* The third part: the message or its header, with what stands before it. Nothing where
 * neither could be read. */
bool bounce_put_content(struct buf *out, const struct bounce *b, const char *boundary);

/* --- bounce_status.c --- */

/* Do the recipients need the forms of RFC 6533? */
bool bounce_international(const struct bounce *b);
/* The second part: the fields of RFC 3464, of the message and of each recipient. */
bool bounce_put_status(struct buf *out, const struct bounce *b);
/* Printable ASCII as it is, anything else as '?'. With utf8, characters beyond ASCII
 * stay, too. */
bool bounce_put_clean(struct buf *out, str text, bool utf8);
/* The same of several lines, which end in CRLF. */
bool bounce_put_lines(struct buf *out, str text, bool utf8);
/* A display name, quoted where it must be (RFC 5322 3.2.5); ASCII only. */
bool bounce_put_phrase(struct buf *out, str text);
/* The reply as it came: code and enhanced code, when there were any, and text. */
bool bounce_put_reply(struct buf *out, const struct outcome *o);
/* The recipient as it is to be shown: what stands behind "type;" of ORCPT, or the
 * address. Written into decoded (for DSN_ORCPT_MAX octets), or a slice of r. */
str bounce_shown_recipient(const struct bounce *b, const struct bounce_recipient *r,
                           char *decoded);

/* --- bounce_text.c --- */

/* The first part: the words for people, those of the site or ours. */
bool bounce_put_text(struct buf *out, const struct bounce *b);
/* What the field Subject says; a constant. */
const char *bounce_subject(const struct bounce *b);

#endif
