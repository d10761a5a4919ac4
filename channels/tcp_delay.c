/* tcp_delay: see tcp_delay.h. */
#include "channels/tcp_delay.h"

#include <stdlib.h>

#include "base/check.h"

struct tcp_delay {
    uv_timer_t timer;
    void (*over)(void *arg);
    void *arg;
};

static void on_over(uv_timer_t *timer)
{
    struct tcp_delay *d = timer->data;
    d->over(d->arg);
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

struct tcp_delay *tcp_delay_new(struct worker *w, unsigned ms, void (*over)(void *arg),
                                void *arg)
{
    struct tcp_delay *d = calloc(1, sizeof *d);
    check(d != NULL && uv_timer_init(&w->loop, &d->timer) == 0);
    d->timer.data = d;
    d->over = over;
    d->arg = arg;
    check(uv_timer_start(&d->timer, on_over, ms, 0) == 0);
    return d;
}

void tcp_delay_free(struct tcp_delay **d)
{
    struct tcp_delay *gone = *d;
    *d = NULL;
    if (gone != NULL) {
        uv_close((uv_handle_t *)&gone->timer, on_closed);
    }
}
