/* runtime: asks every kind to open what it needs for a snapshot, and lets go of it
 * when the last session or job has finished. */
#include "router/runtime.h"

#include <stdlib.h>

#include "base/check.h"

static void runtime_free(struct runtime *r)
{
    for (unsigned i = 0; r->kinds[i] != NULL; i++) {
        if (r->state[i] != NULL && r->kinds[i]->retire != NULL) {
            r->kinds[i]->retire(r->state[i]);
        }
    }
    snapshot_unref(&r->snapshot);
    free(r);
}

struct runtime *runtime_prepare(struct snapshot **s,
                                const struct channel_kind *const *kinds,
                                const struct runtime *before, struct diags *diags)
{
    struct runtime *r = calloc(1, sizeof *r);
    check(r != NULL && *s != NULL);
    atomic_init(&r->refs, 1);
    r->snapshot = *s;
    r->kinds = kinds;
    *s = NULL;
    bool good = true;
    /* All kinds are asked even after a failure: all errors come in one run. */
    for (unsigned i = 0; kinds[i] != NULL; i++) {
        check(i < RUNTIME_KINDS_MAX);
        unsigned errors = diags_errors(diags);
        if (kinds[i]->prepare != NULL &&
            !kinds[i]->prepare(r->snapshot, before != NULL ? before->state[i] : NULL,
                               &r->state[i], diags)) {
            check(diags_errors(diags) > errors); /* a refusal says why */
            good = false;
        }
    }
    if (!good) {
        runtime_unref(&r);
    }
    return r;
}

struct runtime *runtime_ref(struct runtime *r)
{
    unsigned before = atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
    check(before > 0);
    return r;
}

void runtime_unref(struct runtime **r)
{
    struct runtime *gone = *r;
    *r = NULL;
    if (gone == NULL) {
        return;
    }
    unsigned before = atomic_fetch_sub_explicit(&gone->refs, 1, memory_order_acq_rel);
    check(before > 0);
    if (before == 1) {
        runtime_free(gone);
    }
}

static unsigned kind_index(const struct runtime *r, const struct channel *c)
{
    unsigned i = 0;
    while (r->kinds[i] != NULL && r->kinds[i]->type != c->type) {
        i++;
    }
    check(r->kinds[i] != NULL);
    return i;
}

const struct channel_kind *runtime_kind(const struct runtime *r, const struct channel *c)
{
    return r->kinds[kind_index(r, c)];
}

void runtime_forget(const struct runtime *r)
{
    for (unsigned i = 0; r->kinds[i] != NULL; i++) {
        if (r->kinds[i]->forget != NULL) {
            r->kinds[i]->forget(r->state[i]);
        }
    }
}

void *runtime_state(const struct runtime *r, const struct channel *c)
{
    return r->state[kind_index(r, c)];
}
