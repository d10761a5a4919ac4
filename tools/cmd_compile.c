/* compile: the configuration into an image, which the daemon and the tool load instead of
 * the sources as long as those have not changed. The image is written beside its place
 * and renamed: nobody ever sees half of one. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tables/image.h"
#include "tools/configuration.h"
#include "tools/messages.h"

static double seconds_since(const struct timespec *start)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - start->tv_sec) +
           (double)(now.tv_nsec - start->tv_nsec) / 1e9;
}

/* A word on a terminal while it takes its time; the next one overwrites it. */
static void progress(const char *what)
{
    if (isatty(STDERR_FILENO)) {
        fprintf(stderr, "\r\033[K%s", what);
        fflush(stderr);
    }
}

static bool complain(const char *what, const char *path)
{
    int error = errno;

    progress("");
    fprintf(stderr, "pointsman: %s %s: %s\n", what, path, strerror(error));
    return false;
}

static bool write_whole(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, data, size);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return false;
        }
        data += n;
        size -= (size_t)n;
    }
    return true;
}

static bool write_pieces(int fd, const struct image_pieces *pieces)
{
    for (size_t i = 0; i < pieces->count; i++) {
        if (!write_whole(fd, pieces->at[i].data, pieces->at[i].size)) {
            return false;
        }
    }
    return fsync(fd) == 0;
}

/* Who may read all of the sources may read the image, and nobody else; and who may write
 * all of them may write it. Where they belong to several groups none has a right to it.
 */
static bool set_mode(int fd, const struct snapshot *s)
{
    mode_t mode = 0664;
    gid_t group = 0;
    struct stat st;

    for (uint32_t i = 1; i <= sources_count(s->sources); i++) {
        if (stat(sources_get(s->sources, i)->path.ptr, &st) != 0) {
            return false;
        }
        mode &= i > 1 && st.st_gid != group ? st.st_mode & ~(mode_t)070 : st.st_mode;
        group = st.st_gid;
    }
    if (fchown(fd, (uid_t)-1, group) != 0) {
        mode &= ~(mode_t)070; /* somebody who is not in the group */
    }
    return fchmod(fd, mode | 0600) == 0;
}

static bool sync_folder(struct arena *a, str path)
{
    ptrdiff_t slash = str_rfind(path, '/');
    str folder = slash < 0 ? STR(".") : arena_str(a, str_sub(path, 0, (size_t)slash + 1));
    int fd = open(folder.ptr, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool good = fd >= 0 && fsync(fd) == 0;

    if (fd >= 0) {
        close(fd);
    }
    return good;
}

/* Writes to a new file in the same folder and puts it in the place of the old one. */
static bool replace_file(struct arena *a, const struct snapshot *s, str path,
                         const struct image_pieces *pieces)
{
    str fresh = arena_printf(a, "%.*s.XXXXXX", STR_ARG(path));
    int fd = mkstemp((char *)fresh.ptr);

    if (fd < 0) {
        return complain("cannot write", fresh.ptr);
    }
    bool good = set_mode(fd, s) && write_pieces(fd, pieces);
    if (!good) {
        complain("cannot write", fresh.ptr);
    }
    if (close(fd) != 0 && good) {
        good = complain("cannot write", fresh.ptr);
    }
    if (good && rename(fresh.ptr, path.ptr) != 0) {
        good = complain("cannot replace", path.ptr);
    }
    if (!good) {
        unlink(fresh.ptr);
        return false;
    }
    return sync_folder(a, path) || complain("cannot sync the folder of", path.ptr);
}

static int write_image(struct configuration *c, const struct invocation *in,
                       const struct timespec *start)
{
    const struct snapshot *s = c->snapshot;
    str path = in->options.output ? str_from(in->options.output)
                                  : image_path(c->arena, s->main_file);
    struct image_pieces pieces;
    str reason;

    progress("making the image");
    if (!image_make(s, &loader_files, c->arena, &pieces, &reason)) {
        progress("");
        fprintf(stderr, "pointsman: no image: %.*s; try again\n", STR_ARG(reason));
        return TOOL_USAGE;
    }
    progress("writing the image");
    if (!replace_file(c->arena, s, path, &pieces)) {
        return TOOL_USAGE;
    }
    progress("");
    printf("%.*s: %u rule%s, %u channel%s, %.1f MiB, %.2f s\n", STR_ARG(path),
           s->rule_count, s->rule_count == 1 ? "" : "s", s->channel_count,
           s->channel_count == 1 ? "" : "s", (double)pieces.size / (1 << 20),
           seconds_since(start));
    if (!str_eq(path, image_path(c->arena, s->main_file))) {
        printf("it is used when it stands at %.*s\n",
               STR_ARG(image_path(c->arena, s->main_file)));
    }
    return TOOL_OK;
}

int cmd_compile(const struct invocation *in)
{
    struct configuration c;
    struct timespec start;
    int code;

    clock_gettime(CLOCK_MONOTONIC, &start);
    progress("reading the configuration");
    configuration_load(&c, in, CONFIGURATION_SOURCES);
    progress("");
    messages_print(c.diags, &(struct messages_request){.colour = tool_colour(stderr)},
                   stderr);
    if (c.snapshot && !diags_failed(c.diags, in->options.strict)) {
        code = write_image(&c, in, &start);
    } else {
        fprintf(stderr,
                "pointsman: %s: no image is made of a configuration with errors\n",
                in->options.config);
        code = c.unreadable ? TOOL_USAGE : TOOL_NO;
    }
    configuration_free(&c);
    return code;
}
