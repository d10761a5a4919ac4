/* print: the configuration in its canonical form, as one text or as files. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "tables/dump.h"
#include "tools/configuration.h"

enum { DUMP_MAX_BYTES = 1 << 30 };

static const str MARK = {"!== ", 4}; /* stands in front of each file's name */

static bool complain(const char *what, const char *path)
{
    fprintf(stderr, "pointsman: cannot %s '%s': %s\n", what, path, strerror(errno));
    return false;
}

/* List files may lie in folders of the configuration. What lies elsewhere is named by its
 * path in any case, and stays where it is. */
static bool elsewhere(str name)
{
    str part;
    bool out = str_starts(name, STR("/"));
    while (!out && str_split(&name, '/', &part)) {
        out = str_eq(part, STR(".."));
    }
    return out;
}

static void make_folders(struct arena *a, const char *folder, str name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] == '/') {
            mkdir(arena_printf(a, "%s/%.*s", folder, (int)i, name.ptr).ptr, 0777);
        }
    }
}

static bool write_file(struct arena *a, const char *folder, str name, str text)
{
    if (elsewhere(name)) {
        return true;
    }
    make_folders(a, folder, name); /* what goes wrong is told by fopen() */
    str path = arena_printf(a, "%s/%.*s", folder, STR_ARG(name));
    FILE *f = fopen(path.ptr, "wx");
    bool written = f != NULL && fwrite(text.ptr, 1, text.len, f) == text.len;
    written = f != NULL && fclose(f) == 0 && written;
    return written || complain("write", path.ptr);
}

/* Each part that is not empty becomes a file of a new folder. */
static bool write_folder(struct arena *a, const char *folder, str text)
{
    str line, name;
    if (mkdir(folder, 0777) != 0) {
        return complain("make the folder", folder);
    }
    bool more = str_split(&text, '\n', &line);
    while (more && str_starts(line, MARK)) {
        name = str_from_pos(line, MARK.len);
        const char *begin = text.ptr, *end = begin;
        while ((more = str_split(&text, '\n', &line)) && !str_starts(line, MARK)) {
            end = text.ptr != NULL ? text.ptr : line.ptr + line.len;
        }
        if (end > begin &&
            !write_file(a, folder, name, str_n(begin, (size_t)(end - begin)))) {
            return false;
        }
    }
    return true;
}

int cmd_print(const struct invocation *in)
{
    struct configuration c;
    struct buf text;
    bool good = true;

    if (!configuration_need(&c, in)) {
        return TOOL_USAGE;
    }
    buf_init(&text, DUMP_MAX_BYTES);
    dump_snapshot(c.snapshot, &text);
    if (in->options.output != NULL) {
        good = write_folder(c.arena, in->options.output, buf_slice(&text));
    } else {
        fwrite(text.data, 1, text.len, stdout);
    }
    buf_free(&text);
    configuration_free(&c);
    return good ? TOOL_OK : TOOL_USAGE;
}
