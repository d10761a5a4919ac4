/* smtp_data: DATA framing, both directions; the only place that knows where a message
 * ends (RFC 5321 4.1.1.4, 4.5.2). Incoming: only CR LF . CR LF ends a message, the CR LF
 * of the DATA line itself counts as the first. A message that holds a bare CR, a bare
 * LF, a NUL, or a line longer than SMTP_DATA_LINE_MAX is read to that true end and then
 * refused (554 5.6.0), so that no hop behind us can see another end in it. Lines up
 * to SMTP_DATA_LINE_MAX are taken and passed on byte-exact: RFC 5321 4.5.3.1.6 asks a
 * sender for 998 octets, but a receiver that refuses more loses real mail. */
#ifndef CHANNELS_SMTP_DATA_H
#define CHANNELS_SMTP_DATA_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

enum {
    SMTP_DATA_LINE_MAX = 8192,      /* octets without CR LF, after removal of a dot */
    SMTP_DATA_SLICE_MAX = 64 * 1024 /* most decoded octets handed on at once */
};

enum smtp_data_flaw {
    SMTP_DATA_BARE_CR = 1,
    SMTP_DATA_BARE_LF = 2,
    SMTP_DATA_NUL = 4,
    SMTP_DATA_LONG_LINE = 8,
    SMTP_DATA_TOO_BIG = 16
};

/* Where the decoder stands, by what came last. */
enum smtp_data_at {
    SMTP_DATA_LINE_START, /* CR LF (or nothing yet) */
    SMTP_DATA_DOT,        /* CR LF . */
    SMTP_DATA_DOT_CR,     /* CR LF . CR */
    SMTP_DATA_TEXT,       /* something else */
    SMTP_DATA_CR,         /* a CR behind something else or at a line start */
    SMTP_DATA_END         /* CR LF . CR LF */
};

struct smtp_data {
    enum smtp_data_at at;
    unsigned flaws;            /* enum smtp_data_flaw, or'ed */
    size_t line_len;           /* octets of the current line */
    uint64_t size_bytes;       /* decoded octets so far */
    uint64_t size_limit_bytes; /* 0: none */
};

/* Begins a message. */
void smtp_data_start(struct smtp_data *d, uint64_t size_limit_bytes);
/* Takes bytes off *rest and appends the decoded message to out, until *rest is used up,
 * out cannot hold SMTP_DATA_ROOM more bytes, or the end was reached (at ==
 * SMTP_DATA_END; what follows stays in *rest). From the first flaw on nothing more is
 * appended, but the end is still found. */
void smtp_data_decode(struct smtp_data *d, str *rest, struct buf *out);
enum { SMTP_DATA_ROOM = 16 };

/* Outgoing: doubles dots at line starts, turns a bare CR or bare LF into CR LF, leaves
 * NUL out (what we accept holds none of the three). */
struct smtp_data_encoder {
    bool in_line; /* something of the current line was written */
    bool cr;      /* the last byte was a CR, not yet written */
};
void smtp_data_encode_start(struct smtp_data_encoder *e);
/* Appends to out at most 2 * data.len + 2 bytes. False when out is full: the caller
 * gave more than it has room for. */
bool smtp_data_encode(struct smtp_data_encoder *e, str data, struct buf *out);
/* Ends the last line if it has no end, then the message. At most 5 bytes. */
bool smtp_data_encode_end(struct smtp_data_encoder *e, struct buf *out);

#endif
