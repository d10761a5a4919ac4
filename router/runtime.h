/* runtime: a snapshot made ready to run: what could fail (certificates, folders) has
 * been opened by each kind. Counted; sessions and jobs hold a reference and so see
 * one configuration from beginning to end. */
#ifndef ROUTER_RUNTIME_H
#define ROUTER_RUNTIME_H

#include <stdatomic.h>

#include "base/diag.h"
#include "router/channel.h"
#include "tables/snapshot.h"

enum { RUNTIME_KINDS_MAX = 16 };

struct runtime {
    atomic_uint refs;
    struct snapshot *snapshot;
    const struct channel_kind *const *kinds;
    void *state[RUNTIME_KINDS_MAX]; /* by position in kinds; what prepare() returned */
};

/* Takes over the caller's reference to *s (cleared) and calls every kind's prepare with
 * its state in `before`, what is in force (NULL: nothing yet). NULL when one failed: all
 * errors are in diags, nothing in force was touched. */
struct runtime *runtime_prepare(struct snapshot **s,
                                const struct channel_kind *const *kinds,
                                const struct runtime *before, struct diags *diags);
struct runtime *runtime_ref(struct runtime *r);
/* Drops and clears; the last reference retires the kinds' states. */
void runtime_unref(struct runtime **r);

/* The kind serving a channel (never NULL: compile refuses unsupported ones) and the
 * state its prepare() made. */
const struct channel_kind *runtime_kind(const struct runtime *r, const struct channel *c);
void *runtime_state(const struct runtime *r, const struct channel *c);

/* Each kind forgets which hosts could not be reached. */
void runtime_forget(const struct runtime *r);

#endif
