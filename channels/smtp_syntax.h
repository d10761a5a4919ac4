/* smtp_syntax: the grammar of SMTP commands (RFC 5321 4.1): verbs, paths, parameters,
 * names, and the printing of replies. Slices point into the text given. Replies are
 * parsed in smtp_reply. */
#ifndef CHANNELS_SMTP_SYNTAX_H
#define CHANNELS_SMTP_SYNTAX_H

#include <stdbool.h>

#include "base/buf.h"

enum {
    SMTP_REPLY_TEXT_MAX =
        500, /* a reply line with code and CR LF has 512 octets at most */
    SMTP_HELO_MAX = 255
};

/* Splits "VERB arguments": one SP ends the verb, blanks at the end of the line are
 * tolerated (4.1.1). */
void smtp_command_split(str line, str *verb, str *args);

/* Takes "FROM:<path>" off the front of *args (keyword with its colon, case-blind; blanks
 * behind the colon are tolerated, many clients send one). *path is the text between
 * the angle brackets, a '>' inside quotes does not end it. *args is left at the
 * parameters. False: the syntax is wrong. */
bool smtp_path_take(str *args, str keyword, str *path);

enum smtp_param_status { SMTP_PARAM_END, SMTP_PARAM_GOOD, SMTP_PARAM_BAD };
struct smtp_param {
    str keyword;
    str value; /* ptr NULL when there is no '=' */
};
/* Takes the next ESMTP parameter off *rest (4.1.2 esmtp-param). */
enum smtp_param_status smtp_param_take(str *rest, struct smtp_param *p);

/* What we take as an EHLO or HELO name: 1 to 255 printable characters without blanks.
 * Not every client knows a good name for itself, so it need not be a domain; whoever
 * writes it into a header encodes it. */
bool smtp_helo_ok(str name);
/* True for a first line of HTTP or a header line ("Host: x"): a browser made to talk
 * to us (threat: cross-protocol). */
bool smtp_is_http(str line);
/* True when the path can go between angle brackets of an outgoing command as it
 * stands: printable ASCII, no blank or bracket outside quotes, at most 512 octets. */
bool smtp_path_sendable(str path);

/* The first byte of s that is a control character (NUL, tab and DEL too), or is not
 * ASCII; -1 if none. */
ptrdiff_t smtp_find_control(str s);
ptrdiff_t smtp_find_non_ascii(str s);

/* A reply to be printed. enhanced 0.0.0 is not printed. */
struct smtp_reply_line {
    unsigned code;
    unsigned enhanced[3];
    const char *text;
};
/* Appends "code x.y.z text" CR LF; bytes that are not printable ASCII become '?',
 * what exceeds 512 octets is cut. False when out is full (out is unchanged). */
bool smtp_reply_print(struct buf *out, const struct smtp_reply_line *r);

#endif
