/* pipe_keeper: the process beside a program of a pipe. It is the program's parent, and so
 * the one that can safely kill its process group, at any time. It keeps the program's
 * input open: when the daemon dies it kills the group first, so that nobody in it takes
 * the end of the input for the end of the message. It runs between fork() and _exit() in
 * a copy of the daemon, with many threads elsewhere, so it calls what POSIX allows there
 * and nothing else. */
#ifndef CHANNELS_PIPE_KEEPER_H
#define CHANNELS_PIPE_KEEPER_H

#include "channels/pipe_command.h"

/* What the daemon tells it over the socket, an octet each. The socket's end is the
 * daemon's. */
enum pipe_order {
    PIPE_ORDER_INPUT_ENDS = 'e', /* the whole message was written */
    PIPE_ORDER_TERM = 't',       /* SIGTERM to the group; what is left of it gets SIGKILL
                                    when the program ends */
    PIPE_ORDER_KILL = 'k'        /* SIGKILL to the group */
};

/* What it tells when the program has ended, before it ends itself. */
struct pipe_end {
    int error;  /* the program could not be started: errno; 0: it was */
    int status; /* as of waitpid() */
};

/* Descriptors it is given, none below PIPE_KEEPER_FDS. */
enum { PIPE_KEEPER_FDS = 5 };
struct pipe_keeper_fds {
    int in, in_end; /* the program's input, and the end that is written to */
    int out;        /* its output and error output */
    int socket;
};

/* All signals are blocked. */
_Noreturn void pipe_keeper(const struct pipe_call *call,
                           const struct pipe_options *limits,
                           const struct pipe_keeper_fds *fds);

#endif
