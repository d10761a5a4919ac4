/* image: a compiled configuration in one file: the texts of its sources, the ASTs of its
 * files and the compiled rewrite rules. Loading one gives the snapshot that loading the
 * sources would give, without parsing them. It lies beside the main file under the same
 * name with the ending ".image".
 *
 * An image is used only when it was made by this very program, is whole, belongs to this
 * folder, and none of its sources has changed since: each is compared by size and time,
 * and where the time differs, by a digest of its text. A file that was not there and is
 * there now counts as a change. Digests guard against accidents; who may write the image
 * may write the configuration, and one that others may write is refused. */
#ifndef TABLES_IMAGE_H
#define TABLES_IMAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "parser/parse.h"
#include "tables/snapshot.h"

/* The path of the image that belongs to a main file. In the arena. */
str image_path(struct arena *a, str main_file);

/* An image as pieces to be written one after the other. They point into the snapshot and
 * the arena. */
struct image_piece {
    const void *data;
    size_t size;
};
struct image_pieces {
    struct image_piece *at;
    size_t count;
    uint64_t size; /* of all */
};
/* Makes the image of a snapshot that was loaded from its sources without errors. False:
 * a source has changed since it was read, or cannot be read any more; *reason says so. */
bool image_make(const struct snapshot *s, const struct loader *loader, struct arena *a,
                struct image_pieces *out, str *reason);

/* Looks at an image without reading all of it: is there one, could it be used? The
 * header is read and checked, the sources are compared. `main_file` is absolute; the
 * texts of *out are in the arena. */
void image_look(const struct loader *loader, str path, str main_file, struct arena *a,
                struct image_status *out);

#endif
