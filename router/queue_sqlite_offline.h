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

struct queue_copied {
    int64_t messages, bodies; /* in the copy; bodies: those in files */
    uint64_t octets;          /* of all files */
    int64_t gone;             /* messages dealt with while it was made, so not in it */
};
/* Makes `to`, which must not exist, a copy of the queue that stands by itself, whether a
 * daemon works with it or not. While the database is copied the log file grows. What is
 * made is called `to`.partial until it is complete and on the disk. False with a reason.
 */
bool queue_backup(const char *directory, const char *to, struct queue_copied *out,
                  char *reason, size_t reason_size);

/* Reads all of a queue and calls fn for each thing that is wrong with it; a daemon may
 * work with it. False with a reason when it cannot be read. */
typedef void (*queue_wrong_fn)(const char *text, void *arg);
bool queue_check(const char *directory, queue_wrong_fn fn, void *arg, char *reason,
                 size_t reason_size);

#endif
