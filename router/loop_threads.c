/* loop_threads: see loop_threads.h. */
#include "router/loop_threads.h"

#include <stdlib.h>

#include "base/check.h"

enum { THREADS_MAX = 1024 };

/* As libuv reads it. */
static unsigned pool_size(void)
{
    const char *text = getenv("UV_THREADPOOL_SIZE");
    long n = text != NULL ? atol(text) : 4;
    return n < 1 ? 1 : n > THREADS_MAX ? THREADS_MAX : (unsigned)n;
}

static void wait_for_end(void *arg)
{
    uv_sem_wait(arg);
}

/* That many threads at the same time; they end before this returns. */
static int try_threads(unsigned count)
{
    uv_thread_t *threads = calloc(count, sizeof *threads);
    uv_sem_t end;
    unsigned made = 0;
    int rc = 0;
    check(threads != NULL && uv_sem_init(&end, 0) == 0);
    while (made < count &&
           (rc = uv_thread_create(&threads[made], wait_for_end, &end)) == 0) {
        made++;
    }
    for (unsigned i = 0; i < made; i++) {
        uv_sem_post(&end);
    }
    for (unsigned i = 0; i < made; i++) {
        check(uv_thread_join(&threads[i]) == 0);
    }
    uv_sem_destroy(&end);
    free(threads);
    return rc;
}

static void nothing(uv_work_t *work)
{
    (void)work;
}

static void started(uv_work_t *work, int status)
{
    (void)status;
    free(work);
}

int loop_threads_start(uv_loop_t *loop, unsigned others)
{
    int rc = try_threads(pool_size() + others);
    if (rc != 0) {
        return rc;
    }
    uv_work_t *work = calloc(1, sizeof *work);
    check(work != NULL && uv_queue_work(loop, work, nothing, started) == 0);
    return 0;
}
