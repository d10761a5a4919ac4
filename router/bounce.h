/* bounce: writes the report to the sender of what could not be delivered: a
 * multipart/report (RFC 6522) with a text for humans, a delivery status for programs
 * (RFC 3464), and the returned header. Pure; dispatch_settle.c decides when. */
#ifndef ROUTER_BOUNCE_H
#define ROUTER_BOUNCE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"
#include "router/outcome.h"

enum {
    BOUNCE_HEADER_MAX = 65536, /* octets of the returned header */
    BOUNCE_MAX = 64 << 20      /* cap of the whole: some 1,300 octets a recipient */
};

struct bounce_recipient {
    str address;
    str remote; /* name or "[address]" of who gave the reply; empty: nobody did */
    const struct outcome *outcome;
};

struct bounce {
    str local_host;     /* this system: From, Reporting-MTA, Message-ID */
    str report_id;      /* queue id of the report */
    str message_id;     /* queue id of the message */
    str sender;         /* to whom; not empty */
    int64_t arrived_ms; /* the message */
    int64_t now_ms;
    const struct bounce_recipient *recipients; /* those that failed */
    unsigned count;
    str list;        /* the list whose members they are, told to its owner; empty: none */
    unsigned more;   /* members that are not named */
    str header;      /* see bounce_header(); ptr NULL: it could not be read */
    bool header_cut; /* it goes on beyond BOUNCE_HEADER_MAX */
};

/* The header lines at the beginning of a message, of which `start` holds the first
 * BOUNCE_HEADER_MAX octets or all; whole lines, without the empty one. *cut: there was
 * more. Slice of start. */
str bounce_header(str start, bool *cut);

/* Appends the whole message to out: CRLF lines, 7-bit. What peers wrote (addresses,
 * replies, the header) appears encoded. false: the cap of out was reached. */
bool bounce_write(const struct bounce *b, struct buf *out);

/* The status of an outcome as x.y.z of class 4 or 5 (RFC 3463): its own enhanced code,
 * else what its reply code says. */
void bounce_status(const struct outcome *o, unsigned status[3]);

#endif
