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
    INPUT_ALIASES,
    INPUT_FORWARD,
    INPUT_JOBS,
    INPUT_FILES
};

/* What the name of a channel's option file ends with, behind the channel's name. */
#define INPUT_CHANNEL_ENDING "_option"

/* The option file of one channel, or of none there is. */
struct input_channel {
    str file; /* its name */
    struct ast *ast;
    struct input_channel *next;
};

/* A file that a list names. That it cannot be read is no fault of the configuration: the
 * list is refused until it can. */
struct input_list {
    str path;
    str reason;      /* why there is no ast */
    struct ast *ast; /* NULL: it could not be read */
    struct input_list *next;
};

struct inputs {
    struct ast *main;
    struct ast *beside[INPUT_FILES]; /* NULL: there is no such file */
    struct input_channel *channels;  /* by name */
    struct input_list *lists;        /* each file once */
};

/* "option.dat": what the file is called, beside the main one. */
const char *input_name(enum input_file file);
/* The channel that an option file is for, by the file's name. */
str input_channel_name(str file);
/* The names of the option files of channels in a folder. False: they cannot be found. */
bool input_channel_files(const struct loader *loader, struct arena *a, str folder,
                         str **names, size_t *count);
/* Parses all there are. False: the main file could not be read; it has been reported. */
bool inputs_parse(struct compile *c, struct inputs *out);

#endif
