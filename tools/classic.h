/* classic: the command line of PMDF's `test -rewrite` and imsimta's: one dash or two,
 * names that may be shortened, values behind '=', switches undone by a leading "no". */
#ifndef TOOLS_CLASSIC_H
#define TOOLS_CLASSIC_H

#include "tools/tool.h"

struct classic {
    const char *config; /* -configuration_file=, -c; NULL: not given */
    const char *source_channel, *destination_channel, *from;
    bool rewrite; /* the test that is wanted: the only one there is */
    bool debug, channel, json, allow_unhonoured, help;
    char **args; /* the addresses */
    int arg_count;
};

/* Reads the words in->args; moves the addresses to their front. Returns false after
 * saying on standard error what is wrong; what belongs to PMDF and is not there yet is
 * refused with what to do instead. */
bool classic_read(const struct invocation *in, struct classic *out);

#endif
