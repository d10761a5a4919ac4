/* disk_lab: queues on a disk that a test lets die (disk_shim.h), each worked and verified
 * by processes of their own: the test's own process has no threads and touches nothing.
 */
#ifndef TEST_UNIT_DISK_LAB_H
#define TEST_UNIT_DISK_LAB_H

#include "test/unit/disk_shim.h"
#include "test/unit/queue_load.h"

struct lab {
    struct fixture f; /* closed; in the children its queue lies in the disk's folder */
    char home[64];    /* the fixture's own folder */
    char root[40];    /* the disk */
};

/* A disk without a queue; in memory where that is possible, for its own syncs are never
 * done. */
void lab_start(struct lab *l);
void lab_end(struct lab *l);
/* The disk is empty again. */
void lab_fresh(struct lab *l);

/* Runs `work` in a child whose disk is watched; it must end by disk_cut() or be cut.
 * Returns how many records it wrote to `to`. */
typedef void (*lab_work)(struct fixture *f, int to, const void *arg);
size_t lab_run(struct lab *l, lab_work work, const void *arg,
               struct load_record *records);
/* load_verify() in a child. */
bool lab_verify(struct lab *l, const struct load_record *records, size_t count);

#endif
