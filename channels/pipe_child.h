/* pipe_child: a program with its keeper (pipe_keeper.h), as the daemon sees them: the
 * program is in a session and process group of its own, has a clean environment, no
 * descriptors but its input and output, limits, and dies with the daemon. Needs Linux
 * (pidfd_open, close_range, PR_SET_PDEATHSIG). */
#ifndef CHANNELS_PIPE_CHILD_H
#define CHANNELS_PIPE_CHILD_H

#include <sys/types.h>

#include "channels/pipe_keeper.h"

struct pipe_child {
    pid_t pid;   /* of the keeper */
    int pidfd;   /* readable once it has ended, and so has the program */
    int socket;  /* to it */
    int in, out; /* ends of the program's input, and of its output and error output;
                    non-blocking */
};

/* Starts them; 0, or an errno value: then there is no process. All descriptors are closed
 * on exec. That the program itself cannot be started is told at its end. */
int pipe_child_start(const struct pipe_call *call, const struct pipe_options *limits,
                     struct pipe_child *out);
void pipe_child_order(const struct pipe_child *c, enum pipe_order order);
/* They have ended: what became of the program; closes the socket. A keeper that somebody
 * killed takes its program along, and that is how it ended. */
void pipe_child_reap(struct pipe_child *c, struct pipe_end *end);

#endif
