/* smtp_line: lines of commands and replies. Only CR LF ends a line (RFC 5321 2.3.8); a
 * bare CR or bare LF is a flaw of the line it stands in and never its end. An
 * over-long line keeps its beginning, the rest is dropped up to its CR LF, so its tail
 * is never read as a new line. The policy for flaws is the caller's. */
#ifndef CHANNELS_SMTP_LINE_H
#define CHANNELS_SMTP_LINE_H

#include <stdbool.h>

#include "base/buf.h"

enum smtp_line_flaw {
    SMTP_LINE_LONG = 1,
    SMTP_LINE_BARE_CR = 2,
    SMTP_LINE_BARE_LF = 4,
    SMTP_LINE_NUL = 8
};

struct smtp_line {
    struct buf text; /* what came so far, without CR LF */
    unsigned flaws;  /* enum smtp_line_flaw, or'ed */
    bool cr;         /* the last byte was a CR: the next one tells what it was */
};

/* A reader of lines of at most max octets, CR LF included (max > 2). */
void smtp_line_init(struct smtp_line *l, size_t max);
void smtp_line_free(struct smtp_line *l);
/* Takes bytes off *rest up to and with the end of a line. True: a line is complete,
 * text and flaws hold until smtp_line_reset(). False: *rest is used up. */
bool smtp_line_feed(struct smtp_line *l, str *rest);
/* Forgets the line, ready for the next. */
void smtp_line_reset(struct smtp_line *l);

#endif
