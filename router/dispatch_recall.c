/* dispatch_recall: what waits for its turn in a worker goes back to the queue, because an
 * operator wants something else of it. */
#include <stdlib.h>

#include "base/check.h"
#include "router/dispatch_state.h"

/* What to give back; shared by the tasks of all workers, read only. */
struct recall {
    _Atomic unsigned users;
    str channel; /* points behind the ids; ptr NULL: none */
    unsigned count;
    int64_t ids[]; /* ascending */
};

struct recall_task {
    struct task task; /* first: the task is the recall_task */
    struct recall *recall;
};

static int compare_ids(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static bool recalled(const struct scheduler_item *item, void *arg)
{
    const struct recall *r = arg;
    const struct queue_entry *e = ((const struct delivery *)item)->entry;
    return (r->channel.ptr != NULL && str_ieq(e->channel, r->channel)) ||
           bsearch(&e->id, r->ids, r->count, sizeof *r->ids, compare_ids) != NULL;
}

static void give_back(struct scheduler_item *item, void *arg)
{
    (void)arg;
    dispatch_give_back((struct delivery *)item);
}

static void on_recall(struct worker *w, struct task *t)
{
    struct recall *r = ((struct recall_task *)t)->recall;
    if (w->dispatch != NULL) {
        scheduler_sweep(w->dispatch->scheduler, recalled, give_back, r);
        dispatch_wake(w);
    }
    if (--r->users == 0) {
        free(r);
    }
    free(t);
}

void dispatch_recall(struct daemon *d, const int64_t *ids, unsigned count, str channel)
{
    struct recall *r = malloc(sizeof *r + count * sizeof *ids + channel.len + 1);
    check(r != NULL);
    r->users = d->worker_count;
    r->count = count;
    if (count > 0) {
        memcpy(r->ids, ids, count * sizeof *ids);
        qsort(r->ids, count, sizeof *ids, compare_ids);
    }
    r->channel = STR_NONE;
    if (channel.ptr != NULL) {
        char *name = (char *)&r->ids[count];
        memcpy(name, channel.ptr, channel.len);
        r->channel = str_n(name, channel.len);
    }
    for (unsigned i = 0; i < d->worker_count; i++) {
        struct recall_task *t = calloc(1, sizeof *t);
        check(t != NULL);
        t->task.run = on_recall;
        t->recall = r;
        worker_post(&d->workers[i], &t->task);
    }
}
