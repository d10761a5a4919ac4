/* queue_sqlite_inspect: what the offline tool reads of a queue, also while a daemon works
 * with it: in short read transactions, changing nothing. Blocking. All functions return
 * false with a reason when the queue cannot be read. */
#ifndef ROUTER_QUEUE_SQLITE_INSPECT_H
#define ROUTER_QUEUE_SQLITE_INSPECT_H

#include "router/queue_sqlite.h"

/* --- all of it, for counting (queue_sqlite_walk.c) --- */

/* An entry without its recipients. The texts live for the call. */
struct queue_row {
    uint64_t number;
    unsigned position;
    enum queue_state state;
    enum queue_ordered ordered;
    unsigned attempts;
    int64_t next_try_ms;
    str channel, host;
    str reason; /* ptr NULL: nothing is known */
    int64_t created_ms, size;
    str sender; /* as received; empty: null sender */
};
typedef void (*queue_row_fn)(const struct queue_row *row, void *arg);
/* Calls fn for each entry, the oldest message first. No body is read. */
bool queue_walk(const char *directory, queue_row_fn fn, void *arg, char *reason,
                size_t reason_size);

/* Calls fn for each channel that an operator has stopped, in alphabetical order. */
typedef void (*queue_stopped_fn)(str channel, int64_t since_ms, void *arg);
bool queue_stopped_since(const char *directory, queue_stopped_fn fn, void *arg,
                         char *reason, size_t reason_size);

/* --- one message (queue_sqlite_story.c) --- */

struct queue_story_attempt {
    unsigned position, attempt; /* of which entry; counted from 1 */
    int64_t at_ms;
    str channel, host, peer, tls, outcome; /* see struct queue_attempt */
    unsigned delivered, deferred, failed;
};
struct queue_story_entry {
    struct queue_seen seen; /* with its own texts; the message's fields are filled, too */
    str sender;             /* as it leaves; ptr NULL: the message's */
    str returns;            /* who is told of failures; ptr NULL: the message's sender */
    bool own_header;        /* the channel wants another than the one received */
    unsigned notices;       /* warnings sent */
    const struct queue_recipient *recipients;
    unsigned recipient_count;
};
struct queue_story {
    uint64_t number;
    char id[QUEUE_ID_MAX];
    bool found; /* else the rest is empty */
    int64_t created_ms, size;
    str sender, source_channel;
    str body_file; /* ptr NULL: the body is in the store */
    bool eight_bit;
    enum queue_ret ret;
    str envid; /* ptr NULL: not given */
    const struct queue_story_entry *entries;
    size_t entry_count;
    const struct queue_story_attempt
        *attempts; /* by entry; also of those that are gone */
    size_t attempt_count;
};
/* All memory is from a. */
bool queue_story_read(const char *directory, uint64_t number, struct arena *a,
                      struct queue_story *out, char *reason, size_t reason_size);

/* --- what it says (queue_sqlite_copy.c) --- */

/* The message as it would leave, with the header of the entry at that position, or of
 * its first one (-1), in pieces. write returns false to end it. The reason says when
 * there is no such message or entry, or its body is lost. */
typedef bool (*queue_write_fn)(const void *data, size_t size, void *arg);
bool queue_copy(const char *directory, uint64_t number, int64_t position,
                queue_write_fn write, void *arg, char *reason, size_t reason_size);

#endif
