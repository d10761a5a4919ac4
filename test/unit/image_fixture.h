/* image_fixture: an image in memory, standing beside files that come from another loader;
 * nothing is written to the disk. */
#ifndef TEST_UNIT_IMAGE_FIXTURE_H
#define TEST_UNIT_IMAGE_FIXTURE_H

#include "tables/image.h"

struct image_fixture {
    struct loader loader; /* first, so that the functions find the rest */
    const struct loader *below;
    struct arena *arena;
    str path, bytes; /* of the image */
    struct loader_stamp stamp;
};

/* Loads the sources at `path` through `below` (which must have stamps), and makes their
 * image. False when that fails. Free it in any case. */
bool image_fixture_make(struct image_fixture *f, const struct loader *below, str path);
/* The same image with other bytes. */
void image_fixture_set(struct image_fixture *f, str bytes);
void image_fixture_free(struct image_fixture *f);
/* Loads what stands at path; from the image if it is fresh. NULL on errors. */
struct snapshot *image_fixture_load(struct image_fixture *f, str path);

#endif
