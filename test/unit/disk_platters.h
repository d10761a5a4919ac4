/* disk_platters: what disk_shim.c knows of a disk below its write cache: the content of
 * each file as of its last sync, the names of each folder as of that folder's last sync.
 * Under the shim's lock. */
#ifndef TEST_UNIT_DISK_PLATTERS_H
#define TEST_UNIT_DISK_PLATTERS_H

#include <stddef.h>
#include <sys/types.h>

#include "test/unit/disk_shim.h"

/* The kernel's own calls. */
int raw_openat(int at, const char *path, int flags, mode_t mode);
ssize_t raw_pread(int fd, void *into, size_t n, off_t at);
ssize_t raw_pwrite(int fd, const void *data, size_t n, off_t at);
int raw_truncate(int fd, off_t size);
int raw_unlinkat(int at, const char *path, int flags);
bool path_there(const char *path);

/* One file, by inode. */
struct node;
/* The file at a path that exists, or NULL when it is no plain file. A file that was not
 * known yet is on the platters as it is, but for a new one. */
struct node *node_of(const char *path, bool is_new);
size_t node_size(const struct node *n);
/* These octets are not on the platters any more as they are. */
void node_changed(struct node *n, size_t from, size_t to);
void node_sync(struct node *n);
/* What was to be written is lost, although a later sync succeeds. */
void node_sync_failed(struct node *n);

/* A name is not on the platters as it is; it led to `before` (NULL: nothing). `whole`: it
 * never survives, for half a rename would. */
void name_changed(const char *path, struct node *before, bool whole);
void folder_sync(const char *folder);

/* The power goes: files and folders become what is on the platters. */
void platters_lose(enum disk_loss loss, unsigned seed);

#endif
