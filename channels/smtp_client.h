/* smtp_client: the client of SMTP and LMTP as a machine without I/O: one connection, one
 * message with its recipients after another. It never touches sockets, DNS or TLS.
 *
 *   smtp_client_feed(m, bytes) -> STEP_MORE  send m->out, wants replies
 *                                 STEP_WAIT  m->ask names one question
 *                                 STEP_CLOSE send m->out, close; session is over
 * TLS rules are those of the channel's client side:
 *   no    STARTTLS is never sent
 *   may   sent when offered; a refusal or failed handshake ends this connection, with
 *         fallback and smtp_client_wants_clear() true: the host opens a NEW one with
 *         level `no`; else the failure is deferred
 *   must  without completed TLS no MAIL FROM is ever sent; the failure is deferred
 *         whatever the reply code */
#ifndef CHANNELS_SMTP_CLIENT_H
#define CHANNELS_SMTP_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"
#include "base/buf.h"
#include "channels/smtp_server.h"
#include "parser/keywords.h"
#include "router/outcome.h"

enum smtp_client_ask {
    CLIENT_ASK_NONE,
    CLIENT_ASK_TLS,    /* do the handshake, then smtp_client_tls_done() */
    CLIENT_ASK_BODY,   /* give more body bytes with smtp_client_body() */
    CLIENT_ASK_SETTLED /* this message's outcomes are final: read them, then either
                          smtp_client_next() or smtp_client_quit() */
};

struct smtp_client_recipient {
    str address;              /* "user@host" or with route, without angle brackets */
    struct dsn_request asked; /* what its sender asks for, for a server that takes it */
    struct outcome outcome;   /* filled in by the machine; `host` is left empty */
    bool passed_on;           /* likewise: RCPT said what is asked for (RFC 3461) */
};

/* One message to hand over; borrowed until CLIENT_ASK_SETTLED or STEP_CLOSE. */
struct smtp_client_message {
    str sender; /* empty: null sender */
    struct smtp_client_recipient *recipients;
    unsigned recipient_count;
    uint64_t size_bytes; /* for SIZE=; exact size of the body */
    bool eight_bit;      /* holds octets >= 0x80 */
    enum queue_ret ret;  /* RET=, ENVID= for a server that takes them */
    str envid;           /* ptr NULL: none */
};

/* How long to wait, in milliseconds; 0: as RFC 5321 4.5.3.2 says. */
struct smtp_client_times {
    unsigned reply, mail, rcpt; /* for the reply to MAIL, to RCPT, to all else */
    unsigned sending;           /* for the peer to take a piece of the message */
    unsigned dot;               /* for the reply to the message, */
    unsigned dot_per_address, dot_per_block, dot_per_address_block; /* and what is added
                                   for each recipient and block */
    unsigned block_bytes;
};

struct smtp_client_options {
    str helo_name; /* our name on this channel */
    bool lmtp;     /* LHLO, and a reply for each recipient at the end (RFC 2033) */
    enum tls_level tls;
    bool implicit_tls; /* the host does the handshake before the greeting comes */
    bool fallback;     /* under `may`: where TLS fails the host may go on in clear */
    struct smtp_client_times times;
};

struct smtp_client;
/* A machine that awaits the greeting and then sends `first` (not NULL). */
struct smtp_client *smtp_client_new(const struct smtp_client_options *o,
                                    struct smtp_client_message *first);
void smtp_client_free(struct smtp_client **m);

/* Consumes all of data. With data of length 0: tells the step after an answer. */
enum smtp_step smtp_client_feed(struct smtp_client *m, const char *data, size_t len);
/* The question that STEP_WAIT is about. */
enum smtp_client_ask smtp_client_ask(const struct smtp_client *m);
/* What is to be sent; the host takes it out. The machine's own. */
struct buf *smtp_client_out(struct smtp_client *m);

/* The handshake ended, also the one before the greeting; on success EHLO is sent anew and
 * all learned in clear is forgotten. The host has dropped the connection if any byte
 * followed the 220. */
void smtp_client_tls_done(struct smtp_client *m, bool ok, const char *reason);
/* Before tls_done(false): whatever the options say, there is no going on in clear. */
void smtp_client_not_in_clear(struct smtp_client *m);
/* More of the body (raw message bytes, CRLF line ends); last: no more follows. Dots are
 * doubled, a missing final CRLF is added; bare CR or LF never leaves as such. Copies
 * into m->out; give at most 64 KiB at a time, when m->out has been written. */
void smtp_client_body(struct smtp_client *m, const char *data, size_t len, bool last);
/* The connection is gone (EOF, reset, timeout) while the machine wanted more: settles
 * all open recipients as deferred - except after the final dot, where that is also
 * "deferred" and may cause a duplicate. */
void smtp_client_lost(struct smtp_client *m, const char *reason);
/* After CLIENT_ASK_SETTLED: sends the next message on this session, or QUIT; then
 * smtp_client_feed(empty) tells the step. When the server ended the session meanwhile,
 * next() leaves the recipients deferred and the step is STEP_CLOSE. */
void smtp_client_next(struct smtp_client *m, struct smtp_client_message *message);
void smtp_client_quit(struct smtp_client *m);

/* After STEP_CLOSE: TLS was wanted and could not be had: not offered and a must, refused,
 * or failed, also by a server that says so behind the handshake. The reason is the text
 * of smtp_client_host_outcome(). */
bool smtp_client_tls_failed(const struct smtp_client *m);
/* After STEP_CLOSE: the level was `may` and TLS was refused or failed before any MAIL
 * FROM: try a new connection in clear to the same host. */
bool smtp_client_wants_clear(const struct smtp_client *m);
/* After STEP_CLOSE: TLS failed because something came in clear behind the reply to
 * STARTTLS. */
bool smtp_client_injected(const struct smtp_client *m);
/* After STEP_CLOSE before any recipient was settled for good: this host is of no use
 * now, try the next MX. (Greeting 4xx/5xx, EHLO refused, must without TLS, ...) */
bool smtp_client_try_next_host(const struct smtp_client *m);
/* The host greeted with 521 or refused for good (RFC 7504): outcome for the log. */
const struct outcome *smtp_client_host_outcome(const struct smtp_client *m);
/* At CLIENT_ASK_SETTLED: MAIL was answered with 4xx, so that nothing came of the message:
 * on a connection that served others before, perhaps only because there were enough of
 * them. */
bool smtp_client_mail_put_off(const struct smtp_client *m);
/* At CLIENT_ASK_SETTLED, or later: may the session wait for another message? Not when the
 * server has said what nobody asked for, or would not have the last one's sender. */
bool smtp_client_may_rest(const struct smtp_client *m);
/* How many MAIL commands the server takes in this session (RFC 9422, MAILMAX); 0: it has
 * not said. */
uint64_t smtp_client_mail_limit(const struct smtp_client *m);
/* True once the message was handed to the peer with the final dot. */
bool smtp_client_after_dot(const struct smtp_client *m);
/* Whole replies read so far: with output, the sign of progress that restarts a timeout.
 * Single octets of a reply are none, or a peer that drips them would never be late. */
unsigned smtp_client_replies(const struct smtp_client *m);
/* Milliseconds the host should wait for the next reply in the present state (RFC 5321
 * 4.5.3.2). */
unsigned smtp_client_timeout_ms(const struct smtp_client *m);
bool smtp_client_is_tls(const struct smtp_client *m);
/* One sentence saying what the session waits for; constant. */
const char *smtp_client_state_text(const struct smtp_client *m);

#endif
