/* archive: one description of a structure for writing it down and for reading it back:
 * each function either appends *value, or sets it from the bytes. Reading takes any
 * bytes: past their end, or with a number that cannot be, the archive has failed, and all
 * further values are empty. */
#ifndef BASE_ARCHIVE_H
#define BASE_ARCHIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/diag.h"

struct archive {
    struct buf *out; /* NULL: reading */
    str in;          /* what is left to read */
    struct arena *arena;
    bool failed;
};

/* out must have room for all that will be written; past its cap the archive fails. */
void archive_write_to(struct archive *ar, struct buf *out);
/* Texts that are read are slices of in; nodes come from a. */
void archive_read_from(struct archive *ar, str in, struct arena *a);
bool archive_reading(const struct archive *ar);

/* Numbers and texts, as they are. */
void archive_u32(struct archive *ar, uint32_t *value);
void archive_u64(struct archive *ar, uint64_t *value);
void archive_i64(struct archive *ar, int64_t *value);
void archive_str(struct archive *ar, str *value);
void archive_span(struct archive *ar, struct span *value);
/* A number below limit. */
void archive_choice(struct archive *ar, unsigned limit, unsigned *value);
/* One more node of a linked list, or NULL at its end. Writing: node itself; reading: size
 * fresh bytes. */
void *archive_node(struct archive *ar, void *node, size_t size);

#endif
