/* queue_load: a process that commits, defers, claims and settles messages and tells
 * another one, over a pipe, what the queue has answered; and the proof that a queue holds
 * what was told. For tests in which the first process, or its disk, dies. */
#ifndef TEST_UNIT_QUEUE_LOAD_H
#define TEST_UNIT_QUEUE_LOAD_H

#include "test/unit/queue_fixture.h"

enum load_kind {
    LOAD_STORED,   /* the commit was answered: ok */
    LOAD_KEEPING,  /* asked to keep one of two recipients */
    LOAD_KEPT,     /* and answered */
    LOAD_SETTLING, /* asked to remove it */
    LOAD_SETTLED,
    LOAD_REFUSED, /* the commit was answered: not ok */
    LOAD_NOTE     /* what the caller wants */
};
struct load_record {
    uint64_t number; /* of the message */
    enum load_kind kind;
};
enum { LOAD_RECORDS_MAX = 20000 };

/* Writes one record to a pipe. */
void load_tell(int to, uint64_t number, enum load_kind kind);
/* Reads all of them until the other end is closed; returns how many. */
size_t load_read(int from, struct load_record *records);

/* With f's open queue: several messages at a time, small ones and large ones, until so
 * many were begun (0: for ever) and all answers are there. */
void load_run(struct fixture *f, int to, unsigned messages);

/* Opens f's queue, takes everything out and closes it; the queue is empty then. False,
 * with a line to standard error, unless it holds all messages that were stored and not
 * settled, with the right recipients, bodies and headers, and none that was settled, and
 * its numbers were never used. */
bool load_verify(struct fixture *f, const struct load_record *records, size_t count);

#endif
