/* pipe_child: see pipe_child.h. */
#include "channels/pipe_child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"

/* ---- descriptors ------------------------------------------------------------------- */

struct ends {
    int in[2], out[2], socket[2];
};

static void close_one(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
    *fd = -1;
}

static void ends_close(struct ends *e)
{
    for (int i = 0; i < 2; i++) {
        close_one(&e->in[i]);
        close_one(&e->out[i]);
        close_one(&e->socket[i]);
    }
}

/* Puts two descriptors above those that the keeper gives a meaning to. */
static bool raise_both(const int low[2], int ends[2])
{
    for (int i = 0; i < 2; i++) {
        ends[i] = fcntl(low[i], F_DUPFD_CLOEXEC, PIPE_KEEPER_FDS);
    }
    int error = errno;
    close(low[0]);
    close(low[1]);
    errno = error;
    return ends[0] >= 0 && ends[1] >= 0;
}

static bool pipe_make(int ends[2])
{
    int low[2];
    return pipe2(low, O_CLOEXEC) == 0 && raise_both(low, ends);
}

static bool socket_make(int ends[2])
{
    int low[2];
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, low) == 0 &&
           raise_both(low, ends);
}

static bool ends_make(struct ends *e)
{
    *e = (struct ends){{-1, -1}, {-1, -1}, {-1, -1}};
    return pipe_make(e->in) && pipe_make(e->out) && socket_make(e->socket) &&
           fcntl(e->in[1], F_SETFL, O_NONBLOCK) == 0 &&
           fcntl(e->out[0], F_SETFL, O_NONBLOCK) == 0;
}

/* ---- processes --------------------------------------------------------------------- */

/* In the child all signals stay blocked: no handler of ours runs there. */
static pid_t fork_quietly(void)
{
    sigset_t all, before;
    sigfillset(&all);
    check(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    pid_t pid = fork();
    int error = errno;
    if (pid != 0) {
        check(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    }
    errno = error;
    return pid;
}

static int keeper_start(const struct pipe_call *call, const struct pipe_options *limits,
                        const struct ends *e, struct pipe_child *out)
{
    const struct pipe_keeper_fds fds = {
        .in = e->in[0], .in_end = e->in[1], .out = e->out[1], .socket = e->socket[1]};
    out->pid = fork_quietly();
    if (out->pid == 0) {
        pipe_keeper(call, limits, &fds);
    }
    if (out->pid < 0) {
        return errno;
    }
    out->pidfd = (int)syscall(SYS_pidfd_open, out->pid, 0);
    if (out->pidfd >= 0) {
        return 0;
    }
    int error = errno;
    kill(out->pid, SIGKILL);
    while (waitpid(out->pid, NULL, 0) < 0 && errno == EINTR) {
    }
    return error;
}

int pipe_child_start(const struct pipe_call *call, const struct pipe_options *limits,
                     struct pipe_child *out)
{
    struct ends e;
    int error = ends_make(&e) ? keeper_start(call, limits, &e, out) : errno;
    if (error == 0) {
        out->in = e.in[1];
        out->out = e.out[0];
        out->socket = e.socket[0];
        e.in[1] = e.out[0] = e.socket[0] = -1;
    }
    ends_close(&e);
    return error;
}

void pipe_child_order(const struct pipe_child *c, enum pipe_order order)
{
    char octet = (char)order;
    /* there is room for the few there are; a keeper that has ended needs none */
    (void)!send(c->socket, &octet, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void pipe_child_reap(struct pipe_child *c, struct pipe_end *end)
{
    ssize_t n = recv(c->socket, end, sizeof *end, MSG_DONTWAIT);
    if (n != (ssize_t)sizeof *end) {
        *end = (struct pipe_end){.status = SIGKILL};
    }
    while (waitpid(c->pid, NULL, 0) < 0) {
        check(errno == EINTR);
    }
    close_one(&c->socket);
}
