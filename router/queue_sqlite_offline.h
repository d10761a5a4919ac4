/* queue_sqlite_offline: the queue for the offline tool: looking at it, also while a
 * daemon works with it, and changing it while none does. Blocking. */
#ifndef ROUTER_QUEUE_SQLITE_OFFLINE_H
#define ROUTER_QUEUE_SQLITE_OFFLINE_H

#include "router/queue_sqlite.h"

typedef void (*queue_seen_fn)(const struct queue_seen *e, void *arg);

/* Calls fn for each entry that passes the filter, the oldest message first, with its
 * recipients. Read in short transactions, so that a daemon is not kept from its work; an
 * entry that comes or goes meanwhile may be seen or not. The entry lives for the call.
 * False with a reason.
 */
bool queue_look(const char *directory, const struct queue_filter *filter,
                queue_seen_fn fn, void *arg, char *reason, size_t reason_size);

/* queue_order() without a daemon. */
struct queue_offline;
/* Takes the lock on the folder, whose name is borrowed until the end. NULL with a reason,
 * which names the daemon that has it. */
struct queue_offline *queue_offline_open(const char *directory, char *reason,
                                         size_t reason_size);
void queue_offline_close(struct queue_offline **q);
/* One step. False with a reason; nothing was changed by it then. */
bool queue_offline_order(struct queue_offline *q, const struct queue_order *o,
                         struct queue_step *step, char *reason, size_t reason_size);

struct queue_copied {
    int64_t messages, bodies; /* in the copy; bodies: those in files */
    uint64_t octets;          /* of all files */
    int64_t gone;             /* messages dealt with while it was made, so not in it */
    int64_t lost; /* messages in it that have no whole body file in the queue */
};
/* Told now and then how far it is; false ends it. */
typedef bool (*queue_copied_fn)(const struct queue_copied *so_far, void *arg);
/* Makes `to`, which must not exist, a copy of the queue that stands by itself, whether a
 * daemon works with it or not: each message as it was at some moment of the copying. The
 * queue is read in short transactions. What is made is called `to`.partial until it is
 * complete and on the disk, and removed when it fails. False with a reason. fn may be
 * NULL. */
bool queue_backup(const char *directory, const char *to, queue_copied_fn fn, void *arg,
                  struct queue_copied *out, char *reason, size_t reason_size);

/* Reads all of a queue and calls fn for each thing that is wrong with it, or only worth
 * telling; a daemon may work with it. False with a reason when it is no queue that can be
 * read. The text may have octets from the files. */
typedef void (*queue_wrong_fn)(const char *text, bool harmless, void *arg);
bool queue_check(const char *directory, queue_wrong_fn fn, void *arg, char *reason,
                 size_t reason_size);

#endif
