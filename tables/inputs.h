/* inputs: what one configuration is made of: the AST of each of its files, from their
 * texts or from a compiled image. Internal to tables/, but for the rows. */
#ifndef TABLES_INPUTS_H
#define TABLES_INPUTS_H

#include "tables/compile.h"

enum input_file {
    INPUT_OPTIONS,
    INPUT_SERVICES,
    INPUT_TLS,
    INPUT_LOCALDOMAINS,
    INPUT_MAPPINGS,
    INPUT_GENERAL,
    INPUT_REVERSE,
    INPUT_ALIASES, /* only its text is kept: what is in it is not honoured yet */
    INPUT_FILES
};

struct inputs {
    struct ast *main;
    struct ast *beside[INPUT_FILES]; /* NULL: there is no such file */
};

/* "option.dat": what the file is called, beside the main one. */
const char *input_name(enum input_file file);
/* Parses all there are. False: the main file could not be read; it has been reported. */
bool inputs_parse(struct compile *c, struct inputs *out);

#endif
