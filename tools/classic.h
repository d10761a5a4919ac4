/* classic: the command line of PMDF's `test -rewrite`, `-mapping` and `-match` and
 * imsimta's: one dash or two, names that may be shortened, values behind '=', switches
 * undone by a leading "no". */
#ifndef TOOLS_CLASSIC_H
#define TOOLS_CLASSIC_H

#include "tools/tool.h"

struct classic {
    const char *config; /* -configuration_file=, -c; NULL: not given */
    const char *source_channel, *destination_channel, *from;
    const char *table, *flags;    /* -mapping */
    bool rewrite, mapping, match; /* the test that is wanted: one of them */
    bool debug, channel, json, allow_unhonoured, help;
    char **args; /* the addresses, strings, or pattern and target */
    int arg_count;
};

/* Reads the words in->args; moves the addresses to their front. Returns false after
 * saying on standard error what is wrong; what belongs to PMDF and is not there yet is
 * refused with what to do instead. */
bool classic_read(const struct invocation *in, struct classic *out);

/* classic_tables.c: the tests of tables. `loading` names the configuration. They return
 * the exit code. */
int classic_mapping(const struct invocation *loading, const struct classic *o);
int classic_match(const struct invocation *in, const struct classic *o);

#endif
