/* folder_sync: see folder_sync.h. */
#include "router/folder_sync.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* O_PATH: whoever may not read a folder may still pass it. */
static int parent_open(int fd)
{
    return openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* EINVAL, EROFS: there is nothing to sync on such a file system. */
static bool one_sync(int folder, bool must)
{
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return !must && errno == EACCES;
    }
    bool good = fsync(fd) == 0 || errno == EINVAL || errno == EROFS;
    int error = errno;
    close(fd);
    errno = error;
    return good;
}

static bool is_same(int a, int b)
{
    struct stat x, y;
    return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev &&
           x.st_ino == y.st_ino;
}

bool folder_names_sync(int fd, bool made)
{
    int at = parent_open(fd);
    bool good = at >= 0 && one_sync(at, made);
    bool top = !good || is_same(at, fd);
    while (good && !top) {
        int above = parent_open(at);
        top = above < 0 || is_same(above, at); /* EACCES: nothing more can be seen */
        good = top || one_sync(above, false);
        close(at);
        at = above;
    }
    int error = errno;
    if (at >= 0) {
        close(at);
    }
    errno = error;
    return good;
}
