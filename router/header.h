/* header: the Received field that we add (RFC 5321 4.4, RFC 3848), and a scanner that
 * counts the Received fields of a message while it streams by. Our form:
 *
 *   Received: from client.example.org (mail.example.org [192.0.2.1])
 *    by gate.example.com (Pointsman channel tcp_tls)
 *    with ESMTPS (version=TLSv1.3 cipher=TLS_AES_256_GCM_SHA384)
 *    id 10003F for <ann@example.com>; Sat, 21 Nov 2026 00:22:10 +0000
 *
 * "channel" is the source channel after all switches. The name after "from" is the
 * one the client gave, the one in the comment that of its address in the DNS, if it has
 * one and the channel shows it. When what the client gave is neither a domain nor an
 * address literal, the client's address stands first and the rest follows, defused, in
 * the comment. A sender that was changed is told after "with" as (sender was <...>). */
#ifndef ROUTER_HEADER_H
#define ROUTER_HEADER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"

enum { HEADER_RECEIVED_MAX = 100 }; /* RFC 5321 6.3 */

struct header_received {
    str helo, peer_ip; /* from the peer; any bytes */
    str peer_name;     /* its name in the DNS, shown before the address; any bytes */
    bool name_doubted; /* peer_name is marked with * */
    bool name_only;    /* the address is not shown; needs peer_name */
    str by;            /* our name on the channel */
    str channel;
    bool internal; /* it came over no connection: neither from nor with is written */
    bool esmtp, tls;
    str tls_version, tls_cipher;
    str id;
    str recipient; /* for <...>; empty: no such clause */
    str sender;    /* as received, where it was changed; empty: it is not shown */
    int64_t now_ms;
};

/* The whole field with its CRLF, folded below 78 columns where the words allow it, in
 * the arena. Whatever the peer sent, it is one field of printable ASCII. */
str header_received(struct arena *a, const struct header_received *r);

/* Counts while the message passes in chunks of any size. */
struct header_scan {
    unsigned received; /* Received fields so far */
    uint64_t size;     /* octets of the header, with the empty line that ends it */
    bool done;         /* that empty line has passed */
    bool eight_bit;    /* an octet above 0x7F so far, in header or body */
    /* within the line */
    unsigned matched; /* letters of "received" so far */
    unsigned char state;
};
/* A scanner begins as {0}. Fields are counted by name, in any case, also when blanks
 * stand before the colon (RFC 5322 4.5.7). Linear, keeps nothing. */
void header_scan(struct header_scan *h, str data);

#endif
