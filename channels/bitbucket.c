/* bitbucket: every recipient is delivered, nothing is stored. A new kind begins as a
 * copy of this file: fill in deliver(), add a line to kinds.def and one to Makefile.inc.
 */
#include "channels/bitbucket.h"

#include <stdlib.h>

#include "base/check.h"
#include "router/worker.h"

struct discard {
    struct task task; /* first: a task is its discard */
    struct job *job;
};

static void on_turn(struct worker *w, struct task *task)
{
    struct discard *discard = (struct discard *)task;
    struct job *job = discard->job;
    (void)w;
    free(discard);
    for (unsigned i = 0; i < job->recipient_count; i++) {
        outcome_set(&job->recipients[i].outcome, OUTCOME_DELIVERED, 0, 2, 0, 0,
                    "discarded");
    }
    job_done(job);
}

/* job_done() must not be called in here, so the work is posted to the next turn of the
 * loop. A kind that waits for a socket or a pool thread answers from there. */
static void bitbucket_deliver(struct worker *w, void *state, struct job *job)
{
    (void)state;
    struct discard *discard = calloc(1, sizeof *discard);
    check(discard != NULL);
    discard->task.run = on_turn;
    discard->job = job;
    worker_post(w, &discard->task);
}

const struct channel_kind kind_bitbucket = {
    .name = "bitbucket",
    .type = CHANNEL_BITBUCKET,
    .deliver = bitbucket_deliver,
};
