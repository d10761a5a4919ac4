/* pipe_keeper: see pipe_keeper.h. */
#include "channels/pipe_keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FILES_MAX = 256 };

/* Where the descriptors are, in the keeper; in the program the first three, and FAILED
 * until it runs. */
enum { IN, OUT, ERR, SOCKET, IN_END, FAILED = SOCKET };

static bool close_from(unsigned first)
{
    return syscall(SYS_close_range, first, ~0U, 0) == 0;
}

/* ---- the program ------------------------------------------------------------------- */

static bool limit(int resource, rlim_t value)
{
    struct rlimit now;
    if (getrlimit(resource, &now) != 0) {
        return false;
    }
    if (now.rlim_max != RLIM_INFINITY && value > now.rlim_max) {
        value = now.rlim_max;
    }
    struct rlimit to = {value, value};
    return setrlimit(resource, &to) == 0;
}

static bool limits_set(const struct pipe_options *o)
{
    enum { MIB = 1024 * 1024 };
    return limit(RLIMIT_CORE, 0) && limit(RLIMIT_NOFILE, FILES_MAX) &&
           (o->cpu_s == 0 || limit(RLIMIT_CPU, o->cpu_s)) &&
           (o->memory_mib == 0 || limit(RLIMIT_AS, (rlim_t)o->memory_mib * MIB)) &&
           (o->file_mib == 0 || limit(RLIMIT_FSIZE, (rlim_t)o->file_mib * MIB));
}

static void signals_reset(void)
{
    struct sigaction usual = {.sa_handler = SIG_DFL};
    sigset_t none;
    for (int i = 1; i < NSIG; i++) {
        sigaction(i, &usual, NULL); /* fails for a few, which cannot be changed */
    }
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Everything up to execve(); returns only when something failed, with errno. */
static void become(const struct pipe_call *call, const struct pipe_options *limits,
                   pid_t keeper)
{
    signals_reset();
    /* Whoever kills the keeper has killed it. */
    if (setsid() < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) {
        return;
    }
    if (getppid() != keeper) {
        _exit(1);
    }
    umask(077);
    if (chdir("/") != 0 || !limits_set(limits)) {
        return;
    }
    execve(call->argv[0], call->argv, call->envp);
}

/* What cannot be done is written to `failed`, which execve() closes. */
static _Noreturn void program(const struct pipe_call *call,
                              const struct pipe_options *limits, pid_t keeper, int failed)
{
    if (dup3(failed, FAILED, O_CLOEXEC) >= 0 && close_from(FAILED + 1)) {
        failed = FAILED;
        become(call, limits, keeper);
    }
    int error = errno;
    ssize_t n = write(failed, &error, sizeof error);
    _exit(n < 0 ? 126 : 127);
}

/* ---- the keeper -------------------------------------------------------------------- */

struct keeper {
    pid_t program;
    int pidfd;  /* readable once it has ended; it is still there then */
    int failed; /* what it could not do */
    bool killing;
};

static bool descriptors_set(const struct pipe_keeper_fds *fds)
{
    return dup2(fds->in, IN) == IN && dup2(fds->out, OUT) == OUT &&
           dup2(fds->out, ERR) == ERR && dup2(fds->socket, SOCKET) == SOCKET &&
           dup2(fds->in_end, IN_END) == IN_END && close_from(PIPE_KEEPER_FDS);
}

/* Its whole group; before it has one it is alone. */
static void signal_group(struct keeper *k, int signal)
{
    k->killing = true;
    if (kill(-k->program, signal) != 0) {
        kill(k->program, signal);
    }
}

static void reap(struct keeper *k, int *status)
{
    while (waitpid(k->program, status, 0) < 0 && errno == EINTR) {
    }
}

/* False: the daemon is no more. */
static bool obey(struct keeper *k)
{
    char order = 0;
    ssize_t n = read(SOCKET, &order, 1);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) {
        return true;
    }
    if (n == 1 && order == PIPE_ORDER_INPUT_ENDS) {
        close(IN_END);
    } else if (n == 1) {
        signal_group(k, order == PIPE_ORDER_TERM ? SIGTERM : SIGKILL);
    }
    return n == 1;
}

/* Until the program ends, or the daemon. */
static bool watch(struct keeper *k)
{
    struct pollfd fds[] = {{.fd = SOCKET, .events = POLLIN},
                           {.fd = k->pidfd, .events = POLLIN}};
    for (;;) {
        if (poll(fds, 2, -1) < 0) {
            continue;
        }
        if (fds[1].revents != 0) {
            return true;
        }
        if (fds[0].revents != 0 && !obey(k)) {
            return false;
        }
    }
}

/* The program's ends are its own: what it closes is closed. */
static bool begin(struct keeper *k, const struct pipe_call *call,
                  const struct pipe_options *limits)
{
    int failed[2];
    pid_t self = getpid();
    if (pipe2(failed, O_CLOEXEC) != 0) {
        return false;
    }
    k->program = fork();
    if (k->program == 0) {
        program(call, limits, self, failed[1]);
    }
    close(failed[1]);
    close(IN);
    close(OUT);
    close(ERR);
    k->failed = failed[0];
    k->pidfd = k->program > 0 ? (int)syscall(SYS_pidfd_open, k->program, 0) : -1;
    return k->pidfd >= 0;
}

static _Noreturn void tell(const struct pipe_end *end)
{
    ssize_t n = send(SOCKET, end, sizeof *end, MSG_NOSIGNAL);
    _exit(n == (ssize_t)sizeof *end ? 0 : 1);
}

_Noreturn void pipe_keeper(const struct pipe_call *call,
                           const struct pipe_options *limits,
                           const struct pipe_keeper_fds *fds)
{
    struct keeper k = {.program = -1};
    struct pipe_end end = {.error = 0};
    /* Out of the daemon's session and group: nobody who stops these is to stop it. */
    setsid();
    prctl(PR_SET_NAME, "pointsmand-pipe");
    if (!descriptors_set(fds)) {
        _exit(1);
    }
    if (!begin(&k, call, limits)) {
        end.error = errno;
        if (k.program > 0) {
            signal_group(&k, SIGKILL);
            reap(&k, &end.status);
        }
        tell(&end);
    }
    bool told = watch(&k);
    if (!told || k.killing) {
        signal_group(&k, SIGKILL); /* before the input ends */
    }
    reap(&k, &end.status);
    if (read(k.failed, &end.error, sizeof end.error) != (ssize_t)sizeof end.error) {
        end.error = 0;
    }
    tell(&end);
}
