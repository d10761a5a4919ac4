/* report_rate: how many notifications leave in a time. RFC 5321 leaves that to us; a
 * forged sender must not be flooded from here. What is over the limit waits in the queue:
 * neither the outcome that it tells of nor the mail of others waits for it. Pure. */
#ifndef ROUTER_REPORT_RATE_H
#define ROUTER_REPORT_RATE_H

#include <stdbool.h>
#include <stdint.h>

/* One in this time for long, and so many at once. */
enum { REPORT_EVERY_MS = 50, REPORT_BURST = 1000 };

/* All zero at the beginning. */
struct report_rate {
    int64_t paid_ms;  /* until then the time is taken by those that were let through */
    int64_t asked_ms; /* when the last one was */
};

/* Counts one more. When it may be sent: 0, at once, or a time after now_ms. */
int64_t report_rate_next(struct report_rate *r, int64_t now_ms);

#endif
