/* queue_store: what the store thread (queue.c) asks of a storage engine. One engine
 * today, queue_sqlite.c. Every function is called by one thread at a time: by
 * queue_open() before the store thread starts, by that thread, by queue_close() after
 * it ended.
 *
 *   begin -> [savepoint -> insert | claim | settle | ... -> keep or undo]* -> commit
 *
 * A function that returns false has put the reason into *r. After a failure with
 * alive() false, or a failed commit, the store is good for nothing but close(). */
#ifndef ROUTER_QUEUE_STORE_H
#define ROUTER_QUEUE_STORE_H

#include "router/queue.h"

struct queue_store; /* one open store; the engine defines it */

/* Where the store lies and where it reports to. All borrowed for the store's life. */
struct queue_place {
    const char *directory; /* absolute, without symbolic links */
    const char *bodies;    /* folder of large bodies: directory/bodies */
    struct log *log;
};

struct queue_store_claim {
    unsigned limit;
    int64_t now_ms;
    const struct queue_lane *lanes; /* see queue_claim_beside() */
    unsigned lane_count;
    struct queue_message *
        *messages; /* room for limit; filled in and owned by the asker */
    unsigned count;
    int64_t next_due_ms; /* 0: no entry is waiting */
};

struct queue_store_history {
    int64_t entry_id;
    unsigned limit;
    struct arena *arena; /* of the answer */
    struct queue_attempt *attempts;
    unsigned count;
};

/* Where an entry stands. Stored as these numbers: never renumber. */
enum queue_state { QUEUE_WAITING = 0, QUEUE_CLAIMED = 1, QUEUE_HELD = 2 };

struct queue_engine {
    const char *name;
    /* Opens, creates, brings the schema up to date. NULL with *r. */
    struct queue_store *(*open)(const struct queue_place *place, struct queue_result *r);
    /* Drops an open transaction, closes, clears *s. */
    void (*close)(struct queue_store **s);
    /* Once after the first open of a run: voids the claims of earlier runs (due at
     * now_ms), removes body files without a message, holds messages without a body. */
    bool (*recover)(struct queue_store *s, int64_t now_ms, struct queue_result *r);

    bool (*begin)(struct queue_store *s, struct queue_result *r);
    /* After true everything since begin() is on stable storage; body files of the
     * removed messages are gone. */
    bool (*commit)(struct queue_store *s, struct queue_result *r);
    /* False when the engine has dropped the transaction begun. */
    bool (*alive)(struct queue_store *s);
    bool (*savepoint)(struct queue_store *s, struct queue_result *r);
    bool (*keep)(struct queue_store *s,
                 struct queue_result *r); /* what the savepoint has */
    bool (*undo)(struct queue_store *s,
                 struct queue_result *r); /* back to the savepoint */

    /* The first number never handed out by an earlier run. */
    bool (*load_bound)(struct queue_store *s, uint64_t *bound, struct queue_result *r);
    bool (*save_bound)(struct queue_store *s, uint64_t bound, struct queue_result *r);

    /* Is there room for m and, after it, for the outcomes of all that is stored? Asked
     * before a message of a client is stored, never for a report. */
    bool (*room)(struct queue_store *s, const struct queue_message *m,
                 struct queue_result *r);
    /* Stores m with its entries as claimed and sets their ids. A message of the same
     * number, left by a commit that failed but reached the disk, is replaced. */
    bool (*insert)(struct queue_store *s, struct queue_message *m,
                   struct queue_result *r);
    bool (*claim)(struct queue_store *s, struct queue_store_claim *c,
                  struct queue_result *r);
    /* Without the report, which is an insert of its own. An entry that is gone is
     * no error. */
    bool (*settle)(struct queue_store *s, const struct queue_settlement *t,
                   struct queue_result *r);
    /* Makes a claimed entry wait until next_try_ms. */
    bool (*release)(struct queue_store *s, int64_t entry_id, int64_t next_try_ms,
                    struct queue_result *r);
    /* One step of what an operator wants: not more than QUEUE_STEP_MAX entries change. */
    bool (*order)(struct queue_store *s, const struct queue_order *o,
                  struct queue_step *step, struct queue_result *r);
    /* Calls fn for each channel that is stopped. */
    bool (*stopped)(struct queue_store *s, void (*fn)(str channel, void *arg), void *arg,
                    struct queue_result *r);
    /* Adds the next entries behind *at, which begins as {0, -1}; *more: again. */
    bool (*count)(struct queue_store *s, struct queue_counts *c, struct queue_cursor *at,
                  bool *more, struct queue_result *r);
    bool (*history)(struct queue_store *s, struct queue_store_history *h,
                    struct queue_result *r);

    /* Take back what a failed commit may have left on the disk all the same: */
    bool (*remove)(struct queue_store *s, uint64_t number, struct queue_result *r);
    bool (*unclaim)(struct queue_store *s, int64_t entry_id, struct queue_result *r);
    /* Claimed again, and what was ordered of it is to be done again, too. held: the
     * settlement itself set it aside. */
    bool (*unsettle)(struct queue_store *s, int64_t entry_id, bool held,
                     struct queue_result *r);
};

extern const struct queue_engine queue_sqlite;

/* --- shared by engines --- */

/* Writes a reason, cut to fit, and false into *r; returns false. */
bool queue_result_fail(struct queue_result *r, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Makes directory/bodies with its 256 folders, synced. */
bool queue_folders_make(const char *directory, struct queue_result *r);
/* An empty message of the given number, without a body. */
struct queue_message *queue_message_empty(uint64_t number, int64_t created_ms);

#endif
