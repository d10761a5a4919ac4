/* configuration: loading for the commands. */
#include "tools/configuration.h"

enum { MESSAGES_MAX_BYTES = 64 << 20 };

void configuration_load(struct configuration *c, const struct invocation *in)
{
    struct snapshot_request request = {
        .path = str_from(in->options.config),
        .allow_unhonoured = in->options.allow_unhonoured,
    };

    *c = (struct configuration){.arena = arena_new()};
    c->snapshot = snapshot_load(&request, c->arena, &c->diags, &c->unreadable);
}

void configuration_free(struct configuration *c)
{
    if (c->snapshot) {
        snapshot_unref(&c->snapshot);
    }
    arena_free(&c->arena);
}

void configuration_messages(const struct configuration *c, FILE *out, bool colour)
{
    struct buf text;

    buf_init(&text, MESSAGES_MAX_BYTES);
    diags_render(c->diags, colour, &text);
    if (text.len > 0) {
        fwrite(text.data, 1, text.len, out);
    }
    buf_free(&text);
}

bool configuration_need(struct configuration *c, const struct invocation *in)
{
    configuration_load(c, in);
    if (c->snapshot) {
        return true;
    }
    configuration_messages(c, stderr, tool_colour(stderr));
    fprintf(stderr, "pointsman: %s: the configuration cannot be used\n",
            in->options.config);
    configuration_free(c);
    return false;
}
