/* pipe_command: from a program of a pipe channel's option file and an envelope to what
 * execve() takes. There is no shell, so a word stays one word; still, programs are often
 * scripts, so what an address brings in has only harmless characters and never makes a
 * word that begins with '-'. Pure.
 *
 *   %s  local part          %u  the same without "+detail"   %e  the detail
 *   %d  domain              %a  user@domain                  %f  sender
 *   %q  queue id            %%  %
 */
#ifndef CHANNELS_PIPE_COMMAND_H
#define CHANNELS_PIPE_COMMAND_H

#include <stdbool.h>

#include "base/address.h"
#include "base/arena.h"
#include "router/outcome.h"
#include "tables/pipe_options.h"

/* May a program be given this recipient: pipe_user_ok(), and the domain is a name? false:
 * *out says why (FAILED, 5.1.3). *user is its local part without quotes, in the arena. */
bool pipe_recipient_ok(const struct address *to, struct arena *a, str *user,
                       struct outcome *out);

struct pipe_envelope {
    str user, domain; /* of a recipient that is ok */
    str sender;       /* printed; empty: null sender */
    str queue_id;
};

/* What it is called with; NULL-terminated, all in the arena. The sender is written with
 * '_' for each character that is not harmless; a '-' with which a word or a variable
 * would begin is '_', too. */
struct pipe_call {
    char **argv;
    char **envp;
};
/* false: the sender has more than PIPE_SENDER_MAX octets (*out: FAILED, 5.1.7). */
bool pipe_call_make(const struct pipe_command *p, const struct pipe_envelope *e,
                    struct arena *a, struct pipe_call *call, struct outcome *out);

/* What a program said: how it ended, and the beginning of what it wrote. */
struct pipe_result {
    int error;        /* it could not be started: errno; 0: it was */
    bool timed_out;   /* it was killed after its time */
    bool stopped;     /* it was killed because the daemon ends */
    bool body_failed; /* it was killed because the message cannot be read */
    int signal;       /* it died of; 0: none */
    int status;       /* else its exit status */
    unsigned timeout_s;
    str output;
};

/* What came of it, by sysexits.h: 0 delivered; 71, 74, 75 and 79 deferred, as are
 * signals, time-outs and what keeps it from being started; all else failed. The first
 * line of the output is told, and its status code (RFC 3463) taken when it fits. */
void pipe_outcome(const struct pipe_result *r, struct outcome *out);

#endif
