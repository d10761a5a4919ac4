#undef fsync /* a build of test_queue_power renames it in what is tested */
#include "test/unit/disk_shim.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.h"
#include "test/unit/disk_platters.h"

enum { FDS = 4096 };

static struct {
    pthread_mutex_t lock;
    atomic_bool active;
    char root[PATH_MAX];
    unsigned calls, failures, counted;
    struct node *fds[FDS];
    unsigned cut_at, cut_seed;
    enum disk_loss loss;
    disk_counts counts;
    void (*each)(const char *path);
    unsigned fail_first, fail_last;
    enum disk_fault fault;
    bool was_short;
    uint64_t room, used; /* octets in files; known when there is a limit */
} disk = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* This thread has switched the power off; it holds the lock, all others wait for ever. */
static _Thread_local bool over;

/* --- paths --- */

static bool below_root(const char *path)
{
    size_t n = strlen(disk.root);
    return strncmp(path, disk.root, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

/* The absolute path of a call's arguments; false when it is none of our business. */
static bool path_of(int at, const char *path, char out[PATH_MAX])
{
    char link[64];
    if (path[0] == '/') {
        check(snprintf(out, PATH_MAX, "%s", path) < PATH_MAX);
        return below_root(out);
    }
    if (at == AT_FDCWD) {
        return false; /* everything watched is used by absolute paths */
    }
    snprintf(link, sizeof link, "/proc/self/fd/%d", at);
    ssize_t n = readlink(link, out, PATH_MAX - 1);
    if (n < 0) {
        return false;
    }
    out[n] = '\0';
    if (!below_root(out)) {
        return false;
    }
    check((size_t)snprintf(out + n, (size_t)(PATH_MAX - n), "/%s", path) <
          (size_t)(PATH_MAX - n));
    return true;
}

static bool is_memory(const char *path)
{
    size_t n = strlen(path);
    return n > 4 && strcmp(path + n - 4, "-shm") == 0;
}

/* --- every call --- */

static _Noreturn void power_off(void)
{
    over = true;
    platters_lose(disk.loss, disk.cut_seed);
    _exit(DISK_CUT_STATUS);
}

enum call { CALL_WRITE, CALL_SYNC, CALL_CREATE, CALL_OTHER };

static uint64_t room_left(void)
{
    return disk.used < disk.room ? disk.room - disk.used : 0;
}

/* 0: the call may be done; else it fails with that. *len becomes less when only a part of
 * a write is to be done. */
static int call_fault(enum call kind, size_t *len)
{
    if (disk.calls < disk.fail_first || disk.calls > disk.fail_last) {
        return 0;
    }
    bool needs_room = kind == CALL_WRITE || kind == CALL_CREATE;
    if (disk.fault == DISK_EIO) {
        return EIO;
    }
    if (disk.fault == DISK_ENOSPC || kind != CALL_WRITE || disk.was_short) {
        disk.was_short = false;
        return needs_room ? ENOSPC : 0;
    }
    disk.was_short = true;
    *len = (*len + 1) / 2;
    disk.failures++;
    return 0;
}

/* Counts the call; it may be the last one. Returns what it fails with, or 0. */
static int call_begin(enum call kind, const char *path, size_t *len)
{
    disk.calls++;
    if (disk.each != NULL) {
        disk.each(path);
    }
    if (disk.cut_at > 0 && (disk.counts == NULL || disk.counts(path)) &&
        ++disk.counted == disk.cut_at) {
        power_off();
    }
    int error = call_fault(kind, len);
    disk.failures += error != 0;
    return error;
}

static int give_up(int error)
{
    pthread_mutex_unlock(&disk.lock);
    errno = error;
    return -1;
}

/* The name a file had when it was opened, for telling. */
static const char *fd_path(int fd, char out[PATH_MAX])
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, out, PATH_MAX - 1);
    out[n < 0 ? 0 : n] = '\0';
    return out;
}

static bool watching(void)
{
    if (!atomic_load(&disk.active) || over) {
        return false;
    }
    pthread_mutex_lock(&disk.lock);
    return true;
}

static int shim_openat(int at, const char *path, int flags, mode_t mode)
{
    char full[PATH_MAX];
    size_t none = 0;
    if (!watching()) {
        return raw_openat(at, path, flags, mode);
    }
    bool ours = path_of(at, path, full) && !is_memory(full);
    bool create = ours && (flags & O_CREAT) != 0 && !path_there(full);
    int error = create ? call_begin(CALL_CREATE, full, &none) : 0;
    if (error != 0) {
        return give_up(error);
    }
    int fd = raw_openat(at, path, flags, mode);
    error = errno;
    if (create && fd >= 0) {
        name_changed(full, NULL, false);
    }
    if (ours && fd >= 0 && fd < FDS && (flags & O_ACCMODE) != O_RDONLY) {
        disk.fds[fd] = node_of(full, create);
    }
    pthread_mutex_unlock(&disk.lock);
    errno = error;
    return fd;
}

static struct node *node_at(int fd)
{
    return fd >= 0 && fd < FDS ? disk.fds[fd] : NULL;
}

/* at < 0: at the file's own position. */
static ssize_t shim_write(int fd, const void *data, size_t len, off_t at)
{
    char path[PATH_MAX];
    struct node *n = NULL;
    if (watching()) {
        n = node_at(fd);
        if (n == NULL) {
            pthread_mutex_unlock(&disk.lock);
        }
    }
    if (n == NULL) {
        return at < 0 ? syscall(SYS_write, fd, data, len) : raw_pwrite(fd, data, len, at);
    }
    int error = call_begin(CALL_WRITE, fd_path(fd, path), &len);
    off_t from = at < 0 ? lseek(fd, 0, SEEK_CUR) : at;
    size_t end = (size_t)from + len, size = node_size(n);
    size_t more = end > size ? end - size : 0;
    if (error == 0 && disk.room > 0 && more > room_left()) {
        disk.failures++;
        error = ENOSPC;
    }
    if (error != 0) {
        return give_up(error);
    }
    disk.used += more;
    ssize_t done = raw_pwrite(fd, data, len, from);
    check(done == (ssize_t)len);
    node_changed(n, (size_t)from < size ? (size_t)from : size, end);
    if (at < 0) {
        lseek(fd, (off_t)end, SEEK_SET);
    }
    pthread_mutex_unlock(&disk.lock);
    return done;
}

static int shim_truncate(int fd, off_t size)
{
    char path[PATH_MAX];
    size_t none = 0;
    if (!watching()) {
        return raw_truncate(fd, size);
    }
    struct node *n = node_at(fd);
    int error = n == NULL ? 0 : call_begin(CALL_OTHER, fd_path(fd, path), &none);
    if (error != 0) {
        return give_up(error);
    }
    if (n != NULL) {
        size_t before = node_size(n), after = (size_t)size;
        node_changed(n, before < after ? before : after, before > after ? before : after);
        disk.used += after - before;
    }
    int rc = raw_truncate(fd, size);
    pthread_mutex_unlock(&disk.lock);
    return rc;
}

static int shim_sync(int fd)
{
    char path[PATH_MAX];
    struct stat st;
    size_t none = 0;
    if (!watching()) {
        return (int)syscall(SYS_fsync, fd);
    }
    fd_path(fd, path);
    bool folder = fstat(fd, &st) == 0 && S_ISDIR(st.st_mode) && below_root(path);
    struct node *n = node_at(fd);
    int error = n == NULL && !folder ? 0 : call_begin(CALL_SYNC, path, &none);
    if (error != 0) {
        if (n != NULL) {
            node_sync_failed(n);
        }
        return give_up(error);
    }
    if (folder) {
        folder_sync(path);
    } else if (n != NULL) {
        node_sync(n);
    }
    pthread_mutex_unlock(&disk.lock);
    return 0; /* the disk below needs no sync: it is ours that loses its power */
}

static int shim_unlinkat(int at, const char *path, int flags)
{
    char full[PATH_MAX];
    size_t none = 0;
    if (!watching()) {
        return raw_unlinkat(at, path, flags);
    }
    bool ours = path_of(at, path, full) && !is_memory(full) && path_there(full);
    int error = ours ? call_begin(CALL_OTHER, full, &none) : 0;
    if (error != 0) {
        return give_up(error);
    }
    struct node *n = ours ? node_of(full, false) : NULL;
    int rc = raw_unlinkat(at, path, flags);
    error = errno;
    if (ours && rc == 0) {
        name_changed(full, n, false);
        disk.used -= n == NULL ? 0 : node_size(n);
    }
    pthread_mutex_unlock(&disk.lock);
    errno = error;
    return rc;
}

static int shim_mkdirat(int at, const char *path, mode_t mode)
{
    char full[PATH_MAX];
    size_t none = 0;
    if (!watching()) {
        return (int)syscall(SYS_mkdirat, at, path, mode);
    }
    bool ours = path_of(at, path, full) && !path_there(full);
    int error = ours ? call_begin(CALL_CREATE, full, &none) : 0;
    if (error != 0) {
        return give_up(error);
    }
    int rc = (int)syscall(SYS_mkdirat, at, path, mode);
    error = errno;
    if (ours && rc == 0) {
        name_changed(full, NULL, false);
    }
    pthread_mutex_unlock(&disk.lock);
    errno = error;
    return rc;
}

/* A rename reaches the platters as a whole or not at all. */
static int shim_renameat(int at, const char *path, int to_at, const char *to)
{
    char full[PATH_MAX], to_full[PATH_MAX];
    size_t none = 0;
    if (!watching()) {
        return (int)syscall(SYS_renameat2, at, path, to_at, to, 0);
    }
    bool ours = path_of(at, path, full) && path_of(to_at, to, to_full);
    int error = ours ? call_begin(CALL_OTHER, full, &none) : 0;
    if (error != 0) {
        return give_up(error);
    }
    struct node *moved = ours ? node_of(full, false) : NULL;
    struct node *hidden = ours ? node_of(to_full, false) : NULL;
    int rc = (int)syscall(SYS_renameat2, at, path, to_at, to, 0);
    error = errno;
    if (ours && rc == 0) {
        name_changed(full, moved, true);
        name_changed(to_full, hidden, true);
    }
    pthread_mutex_unlock(&disk.lock);
    errno = error;
    return rc;
}

static int shim_statvfs(const char *path, struct statvfs *out)
{
    int fd = raw_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    int rc = fd < 0 ? -1 : fstatvfs(fd, out);
    if (fd >= 0) {
        syscall(SYS_close, fd);
    }
    if (rc == 0 && watching()) {
        if (disk.room > 0) {
            out->f_bavail = out->f_bfree = room_left() / out->f_frsize;
        }
        pthread_mutex_unlock(&disk.lock);
    }
    return rc;
}

/* --- in the place of the C library's --- */

static mode_t mode_argument(int flags, va_list list)
{
    return (flags & O_CREAT) != 0 ? va_arg(list, mode_t) : 0;
}

#define OPEN(name)                                                                       \
    int name(const char *path, int flags, ...)                                           \
    {                                                                                    \
        va_list list;                                                                    \
        va_start(list, flags);                                                           \
        mode_t mode = mode_argument(flags, list);                                        \
        va_end(list);                                                                    \
        return shim_openat(AT_FDCWD, path, flags, mode);                                 \
    }
#define OPENAT(name)                                                                     \
    int name(int at, const char *path, int flags, ...)                                   \
    {                                                                                    \
        va_list list;                                                                    \
        va_start(list, flags);                                                           \
        mode_t mode = mode_argument(flags, list);                                        \
        va_end(list);                                                                    \
        return shim_openat(at, path, flags, mode);                                       \
    }
#undef open
#undef open64
#undef openat
#undef openat64
#undef pwrite64
#undef ftruncate64
int open64(const char *path, int flags, ...);
int openat64(int at, const char *path, int flags, ...);
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

int close(int fd)
{
    if (!watching()) {
        return (int)syscall(SYS_close, fd);
    }
    if (fd >= 0 && fd < FDS) {
        disk.fds[fd] = NULL;
    }
    int rc = (int)syscall(SYS_close, fd);
    pthread_mutex_unlock(&disk.lock);
    return rc;
}

ssize_t write(int fd, const void *data, size_t len)
{
    return shim_write(fd, data, len, -1);
}
ssize_t pwrite(int fd, const void *data, size_t len, off_t at)
{
    return shim_write(fd, data, len, at);
}
ssize_t pwrite64(int fd, const void *data, size_t len, off_t at)
{
    return shim_write(fd, data, len, at);
}
int ftruncate(int fd, off_t size)
{
    return shim_truncate(fd, size);
}
int ftruncate64(int fd, off_t size)
{
    return shim_truncate(fd, size);
}
int fsync(int fd)
{
    return shim_sync(fd);
}
int fdatasync(int fd)
{
    return shim_sync(fd);
}
int unlink(const char *path)
{
    return shim_unlinkat(AT_FDCWD, path, 0);
}
int unlinkat(int at, const char *path, int flags)
{
    return shim_unlinkat(at, path, flags);
}
int mkdir(const char *path, mode_t mode)
{
    return shim_mkdirat(AT_FDCWD, path, mode);
}
int mkdirat(int at, const char *path, mode_t mode)
{
    return shim_mkdirat(at, path, mode);
}
int rename(const char *path, const char *to)
{
    return shim_renameat(AT_FDCWD, path, AT_FDCWD, to);
}
int renameat(int at, const char *path, int to_at, const char *to)
{
    return shim_renameat(at, path, to_at, to);
}
int statvfs(const char *path, struct statvfs *out)
{
    return shim_statvfs(path, out);
}

/* --- what the test says --- */

void disk_watch(const char *root)
{
    check(!atomic_load(&disk.active));
    snprintf(disk.root, sizeof disk.root, "%s", root);
    atomic_store(&disk.active, true);
}

unsigned disk_calls(void)
{
    pthread_mutex_lock(&disk.lock);
    unsigned calls = disk.calls;
    pthread_mutex_unlock(&disk.lock);
    return calls;
}

void disk_each(void (*each)(const char *path))
{
    pthread_mutex_lock(&disk.lock);
    disk.each = each;
    pthread_mutex_unlock(&disk.lock);
}

void disk_cut_at(unsigned call, disk_counts counts, enum disk_loss loss, unsigned seed)
{
    pthread_mutex_lock(&disk.lock);
    disk.cut_at = call;
    disk.loss = loss;
    disk.cut_seed = seed;
    disk.counts = counts;
    disk.counted = 0;
    pthread_mutex_unlock(&disk.lock);
}

void disk_cut(enum disk_loss loss, unsigned seed)
{
    pthread_mutex_lock(&disk.lock);
    disk.loss = loss;
    disk.cut_seed = seed;
    power_off();
}

void disk_fail(unsigned first, unsigned last, enum disk_fault fault)
{
    pthread_mutex_lock(&disk.lock);
    disk.fail_first = first;
    disk.fail_last = last;
    disk.fault = fault;
    disk.was_short = false;
    pthread_mutex_unlock(&disk.lock);
}

unsigned disk_failures(void)
{
    pthread_mutex_lock(&disk.lock);
    unsigned failures = disk.failures;
    pthread_mutex_unlock(&disk.lock);
    return failures;
}

static int add_size(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)ftw;
    disk.used += type == FTW_F && !is_memory(path) ? (uint64_t)st->st_size : 0;
    return 0;
}

void disk_room(uint64_t octets)
{
    pthread_mutex_lock(&disk.lock);
    disk.room = octets;
    disk.used = 0;
    check(nftw(disk.root, add_size, 16, FTW_PHYS) == 0);
    pthread_mutex_unlock(&disk.lock);
}
