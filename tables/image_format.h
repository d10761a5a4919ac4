/* image_format: how an image is laid out. Internal to tables/.
 *
 *   header   fixed size; digests of all that follows
 *   head     what the image is of: an archive of struct image_head
 *   texts    of the sources, each followed by a NUL
 *   ast      an archive of the inputs
 *   rules, templates, ops, slots, strings   the arrays of the rule table
 *
 * Each part begins at a multiple of IMAGE_ALIGN. Numbers have the byte order and the
 * structures the layout of the machine: an image is for the machine it was made on. */
#ifndef TABLES_IMAGE_FORMAT_H
#define TABLES_IMAGE_FORMAT_H

#include "base/archive.h"
#include "base/digest.h"
#include "parser/parse.h"
#include "tables/inputs.h"
#include "tables/rule_table.h"

enum {
    /* Raise it when anything in an image changes its meaning, and make the seeds of the
     * fuzzer anew: test/fuzz/image-seeds.sh. */
    IMAGE_FORMAT = 5,
    IMAGE_ALIGN = 16,
    IMAGE_ORDER = 0x01020304,
    IMAGE_HEAD_MAX = 64 << 20
};

struct image_header {
    char magic[8];
    uint32_t format, order;
    struct digest program;
    uint64_t size; /* of the file */
    uint64_t head_size;
    struct digest head;  /* of the head alone */
    struct digest whole; /* of all behind the header */
};

/* The time of no file: the source was too young for its time to say anything. */
#define IMAGE_TIME_NONE INT64_MIN

struct image_source {
    str name, path;
    struct span from;
    struct loader_stamp stamp; /* size and time count */
    struct digest digest;
    uint64_t text_at;
};

/* A part of the file. */
struct image_part {
    uint64_t at, size;
};

struct image_head {
    str directory, main_file, main_name;
    uint32_t missing; /* bits by enum input_file: there was no such file */
    uint32_t rules_written;
    uint32_t stars;
    uint32_t absent_count; /* list files that could not be read */
    str *absent;           /* their paths */
    uint32_t source_count;
    struct image_source *sources;
    struct image_part ast, rules, templates, ops, slots, strings;
};

extern const char IMAGE_MAGIC[8];
/* What the program must have in common with the one that wrote an image. */
struct digest image_program(void);
void image_head_archive(struct archive *ar, struct image_head *head);
void inputs_archive(struct archive *ar, struct inputs *inputs);

/* Reads the image at `path` into c->s->sources, *inputs and *rules, if there is one that
 * can be used; *status says what became of it. */
bool image_read(struct compile *c, str path, struct inputs *inputs,
                struct rule_table *rules, struct image_status *status);

#endif
