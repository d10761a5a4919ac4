/* memory_loader: a configuration from memory. Its text is one piece: a line
 * "!== name" begins the file of that name, what comes before the first is the main
 * file. The dump of a snapshot (tables/dump.h) has this form. */
#ifndef TEST_CONFIG_MEMORY_LOADER_H
#define TEST_CONFIG_MEMORY_LOADER_H

#include "parser/parse.h"

#define MEMORY_LOADER_MAIN "/memory/pointsman.cnf"

struct memory_loader {
    struct loader loader; /* first, so that the functions find the rest */
    str text;
};
/* text is borrowed. */
void memory_loader_init(struct memory_loader *m, str text);

#endif
