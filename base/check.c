/* check: says which invariant broke and aborts. Writes to standard error itself,
 * because the log may be what is broken. */
#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

_Noreturn void check_failed(const char *file, int line, const char *expr)
{
    char text[512];
    int n = snprintf(text, sizeof text, "%s:%d: check failed: %s\n", file, line, expr);
    size_t len = n < 0 ? 0 : (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;
    if (write(STDERR_FILENO, text, len) < 0) {
        abort(); /* nowhere left to say it */
    }
    abort();
}
