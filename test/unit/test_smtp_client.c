#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "channels/smtp_client.h"

/* A dialogue is a list of lines; the first letter says what happens:
 *   S bytes of the server      C what the client must have sent since the last C
 *   T "ok" or why TLS failed   B a part of the body, "b" the last part
 *   L the connection is lost   N the next message   Q quit
 *   8 (first) the message is 8-bit   F (first) its sender, else ann@a.example
 *   A (first) its sender asks for reports
 * Results are written as one string, see results(). */
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

static const struct dialogue dialogues[] = {
    {"plain",
     0,
     "b@b",
     {GREET, SAY_EHLO, EHLO_PLAIN, SAY_MAIL, OK, "C" TO("b@b"), OK, "CDATA\r\n", GO,
      "BHi\r\n", "b.x", "CHi\r\n..x\r\n.\r\n", "S250 2.6.0 got it\r\n", "Q", "CQUIT\r\n",
      "S221 bye\r\n"},
     "b@b delivered 250 2.6.0 got it"},
    {"pipelined",
     0,
     "b@b c@c",
     {GREET, SAY_EHLO, EHLO_ALL, SAY_GROUP(TO("b@b") TO("c@c")),
      "S250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n", "bx\r\n", "Cx\r\n.\r\n", OK, "Q",
      "CQUIT\r\n"},
     "b@b delivered 250 2.0.0 ok; c@c delivered 250 2.0.0 ok"},
    {"null sender",
     0,
     "b@b",
     {"F"
      "",
      GREET, SAY_EHLO, EHLO_ALL, "CMAIL FROM:<> SIZE=1000\r\n" TO("b@b") "DATA\r\n"},
     "b@b deferred 0 4.0.0 not attempted"},
    {"8 bit",
     0,
     "b@b",
     {"8", GREET, SAY_EHLO, EHLO_ALL,
      "CMAIL FROM:<ann@a.example> SIZE=1000 BODY=8BITMIME\r\n" TO("b@b") "DATA\r\n"},
     "b@b deferred 0 4.0.0 not attempted"},
    {"8 bit not offered",
     0,
     "b@b c@c",
     {"8", GREET, SAY_EHLO, EHLO_PLAIN, "Q", "CQUIT\r\n"},
     "b@b failed 0 5.6.3 the server does not take 8-bit messages; "
     "c@c failed 0 5.6.3 the server does not take 8-bit messages"},
    {"size over what is offered",
     0,
     "b@b",
     {GREET, SAY_EHLO, "S250-x\r\n250 SIZE 999\r\n", "Q", "CQUIT\r\n"},
     "b@b failed 0 5.3.4 the message is larger than the server takes"},
    {"size 0 means no limit",
     0,
     "b@b",
     {GREET, SAY_EHLO, "S250-x\r\n250 size 0\r\n",
      "CMAIL FROM:<ann@a.example> SIZE=1000\r\n"},
     "b@b deferred 0 4.0.0 not attempted"},
    {"what is asked for, for a server that takes it",
     0,
     "b@b c@c",
     {"A", GREET, SAY_EHLO, "S250-x\r\n250-PIPELINING\r\n250 DSN\r\n",
      "CMAIL FROM:<ann@a.example> RET=HDRS ENVID=QQ+2B1\r\n"
      "RCPT TO:<b@b> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;B@b\r\n" TO("c@c") "DATA\r\n",
      "S250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n", "bx\r\n", "Cx\r\n.\r\n", OK, "Q",
      "CQUIT\r\n"},
     "b@b delivered 250 2.0.0 ok, passed on; c@c delivered 250 2.0.0 ok, passed on"},
    {"what is asked for, for one that does not",
     0,
     "b@b",
     {"A", GREET, SAY_EHLO, EHLO_PLAIN, SAY_MAIL, OK, "C" TO("b@b"), OK, "CDATA\r\n", GO,
      "b", "C.\r\n", OK, "Q", "CQUIT\r\n"},
     "b@b delivered 250 2.0.0 ok"},
    /* per-recipient outcomes */
    {"some refused",
     0,
     "b@b c@c d@d",
     {GREET, SAY_EHLO, EHLO_ALL, SAY_GROUP(TO("b@b") TO("c@c") TO("d@d")),
      "S250 ok\r\n550 5.1.1 nobody\r\n250 ok\r\n450 4.2.1 later\r\n354 go\r\n", "b",
      "C.\r\n", OK, "Q", "CQUIT\r\n"},
     "b@b failed 550 5.1.1 nobody; c@c delivered 250 2.0.0 ok; d@d deferred 450 4.2.1 "
     "later"},
    {"some refused, one by one",
     0,
     "b@b c@c",
     {GREET, SAY_EHLO, EHLO_PLAIN, SAY_MAIL, OK, "C" TO("b@b"), "S550 no\r\n",
      "C" TO("c@c"), OK, "CDATA\r\n", GO, "b", "C.\r\n", "S452 4.3.1 full\r\n", "Q",
      "CQUIT\r\n"},
     "b@b failed 550 5.0.0 no; c@c deferred 452 4.3.1 full"},
    {"all refused, DATA refused",
     0,
     "b@b c@c",
     {GREET, SAY_EHLO, EHLO_ALL, SAY_GROUP(TO("b@b") TO("c@c")),
      "S250 ok\r\n550 5.1.1 no\r\n450 4.2.1 later\r\n554 5.5.1 none\r\n", "Q",
      "CQUIT\r\n"},
     "b@b failed 550 5.1.1 no; c@c deferred 450 4.2.1 later"},
    {"all refused, DATA taken: a lone dot",
     0,
     "b@b",
     {GREET, SAY_EHLO, EHLO_ALL, SAY_GROUP(TO("b@b")), "S250 ok\r\n550 no\r\n354 go\r\n",
      "C.\r\n", OK, "Q", "CQUIT\r\n"},
     "b@b failed 550 5.0.0 no"},
    {"all refused, one by one: no DATA",
     0,
     "b@b",
     {GREET, SAY_EHLO, EHLO_PLAIN, SAY_MAIL, OK, "C" TO("b@b"), "S550 no\r\n", "Q",
      "CQUIT\r\n"},
     "b@b failed 550 5.0.0 no"},
    {"sender refused",
     0,
     "b@b",
     {GREET, SAY_EHLO, EHLO_PLAIN, SAY_MAIL, "S550 5.7.1 not you\r\n", "Q", "CQUIT\r\n"},
     "b@b failed 550 5.7.1 not you"},
    {"sender refused, pipelined",
     0,
     "b@b",
     {GREET, SAY_EHLO, EHLO_ALL, SAY_GROUP(TO("b@b")),
      "S451 4.7.1 grey\r\n503 mail first\r\n503 mail first\r\n", "Q", "CQUIT\r\n"},
     "b@b deferred 451 4.7.1 grey"},
    {"sender refused, the rest taken: a lone dot",
     0,
     "b@b",
     {GREET, SAY_EHLO, EHLO_ALL, SAY_GROUP(TO("b@b")), "S550 no\r\n250 ok\r\n354 go\r\n",
      "C.\r\n", OK, "Q", "CQUIT\r\n"},
     "b@b failed 550 5.0.0 no"},
    {"DATA refused",
     0,
     "b@b",
     {GREET, SAY_EHLO, EHLO_ALL, SAY_GROUP(TO("b@b")),
      "S250 ok\r\n250 ok\r\n451 4.3.0 no\r\n", "Q", "CQUIT\r\n"},
     "b@b deferred 451 4.3.0 no"},
    {"message refused",
     0,
     "b@b",
     {GREET, SAY_EHLO, EHLO_PLAIN, SAY_MAIL, OK, "C" TO("b@b"), OK, "CDATA\r\n", GO, "b",
      "C.\r\n", "S554-5.7.1 spam\r\n554 5.7.1 go away\r\n", "Q", "CQUIT\r\n"},
     "b@b failed 554 5.7.1 spam go away"},
    {"552 for too many recipients is temporary",
     0,
     "b@b c@c",
     {GREET, SAY_EHLO, EHLO_ALL, SAY_GROUP(TO("b@b") TO("c@c")),
      "S250 ok\r\n250 ok\r\n552 5.5.3 too many\r\n354 go\r\n", "b", "C.\r\n", OK, "Q",
      "CQUIT\r\n"},
     "b@b delivered 250 2.0.0 ok; c@c deferred 552 4.5.3 too many"},
    {"552 for a full mailbox is not",
     0,
     "b@b c@c",
     {GREET, SAY_EHLO, EHLO_ALL, SAY_GROUP(TO("b@b") TO("c@c")),
      "S250 ok\r\n250 ok\r\n552 5.2.2 full\r\n354 go\r\n", "b", "C.\r\n", OK, "Q",
      "CQUIT\r\n"},
     "b@b delivered 250 2.0.0 ok; c@c failed 552 5.2.2 full"},
    {"addresses that would break a command",
     0,
     "b@b>x c@c \xc3\xa4@d",
     {GREET, SAY_EHLO, EHLO_ALL, SAY_GROUP(TO("c@c")), "S250 ok\r\n250 ok\r\n354 go\r\n",
      "b", "C.\r\n", OK, "Q", "CQUIT\r\n"},
     "b@b>x failed 0 5.1.3 the address cannot be sent; c@c delivered 250 2.0.0 ok; "
     "\xc3\xa4@d failed 0 5.6.7 the address is not ASCII"},
    {"a sender that would break a command",
     0,
     "b@b",
     {"F"
      "x\r\nRCPT TO:<evil@x>",
      GREET, SAY_EHLO, EHLO_ALL, "Q", "CQUIT\r\n"},
     "b@b failed 0 5.1.7 the sender's address cannot be sent"},
    /* hosts */
    {"greeting 4xx",
     0,
     "b@b",
     {"S450 4.3.2 busy\r\n", "CQUIT\r\n"},
     "b@b deferred 450 4.3.2 busy" NEXT},
    {"greeting 421", 0, "b@b", {"S421 busy\r\n"}, "b@b deferred 421 4.0.0 busy" NEXT},
    {"greeting 521",
     0,
     "b@b",
     {"S521 5.3.2 no mail here\r\n", "CQUIT\r\n"},
     "b@b failed 521 5.3.2 no mail here" NEXT},
    {"greeting 554",
     0,
     "b@b",
     {"S554 no\r\n", "CQUIT\r\n"},
     "b@b failed 554 5.0.0 no" NEXT},
    {"greeting 250",
     0,
     "b@b",
     {"S250 hello\r\n", "CQUIT\r\n"},
     "b@b deferred 0 4.5.0 unexpected reply 250 hello" NEXT},
    {"ehlo 5xx: helo",
     0,
     "b@b",
     {GREET, SAY_EHLO, "S502 what?\r\n", "CHELO c.example\r\n", "S250 mx\r\n", SAY_MAIL},
     "b@b deferred 0 4.0.0 not attempted"},
    {"helo 5xx",
     0,
     "b@b",
     {GREET, SAY_EHLO, "S502 what?\r\n", "CHELO c.example\r\n", "S550 5.7.1 no\r\n",
      "CQUIT\r\n"},
     "b@b failed 550 5.7.1 no" NEXT},
    {"ehlo 4xx",
     0,
     "b@b",
     {GREET, SAY_EHLO, "S451 later\r\n", "CQUIT\r\n"},
     "b@b deferred 451 4.0.0 later" NEXT},
    {"421 in the middle",
     0,
     "b@b c@c",
     {GREET, SAY_EHLO, EHLO_ALL, SAY_GROUP(TO("b@b") TO("c@c")),
      "S250 ok\r\n250 ok\r\n421 4.3.2 bye\r\n"},
     "b@b deferred 421 4.3.2 bye; c@c deferred 421 4.3.2 bye" NEXT},
    {"421 when one is settled for good",
     0,
     "b@b c@c",
     {GREET, SAY_EHLO, EHLO_ALL, SAY_GROUP(TO("b@b") TO("c@c")),
      "S250 ok\r\n550 no\r\n421 4.3.2 bye\r\n"},
     "b@b failed 550 5.0.0 no; c@c deferred 421 4.3.2 bye"},
    {"421 for the message",
     0,
     "b@b",
     {GREET, SAY_EHLO, EHLO_PLAIN, SAY_MAIL, OK, "C" TO("b@b"), OK, "CDATA\r\n", GO, "b",
      "C.\r\n", "S421 bye\r\n"},
     "b@b deferred 421 4.0.0 bye"},
    {"malformed",
     0,
     "b@b",
     {GREET, SAY_EHLO, "Shello\r\n"},
     "b@b deferred 0 4.5.0 protocol error: a reply does not begin with a code" NEXT},
    {"rcpt answered 354",
     0,
     "b@b",
     {GREET, SAY_EHLO, EHLO_PLAIN, SAY_MAIL, OK, "C" TO("b@b"), "S354 go\r\n"},
     "b@b deferred 0 4.5.0 unexpected reply 354" NEXT},
    {"DATA answered 250",
     0,
     "b@b",
     {GREET, SAY_EHLO, EHLO_PLAIN, SAY_MAIL, OK, "C" TO("b@b"), OK, "CDATA\r\n", OK},
     "b@b deferred 0 4.5.0 unexpected reply 250" NEXT},
    {"dot answered 354",
     0,
     "b@b",
     {GREET, SAY_EHLO, EHLO_PLAIN, SAY_MAIL, OK, "C" TO("b@b"), OK, "CDATA\r\n", GO, "b",
      "C.\r\n", "S354 more?\r\n"},
     "b@b deferred 0 4.5.0 unexpected reply 354"},
    {"250 before the dot is no delivery",
     0,
     "b@b",
     {GREET, SAY_EHLO, EHLO_PLAIN, SAY_MAIL, OK, "C" TO("b@b"), OK, "CDATA\r\n", GO, "Bx",
      "Cx", OK},
     "b@b deferred 0 4.5.0 unexpected reply 250" NEXT},
    {"refused before the dot",
     0,
     "b@b",
     {GREET, SAY_EHLO, EHLO_PLAIN, SAY_MAIL, OK, "C" TO("b@b"), OK, "CDATA\r\n", GO, "Bx",
      "Cx", "S552 5.3.4 too big\r\n"},
     "b@b failed 552 5.3.4 too big"},
    {"lost before the greeting",
     0,
     "b@b",
     {"Ltimeout"},
     "b@b deferred 0 4.4.1 timeout" NEXT},
    {"lost in the body",
     0,
     "b@b",
     {GREET, SAY_EHLO, EHLO_PLAIN, SAY_MAIL, OK, "C" TO("b@b"), OK, "CDATA\r\n", GO, "Bx",
      "Cx", "Lreset"},
     "b@b deferred 0 4.4.2 reset" NEXT},
    {"lost after the dot",
     0,
     "b@b",
     {GREET, SAY_EHLO, EHLO_PLAIN, SAY_MAIL, OK, "C" TO("b@b"), OK, "CDATA\r\n", GO, "b",
      "C.\r\n", "Lreset"},
     "b@b deferred 0 4.4.2 reset (after the end of the message)"},
    {"lost after quit",
     0,
     "b@b",
     {GREET, SAY_EHLO, EHLO_PLAIN, SAY_MAIL, "S550 no\r\n", "Q", "CQUIT\r\n", "Lreset"},
     "b@b failed 550 5.0.0 no"},
    /* more messages */
    {"two messages",
     0,
     "b@b",
     {GREET, SAY_EHLO, EHLO_ALL, SAY_GROUP(TO("b@b")), "S250 ok\r\n250 ok\r\n354 go\r\n",
      "b", "C.\r\n", OK, "N", SAY_GROUP(TO("b@b")), "S250 ok\r\n250 ok\r\n354 go\r\n",
      "b.", "C..\r\n.\r\n", "S250 2.0.0 again\r\n", "Q", "CQUIT\r\n"},
     "b@b delivered 250 2.0.0 again"},
    {"an open transaction is reset",
     0,
     "b@b",
     {GREET, SAY_EHLO, EHLO_PLAIN, SAY_MAIL, OK, "C" TO("b@b"), "S550 no\r\n", "N",
      "CRSET\r\n", OK, SAY_MAIL},
     "b@b deferred 0 4.0.0 not attempted"},
    {"reset refused",
     0,
     "b@b",
     {GREET, SAY_EHLO, EHLO_PLAIN, SAY_MAIL, OK, "C" TO("b@b"), "S550 no\r\n", "N",
      "CRSET\r\n", "S500 no\r\n"},
     "b@b deferred 0 4.5.0 unexpected reply 500" NEXT},
    {"the server leaves between messages",
     0,
     "b@b",
     {GREET, SAY_EHLO, EHLO_PLAIN, SAY_MAIL, "S550 no\r\n421 idle\r\n", "N"},
     "b@b deferred 0 4.4.2 the server ended the session between two messages" NEXT},
    {"two messages, one by one",
     0,
     "b@b",
     {GREET, SAY_EHLO, EHLO_PLAIN, SAY_MAIL, OK, "C" TO("b@b"), OK, "CDATA\r\n", GO, "b",
      "C.\r\n", OK, "N", SAY_MAIL, OK, "C" TO("b@b"), "S550 no\r\n", "Q", "CQUIT\r\n"},
     "b@b failed 550 5.0.0 no"},
    {"lost in the second message",
     0,
     "b@b",
     {GREET, SAY_EHLO, EHLO_PLAIN, SAY_MAIL, OK, "C" TO("b@b"), OK, "CDATA\r\n", GO, "b",
      "C.\r\n", OK, "N", SAY_MAIL, OK, "C" TO("b@b"), OK, "CDATA\r\n", "Lreset"},
     "b@b deferred 0 4.4.2 reset" NEXT},
    /* TLS: no */
    {"no: offered",
     TLS_LEVEL_NO,
     "b@b",
     {GREET, SAY_EHLO, EHLO_TLS, SAY_MAIL},
     "b@b deferred 0 4.0.0 not attempted"},
    /* LMTP: a reply for each recipient taken, in their order (RFC 2033 4.2) */
    {"lmtp: one reply each",
     LMTP,
     "b@b c@c d@d e@e",
     {GREET, SAY_LHLO, EHLO_ALL, SAY_GROUP(TO("b@b") TO("c@c") TO("d@d") TO("e@e")),
      "S250 ok\r\n250 ok\r\n550 5.1.1 nobody\r\n250 ok\r\n250 ok\r\n354 go\r\n", "b",
      "C.\r\n", OK, "S452 4.2.2 full\r\n", "S552 5.2.3 too large\r\n", "Q", "CQUIT\r\n"},
     "b@b delivered 250 2.0.0 ok; c@c failed 550 5.1.1 nobody; d@d deferred 452 4.2.2 "
     "full; "
     "e@e failed 552 5.2.3 too large"},
    {"lmtp: all replies at once, then the next message",
     LMTP,
     "b@b c@c",
     {GREET, SAY_LHLO, EHLO_ALL, SAY_GROUP(TO("b@b") TO("c@c")),
      "S250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n", "b", "C.\r\n",
      "S250 2.0.0 ok\r\n450 4.2.1 later\r\n", "N", SAY_GROUP(TO("b@b") TO("c@c"))},
     "b@b deferred 0 4.0.0 not attempted; c@c deferred 0 4.0.0 not attempted"},
    {"lmtp: lost among the replies",
     LMTP,
     "b@b c@c",
     {GREET, SAY_LHLO, EHLO_ALL, SAY_GROUP(TO("b@b") TO("c@c")),
      "S250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n", "b", "C.\r\n", OK, "Lreset"},
     "b@b delivered 250 2.0.0 ok; c@c deferred 0 4.4.2 reset (after the end of the "
     "message)"},
    {"lmtp: 421 among the replies",
     LMTP,
     "b@b c@c",
     {GREET, SAY_LHLO, EHLO_ALL, SAY_GROUP(TO("b@b") TO("c@c")),
      "S250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n", "b", "C.\r\n",
      "S550 5.2.1 no\r\n421 4.3.2 bye\r\n"},
     "b@b failed 550 5.2.1 no; c@c deferred 421 4.3.2 bye"},
    {"lmtp: a reply too many",
     LMTP,
     "b@b",
     {GREET, SAY_LHLO, EHLO_ALL, SAY_GROUP(TO("b@b")), "S250 ok\r\n250 ok\r\n354 go\r\n",
      "b", "C.\r\n", "S250 2.0.0 ok\r\n550 5.1.1 who\r\n", "N"},
     "b@b deferred 0 4.4.2 the server ended the session between two messages" NEXT},
    {"lmtp: refused before the end, for the first",
     LMTP,
     "b@b c@c",
     {GREET, SAY_LHLO, EHLO_ALL, SAY_GROUP(TO("b@b") TO("c@c")),
      "S250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n", "Bx\r\n", "Cx\r\n",
      "S552 5.2.3 too large\r\n"},
     "b@b failed 552 5.2.3 too large; c@c deferred 0 4.4.2 the server did not take the "
     "whole message"},
    {"lmtp: DATA taken without any recipient",
     LMTP,
     "b@b",
     {GREET, SAY_LHLO, EHLO_ALL, SAY_GROUP(TO("b@b")), "S250 ok\r\n550 no\r\n354 go\r\n"},
     "b@b failed 550 5.0.0 no"},
    {"lmtp: LHLO unknown: no HELO",
     LMTP,
     "b@b",
     {GREET, SAY_LHLO, "S500 5.5.1 what\r\n", "CQUIT\r\n"},
     "b@b failed 500 5.5.1 what" NEXT},
    {"lmtp: TLS",
     LMTP | TLS_LEVEL_MUST,
     "b@b",
     {GREET, SAY_LHLO, EHLO_TLS, "CSTARTTLS\r\n", "S220 go\r\n", "Tok", SAY_LHLO,
      EHLO_PLAIN, SAY_MAIL, OK, "C" TO("b@b")},
     "b@b deferred 0 4.0.0 not attempted; tls"},
    /* TLS: may */
    {"may: not offered",
     TLS_LEVEL_MAY,
     "b@b",
     {GREET, SAY_EHLO, EHLO_PLAIN, SAY_MAIL},
     "b@b deferred 0 4.0.0 not attempted"},
    {"may: done",
     TLS_LEVEL_MAY,
     "b@b",
     {GREET, SAY_EHLO, "S250-x\r\n250-STARTTLS\r\n250 PIPELINING\r\n", "CSTARTTLS\r\n",
      "S220 go\r\n", "Tok", SAY_EHLO, EHLO_PLAIN, SAY_MAIL, OK, "C" TO("b@b")},
     "b@b deferred 0 4.0.0 not attempted; tls"},
    {"may: refused 454",
     TLS_LEVEL_MAY,
     "b@b",
     {GREET, SAY_EHLO, EHLO_TLS, "CSTARTTLS\r\n", "S454 4.7.1 no key\r\n", "CQUIT\r\n"},
     "b@b deferred 0 4.7.10 STARTTLS was refused: 454 no key" CLEAR},
    {"may: refused 502",
     TLS_LEVEL_MAY,
     "b@b",
     {GREET, SAY_EHLO, EHLO_TLS, "CSTARTTLS\r\n", "S502 no\r\n", "CQUIT\r\n"},
     "b@b deferred 0 4.7.10 STARTTLS was refused: 502 no" CLEAR},
    {"may: refused 250",
     TLS_LEVEL_MAY,
     "b@b",
     {GREET, SAY_EHLO, EHLO_TLS, "CSTARTTLS\r\n", "S250 fine\r\n", "CQUIT\r\n"},
     "b@b deferred 0 4.7.10 STARTTLS was refused: 250 fine" CLEAR},
    {"may: refused 421",
     TLS_LEVEL_MAY,
     "b@b",
     {GREET, SAY_EHLO, EHLO_TLS, "CSTARTTLS\r\n", "S421 no\r\n", "CQUIT\r\n"},
     "b@b deferred 0 4.7.10 STARTTLS was refused: 421 no" CLEAR},
    {"may: garbage",
     TLS_LEVEL_MAY,
     "b@b",
     {GREET, SAY_EHLO, EHLO_TLS, "CSTARTTLS\r\n", "S???\r\n"},
     "b@b deferred 0 4.7.10 a reply does not begin with a code" CLEAR},
    {"may: handshake failed",
     TLS_LEVEL_MAY,
     "b@b",
     {GREET, SAY_EHLO, EHLO_TLS, "CSTARTTLS\r\n", "S220 go\r\n", "Tno cipher"},
     "b@b deferred 0 4.7.5 TLS failed: no cipher" CLEAR},
    {"may: lost in the handshake",
     TLS_LEVEL_MAY,
     "b@b",
     {GREET, SAY_EHLO, EHLO_TLS, "CSTARTTLS\r\n", "S220 go\r\n", "Lreset"},
     "b@b deferred 0 4.7.5 TLS failed: reset" CLEAR},
    {"may: lost right after the handshake",
     TLS_LEVEL_MAY,
     "b@b",
     {GREET, SAY_EHLO, EHLO_TLS, "CSTARTTLS\r\n", "S220 go\r\n", "Tok", SAY_EHLO,
      "Lalert"},
     "b@b deferred 0 4.7.5 TLS failed: alert" CLEAR},
    {"may: lost later",
     TLS_LEVEL_MAY,
     "b@b",
     {GREET, SAY_EHLO, EHLO_TLS, "CSTARTTLS\r\n", "S220 go\r\n", "Tok", SAY_EHLO,
      EHLO_PLAIN, SAY_MAIL, "Lreset"},
     "b@b deferred 0 4.4.2 reset; tls" NEXT},
    {"may: reply behind the 220",
     TLS_LEVEL_MAY,
     "b@b",
     {GREET, SAY_EHLO, EHLO_TLS, "CSTARTTLS\r\n", "S220 go\r\n250 injected\r\n"},
     "b@b deferred 0 4.7.5 bytes followed the reply to STARTTLS" CLEAR},
    {"may, no fallback: not offered",
     TLS_LEVEL_MAY | STAYS,
     "b@b",
     {GREET, SAY_EHLO, EHLO_PLAIN, SAY_MAIL},
     "b@b deferred 0 4.0.0 not attempted"},
    {"may, no fallback: refused 554",
     TLS_LEVEL_MAY | STAYS,
     "b@b",
     {GREET, SAY_EHLO, EHLO_TLS, "CSTARTTLS\r\n", "S554 no\r\n", "CQUIT\r\n"},
     "b@b deferred 0 4.7.10 STARTTLS was refused: 554 no" NEXT},
    {"may, no fallback: handshake failed",
     TLS_LEVEL_MAY | STAYS,
     "b@b",
     {GREET, SAY_EHLO, EHLO_TLS, "CSTARTTLS\r\n", "S220 go\r\n", "Tno cipher"},
     "b@b deferred 0 4.7.5 TLS failed: no cipher" NEXT},
    {"may, no fallback: reply behind the 220",
     TLS_LEVEL_MAY | STAYS,
     "b@b",
     {GREET, SAY_EHLO, EHLO_TLS, "CSTARTTLS\r\n", "S220 go\r\n250 injected\r\n"},
     "b@b deferred 0 4.7.5 bytes followed the reply to STARTTLS" NEXT},
    {"implicit: done",
     TLS_LEVEL_MUST | IMPLICIT,
     "b@b",
     {"Tok", GREET, SAY_EHLO, EHLO_TLS, SAY_MAIL, OK, "C" TO("b@b")},
     "b@b deferred 0 4.0.0 not attempted; tls"},
    {"implicit: handshake failed",
     TLS_LEVEL_MUST | IMPLICIT,
     "b@b",
     {"Tno cipher"},
     "b@b deferred 0 4.7.5 TLS failed: no cipher" NEXT},
    {"implicit: a policy of may never goes in clear",
     TLS_LEVEL_MAY | IMPLICIT,
     "b@b",
     {"Tno cipher"},
     "b@b deferred 0 4.7.5 TLS failed: no cipher" NEXT},
    {"may: helo",
     TLS_LEVEL_MAY,
     "b@b",
     {GREET, SAY_EHLO, "S500 no\r\n", "CHELO c.example\r\n", "S250 x\r\n", SAY_MAIL},
     "b@b deferred 0 4.0.0 not attempted"},
    /* TLS: must */
    {"must: done",
     TLS_LEVEL_MUST,
     "b@b",
     {GREET, SAY_EHLO, EHLO_TLS, "CSTARTTLS\r\n", "S220 go\r\n", "Tok", SAY_EHLO,
      EHLO_PLAIN, SAY_MAIL, OK, "C" TO("b@b"), "S550 5.1.1 no\r\n", "Q", "CQUIT\r\n"},
     "b@b failed 550 5.1.1 no; tls"},
    {"must: not offered",
     TLS_LEVEL_MUST,
     "b@b",
     {GREET, SAY_EHLO, EHLO_PLAIN, "CQUIT\r\n"},
     "b@b deferred 0 4.7.10 TLS is a must and not offered" NEXT},
    {"must: refused 454",
     TLS_LEVEL_MUST,
     "b@b",
     {GREET, SAY_EHLO, EHLO_TLS, "CSTARTTLS\r\n", "S454 no\r\n", "CQUIT\r\n"},
     "b@b deferred 0 4.7.10 STARTTLS was refused: 454 no" NEXT},
    {"must: refused 554",
     TLS_LEVEL_MUST,
     "b@b",
     {GREET, SAY_EHLO, EHLO_TLS, "CSTARTTLS\r\n", "S554 no\r\n", "CQUIT\r\n"},
     "b@b deferred 0 4.7.10 STARTTLS was refused: 554 no" NEXT},
    {"must: handshake failed",
     TLS_LEVEL_MUST,
     "b@b",
     {GREET, SAY_EHLO, EHLO_TLS, "CSTARTTLS\r\n", "S220 go\r\n", "Texpired"},
     "b@b deferred 0 4.7.5 TLS failed: expired" NEXT},
    {"must: reply behind the 220",
     TLS_LEVEL_MUST,
     "b@b",
     {GREET, SAY_EHLO, EHLO_TLS, "CSTARTTLS\r\n", "S220 go\r\n2"},
     "b@b deferred 0 4.7.5 bytes followed the reply to STARTTLS" NEXT},
    {"must: ehlo refused",
     TLS_LEVEL_MUST,
     "b@b",
     {GREET, SAY_EHLO, "S502 no\r\n", "CQUIT\r\n"},
     "b@b deferred 502 4.7.0 before TLS: no" NEXT},
    {"must: greeting 554",
     TLS_LEVEL_MUST,
     "b@b",
     {"S554 no\r\n", "CQUIT\r\n"},
     "b@b deferred 554 4.7.0 before TLS: no" NEXT},
    {"must: helo inside TLS",
     TLS_LEVEL_MUST,
     "b@b",
     {GREET, SAY_EHLO, EHLO_TLS, "CSTARTTLS\r\n", "S220 go\r\n", "Tok", SAY_EHLO,
      "S500 no\r\n", "CHELO c.example\r\n", "S250 x\r\n", SAY_MAIL},
     "b@b deferred 0 4.0.0 not attempted; tls"},
    {"must: also when SIZE comes without a number",
     TLS_LEVEL_MUST,
     "b@b",
     {GREET, SAY_EHLO, "S250-x\r\n250-SIZE 1\r\n250 STARTTLS\r\n", "CSTARTTLS\r\n",
      "S220 go\r\n", "Tok", SAY_EHLO, "S250-x\r\n250 SIZE\r\n",
      "CMAIL FROM:<ann@a.example> SIZE=1000\r\n"},
     "b@b deferred 0 4.0.0 not attempted; tls"},
    {"must: the size told in clear is forgotten",
     TLS_LEVEL_MUST,
     "b@b",
     {GREET, SAY_EHLO, "S250-x\r\n250-SIZE 1\r\n250 STARTTLS\r\n", "CSTARTTLS\r\n",
      "S220 go\r\n", "Tok", SAY_EHLO, EHLO_PLAIN, SAY_MAIL},
     "b@b deferred 0 4.0.0 not attempted; tls"},
};

struct run {
    bool implicit;
    struct smtp_client *m;
    struct smtp_client_message message;
    struct smtp_client_recipient recipients[8];
    struct buf out;
    enum smtp_step step;
};

static void collect(struct run *r)
{
    struct buf *out = smtp_client_out(r->m);
    assert_true(buf_str(&r->out, buf_slice(out)));
    buf_clear(out);
}

static void feed(struct run *r, str data, size_t piece)
{
    for (size_t at = 0; at < data.len; at += piece) {
        str part = str_sub(data, at, piece);
        r->step = smtp_client_feed(r->m, part.ptr, part.len);
        collect(r);
    }
}

static void do_line(struct run *r, const struct dialogue *d, const char *line,
                    size_t piece)
{
    const char *rest = line + 1;
    switch (line[0]) {
    case '8':
    case 'A':
    case 'F':
        return; /* taken before the machine was made */
    case 'S':
        feed(r, str_from(rest), piece);
        return;
    case 'C':
        if (!str_eq(buf_slice(&r->out), str_from(rest))) {
            fail_msg("%s, piece %zu: sent:\n%.*s\nexpected:\n%s", d->name, piece,
                     STR_ARG(buf_slice(&r->out)), rest);
        }
        buf_clear(&r->out);
        return;
    case 'T':
        assert_int_equal(smtp_client_ask(r->m),
                         r->implicit ? CLIENT_ASK_NONE : CLIENT_ASK_TLS);
        smtp_client_tls_done(r->m, strcmp(rest, "ok") == 0, rest);
        break;
    case 'B':
    case 'b':
        assert_int_equal(smtp_client_ask(r->m), CLIENT_ASK_BODY);
        smtp_client_body(r->m, rest, strlen(rest), line[0] == 'b');
        break;
    case 'L':
        smtp_client_lost(r->m, rest);
        break;
    case 'N':
        assert_true(r->step == STEP_CLOSE || smtp_client_ask(r->m) == CLIENT_ASK_SETTLED);
        smtp_client_next(r->m, &r->message);
        break;
    case 'Q':
        assert_int_equal(smtp_client_ask(r->m), CLIENT_ASK_SETTLED);
        smtp_client_quit(r->m);
        break;
    default:
        fail_msg("%s: bad line %s", d->name, line);
    }
    r->step = smtp_client_feed(r->m, NULL, 0);
    collect(r);
}

/* "address class code x.y.z text; ..." and "; next host", "; clear", "; tls". */
static void results(const struct run *r, char *out, size_t size)
{
    size_t len = 0;
    for (unsigned i = 0; i < r->message.recipient_count; i++) {
        const struct smtp_client_recipient *to = &r->recipients[i];
        const struct outcome *o = &to->outcome;
        len += (size_t)snprintf(
            out + len, size - len, "%s%.*s %s %u %u.%u.%u %s%s", i > 0 ? "; " : "",
            STR_ARG(to->address), outcome_class_name(o->class), o->code, o->enhanced[0],
            o->enhanced[1], o->enhanced[2], o->text, to->passed_on ? ", passed on" : "");
    }
    snprintf(out + len, size - len, "%s%s%s", smtp_client_is_tls(r->m) ? "; tls" : "",
             smtp_client_wants_clear(r->m) ? CLEAR : "",
             smtp_client_try_next_host(r->m) ? NEXT : "");
}

static void run_dialogue(const struct dialogue *d, size_t piece)
{
    struct run r = {.implicit = (d->tls & IMPLICIT) != 0};
    struct smtp_client_options o = {.helo_name = STR("c.example"),
                                    .lmtp = (d->tls & LMTP) != 0,
                                    .tls = (enum tls_level)(d->tls & 7),
                                    .implicit_tls = (d->tls & IMPLICIT) != 0,
                                    .fallback = (d->tls & STAYS) == 0};
    str rest = str_from(d->to), address;
    char got[2048];
    buf_init(&r.out, 1024 * 1024);
    r.message = (struct smtp_client_message){.sender = STR("ann@a.example"),
                                             .recipients = r.recipients,
                                             .size_bytes = 1000,
                                             .eight_bit = d->lines[0][0] == '8'};
    if (d->lines[0][0] == 'F') {
        r.message.sender = str_from(d->lines[0] + 1);
    }
    while (str_word(&rest, &address)) {
        r.recipients[r.message.recipient_count++].address = address;
    }
    if (d->lines[0][0] == 'A') {
        r.message.ret = QUEUE_RET_HDRS;
        r.message.envid = STR("QQ+2B1");
        r.recipients[0].asked = (struct dsn_request){
            QUEUE_NOTIFY_SUCCESS | QUEUE_NOTIFY_DELAY, STR("rfc822;B@b")};
    }
    r.m = smtp_client_new(&o, &r.message);
    for (size_t i = 0; d->lines[i] != NULL; i++) {
        do_line(&r, d, d->lines[i], piece);
    }
    results(&r, got, sizeof got);
    if (strcmp(got, d->results) != 0) {
        fail_msg("%s, piece %zu:\n     got %s\nexpected %s", d->name, piece, got,
                 d->results);
    }
    if (r.out.len > 0) {
        fail_msg("%s: also sent %.*s", d->name, STR_ARG(buf_slice(&r.out)));
    }
    smtp_client_free(&r.m);
    buf_free(&r.out);
}

static void dialogues_do_not_depend_on_packets(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof dialogues / sizeof dialogues[0]; i++) {
        for (size_t piece = 1; piece < 100; piece += piece < 30 ? 1 : 30) {
            run_dialogue(&dialogues[i], piece);
        }
        run_dialogue(&dialogues[i], 10000);
    }
}

/* Feeds a reply and tells how long the next may take. */
static unsigned timeout_after(struct smtp_client *m, const char *reply)
{
    smtp_client_feed(m, reply, strlen(reply));
    buf_clear(smtp_client_out(m));
    return smtp_client_timeout_ms(m);
}

static void each_reply_has_its_time(void **state)
{
    (void)state;
    for (int configured = 0; configured < 2; configured++) {
        struct smtp_client_recipient to[] = {{.address = STR("b@b.example")},
                                             {.address = STR("c@b.example")}};
        struct smtp_client_message message = {.sender = STR("a@a.example"),
                                              .recipients = to,
                                              .recipient_count = 2,
                                              .size_bytes = 10240};
        struct smtp_client_options o = {.helo_name = STR("c.example"),
                                        .tls = TLS_LEVEL_NO};
        if (configured) {
            o.times = (struct smtp_client_times){.reply = 1,
                                                 .mail = 2,
                                                 .rcpt = 3,
                                                 .sending = 4,
                                                 .dot = 5,
                                                 .dot_per_address = 100,
                                                 .dot_per_block = 1000,
                                                 .dot_per_address_block = 10000,
                                                 .block_bytes = 1024};
        }
        struct smtp_client *m = smtp_client_new(&o, &message);
        assert_int_equal(smtp_client_timeout_ms(m), configured ? 1 : 300000);
        assert_int_equal(timeout_after(m, "220 x\r\n"), configured ? 1 : 300000);
        assert_int_equal(timeout_after(m, "250 x\r\n"), configured ? 2 : 300000);
        assert_int_equal(timeout_after(m, "250 x\r\n"), configured ? 3 : 300000);
        assert_int_equal(timeout_after(m, "250 x\r\n"), configured ? 3 : 300000);
        assert_int_equal(timeout_after(m, "250 x\r\n"), configured ? 1 : 120000);
        assert_int_equal(timeout_after(m, "354 x\r\n"), configured ? 4 : 180000);
        smtp_client_body(m, "x\r\n", 3, true);
        smtp_client_feed(m, "", 0);
        assert_int_equal(smtp_client_timeout_ms(m),
                         configured ? 5 + 2 * 100 + 10 * 1000 + 2 * 10 * 10000 : 600000);
        smtp_client_lost(m, "enough");
        smtp_client_free(&m);
    }
}

static void many_recipients_go_in_windows(void **state)
{
    (void)state;
    enum { COUNT = 250 };
    static struct smtp_client_recipient to[COUNT];
    for (int i = 0; i < COUNT; i++) {
        to[i].address = STR("b@b.example");
    }
    struct smtp_client_message message = {.sender = STR("a@a.example"),
                                          .recipients = to,
                                          .recipient_count = COUNT,
                                          .size_bytes = 10};
    struct smtp_client_options o = {.helo_name = STR("c.example"), .tls = TLS_LEVEL_NO};
    struct smtp_client *m = smtp_client_new(&o, &message);
    const char *open = "220 x\r\n250-x\r\n250 PIPELINING\r\n";
    smtp_client_feed(m, open, strlen(open));
    smtp_client_feed(m, "250 ok\r\n", 8);
    unsigned sent = 0;
    for (int i = 0; i < COUNT; i++) {
        str rest = buf_slice(smtp_client_out(m)), line;
        while (str_split(&rest, '\n', &line)) {
            sent += str_starts(line, STR("RCPT"));
        }
        buf_clear(smtp_client_out(m));
        assert_int_equal(sent, i < 100 ? 100 : i < 200 ? 200 : 250);
        assert_int_equal(smtp_client_ask(m), CLIENT_ASK_NONE);
        smtp_client_feed(m, "250 ok\r\n", 8);
    }
    smtp_client_feed(m, "354 go\r\n", 8);
    assert_int_equal(smtp_client_ask(m), CLIENT_ASK_BODY);
    smtp_client_body(m, "x", 1, true);
    assert_true(smtp_client_after_dot(m));
    smtp_client_feed(m, "250 2.0.0 ok\r\n", 14);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(to[i].outcome.class, OUTCOME_DELIVERED);
    }
    smtp_client_free(&m);
}

/* Many recipients, MAIL refused: nothing more is sent. */
static void refused_mail_stops_the_windows(void **state)
{
    (void)state;
    enum { COUNT = 150 };
    static struct smtp_client_recipient to[COUNT];
    for (int i = 0; i < COUNT; i++) {
        to[i].address = STR("b@b.example");
    }
    struct smtp_client_message message = {.sender = STR("a@a.example"),
                                          .recipients = to,
                                          .recipient_count = COUNT,
                                          .size_bytes = 10};
    struct smtp_client_options o = {.helo_name = STR("c.example"), .tls = TLS_LEVEL_NO};
    struct smtp_client *m = smtp_client_new(&o, &message);
    const char *open = "220 x\r\n250-x\r\n250 PIPELINING\r\n550 5.7.1 no\r\n";
    smtp_client_feed(m, open, strlen(open));
    buf_clear(smtp_client_out(m));
    for (int i = 0; i < 100; i++) {
        assert_int_equal(smtp_client_ask(m), CLIENT_ASK_NONE);
        smtp_client_feed(m, "503 no\r\n", 8);
    }
    assert_int_equal(smtp_client_ask(m), CLIENT_ASK_SETTLED);
    assert_int_equal(smtp_client_out(m)->len, 0);
    assert_int_equal(to[COUNT - 1].outcome.class, OUTCOME_FAILED);
    assert_int_equal(to[COUNT - 1].outcome.code, 550);
    smtp_client_free(&m);
}

static void body_is_encoded_across_parts(void **state)
{
    (void)state;
    static const char body[] = ".a\r\n..b\r\nc.\r\n\r\n.";
    for (size_t piece = 1; piece < sizeof body; piece++) {
        struct smtp_client_recipient to = {.address = STR("b@b")};
        struct smtp_client_message message = {.sender = STR(""),
                                              .recipients = &to,
                                              .recipient_count = 1,
                                              .size_bytes = sizeof body - 1};
        struct smtp_client_options o = {
            .helo_name = STR("c.example"), .tls = TLS_LEVEL_MUST, .implicit_tls = true};
        struct smtp_client *m = smtp_client_new(&o, &message);
        const char *open =
            "220 x\r\n250-x\r\n250 PIPELINING\r\n250 a\r\n250 b\r\n354 c\r\n";
        assert_int_equal(smtp_client_feed(m, open, strlen(open)), STEP_WAIT);
        buf_clear(smtp_client_out(m));
        for (size_t at = 0; at < sizeof body - 1; at += piece) {
            str part = str_sub(str_n(body, sizeof body - 1), at, piece);
            smtp_client_body(m, part.ptr, part.len, at + piece >= sizeof body - 1);
        }
        assert_true(str_eq(buf_slice(smtp_client_out(m)),
                           STR("..a\r\n...b\r\nc.\r\n\r\n..\r\n.\r\n")));
        assert_int_equal(smtp_client_feed(m, NULL, 0), STEP_MORE);
        assert_int_equal(smtp_client_timeout_ms(m), 600000);
        assert_non_null(strstr(smtp_client_state_text(m), "dot"));
        smtp_client_free(&m);
        assert_null(m);
    }
}

static void peer_leaving_while_idle(void **state)
{
    (void)state;
    struct smtp_client_recipient to = {.address = STR("b@b")};
    struct smtp_client_message message = {
        .sender = STR(""), .recipients = &to, .recipient_count = 1};
    struct smtp_client_options o = {.helo_name = STR("c.example"), .tls = TLS_LEVEL_NO};
    struct smtp_client *m = smtp_client_new(&o, &message);
    const char *open = "220 x\r\n250 x\r\n550 5.7.1 no\r\n";
    assert_int_equal(smtp_client_feed(m, open, strlen(open)), STEP_WAIT);
    assert_int_equal(smtp_client_ask(m), CLIENT_ASK_SETTLED);
    assert_int_equal(smtp_client_feed(m, "421 idle\r\n", 10), STEP_CLOSE);
    assert_int_equal(to.outcome.class, OUTCOME_FAILED);
    assert_false(smtp_client_try_next_host(m));
    smtp_client_quit(m);
    smtp_client_next(m, &message);
    assert_int_equal(smtp_client_feed(m, NULL, 0), STEP_CLOSE);
    assert_int_equal(to.outcome.class, OUTCOME_DEFERRED);
    smtp_client_free(&m);
}

/* A timeout restarts with whole replies, not with the octets of one. */
static void replies_are_counted_whole(void **state)
{
    (void)state;
    static const char dripped[] = "220-a\r\n220 b\r\n";
    struct smtp_client_options options = {.helo_name = STR("c.example")};
    struct smtp_client_recipient to = {.address = STR("b@b")};
    struct smtp_client_message message = {
        .sender = STR("ann@a.example"), .recipients = &to, .recipient_count = 1};
    struct smtp_client *m = smtp_client_new(&options, &message);
    for (size_t i = 0; i < sizeof dripped - 1; i++) {
        assert_int_equal(smtp_client_replies(m), 0);
        assert_int_equal(smtp_client_out(m)->len, 0);
        smtp_client_feed(m, dripped + i, 1);
    }
    assert_int_equal(smtp_client_replies(m), 1);
    smtp_client_feed(m, "250 c\r\n2", 8);
    assert_int_equal(smtp_client_replies(m), 2);
    smtp_client_free(&m);
}

static void outcomes(void **state)
{
    (void)state;
    struct outcome o;
    outcome_init(&o);
    assert_int_equal(o.class, OUTCOME_DEFERRED);
    assert_string_equal(o.text, "not attempted");
    assert_int_equal(o.enhanced[0], 4);
    snprintf(o.host, sizeof o.host, "mx.example");
    outcome_set(&o, OUTCOME_FAILED, 550, 5, 1, 1, "a\r\nb\x7f\xe4 %d %s", 7, o.text);
    assert_string_equal(o.text, "a??b?? 7 not attempted");
    assert_string_equal(o.host, "mx.example");
    assert_int_equal(o.code, 550);
    char text[1000];
    memset(text, 'x', sizeof text);
    outcome_set(&o, OUTCOME_DELIVERED, 250, 2, 0, 0, "%.*s", 1000, text);
    assert_int_equal(strlen(o.text), OUTCOME_TEXT_MAX - 1);
    assert_string_equal(outcome_class_name(OUTCOME_DELIVERED), "delivered");
    assert_string_equal(outcome_class_name(OUTCOME_DEFERRED), "deferred");
    assert_string_equal(outcome_class_name(OUTCOME_FAILED), "failed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dialogues_do_not_depend_on_packets),
        cmocka_unit_test(each_reply_has_its_time),
        cmocka_unit_test(many_recipients_go_in_windows),
        cmocka_unit_test(refused_mail_stops_the_windows),
        cmocka_unit_test(body_is_encoded_across_parts),
        cmocka_unit_test(peer_leaving_while_idle),
        cmocka_unit_test(replies_are_counted_whole),
        cmocka_unit_test(outcomes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
