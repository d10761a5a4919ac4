/* messages: the diagnostics of a configuration on a stream, in one of three formats. */
#ifndef TOOLS_MESSAGES_H
#define TOOLS_MESSAGES_H

#include <stdio.h>

#include "base/diag.h"
#include "tools/tool.h"

struct messages_request {
    enum tool_format format;
    bool colour;         /* TOOL_FORMAT_TEXT */
    unsigned max_errors; /* stop behind that many; 0: show all */
    bool errors_only;    /* TOOL_FORMAT_TEXT: nothing is said of warnings */
};

/* Prints the messages one by one, in file order, so that their number does not matter.
 * TEXT ends with a line that says how many were left out, if any were; JSON (an object a
 * line) with the object {"errors":N,"warnings":N}, which counts them all; SARIF is one
 * log. */
void messages_print(const struct diags *d, const struct messages_request *r, FILE *out);

#endif
