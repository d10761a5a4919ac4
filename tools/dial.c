/* dial: see dial.h. The resolver of the system has time limits of its own, which may be
 * long, and cannot be stopped: it runs on a thread, which is left behind when it is late.
 */
#include "tools/dial.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"

int64_t dial_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int dial_wait(int fd, short events, int64_t deadline_ms)
{
    for (;;) {
        int64_t left = deadline_ms - dial_now_ms();
        if (left <= 0) {
            return 0;
        }
        struct pollfd p = {.fd = fd, .events = events};
        int n = poll(&p, 1, left > 1000 * 1000 ? 1000 * 1000 : (int)left);
        if (n > 0 || (n < 0 && errno != EINTR)) {
            return n;
        }
    }
}

/* --- the name --- */

/* Belongs to two: who comes last frees it. */
struct lookup {
    pthread_mutex_t lock;
    bool left; /* one of the two is gone */
    int done[2];
    char host[256], port[8];
    int error;
    struct addrinfo *found;
};

static void lookup_leave(struct lookup *l)
{
    pthread_mutex_lock(&l->lock);
    bool last = l->left;
    l->left = true;
    pthread_mutex_unlock(&l->lock);
    if (last) {
        if (l->found) {
            freeaddrinfo(l->found);
        }
        close(l->done[0]);
        close(l->done[1]);
        pthread_mutex_destroy(&l->lock);
        free(l);
    }
}

static void *lookup_run(void *arg)
{
    struct lookup *l = arg;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_NUMERICSERV};
    l->error = getaddrinfo(l->host, l->port, &hints, &l->found);
    if (l->error == EAI_SYSTEM) {
        l->error = EAI_FAIL;
    }
    ssize_t n = write(l->done[1], "", 1);
    (void)n;
    lookup_leave(l);
    return NULL;
}

/* NULL: the reason says why. */
static struct lookup *lookup_new(const char *host, uint16_t port, char *reason,
                                 size_t size)
{
    struct lookup *l = calloc(1, sizeof *l);
    pthread_t thread;
    check(l != NULL && pthread_mutex_init(&l->lock, NULL) == 0);
    snprintf(l->host, sizeof l->host, "%s", host);
    snprintf(l->port, sizeof l->port, "%u", port);
    int error = pipe2(l->done, O_CLOEXEC) == 0 ? 0 : errno;
    if (error != 0) {
        pthread_mutex_destroy(&l->lock);
        free(l);
    } else if ((error = pthread_create(&thread, NULL, lookup_run, l)) != 0) {
        l->left = true;
        lookup_leave(l);
    } else {
        pthread_detach(thread);
        return l;
    }
    snprintf(reason, size, "cannot be looked up: %s", strerror(error));
    return NULL;
}

/* --- the connection --- */

static void address_text(const struct sockaddr *a, char out[INET6_ADDRSTRLEN])
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)a;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)a;
    out[0] = '\0';
    inet_ntop(a->sa_family,
              a->sa_family == AF_INET6 ? (const void *)&v6->sin6_addr
                                       : (const void *)&v4->sin_addr,
              out, INET6_ADDRSTRLEN);
}

static void note_our_address(struct dialled *out)
{
    struct sockaddr_storage a = {0};
    socklen_t len = sizeof a;
    if (getsockname(out->fd, (struct sockaddr *)&a, &len) == 0) {
        address_text((const struct sockaddr *)&a, out->our_ip);
        out->our_port =
            ntohs(a.ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)&a)->sin6_port
                                          : ((const struct sockaddr_in *)&a)->sin_port);
    }
}

/* The error of a socket on which connect() is under way. */
static int connect_error(int fd, int64_t deadline_ms)
{
    int error = 0;
    socklen_t len = sizeof error;
    int ready = dial_wait(fd, POLLOUT, deadline_ms);
    if (ready <= 0) {
        return ready == 0 ? ETIMEDOUT : errno;
    }
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 ? error : errno;
}

/* -1: errno. */
static int connect_to(const struct addrinfo *to, int64_t deadline_ms)
{
    int fd = socket(to->ai_family, to->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    int error = connect(fd, to->ai_addr, to->ai_addrlen) == 0 ? 0 : errno;
    if (error == EINPROGRESS) {
        error = connect_error(fd, deadline_ms);
    }
    if (error != 0) {
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

/* The time that is left is shared by the addresses that are. */
static bool connect_any(const struct addrinfo *all, const char *host, int64_t deadline_ms,
                        dial_step_fn *step, void *arg, struct dialled *out, char *reason,
                        size_t size)
{
    unsigned left = 0;
    for (const struct addrinfo *i = all; i; i = i->ai_next) {
        left++;
    }
    for (const struct addrinfo *i = all; i; i = i->ai_next, left--) {
        int64_t now = dial_now_ms();
        address_text(i->ai_addr, out->ip);
        step(host, out->ip, arg);
        out->fd = connect_to(i, now + (deadline_ms - now) / (int64_t)left);
        if (out->fd >= 0) {
            note_our_address(out);
            return true;
        }
        snprintf(reason, size, "%s: %s", out->ip, strerror(errno));
    }
    return false;
}

bool dial_open(const char *host, uint16_t port, int64_t deadline_ms, dial_step_fn *step,
               void *arg, struct dialled *out, char *reason, size_t size)
{
    bool ok = false;
    *out = (struct dialled){.fd = -1};
    step(host, "", arg);
    struct lookup *l = lookup_new(host, port, reason, size);
    if (!l) {
        return false;
    }
    if (dial_wait(l->done[0], POLLIN, deadline_ms) != 1) {
        snprintf(reason, size, "cannot be looked up: no answer in time");
    } else if (l->error != 0) {
        snprintf(reason, size, "cannot be looked up: %s", gai_strerror(l->error));
    } else {
        ok = connect_any(l->found, host, deadline_ms, step, arg, out, reason, size);
    }
    lookup_leave(l);
    return ok;
}
