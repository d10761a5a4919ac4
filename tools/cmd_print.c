/* print: the configuration in its canonical form. */
#include "tables/dump.h"
#include "tools/configuration.h"

enum { DUMP_MAX_BYTES = 1 << 30 };

int cmd_print(const struct invocation *in)
{
    struct configuration c;
    struct buf text;

    if (!configuration_need(&c, in)) {
        return TOOL_USAGE;
    }
    buf_init(&text, DUMP_MAX_BYTES);
    dump_snapshot(c.snapshot, &text);
    fwrite(text.data, 1, text.len, stdout);
    buf_free(&text);
    configuration_free(&c);
    return TOOL_OK;
}
