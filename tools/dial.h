/* dial: a TCP connection to a host, within a time limit that also holds for the look-up
 * of its name; for the commands that talk to somebody else. */
#ifndef TOOLS_DIAL_H
#define TOOLS_DIAL_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Milliseconds of the monotonic clock; deadlines count in these. */
int64_t dial_now_ms(void);

/* Waits until events (of poll(2)) are there on fd: 1; 0: the deadline has passed; -1:
 * errno. */
int dial_wait(int fd, short events, int64_t deadline_ms);

struct dialled {
    int fd; /* non-blocking; the caller closes it */
    char ip[INET6_ADDRSTRLEN];
    char our_ip[INET6_ADDRSTRLEN];
    unsigned our_port;
};

/* Called before each step, for the user; ip "" while the name is looked up. */
typedef void dial_step_fn(const char *host, const char *ip, void *arg);

/* Connects to the first address of host (a name or an address without brackets) that
 * answers. False with the reason: "cannot be looked up: ...", "192.0.2.1: refused ...".
 */
bool dial_open(const char *host, uint16_t port, int64_t deadline_ms, dial_step_fn *step,
               void *arg, struct dialled *out, char *reason, size_t size);

#endif
