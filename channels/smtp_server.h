/* smtp_server: the SMTP server as a machine without I/O. It is fed bytes, appends
 * replies to m->out and stops at questions only its host can answer. The same machine
 * runs in unit tests, transcripts, the fuzzer and behind stream.c.
 *
 *   step = smtp_server_feed(m, bytes)      bytes may be empty
 *   STEP_MORE  all input consumed, wants more
 *   STEP_WAIT  m->ask names one question; input already given is kept; answer with the
 *              matching smtp_server_answer_*(), then call smtp_server_feed(m, empty)
 *   STEP_CLOSE send m->out, then close
 * The host writes m->out to the peer after every step and clears it. */
#ifndef CHANNELS_SMTP_SERVER_H
#define CHANNELS_SMTP_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"
#include "base/arena.h"
#include "base/buf.h"
#include "channels/smtp_limits.h"
#include "router/dsn.h"

enum smtp_step { STEP_MORE, STEP_WAIT, STEP_CLOSE };

enum smtp_ask {
    ASK_NONE,
    ASK_SENDER,    /* m->txn.sender and parameters: may this transaction begin?
                      answer: smtp_server_answer_command() */
    ASK_RECIPIENT, /* m->txn.recipient: answer_command(); 2xx = accepted */
    ASK_DATA,      /* DATA with at least one recipient: open a body;
                      answer_command(354, ...) goes on, any other code refuses and
                      leaves the transaction as it is */
    ASK_BODY,      /* m->body: decoded message bytes (dots removed, CRLF kept) to store;
                      answer_body(). The slice is valid until the answer */
    ASK_COMMIT,    /* body is complete and well-formed: answer_command(250 or 4xx/5xx) */
    ASK_TLS        /* 220 was appended to m->out: flush it, do the handshake,
                      then smtp_server_tls_started() - or close the connection */
};

enum smtp_peer {
    SMTP_PEER_FINE,
    SMTP_PEER_REJECT,  /* no, for want of a certificate: 550 5.7.1 to MAIL */
    SMTP_PEER_TEMPFAIL /* not now: 454 4.7.0 */
};

/* What the session's current source channel says; the host changes it after a
 * switch with smtp_server_set_policy(). Strings must outlive the session. */
struct smtp_server_policy {
    str local_name;               /* in greeting, EHLO */
    enum tls_level tls;           /* the channel's server side */
    enum tls_injection injection; /* what becomes of bytes behind STARTTLS */
    enum smtp_peer peer;          /* may this client send? */
    uint64_t size_limit_bytes;    /* advertised and enforced; 0: none */
    uint32_t hidden;              /* extensions EHLO does not name: enum ehlo_extension */
    bool bare_addresses;       /* senders and recipients without a domain are taken, for
                                  the host to complete; else refused, 553 */
    unsigned recipient_limit;  /* more are answered 452 4.5.3; at least 100 */
    struct smtp_limits limits; /* what the channel says besides */
    str banner_addition;       /* at the end of the greeting; may be empty */
    unsigned helo_max;         /* characters of a client's name; 0: SMTP_HELO_MAX */
};

/* Valid until the transaction ends. It ends without a word to the host when the client
 * says RSET, EHLO, HELO or QUIT, or when the message itself is refused (bare CR or LF,
 * NUL, size): the host drops what it holds when a step leaves smtp_server_idle(), and
 * when ASK_SENDER comes. */
struct smtp_server_txn {
    struct address sender;
    struct address recipient;   /* the one asked about, kept until the next command */
    unsigned recipients;        /* accepted so far */
    bool eight_bit;             /* BODY=8BITMIME */
    uint64_t declared_size;     /* SIZE=, 0 if not given */
    enum queue_ret ret;         /* RET= */
    str envid;                  /* ENVID= as given; ptr NULL: not given */
    struct dsn_request request; /* of the recipient asked about */
};

struct smtp_server;
/* Creates a machine at "connected". Allocates from malloc; free with _free. */
struct smtp_server *smtp_server_new(const struct smtp_server_policy *policy);
void smtp_server_free(struct smtp_server **m);

/* Appends the 220 greeting to out. Call once, before the first feed. Bytes that the
 * client sent before the greeting are the host's to notice. */
void smtp_server_greet(struct smtp_server *m);
/* Appends a 421 with this text, which brings its enhanced code along ("4.4.2 timeout"),
 * and makes the next step STEP_CLOSE (timeout, shutdown). */
void smtp_server_shut(struct smtp_server *m, const char *text);

/* At most 64 KiB at a time, and nothing more while a question is open or while out is not
 * yet written: that bounds what a session can hold. */
enum smtp_step smtp_server_feed(struct smtp_server *m, const char *data, size_t len);

/* Bytes behind STARTTLS that were thrown away, as the policy says. */
size_t smtp_server_injected(const struct smtp_server *m);
enum smtp_ask smtp_server_ask(const struct smtp_server *m);
const struct smtp_server_txn *smtp_server_txn(const struct smtp_server *m);
str smtp_server_body(const struct smtp_server *m);
struct buf *smtp_server_out(struct smtp_server *m);

/* Answers ASK_SENDER, ASK_RECIPIENT, ASK_DATA, ASK_COMMIT with a reply: code, enhanced
 * code (all 0: none is printed) and text (one line; control bytes are replaced). 421
 * closes the session. Answers to a session that was shut meanwhile are dropped. */
void smtp_server_answer_command(struct smtp_server *m, unsigned code, unsigned x,
                                unsigned y, unsigned z, const char *text);
/* Answers ASK_BODY. After false the rest of the message is swallowed unasked and the
 * final reply is this code/text (e.g. 452 4.3.1): the transaction is gone, ASK_COMMIT
 * is not asked. */
void smtp_server_answer_body(struct smtp_server *m, bool stored, unsigned code,
                             unsigned x, unsigned y, unsigned z, const char *text);
/* The handshake succeeded: forget everything learned in clear (RFC 3207 4.2) and use
 * this policy from now on. */
void smtp_server_tls_started(struct smtp_server *m,
                             const struct smtp_server_policy *policy);
/* The session is under TLS from the first byte (TLS_PORT). Before smtp_server_greet. */
void smtp_server_tls_implicit(struct smtp_server *m);
/* Replaces the policy between two commands (reload). */
void smtp_server_set_policy(struct smtp_server *m,
                            const struct smtp_server_policy *policy);

/* True between two transactions (no MAIL pending): the host may take the current
 * configuration. */
bool smtp_server_idle(const struct smtp_server *m);
bool smtp_server_is_tls(const struct smtp_server *m);
/* True inside DATA: the data timeout applies instead of the command timeout. */
bool smtp_server_in_data(const struct smtp_server *m);
/* The EHLO or HELO name, empty before; and whether it was EHLO. */
str smtp_server_helo(const struct smtp_server *m, bool *esmtp);
/* The reason the machine closed, for the log; NULL if it did not. Constant: "quit",
 * "starttls-injection", "too-many-errors", "http", "tls-in-clear" (a TLS record where
 * a command was due), "flood" (input or output past all bounds), "shut" (by us). */
const char *smtp_server_close_reason(const struct smtp_server *m);
/* The last refusal (4xx/5xx reply line sent since the last call), for the `refuse`
 * log event; empty if none. Clears it. The slice holds until the next call into the
 * machine. Directly after an answer it is the reply to what was asked. */
str smtp_server_take_refusal(struct smtp_server *m);
/* The keyword that made the last refusal; NULL when it was none. */
const char *smtp_server_refusal_keyword(const struct smtp_server *m);
/* The recipient that the last refusal is about; NULL when it is about none. */
const struct address *smtp_server_refused_recipient(const struct smtp_server *m);
/* One sentence saying where the session stands; constant. */
const char *smtp_server_state_text(const struct smtp_server *m);

#endif
