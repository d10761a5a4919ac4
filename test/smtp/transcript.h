/* transcript: SMTP dialogues as text, test/smtp/<verb>-<what>.smtp, run against anything
 * that speaks SMTP: here the machine in process, over a socket a daemon. A file:
 *   # comment                   anywhere
 *   tls: no|may|must            settings, before the dialogue: the source channel,
 *   tls-after: no|may|must      the channel after STARTTLS (tls: when not given),
 *   implicit: yes               TLS from the first byte,
 *   size: N                     the size limit (1000),
 *   packets: whole              do not cut what one C block sends into small packets
 *   needs: machine              uses names that only machine_host.h knows
 *   C: text                     a line to send; a block of C lines goes in one write
 *   C- text                     the same without CR LF behind it
 *   C*N text                    N times text, without CR LF
 *   S: text                     a reply line; '*' stands for any text
 *   T:                          a TLS handshake
 *   E:                          the server closes, nothing more comes
 * In C lines \r \n \0 \\ \xHH are bytes. After each S block nothing more may have come.
 */
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
    bool implicit_tls, whole_packets, needs_machine;
    uint64_t size_limit_bytes;
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
