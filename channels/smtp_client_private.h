/* smtp_client_private: what the two halves of the client machine share: smtp_client.c
 * (the session up to EHLO and TLS, its end) and smtp_client_mail.c (messages). Nobody
 * else includes this. */
#ifndef CHANNELS_SMTP_CLIENT_PRIVATE_H
#define CHANNELS_SMTP_CLIENT_PRIVATE_H

#include "channels/smtp_client.h"
#include "channels/smtp_data.h"
#include "channels/smtp_reply.h"

/* The states: which reply, or what else, is awaited; and how long (RFC 5321 4.5.3.2,
 * milliseconds). With PIPELINING more is under way, but replies come in order. */
#define CLIENT_STATES(X)                                                                 \
    X(GREETING, 300000, "connected; the greeting is awaited")                            \
    X(EHLO, 300000, "EHLO (LMTP: LHLO) was sent")                                        \
    X(HELO, 300000, "EHLO was refused and HELO sent")                                    \
    X(STARTTLS, 120000, "STARTTLS was sent")                                             \
    X(HANDSHAKE, 120000, "the host does the handshake")                                  \
    X(RSET, 300000, "RSET was sent, because the last transaction was left open")         \
    X(MAIL, 300000, "MAIL was sent")                                                     \
    X(RCPT, 300000, "at least one RCPT was sent and not answered")                       \
    X(DATA, 120000, "DATA was sent; every RCPT is answered")                             \
    X(BODY, 180000, "354 came; the host gives the message")                              \
    X(DOT, 600000, "the final dot was sent; LMTP: some recipients may be answered")      \
    X(IDLE, 300000, "all recipients are settled; the host says next or quit")            \
    X(QUIT, 10000, "QUIT was sent")                                                      \
    X(CLOSED, 10000, "nothing is read any more; send what is in out and close")

enum client_state {
#define STATE_ROW(name, timeout_ms, text) CLIENT_##name,
    CLIENT_STATES(STATE_ROW)
#undef STATE_ROW
};

enum {
    CLIENT_WINDOW = 100,        /* RCPTs under way at once with PIPELINING */
    CLIENT_OUT_MAX = 256 * 1024 /* the body doubles at worst: 2 * 64 KiB */
};

enum recipient_status { RECIPIENT_OPEN, RECIPIENT_ACCEPTED, RECIPIENT_SETTLED };

struct smtp_client {
    enum client_state state;
    enum smtp_client_ask ask;
    enum tls_level tls_level;
    struct smtp_client_times times;
    bool fallback, lmtp;
    char helo[ADDRESS_DOMAIN_MAX + 3];
    struct smtp_reply reply;
    unsigned replies; /* whole ones, of the session */
    struct buf out;

    bool tls; /* completed on this connection (implicit: or due before the greeting) */
    bool tls_by_starttls;
    bool offers_starttls, offers_pipelining, offers_size, offers_8bit, offers_dsn;
    uint64_t size_limit_bytes; /* 0: not told */
    uint64_t mail_limit;       /* likewise */

    struct smtp_client_message *msg;
    unsigned char *status; /* enum recipient_status of each recipient */
    unsigned sent;         /* recipients before this one: RCPT sent, or settled */
    unsigned answered;     /* recipients before this one: RCPT answered, or settled */
    unsigned in_flight;    /* RCPTs sent and not answered */
    unsigned accepted;
    bool mail_refused;
    bool data_sent;
    bool txn_open; /* the server may still hold a transaction: RSET first */
    bool after_dot;
    bool peer_gone; /* something came while idle: not usable any more */
    struct smtp_data_encoder encoder;

    bool tls_failed, wants_clear, try_next_host, injected;
    struct outcome host;
};

/* Sends one line; an argument never holds what would end it early (checked before). */
void client_send(struct smtp_client *m, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Sets o from the reply just read: 2xx delivered, 5xx failed, everything else deferred.
 */
void client_outcome_from_reply(const struct smtp_client *m, struct outcome *o);
/* Gives this outcome to every recipient that has none. */
void client_settle(struct smtp_client *m, const struct outcome *o);
/* The session is over: host outcome o, also for every recipient that has none (deferred
 * whatever o says where TLS is a must and was not reached). */
void client_end(struct smtp_client *m, const struct outcome *o);
/* client_end() with a temporary outcome of our own. */
void client_end_deferred(struct smtp_client *m, unsigned y, unsigned z, const char *fmt,
                         ...) __attribute__((format(printf, 4, 5)));

/* Takes a message and makes its recipients open. */
void client_take(struct smtp_client *m, struct smtp_client_message *message);
/* Begins its transaction, or settles what cannot be sent. */
void client_begin(struct smtp_client *m);
/* Replies in the states RSET to DOT. */
void client_on_rset(struct smtp_client *m);
void client_on_mail(struct smtp_client *m);
void client_on_rcpt(struct smtp_client *m);
void client_on_data(struct smtp_client *m);
void client_on_body(struct smtp_client *m);
void client_on_dot(struct smtp_client *m);

#endif
