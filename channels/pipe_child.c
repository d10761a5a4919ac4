/* pipe_child: see pipe_child.h. Between fork() and execve() only what POSIX allows there
 * is called: other threads may have held any lock. */
#include "channels/pipe_child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"

enum { FIRST_FREE = 4, REPORT_FD = 3, FILES_MAX = 256 };

/* ---- descriptors ------------------------------------------------------------------- */

struct pipes {
    int in[2], out[2], report[2];
};

static void close_one(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
    *fd = -1;
}

static void pipes_close(struct pipes *p)
{
    for (int i = 0; i < 2; i++) {
        close_one(&p->in[i]);
        close_one(&p->out[i]);
        close_one(&p->report[i]);
    }
}

/* A pipe whose ends are none of the descriptors that the child gives a meaning to. */
static bool pipe_make(int ends[2])
{
    int low[2];
    if (pipe2(low, O_CLOEXEC) != 0) {
        return false;
    }
    for (int i = 0; i < 2; i++) {
        ends[i] = fcntl(low[i], F_DUPFD_CLOEXEC, FIRST_FREE);
    }
    int error = errno;
    close(low[0]);
    close(low[1]);
    errno = error;
    return ends[0] >= 0 && ends[1] >= 0;
}

static bool pipes_make(struct pipes *p)
{
    *p = (struct pipes){{-1, -1}, {-1, -1}, {-1, -1}};
    return pipe_make(p->in) && pipe_make(p->out) && pipe_make(p->report) &&
           fcntl(p->in[1], F_SETFL, O_NONBLOCK) == 0 &&
           fcntl(p->out[0], F_SETFL, O_NONBLOCK) == 0;
}

/* ---- in the child ------------------------------------------------------------------ */

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
static void child_become(const struct pipe_call *call, const struct pipe_options *limits,
                         const struct pipes *p, pid_t parent)
{
    signals_reset();
    /* else it would take the end of its input, when the daemon dies, for the end of the
     * message */
    if (setsid() < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) {
        return;
    }
    if (getppid() != parent) {
        _exit(1);
    }
    if (dup2(p->in[0], 0) < 0 || dup2(p->out[1], 1) < 0 || dup2(p->out[1], 2) < 0 ||
        dup3(p->report[1], REPORT_FD, O_CLOEXEC) < 0 ||
        syscall(SYS_close_range, REPORT_FD + 1, ~0U, 0) != 0) {
        return;
    }
    umask(077);
    if (chdir("/") != 0 || !limits_set(limits)) {
        return;
    }
    execve(call->argv[0], call->argv, call->envp);
}

/* ---- in the daemon ----------------------------------------------------------------- */

/* What the child could not do, or 0 when its program runs. */
static int child_report(int fd)
{
    int error = 0;
    ssize_t n;
    do {
        n = read(fd, &error, sizeof error);
    } while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof error ? error : 0;
}

static pid_t fork_quietly(void)
{
    sigset_t all, before;
    sigfillset(&all);
    check(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    pid_t pid = fork(); /* no handler of ours runs in the child */
    int error = errno;
    if (pid != 0) {
        check(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    }
    errno = error;
    return pid;
}

static void reap(pid_t pid)
{
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
}

static int child_begin(const struct pipe_call *call, const struct pipe_options *limits,
                       struct pipes *p, struct pipe_child *out)
{
    pid_t parent = getpid();
    out->pid = fork_quietly();
    if (out->pid < 0) {
        return errno;
    }
    if (out->pid == 0) {
        child_become(call, limits, p, parent);
        int error = errno;
        ssize_t n = write(p->report[1], &error, sizeof error);
        if (n < 0) { /* close_range() has left the copy only */
            n = write(REPORT_FD, &error, sizeof error);
        }
        _exit(n < 0 ? 126 : 127);
    }
    close_one(&p->report[1]);
    int error = child_report(p->report[0]);
    out->pidfd = error == 0 ? (int)syscall(SYS_pidfd_open, out->pid, 0) : -1;
    if (error == 0 && out->pidfd < 0) {
        error = errno;
        kill(-out->pid, SIGKILL);
    }
    if (error != 0) {
        reap(out->pid);
    }
    return error;
}

int pipe_child_start(const struct pipe_call *call, const struct pipe_options *limits,
                     struct pipe_child *out)
{
    struct pipes p;
    int error = pipes_make(&p) ? child_begin(call, limits, &p, out) : errno;
    if (error == 0) {
        out->in = p.in[1];
        out->out = p.out[0];
        p.in[1] = p.out[0] = -1;
    }
    pipes_close(&p);
    return error;
}

void pipe_child_kill(const struct pipe_child *c, int signal)
{
    kill(-c->pid, signal);
}

int pipe_child_reap(const struct pipe_child *c)
{
    int status = 0;
    while (waitpid(c->pid, &status, 0) < 0) {
        check(errno == EINTR);
    }
    return status;
}
