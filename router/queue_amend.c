/* queue_amend: a commit that reports failure may be on the disk all the same. What it
 * would have done is noted, and taken back before the store is used again. */
#include <stdlib.h>

#include "base/check.h"
#include "router/queue_private.h"

static struct amend *amend_add(struct queue *q, enum amend_kind kind, int64_t id)
{
    struct amend *a = calloc(1, sizeof *a);
    check(a != NULL);
    *a = (struct amend){.next = q->amends, .kind = kind, .id = id};
    q->amends = a;
    return a;
}

static void amend_messages(struct queue *q, const struct queue_message *m)
{
    for (; m != NULL; m = m->report) {
        amend_add(q, AMEND_REMOVE, (int64_t)m->number);
    }
}

void amend_request(struct queue *q, const struct request *k)
{
    const struct queue_settlement *t = k->u.settle.settlement;
    const struct queue_store_claim *c = &k->u.claim.claim;
    switch (k->kind) {
    case REQUEST_COMMIT:
        amend_messages(q, k->u.commit.message);
        break;
    case REQUEST_CLAIM:
        for (unsigned i = 0; i < c->count; i++) {
            amend_add(q, AMEND_UNCLAIM, c->messages[i]->entries->id);
        }
        break;
    case REQUEST_SETTLE:
        amend_add(q, AMEND_UNSETTLE, t->entry_id)->held = t->hold;
        amend_messages(q, t->report);
        break;
    case REQUEST_RELEASE: /* nobody else would repeat it */
        amend_add(q, AMEND_RELEASE, k->u.release.entry_id)->next_try_ms =
            k->u.release.next_try_ms;
        break;
    case REQUEST_ORDER: /* asked again, it finds it done */
    case REQUEST_COUNT:
    case REQUEST_HISTORY:
        break;
    }
}

static bool amend_run(struct queue *q, const struct amend *a, struct queue_result *r)
{
    switch (a->kind) {
    case AMEND_REMOVE:
        return q->engine->remove(q->store, (uint64_t)a->id, r);
    case AMEND_UNCLAIM:
        return q->engine->unclaim(q->store, a->id, r);
    case AMEND_UNSETTLE:
        return q->engine->unsettle(q->store, a->id, a->held, r);
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
