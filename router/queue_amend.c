/* queue_amend: a commit that reports failure may be on the disk all the same. What it
 * would have done is noted, and taken back before the store is used again. */
#include <stdlib.h>

#include "base/check.h"
#include "router/queue_private.h"

static void amend_add(struct queue *q, enum amend_kind kind, int64_t id,
                      enum queue_state state, int64_t next_try_ms)
{
    struct amend *a = calloc(1, sizeof *a);
    check(a != NULL);
    *a = (struct amend){q->amends, kind, id, state, next_try_ms};
    q->amends = a;
}

void amend_request(struct queue *q, const struct request *k)
{
    const struct queue_settlement *t = k->u.settle.settlement;
    const struct queue_message *m;
    switch (k->kind) {
    case REQUEST_COMMIT:
        for (m = k->u.commit.message; m != NULL; m = m->report) {
            amend_add(q, AMEND_REMOVE, (int64_t)m->number, 0, 0);
        }
        break;
    case REQUEST_CLAIM:
        for (unsigned i = 0; i < k->u.claim.claim.count; i++) {
            amend_add(q, AMEND_STATE, k->u.claim.claim.messages[i]->entries->id,
                      QUEUE_WAITING, 0);
        }
        break;
    case REQUEST_SETTLE:
        amend_add(q, AMEND_STATE, t->entry_id, QUEUE_CLAIMED, 0);
        for (m = t->report; m != NULL; m = m->report) {
            amend_add(q, AMEND_REMOVE, (int64_t)m->number, 0, 0);
        }
        break;
    case REQUEST_RELEASE: /* nobody else would repeat it */
        amend_add(q, AMEND_RELEASE, k->u.release.entry_id, 0, k->u.release.next_try_ms);
        break;
    case REQUEST_ORDER: /* asked again, it finds it done */
    case REQUEST_COUNT:
        break;
    }
}

static bool amend_run(struct queue *q, const struct amend *a, struct queue_result *r)
{
    switch (a->kind) {
    case AMEND_REMOVE:
        return q->engine->remove(q->store, (uint64_t)a->id, r);
    case AMEND_STATE:
        return q->engine->set_state(q->store, a->id, a->state, r);
    case AMEND_RELEASE:
        return q->engine->release(q->store, a->id, a->next_try_ms, r);
    }
    return false;
}

void amend_forget(struct queue *q)
{
    while (q->amends != NULL) {
        struct amend *next = q->amends->next;
        free(q->amends);
        q->amends = next;
    }
}

bool amend_all(struct queue *q, struct queue_result *r)
{
    if (q->amends == NULL) {
        return true;
    }
    bool good = q->engine->begin(q->store, r);
    for (const struct amend *a = q->amends; good && a != NULL; a = a->next) {
        good = amend_run(q, a, r);
    }
    if (!good || !q->engine->commit(q->store, r)) {
        return false;
    }
    amend_forget(q);
    return true;
}
