/* machine_host: a host for the server machine in tests: it answers the machine's
 * questions by fixed rules and collects what came out. Used by the unit test, the
 * transcripts and the fuzz target. The rules, by local part:
 *   sender     "refused" 550 5.7.1, "later" 451 4.7.1; "nodata" is refused at DATA (451),
 *              "nodisk" at the first body slice (452 4.3.1), "nocommit" at the end (452)
 *   recipient  "nobody" 550 5.1.1, "full" 452 4.2.2, "relay" 550 5.7.1
 * Everything else is accepted. */
#ifndef TEST_SMTP_MACHINE_HOST_H
#define TEST_SMTP_MACHINE_HOST_H

#include "channels/smtp_server.h"

struct machine_host {
    struct smtp_server *m;
    struct smtp_server_policy tls_policy; /* in force after STARTTLS */
    bool hold_tls;                        /* do not answer ASK_TLS: the caller will */
    struct buf replies;                   /* all that the machine said */
    struct buf body;                      /* of the message being received */
    struct buf message;                   /* the last one committed */
    unsigned commits;
    unsigned slices; /* body slices of the last message */
    unsigned handshakes;
    unsigned asked_in_clear; /* questions about mail while not under TLS */
    unsigned mail_replies;   /* answers the host gave */
    bool eight_bit;
    enum smtp_step step;
};

/* A machine with this policy, greeted. */
void machine_host_init(struct machine_host *h, const struct smtp_server_policy *policy);
void machine_host_free(struct machine_host *h);
/* Feeds data in pieces of `piece` bytes and answers every question. Stops when the
 * machine closes, or at ASK_TLS with hold_tls. */
void machine_host_feed(struct machine_host *h, const char *data, size_t len,
                       size_t piece);

#endif
