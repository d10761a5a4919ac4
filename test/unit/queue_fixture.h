/* queue_fixture: a queue in a temporary folder with workers whose loops the test turns,
 * and a file system that fails on demand. */
#ifndef TEST_UNIT_QUEUE_FIXTURE_H
#define TEST_UNIT_QUEUE_FIXTURE_H

#include <stdatomic.h>

#include "router/queue.h"
#include "router/worker.h"

enum { FIXTURE_WORKERS = 4 };

/* What the database's files do; set by the test, read by the store thread. */
struct faults {
    atomic_int write_error; /* SQLite code for every write, 0: none */
    atomic_int sync_error;  /* for every sync */
    atomic_int open_error;  /* for every open */
    atomic_int failures;    /* how often something failed */
};

struct fixture {
    char directory[64];
    int log_fd; /* of an unlinked file */
    struct log *log;
    struct daemon daemon;
    struct clock clock;
    struct worker workers[FIXTURE_WORKERS];
    struct worker *w;      /* the first */
    struct faults *faults; /* static: a VFS lives as long as the program */
    char reason[300];
};

/* A new folder and an open queue. */
void fixture_start(struct fixture *f);
/* Closes everything and removes the folder. */
void fixture_end(struct fixture *f);
/* Removes a folder with all that is in it. */
void fixture_remove(const char *directory);
/* The queue alone; true when it opened, else f->reason. */
bool fixture_open(struct fixture *f);
void fixture_close(struct fixture *f);
/* Turns w's loop until *done is true. */
void fixture_wait(struct worker *w, const bool *done);
/* Everything logged so far contains this text. */
bool fixture_logged(struct fixture *f, const char *text);
/* The same within 5 s: the store thread logs after it has answered. */
bool fixture_will_log(struct fixture *f, const char *text);
/* Path of a file in the queue's folder, in a buffer of the caller. */
const char *fixture_path(const struct fixture *f, const char *name, char out[256]);
/* Runs SQL on the store over a connection of its own; the first column of the first
 * row of its last statement, or -1. */
int64_t fixture_sql(struct fixture *f, const char *sql);

/* A message with a body of `size` octets made from its number and `entries` entries of
 * two recipients each, to channel "tcp_<i>" and host "host<i>.test". */
struct queue_message *fixture_message(struct fixture *f, size_t size, unsigned entries);
/* The same without a body. */
struct queue_message *fixture_envelope(struct fixture *f, unsigned entries);
/* The octet at position i of such a body. */
char fixture_octet(uint64_t number, size_t i);
/* Gives m `count` headers, made from its number, for its entries to point at. */
void fixture_headers(struct queue_message *m, unsigned count);
/* The header of the first entry is what fixture_headers() made. */
bool fixture_header_good(const struct queue_message *m);
/* The body is what fixture_message() made. */
bool fixture_body_good(const struct queue_message *m, size_t size);

/* Requests that wait for their answer. */
struct queue_result fixture_commit(struct fixture *f, struct queue_message *m);
struct queue_result fixture_settle(struct fixture *f, const struct queue_settlement *s);
struct claimed {
    struct queue_message *messages[1000];
    unsigned count;
    int64_t next_due_ms;
    struct queue_result result;
    bool done;
};
void fixture_claim_beside(struct fixture *f, unsigned limit, int64_t now_ms,
                          const struct queue_lane *lanes, unsigned lane_count,
                          struct claimed *out);
void fixture_claim(struct fixture *f, unsigned limit, int64_t now_ms,
                   struct claimed *out);
void claimed_free(struct claimed *c);
/* One step of an order, which must go well. */
struct queue_step fixture_order(struct fixture *f, const struct queue_order *o,
                                struct queue_cursor at);
struct queue_result fixture_count(struct fixture *f, struct queue_counts *out);

#endif
