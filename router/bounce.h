/* bounce: writes a report about a message to its sender, or a copy for the postmaster: a
 * multipart/report (RFC 6522) with a text for humans, a delivery status for programs
 * (RFC 3464, 6533), and the message or its header. Pure; dispatch_settle.c decides when.
 * Parts: bounce_text.c (for humans), bounce_status.c (for programs), bounce_content.c
 * (what is returned), bounce_shorten.c (less of it, afterwards). */
#ifndef ROUTER_BOUNCE_H
#define ROUTER_BOUNCE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"
#include "router/outcome.h"
#include "tables/report_texts.h"

enum {
    BOUNCE_HEADER_MAX = 65536, /* octets of the returned header */
    BOUNCE_MAX = 64 << 20      /* cap of the whole: some 1,300 octets a recipient */
};

/* What a report tells of a recipient (RFC 3464 2.3.3). */
enum bounce_action {
    BOUNCE_FAILED,
    BOUNCE_DELAYED,
    BOUNCE_DELIVERED,
    BOUNCE_RELAYED,
    BOUNCE_EXPANDED
};

struct bounce_recipient {
    str address;
    str remote; /* name or "[address]" of who gave the reply; empty: nobody did */
    const struct outcome *outcome;
    enum bounce_action action;
    str orcpt; /* ORCPT= as given; ptr NULL: not given */
};

/* An earlier attempt at delivery, for those who read the report. */
struct bounce_attempt {
    int64_t at_ms;
    str outcome; /* who said what */
};

struct bounce {
    str local_host;     /* this system: From, Reporting-MTA, Message-ID */
    str report_id;      /* queue id of the report */
    str message_id;     /* queue id of the message */
    str sender;         /* to whom; not empty */
    int64_t arrived_ms; /* the message */
    int64_t now_ms;
    int64_t until_ms; /* when it is given up; 0: not said */
    const struct bounce_recipient *recipients;
    unsigned count;
    const struct bounce_attempt *history; /* oldest first */
    unsigned history_count;
    bool returned;   /* the postmaster wanted it to fail */
    str list;        /* the list whose members they are, told to its owner; empty: none */
    unsigned more;   /* members that are not named */
    str envid;       /* ENVID= as given; ptr NULL: not given */
    str header;      /* see bounce_header(); ptr NULL: it could not be read */
    bool header_cut; /* it goes on beyond BOUNCE_HEADER_MAX */
    str content;     /* the message, returned in place of the header; ptr NULL: not */
    bool content_cut; /* it goes on behind that */
    str copy_for; /* the sender whose report this is a copy of, for the postmaster; ptr
                     NULL: it is no copy; empty: the null sender */
    str from_address,
        from_name;   /* of From; empty: postmaster here, "Mail Delivery ..." */
    bool hide_final; /* recipients are shown as their sender wrote them, where that is
                      * known
                      */
    bool hours;      /* times in texts are hours, not days */
    const struct report_text *text; /* NULL: the built-in one */
};

/* The field of copies for the postmaster: what has it and fails is not told to him. */
#define BOUNCE_COPY_FIELD "X-Postmaster-Copy"

/* The header lines at the beginning of a message, of which `start` holds the first
 * BOUNCE_HEADER_MAX octets or all; whole lines, without the empty one. *cut: there was
 * more. Slice of start. */
str bounce_header(str start, bool *cut);

/* Appends the whole message to out: CRLF lines. It is 7-bit but for a content that is
 * not. What peers wrote (addresses, replies, the header) appears encoded. false: the cap
 * of out was reached. */
bool bounce_write(const struct bounce *b, struct buf *out);
/* What of a message comes back with its first lines: the header and so many lines of the
 * body. start: what was read of it; whole: all. ptr NULL: no more than the header can be,
 * as that is too long or not 7-bit, or the lines are none of mail. *cut: there is more.
 * Slice of start.
 */
str bounce_beginning(str start, bool whole, unsigned lines, bool *cut);
/* Appends a report that was written here, perhaps with another header, but with the
 * header of the message in the place of the message. false: it is none, holds no message,
 * does not fit, or would still not be 7-bit. */
bool bounce_shorten(str report, struct buf *out);
/* Does it hold octets above 0x7F? */
bool bounce_eight_bit(const struct bounce *b);

/* The status to tell as x.y.z (RFC 3463), of class 2 for what is good, of class 4 for
 * what is delayed, of 4 or 5 for what has failed: the outcome's own enhanced code, else
 * what its reply code says. */
void bounce_status(const struct outcome *o, enum bounce_action action,
                   unsigned status[3]);

#endif
