/* options: the options that are known in the NAME=value files, from the rows of
 * parser/options.def. */
#ifndef PARSER_OPTIONS_H
#define PARSER_OPTIONS_H

#include "parser/keywords.h"

enum option_file {
    OPTION_SITE,
    OPTION_SERVICE,
    OPTION_TLS,
    OPTION_CHANNEL,
    OPTION_PIPE, /* the <channel>_option of a pipe channel */
    OPTION_JOBS  /* job_controller.cnf */
};
enum { OPTION_FILES = OPTION_JOBS + 1 };

/* One number per row: OPTION_SITE_USER. */
enum option_id {
#define OPTION(file, name, ...) OPTION_##file##_##name,
#include "parser/options.def"
    OPTION_COUNT
};

struct option_row {
    const char *name;
    enum option_id id;
    enum option_file file;
    enum keyword_status status;
    const char *text; /* meaning; for the other statuses the effect lost or reason */
};

/* Case-blind. NULL: this file has no such option. */
const struct option_row *option_find(enum option_file file, str name);
/* Does the row stand for all names that begin as its own, which ends with '_'? */
bool option_is_family(const struct option_row *row);
/* The nearest name of that file within max_distance, or NULL. */
const struct option_row *option_nearest(enum option_file file, str name,
                                        unsigned max_distance);
/* What the file is called: "option.dat", "<channel>_option", "pipe_option",
 * "job_controller.cnf". */
const char *option_file_name(enum option_file file);
/* All rows in table order; NULL past the end. */
const struct option_row *option_at(size_t i);

#endif
