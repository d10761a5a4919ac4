/* smtp_server_private: what the parts of the server machine share: smtp_server.c
 * (input, dispatch, session verbs), smtp_server_mail.c (the transaction) and
 * smtp_server_params.c. Nobody else includes this. */
#ifndef CHANNELS_SMTP_SERVER_PRIVATE_H
#define CHANNELS_SMTP_SERVER_PRIVATE_H

#include "channels/smtp_data.h"
#include "channels/smtp_line.h"
#include "channels/smtp_server.h"
#include "channels/smtp_syntax.h"

/* The states, in the order smtp_verbs.def compares. TLS, the policy and an open
 * question (m->ask) are beside the state, not in it. */
#define SERVER_STATES(X)                                                                 \
    X(CONNECTED,                                                                         \
      "greeted; no EHLO or HELO yet, or TLS began and all before is forgotten")          \
    X(READY, "the client gave its name; no transaction")                                 \
    X(SENDER, "MAIL was accepted; no recipient yet")                                     \
    X(RECIPIENT, "at least one recipient was accepted")                                  \
    X(DATA, "354 was sent; bytes are message until CR LF . CR LF")                       \
    X(CLOSED, "nothing is read any more; send what is in out and close")

enum server_state {
#define STATE_ROW(name, text) SERVER_##name,
    SERVER_STATES(STATE_ROW)
#undef STATE_ROW
};

enum {
    SERVER_LINE_MAX = 1200, /* 512, and what SIZE and BODY, or NOTIFY and ORCPT, add (RFC
                               5321 4.5.3.1.4, 1870, 6152, 3461 4) */
    SERVER_INPUT_MAX = 256 * 1024, /* kept while a question is open */
    SERVER_OUT_MAX = 256 * 1024,   /* replies the host has not taken */
    SERVER_ERRORS_MAX = 20,        /* bad commands; the next one closes */
    SERVER_IDLE_MAX = 100,         /* NOOP and the like since the last message */
    SERVER_RECIPIENTS_MIN = 100,   /* RFC 5321 4.5.3.1.8 */
    SERVER_OVER_MAX = 1000 /* above a limit in one transaction, before they count */
};

/* A reply kept until the true end of a message that is being swallowed. */
struct server_refusal {
    bool set;
    unsigned code;
    unsigned enhanced[3];
    char text[SMTP_REPLY_TEXT_MAX];
};

struct smtp_server {
    struct smtp_server_policy policy;
    enum server_state state;
    enum smtp_ask ask;
    bool tls;
    bool esmtp;
    char helo[SMTP_HELO_MAX];
    size_t helo_len;

    struct buf in;   /* input not yet consumed: only while a question is open */
    size_t in_from;  /* how much of `in` is consumed */
    size_t pending;  /* bytes known behind the command being handled */
    size_t injected; /* bytes behind STARTTLS that were thrown away */
    struct smtp_line line;
    struct buf out;

    struct smtp_server_txn txn;
    char sender[ADDRESS_PATH_MAX]; /* what txn.sender points into */
    char recipient[ADDRESS_PATH_MAX];
    char envid[DSN_ENVID_TEXT_MAX]; /* likewise */
    char orcpt[DSN_ORCPT_MAX];
    bool sender_refused;         /* the last MAIL was refused */
    unsigned recipients_refused; /* in this transaction */
    unsigned recipients_over;    /* of those, above a limit of recipients */
    struct smtp_data data;
    struct buf body;               /* decoded, not yet stored by the host */
    struct server_refusal refusal; /* the message is being swallowed */

    struct smtp_counts counts; /* of the session */
    unsigned errors;           /* bad commands since the last accepted message */
    unsigned idle;             /* VERB_IDLE commands and refused recipients, likewise */
    const char *close_reason;
    char last_refusal[512];
    size_t last_refusal_len;
    const char *last_refusal_keyword; /* NULL: no limit of the channel */
    bool last_refusal_has_recipient;  /* txn.recipient was set then */
};

/* Appends a reply; remembers it for smtp_server_take_refusal() when it is 4xx or 5xx.
 * When out is full the session is closed. */
void server_reply(struct smtp_server *m, unsigned code, unsigned x, unsigned y,
                  unsigned z, const char *text);
/* Appends a refusal and counts an error; past SERVER_ERRORS_MAX it is 421 instead and
 * the session is closed. */
void server_error(struct smtp_server *m, unsigned code, unsigned x, unsigned y,
                  unsigned z, const char *text);
/* Answers with a limit that was hit, which may end the session. */
void server_limit(struct smtp_server *m, const struct smtp_limit_hit *hit);
/* Counts a command that did nothing; past SERVER_IDLE_MAX each is an error. True: the
 * session goes on. */
bool server_count_idle(struct smtp_server *m);
/* Nothing is read any more; the reason is a constant. */
void server_close(struct smtp_server *m, const char *reason);
/* Drops the transaction, if any. */
void server_reset(struct smtp_server *m);

/* In the state DATA: consumes message bytes of *rest, asks, or ends the message. False:
 * *rest is used up and nothing happened. */
bool server_data(struct smtp_server *m, str *rest);

/* The parameters behind the path; false: answered. */
bool server_mail_params(struct smtp_server *m, str rest);
bool server_rcpt_params(struct smtp_server *m, str rest);

void smtp_verb_mail(struct smtp_server *m, str args);
void smtp_verb_rcpt(struct smtp_server *m, str args);
void smtp_verb_data(struct smtp_server *m, str args);
void smtp_verb_rset(struct smtp_server *m, str args);

#endif
