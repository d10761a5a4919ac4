/* queue_progress: long work on a terminal: a line that tells how far it is, and a way to
 * end it between two steps. */
#ifndef TOOLS_QUEUE_PROGRESS_H
#define TOOLS_QUEUE_PROGRESS_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

enum { QUEUE_PROGRESS_SIGNALS = 3 };

struct queue_progress {
    struct sigaction before[QUEUE_PROGRESS_SIGNALS];
    int64_t shown_ms; /* when a line was shown last, or all began */
    bool terminal;    /* standard error is one */
    bool open;        /* there is a line that is not ended */
};

/* Until queue_progress_close() SIGINT, SIGTERM and SIGHUP are noted; a second one ends
 * the program. */
void queue_progress_begin(struct queue_progress *p);
/* Shows the text in the place of the one before, not more than twice a second; what is
 * done soon needs no line. */
void queue_progress_show(struct queue_progress *p, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* The line goes. To be called before anything else is printed, too. */
void queue_progress_end(struct queue_progress *p);
void queue_progress_close(struct queue_progress *p);
/* Has somebody asked for the end since the beginning? */
bool queue_progress_interrupted(void);

#endif
