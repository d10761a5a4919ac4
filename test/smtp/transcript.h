/* transcript: SMTP dialogues as text, test/smtp/<verb>-<what>.smtp, played against
 * anything that speaks SMTP: here the machine in process, over a socket a daemon. The
 * format is described in test/smtp/README.md. */
#ifndef TEST_SMTP_TRANSCRIPT_H
#define TEST_SMTP_TRANSCRIPT_H

#include "base/arena.h"
#include "base/vec.h"
#include "channels/smtp_server.h"

enum transcript_kind {
    TRANSCRIPT_SEND,
    TRANSCRIPT_EXPECT,
    TRANSCRIPT_TLS,
    TRANSCRIPT_END
};

struct transcript_step {
    enum transcript_kind kind;
    str text;      /* SEND: bytes; EXPECT: one line without CR LF */
    unsigned line; /* in the file */
};

struct transcript {
    enum tls_level tls, tls_after;
    bool implicit_tls, ignore_injection, whole_packets, needs_machine;
    uint64_t size_limit_bytes;
    struct smtp_limits limits;
    VEC(struct transcript_step) steps;
};

/* Parses text (kept in the arena by the caller). Returns NULL and a message with the
 * line number in *error when it is wrong. */
struct transcript *transcript_parse(struct arena *a, str text, str *error);

/* The other side of a dialogue. */
struct transcript_peer {
    void *arg;
    void (*send)(void *arg, str bytes);
    /* The next reply line without CR LF, valid until the next call; false: none came. */
    bool (*receive)(void *arg, str *line);
    bool (*start_tls)(void *arg);
    bool (*closed)(void *arg);
};
/* Plays it. Returns an empty text when all went as written, else what did not. */
str transcript_run(struct arena *a, const struct transcript *t,
                   struct transcript_peer *peer);

#endif
