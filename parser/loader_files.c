/* loader_files: configuration files from the file system. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/vec.h"
#include "parser/parse.h"

static bool failed(struct arena *a, int error, str *reason)
{
    char text[128];
    if (error == EFBIG) {
        *reason = arena_printf(a, "it is larger than %u MiB", LOADER_BYTES_MAX >> 20);
        return false;
    }
    *reason = str_from(arena_strdup(a, strerror_r(error, text, sizeof text)));
    return false;
}

/* Opens a regular file; -1 with an error. */
static int open_regular(struct arena *a, str path, size_t *size, int *error)
{
    struct stat st;
    /* Not to wait for the other end of a FIFO. */
    int fd = open(arena_str(a, path).ptr, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    *error = fd < 0 || fstat(fd, &st) != 0 ? errno
             : S_ISDIR(st.st_mode)         ? EISDIR
             : !S_ISREG(st.st_mode)        ? ENOTSUP /* a device, a FIFO, a socket */
                                           : 0;
    if (*error != 0 && fd >= 0) {
        close(fd);
        fd = -1;
    }
    *size = *error == 0 ? (size_t)st.st_size : 0;
    return fd;
}

/* Up to max bytes; the number read, or -1. */
static ssize_t read_up_to(int fd, char *to, size_t max)
{
    size_t have = 0;
    while (have < max) {
        ssize_t n = read(fd, to + have, max - have);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n < 0 ? -1 : (ssize_t)have;
        }
        have += (size_t)n;
    }
    return (ssize_t)have;
}

/* Reads size bytes and looks whether there are more: a file may grow, and some of the
 * system's tell no size. */
static bool read_sized(int fd, struct arena *a, size_t size, str *text, bool *more,
                       int *error)
{
    char *data = arena_bytes(a, size + 1), next;
    ssize_t n = read_up_to(fd, data, size);
    ssize_t beyond = n == (ssize_t)size ? read_up_to(fd, &next, 1) : 0;
    *error = n < 0 || beyond < 0 ? errno : 0;
    *more = beyond > 0;
    data[n > 0 ? n : 0] = '\0';
    *text = str_n(data, n > 0 ? (size_t)n : 0);
    return *error == 0;
}

static bool read_all(int fd, struct arena *a, size_t size, str *text, int *error)
{
    enum { GROW = 64 << 10 };
    bool more;
    for (;;) {
        struct arena_mark mark = arena_mark(a);
        if (size > LOADER_BYTES_MAX) {
            *error = EFBIG;
            return false;
        }
        if (!read_sized(fd, a, size, text, &more, error) || !more) {
            return *error == 0;
        }
        arena_reset(a, mark);
        size = size * 2 + GROW;
        if (lseek(fd, 0, SEEK_SET) != 0) {
            *error = errno;
            return false;
        }
    }
}

static bool files_read(const struct loader *l, struct arena *a, str path, str *text,
                       str *reason)
{
    (void)l;
    size_t size;
    int error, fd = open_regular(a, path, &size, &error);
    if (fd >= 0) {
        read_all(fd, a, size, text, &error);
        close(fd);
    }
    return error == 0 || failed(a, error, reason);
}

static bool files_read_start(const struct loader *l, struct arena *a, str path,
                             size_t max, str *text, str *reason)
{
    (void)l;
    size_t size;
    bool more;
    int error, fd = open_regular(a, path, &size, &error);
    if (fd >= 0) {
        read_sized(fd, a, size < max ? size : max, text, &more, &error);
        close(fd);
    }
    return error == 0 || failed(a, error, reason);
}

static enum loader_kind files_kind(const struct loader *l, str path)
{
    (void)l;
    struct stat st;
    struct arena *a = arena_new();
    int result = stat(arena_str(a, path).ptr, &st);
    bool missing = result != 0 && (errno == ENOENT || errno == ENOTDIR);
    arena_free(&a);
    if (missing) {
        return LOADER_NOTHING;
    }
    return result == 0 && S_ISDIR(st.st_mode) ? LOADER_FOLDER : LOADER_FILE;
}

/* Clocks of file systems advance in steps: of a few milliseconds, or of a second or two
 * where they have no fractions. A second change within one step has the same time. */
static bool is_young(int64_t mtime_ns)
{
    enum { SECOND = 1000000000, FINE_STEP = 20 * 1000000 };
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    int64_t now_ns = (int64_t)t.tv_sec * SECOND + t.tv_nsec;
    int64_t step = mtime_ns % SECOND == 0 ? 2 * (int64_t)SECOND : FINE_STEP;
    return mtime_ns + step >= now_ns;
}

static bool files_stamp(const struct loader *l, str path, struct loader_stamp *out)
{
    (void)l;
    struct stat st;
    struct arena *a = arena_new();
    int result = stat(arena_str(a, path).ptr, &st);
    arena_free(&a);
    if (result != 0 || !S_ISREG(st.st_mode)) {
        return false;
    }
    *out = (struct loader_stamp){
        .size = (uint64_t)st.st_size,
        .mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec,
        .owner = st.st_uid,
        .group = st.st_gid,
        .mode = st.st_mode & 07777,
    };
    out->young = is_young(out->mtime_ns);
    return true;
}

static int compare_names(const void *a, const void *b)
{
    const str *left = a, *right = b;
    size_t len = left->len < right->len ? left->len : right->len;
    int order = memcmp(left->ptr, right->ptr, len);
    return order != 0 ? order : (left->len > right->len) - (left->len < right->len);
}

static bool files_list(const struct loader *l, struct arena *a, str folder, str ending,
                       str **names, size_t *count)
{
    (void)l;
    VEC(str) found = {0};
    const struct dirent *entry;
    DIR *d = opendir(arena_str(a, folder).ptr);
    if (d == NULL) {
        return false;
    }
    while ((entry = readdir(d)) != NULL && found.n <= LOADER_NAMES_MAX) {
        str name = str_from(entry->d_name);
        if (name.len > ending.len &&
            str_eq(str_from_pos(name, name.len - ending.len), ending)) {
            *vec_add(a, &found) = arena_str(a, name);
        }
    }
    closedir(d);
    if (found.n > 0) {
        qsort(found.at, found.n, sizeof *found.at, compare_names);
    }
    *names = found.at;
    *count = found.n;
    return found.n <= LOADER_NAMES_MAX;
}

const struct loader loader_files = {
    .read = files_read,
    .kind = files_kind,
    .stamp = files_stamp,
    .read_start = files_read_start,
    .list = files_list,
};
