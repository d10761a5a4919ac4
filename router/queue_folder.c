/* queue_folder: the queue's folder, the lock that keeps a second daemon out, and the
 * folders of the large bodies. Works by descriptors, never by path twice: locking may
 * run as root, in a folder that belongs to somebody else. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <uv.h>

#include "router/folder_sync.h"
#include "router/queue_store.h"

enum { LOCK_WAIT_MS = 2000, LOCK_LOOK_MS = 20 };

static int lock_fail(char *reason, size_t size, const char *what, const char *directory)
{
    snprintf(reason, size, "%s %s: %s", what, directory, strerror(errno));
    return -1;
}

static bool owner_given(unsigned uid)
{
    return (uid_t)uid != (uid_t)-1;
}

/* Others who may write here could exchange the store under us. */
static bool folder_safe(int fd, unsigned uid, const char *directory, char *reason,
                        size_t size)
{
    struct stat st;
    uid_t owner = owner_given(uid) ? (uid_t)uid : geteuid();
    if (fstat(fd, &st) != 0) {
        lock_fail(reason, size, "cannot look at", directory);
        return false;
    }
    if (st.st_uid != owner) {
        snprintf(reason, size, "queue directory %s belongs to user %u, not to user %u",
                 directory, (unsigned)st.st_uid, (unsigned)owner);
        return false;
    }
    if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        snprintf(reason, size,
                 "queue directory %s can be written by others (mode %03o): "
                 "chmod 0700 it",
                 directory, (unsigned)(st.st_mode & 0777));
        return false;
    }
    return true;
}

/* Opens the folder, making it when it is missing; only a new one gets the owner. */
static int folder_open(const char *directory, unsigned uid, unsigned gid, char *reason,
                       size_t size)
{
    bool made = mkdir(directory, 0700) == 0;
    if (!made && errno != EEXIST) {
        return lock_fail(reason, size, "cannot make queue directory", directory);
    }
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return lock_fail(reason, size, "cannot open queue directory", directory);
    }
    if (made && (fchmod(fd, 0700) != 0 ||
                 (owner_given(uid) && fchown(fd, (uid_t)uid, (gid_t)gid) != 0))) {
        lock_fail(reason, size, "cannot set the owner of queue directory", directory);
        close(fd);
        return -1;
    }
    if (!folder_safe(fd, uid, directory, reason, size)) {
        close(fd);
        return -1;
    }
    /* The folder's own name must be on the disk before anything in it counts. Always, not
     * only when the folder is new: who made it may have died before this. */
    if (!folder_names_sync(fd, made)) {
        lock_fail(reason, size, "cannot sync the folder of queue directory", directory);
        close(fd);
        return -1;
    }
    return fd;
}

static int file_open(int folder, unsigned uid, unsigned gid)
{
    int flags = O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
    int fd = openat(folder, "lock", flags | O_CREAT | O_EXCL, 0600);
    if (fd >= 0) {
        if (owner_given(uid) && fchown(fd, (uid_t)uid, (gid_t)gid) != 0) {
            close(fd);
            return -1;
        }
        return fd;
    }
    return errno == EEXIST ? openat(folder, "lock", flags) : -1;
}

/* A link to a foreign file would have our process id written into it. */
static bool file_plain(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1;
}

static void tell_holder(int fd, const char *directory, char *reason, size_t size)
{
    char text[32];
    uint64_t pid;
    ssize_t n = pread(fd, text, sizeof text, 0);
    if (n > 0 && str_u64(str_trim(str_n(text, (size_t)n)), INT32_MAX, &pid)) {
        snprintf(reason, size,
                 "queue directory %s is in use by process %u (lock file %s/lock)",
                 directory, (unsigned)pid, directory);
    } else {
        snprintf(reason, size,
                 "queue directory %s is in use by another process (lock file %s/lock)",
                 directory, directory);
    }
}

/* Who works on the queue by hand has the lock for a moment; so does a daemon that ends.
 */
static bool lock_take(int fd)
{
    unsigned left = LOCK_WAIT_MS / LOCK_LOOK_MS;
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if ((errno != EWOULDBLOCK && errno != EINTR) || left-- == 0) {
            return false;
        }
        uv_sleep(LOCK_LOOK_MS);
    }
    return true;
}

static bool file_lock(int fd, const char *directory, char *reason, size_t size)
{
    char text[32];
    if (!lock_take(fd)) {
        if (errno == EWOULDBLOCK) {
            tell_holder(fd, directory, reason, size);
        } else {
            lock_fail(reason, size, "cannot lock", directory);
        }
        return false;
    }
    /* Always the same length and no truncation: on a full disk a folder that was used
     * before needs no new block, so that the daemon can start and make room. */
    int len = snprintf(text, sizeof text, "%-20ld\n", (long)getpid());
    if (pwrite(fd, text, (size_t)len, 0) != len) {
        lock_fail(reason, size, "cannot write the lock file in", directory);
        return false;
    }
    return true;
}

int queue_lock(const char *directory, unsigned uid, unsigned gid, char *reason,
               size_t reason_size)
{
    int folder = folder_open(directory, uid, gid, reason, reason_size);
    if (folder < 0) {
        return -1;
    }
    int fd = file_open(folder, uid, gid);
    if (fd < 0) {
        lock_fail(reason, reason_size, "cannot open the lock file in", directory);
    } else if (!file_plain(fd)) {
        snprintf(reason, reason_size, "%s/lock is not a plain file", directory);
        close(fd);
        fd = -1;
    } else if (!file_lock(fd, directory, reason, reason_size)) {
        close(fd);
        fd = -1;
    }
    close(folder);
    return fd;
}

/* --- the folders of large bodies --- */

static bool sub_make(int at, const char *name, struct queue_result *r)
{
    if (mkdirat(at, name, 0700) != 0 && errno != EEXIST) {
        return queue_result_fail(r, "cannot make folder %s: %s", name, strerror(errno));
    }
    return true;
}

static int sub_open(int at, const char *name, struct queue_result *r)
{
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        queue_result_fail(r, "cannot open folder %s: %s", name, strerror(errno));
    }
    return fd;
}

static bool folder_sync(int fd, struct queue_result *r)
{
    return fsync(fd) == 0 ||
           queue_result_fail(r, "cannot sync a folder: %s", strerror(errno));
}

/* Makes the folders of all body files now, so that a body only has to sync its file
 * and the folder it lies in. */
bool queue_folders_make(const char *directory, struct queue_result *r)
{
    int top = sub_open(AT_FDCWD, directory, r);
    bool good = top >= 0 && sub_make(top, "bodies", r);
    int bodies = good ? sub_open(top, "bodies", r) : -1;
    good = bodies >= 0;
    for (unsigned i = 0; good && i < 256; i++) {
        char name[12];
        snprintf(name, sizeof name, "%02x", i);
        good = sub_make(bodies, name, r);
    }
    good = good && folder_sync(bodies, r) && folder_sync(top, r);
    if (bodies >= 0) {
        close(bodies);
    }
    if (top >= 0) {
        close(top);
    }
    return good;
}
