/* dsn: what a sender may ask for about reports (RFC 3461): the parameters RET and ENVID
 * of MAIL, NOTIFY and ORCPT of RCPT; their syntax, and what becomes of them. Pure. */
#ifndef ROUTER_DSN_H
#define ROUTER_DSN_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"

/* How much of a message comes back with a report (RFC 3461 4.3). Stored as these
 * numbers. */
enum queue_ret { QUEUE_RET_NONE = 0, QUEUE_RET_FULL = 1, QUEUE_RET_HDRS = 2 };

/* What a client may ask for about a recipient (RFC 3461 4.1); none of them: nothing.
 * Stored as these numbers. */
enum {
    QUEUE_NOTIFY_NEVER = 1,
    QUEUE_NOTIFY_SUCCESS = 2,
    QUEUE_NOTIFY_FAILURE = 4,
    QUEUE_NOTIFY_DELAY = 8,
    /* Never stored: the address is one of several that an alias stands for, and success
     * is to be told of the alias, once it is known that the message is not set aside. */
    QUEUE_NOTIFY_EXPANDED = 16
};

enum {
    DSN_ENVID_MAX = 100,      /* characters of ENVID, decoded (RFC 3461 4.4) */
    DSN_ENVID_TEXT_MAX = 300, /* as given: each character may take three */
    DSN_ORCPT_MAX = 500       /* octets of ORCPT as given (4.2) */
};

/* What was asked for about one recipient. */
struct dsn_request {
    unsigned notify; /* set of QUEUE_NOTIFY_...; 0: not given */
    str orcpt;       /* as given; ptr NULL: not given */
};

/* --- syntax: NULL when it is good, else what is wrong, for the client --- */

/* "NEVER", or a list of SUCCESS, FAILURE and DELAY, each once; case-blind. */
const char *dsn_notify_parse(str value, unsigned *notify);
/* "FULL" or "HDRS"; case-blind. */
const char *dsn_ret_parse(str value, enum queue_ret *ret);
/* xtext of printable ASCII, at most 100 characters when decoded. */
const char *dsn_envid_flaw(str value);
/* "type;address": type is an atom, the address xtext of printable ASCII; for the type
 * utf-8 it is utf-8-addr-xtext (RFC 6533 3). */
const char *dsn_orcpt_flaw(str value);

/* --- forms --- */

/* Append what xtext (RFC 3461 4) and utf-8-addr-xtext (RFC 6533 3) stand for. false: it
 * is none, or out is full; out is as it was. */
bool dsn_xtext_decode(str text, struct buf *out);
bool dsn_utf8_xtext_decode(str text, struct buf *out);
/* The text as xtext, in the arena. */
str dsn_xtext_encode(struct arena *a, str text);
/* ORCPT for a recipient whose client gave none: its address as the client wrote it. ptr
 * NULL: it would be too long, or is not ASCII. */
str dsn_orcpt_make(struct arena *a, str address);
/* "SUCCESS,FAILURE" for a set of QUEUE_NOTIFY_..., constant; "" for 0. */
const char *dsn_notify_print(unsigned notify);

/* What is stored for a recipient. One that a multiple-recipient alias stands for gets no
 * more of the request for success where that is reported for the alias, as "expanded"
 * (RFC 3461 5.2.7.3): not when the message is held, as nothing has come of it then. */
unsigned dsn_notify_stored(unsigned notify, bool held);

/* What a request becomes when the header asks for a receipt of delivery, too: of failures
 * and delays the sender hears as before. */
unsigned dsn_notify_receipt(unsigned notify);

/* May the sender be told? Without a request of failures and delays (RFC 3461 5.2). */
bool dsn_wants_failure(unsigned notify);
bool dsn_wants_delay(unsigned notify);
bool dsn_wants_success(unsigned notify);

#endif
