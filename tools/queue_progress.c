/* queue_progress: see queue_progress.h. */
#include "tools/queue_progress.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"
#include "tools/tool.h"

enum { PERIOD_MS = 500 };

static const int signals[QUEUE_PROGRESS_SIGNALS] = {SIGINT, SIGTERM, SIGHUP};
/* A signal knows nothing else. */
static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

void queue_progress_begin(struct queue_progress *p)
{
    struct sigaction act = {.sa_handler = on_signal,
                            .sa_flags = (int)(SA_RESTART | SA_RESETHAND)};

    interrupted = 0;
    *p = (struct queue_progress){.shown_ms = clock_now_ms(&clock_system),
                                 .terminal = tool_screen(stderr)};
    sigemptyset(&act.sa_mask);
    for (size_t i = 0; i < QUEUE_PROGRESS_SIGNALS; i++) {
        sigaction(signals[i], NULL, &p->before[i]);
        if (p->before[i].sa_handler != SIG_IGN) { /* nohup wants us to outlive it */
            sigaction(signals[i], &act, NULL);
        }
    }
}

void queue_progress_close(struct queue_progress *p)
{
    queue_progress_end(p);
    for (size_t i = 0; i < QUEUE_PROGRESS_SIGNALS; i++) {
        sigaction(signals[i], &p->before[i], NULL);
    }
}

void queue_progress_show(struct queue_progress *p, const char *fmt, ...)
{
    int64_t now_ms = clock_now_ms(&clock_system);
    va_list args;

    if (!p->terminal || now_ms - p->shown_ms < PERIOD_MS) {
        return;
    }
    p->shown_ms = now_ms;
    p->open = true;
    fputs("\r\033[K", stderr);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fflush(stderr);
}

void queue_progress_end(struct queue_progress *p)
{
    if (p->open) {
        p->open = false;
        fputs("\r\033[K", stderr);
        fflush(stderr);
    }
}

bool queue_progress_interrupted(void)
{
    return interrupted != 0;
}
