/* configuration: loading for the commands. */
#include "tools/configuration.h"

#include "tools/messages.h"

void configuration_load(struct configuration *c, const struct invocation *in)
{
    struct snapshot_request request = {
        .path = str_from(in->options.config),
        .allow_unhonoured = in->options.allow_unhonoured,
        .silence = in->options.silence,
        .silence_count = in->options.silence_count,
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

bool configuration_need(struct configuration *c, const struct invocation *in)
{
    configuration_load(c, in);
    if (c->snapshot) {
        return true;
    }
    messages_print(c->diags, &(struct messages_request){.colour = tool_colour(stderr)},
                   stderr);
    fprintf(stderr, "pointsman: %s: the configuration cannot be used\n",
            in->options.config);
    configuration_free(c);
    return false;
}
