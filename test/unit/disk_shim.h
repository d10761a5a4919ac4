/* disk_shim: a disk that loses its power, fails or is full when the test wants it. Takes
 * the place of the C library's calls that write, create, remove, rename and sync, for the
 * whole process: for our code, for libuv's threads and for SQLite's own VFS alike. Below
 * a watched folder it knows what would be on the platters: the content of a file as of
 * its last sync, the names of a folder as of that folder's last sync.
 *
 * Only calls that change something, and syncs, count. SQLite's -shm file is left out: it
 * is memory, made anew by whoever opens the database first. */
#ifndef TEST_UNIT_DISK_SHIM_H
#define TEST_UNIT_DISK_SHIM_H

#include <stdbool.h>
#include <stdint.h>

/* From now on what happens below root (an absolute path without links) is noted; what is
 * there already counts as synced. Once in a process. */
void disk_watch(const char *root);
/* How many calls there were. */
unsigned disk_calls(void);
/* Called before each, with its path, under a lock: it must not touch files. */
void disk_each(void (*each)(const char *path));

/* --- loss of power --- */

enum disk_loss {
    DISK_LOSE_ALL,  /* nothing that was not synced is there */
    DISK_LOSE_PARTS /* of what was not synced some sectors and names are there */
};
/* At the call'th (from 1) of the calls on paths that `counts` says yes to (NULL: all),
 * instead of it, the folder becomes what is left after the power went, and the process
 * ends. */
typedef bool (*disk_counts)(const char *path);
void disk_cut_at(unsigned call, disk_counts counts, enum disk_loss loss, unsigned seed);
/* The same at once. */
_Noreturn void disk_cut(enum disk_loss loss, unsigned seed);
/* The status it ends with then. */
enum { DISK_CUT_STATUS = 77 };

/* --- failures --- */

enum disk_fault {
    DISK_EIO,    /* the call fails; a sync has lost what it was to write, for good: the
                    next one succeeds and proves nothing, as with a real kernel */
    DISK_ENOSPC, /* what needs room fails; syncs and removals do not */
    DISK_SHORT   /* a write takes half of it, the next one fails with ENOSPC */
};
/* The calls first..last fail so, or those of them that can. */
void disk_fail(unsigned first, unsigned last, enum disk_fault fault);
/* How many did. */
unsigned disk_failures(void);

/* The folder has room for so many octets in files, and statvfs() says so; 0: no limit. */
void disk_room(uint64_t octets);

#endif
