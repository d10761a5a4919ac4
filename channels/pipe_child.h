/* pipe_child: one process, from fork() to its end: its own session and process group, a
 * clean environment, no descriptors but its input and output, limits, and the death of
 * the daemon is its own. Needs Linux (pidfd_open, close_range, PR_SET_PDEATHSIG). */
#ifndef CHANNELS_PIPE_CHILD_H
#define CHANNELS_PIPE_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

#include "channels/pipe_command.h"

struct pipe_child {
    pid_t pid;   /* and the id of its process group */
    int pidfd;   /* readable once it has ended */
    int in, out; /* ends of its input, and of its output and error output; non-blocking */
};

/* Starts it; 0, or an errno value: then there is no process. All descriptors are closed
 * on exec. Blocks until execve() has succeeded or failed, which is soon. */
int pipe_child_start(const struct pipe_call *call, const struct pipe_options *limits,
                     struct pipe_child *out);
/* Sends a signal to all of its group; it must not have been reaped. */
void pipe_child_kill(const struct pipe_child *c, int signal);
/* It has ended: takes its status as waitpid() gives it. */
int pipe_child_reap(const struct pipe_child *c);

#endif
