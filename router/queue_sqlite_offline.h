/* queue_sqlite_offline: the queue for the offline tool: looking at it, also while a
 * daemon works with it, and changing it while none does. Blocking. */
#ifndef ROUTER_QUEUE_SQLITE_OFFLINE_H
#define ROUTER_QUEUE_SQLITE_OFFLINE_H

#include "router/queue_store.h"

/* An entry as it stands in the store. */
struct queue_seen {
    uint64_t number; /* of its message */
    char id[QUEUE_ID_MAX];
    unsigned position; /* in the message */
    enum queue_state state;
    str channel, host;
    unsigned attempts;
    int64_t next_try_ms;
    str reason; /* why it was deferred or held last; ptr NULL: nothing is known */
    int64_t created_ms;
    str sender; /* as received; empty: null sender */
    str source_channel;
    int64_t size;
    const str *recipients; /* those still open */
    unsigned recipient_count;
};
typedef void (*queue_seen_fn)(const struct queue_seen *e, void *arg);

/* Calls fn for each entry, the oldest message first, or for the held ones only. Read in
 * short transactions, so that a daemon is not kept from its work; an entry that comes or
 * goes meanwhile may be seen or not. The entry lives for the call. False with a reason.
 */
bool queue_look(const char *directory, bool held_only, queue_seen_fn fn, void *arg,
                char *reason, size_t reason_size);

/* queue_unhold() without a daemon: takes the lock on the folder for so long. False with a
 * reason, which names the daemon that has the lock. */
bool queue_offline_unhold(const char *directory, uint64_t number, int64_t now_ms,
                          struct queue_touched *out, char *reason, size_t reason_size);

#endif
