/* configuration: how the commands load it and show what is wrong with it. */
#ifndef TOOLS_CONFIGURATION_H
#define TOOLS_CONFIGURATION_H

#include "base/buf.h"
#include "tables/snapshot.h"
#include "tools/tool.h"

struct configuration {
    struct arena *arena; /* of diags; free for the command's own use */
    struct diags *diags;
    struct snapshot *snapshot; /* NULL: it has errors */
    bool unreadable;           /* the main file could not be read */
};

/* From the sources in any case, or from a fresh image if there is one. */
enum configuration_from { CONFIGURATION_SOURCES, CONFIGURATION_IMAGE };
/* Loads what -c names. Prints nothing. */
void configuration_load(struct configuration *c, const struct invocation *in,
                        enum configuration_from from);
void configuration_free(struct configuration *c);
/* For commands that need a good one: loads it; on errors shows them on standard error,
 * frees it and returns false. Warnings are not shown. */
bool configuration_need(struct configuration *c, const struct invocation *in);

#endif
