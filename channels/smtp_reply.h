/* smtp_reply: reads the replies of a server (RFC 5321 4.2, RFC 2034), with fixed limits
 * per line and per reply: what breaks them, or the syntax, makes the reply bad, and a
 * bad reply ends the connection (the next one could not be told from its rest). */
#ifndef CHANNELS_SMTP_REPLY_H
#define CHANNELS_SMTP_REPLY_H

#include "base/buf.h"
#include "channels/smtp_line.h"

enum {
    SMTP_REPLY_LINE_MAX = 4096, /* RFC 5321 says 512; some texts are longer */
    SMTP_REPLY_LINES_MAX = 100,
    SMTP_REPLY_BYTES_MAX = 64 * 1024 /* of all lines together */
};

enum smtp_reply_status { SMTP_REPLY_MORE, SMTP_REPLY_DONE, SMTP_REPLY_BAD };

struct smtp_reply {
    struct smtp_line line;
    struct buf text; /* the lines without codes, '\n' between them */
    unsigned lines;
    unsigned code;        /* 200 to 599 */
    unsigned enhanced[3]; /* of the first line that has one; 0.0.0: none */
    const char *flaw;     /* SMTP_REPLY_BAD: what is wrong, a constant */
};

/* Ready for the first reply. */
void smtp_reply_init(struct smtp_reply *r);
void smtp_reply_free(struct smtp_reply *r);
/* Takes bytes off *rest until a reply is complete (DONE) or bad (BAD, at once), or *rest
 * is used up (MORE). */
enum smtp_reply_status smtp_reply_feed(struct smtp_reply *r, str *rest);
/* Forgets the reply, ready for the next. */
void smtp_reply_reset(struct smtp_reply *r);
/* Takes the next line of the text off *rest, which starts as buf_slice(&r->text). False:
 * there is no more. */
bool smtp_reply_line_take(str *rest, str *line);

#endif
