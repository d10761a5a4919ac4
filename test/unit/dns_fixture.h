/* dns_fixture: a name server on loopback, in a thread, over UDP, with a zone made for
 * the tests. What it answers is in the table of the .c file. */
#ifndef TEST_UNIT_DNS_FIXTURE_H
#define TEST_UNIT_DNS_FIXTURE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct dns_fixture {
    int fd, stop[2]; /* stop: a pipe, closed to end the thread */
    uint16_t port;
    uv_thread_t thread;
    atomic_uint asked; /* questions seen */
};

/* Listens on ip (127.0.0.1 or ::1) on a free port. False if that cannot be had. */
bool dns_fixture_init(struct dns_fixture *f, const char *ip);
void dns_fixture_free(struct dns_fixture *f);

#endif
