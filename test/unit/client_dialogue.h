/* client_dialogue: the machine of smtp_client.h against a server that says what is
 * written down. Used with cmocka.
 *
 * A dialogue is a list of lines; the first letter says what happens:
 *   S bytes of the server      C what the client must have sent since the last C
 *   T "ok" or why TLS failed   B a part of the body, "b" the last part
 *   L the connection is lost   N the next message   Q quit
 *   8 (first) the message is 8-bit   F (first) its sender, else ann@a.example
 *   A (first) its sender asks for reports
 * Results are one string: "address class code x.y.z text; ..." and, in this order, ";
 * tls", CLEAR (the next try is in clear) and NEXT (it is at the next host). */
#ifndef TEST_UNIT_CLIENT_DIALOGUE_H
#define TEST_UNIT_CLIENT_DIALOGUE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "channels/smtp_client.h"

enum { LINES_MAX = 24 };

/* Beside the level: no fallback into clear; TLS from the first byte; LMTP. */
enum { STAYS = 8, IMPLICIT = 16, LMTP = 32 };

struct dialogue {
    const char *name;
    unsigned tls;   /* enum tls_level, perhaps with STAYS, IMPLICIT or LMTP */
    const char *to; /* recipients, blanks between */
    const char *lines[LINES_MAX];
    const char *results;
};

/* Lines that come often. */
#define GREET            "S220 mx.example ESMTP\r\n"
#define SAY_EHLO         "CEHLO c.example\r\n"
#define SAY_LHLO         "CLHLO c.example\r\n"
#define EHLO_PLAIN       "S250 mx.example\r\n"
#define EHLO_ALL         "S250-mx.example\r\n250-PIPELINING\r\n250-SIZE 2000\r\n250 8BITMIME\r\n"
#define EHLO_TLS         "S250-mx.example\r\n250 STARTTLS\r\n"
#define SAY_MAIL         "CMAIL FROM:<ann@a.example>\r\n"
#define SAY_GROUP(rcpts) "CMAIL FROM:<ann@a.example> SIZE=1000\r\n" rcpts "DATA\r\n"
#define TO(who)          "RCPT TO:<" who ">\r\n"
#define OK               "S250 2.0.0 ok\r\n"
#define GO               "S354 go\r\n"
#define NEXT             "; next host"
#define CLEAR            "; clear"

/* Runs each of them, the server's bytes in pieces of all sizes; fails the test with what
 * came instead of what is written. */
void run_dialogues(const struct dialogue *dialogues, size_t count);

#endif
