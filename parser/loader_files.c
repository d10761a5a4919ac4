/* loader_files: configuration files from the file system. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
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

/* Reads to the end, also when the size told by fstat() was wrong. */
static bool read_all(int fd, struct buf *out, int *error)
{
    for (;;) {
        char *room = buf_reserve(out, 65536);
        if (room == NULL) {
            *error = EFBIG;
            return false;
        }
        ssize_t n = read(fd, room, 65536);
        if (n < 0 && errno != EINTR) {
            *error = errno;
            return false;
        }
        if (n == 0) {
            return true;
        }
        out->len += n > 0 ? (size_t)n : 0;
    }
}

static bool files_read(const struct loader *l, struct arena *a, str path, str *text,
                       str *reason)
{
    (void)l;
    struct stat st;
    /* Not to wait for the other end of a FIFO. */
    int fd = open(arena_str(a, path).ptr, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return failed(a, errno, reason);
    }
    int error = 0;
    struct buf contents;
    buf_init(&contents, LOADER_BYTES_MAX + 65536);
    if (fstat(fd, &st) != 0) {
        error = errno;
    } else if (S_ISDIR(st.st_mode)) {
        error = EISDIR;
    } else if (!S_ISREG(st.st_mode)) {
        error = ENOTSUP; /* a device, a FIFO, a socket */
    } else if (st.st_size > LOADER_BYTES_MAX ||
               (read_all(fd, &contents, &error) && contents.len > LOADER_BYTES_MAX)) {
        error = EFBIG;
    }
    close(fd);
    if (error == 0) {
        *text = arena_str(a, buf_slice(&contents));
    }
    buf_free(&contents);
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

const struct loader loader_files = {.read = files_read, .kind = files_kind};
