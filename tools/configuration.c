/* configuration: loading for the commands. */
#include "tools/configuration.h"

#include "tools/messages.h"

void configuration_load(struct configuration *c, const struct invocation *in,
                        enum configuration_from from)
{
    struct snapshot_request request = {
        .path = str_from(in->options.config),
        .allow_unhonoured = in->options.allow_unhonoured,
        .use_image = from == CONFIGURATION_IMAGE,
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

/* An image that is there and not used: it was meant to be. */
static void note_image(const struct snapshot *s)
{
    const struct image_status *i = &s->image;

    if (i->verdict == IMAGE_STALE || i->verdict == IMAGE_BAD) {
        fprintf(stderr, "pointsman: the image %.*s is not used: %.*s\n", STR_ARG(i->path),
                STR_ARG(i->reason));
    }
}

bool configuration_need(struct configuration *c, const struct invocation *in)
{
    configuration_load(c, in, CONFIGURATION_IMAGE);
    if (c->snapshot) {
        note_image(c->snapshot);
        return true;
    }
    /* An old file may have a hundred warnings, and here only what stops us matters. */
    struct messages_request r = {.colour = tool_colour(stderr), .errors_only = true};
    unsigned warnings = diags_warnings(c->diags);
    messages_print(c->diags, &r, stderr);
    fprintf(stderr, "pointsman: %s: the configuration cannot be used",
            in->options.config);
    if (warnings > 0) {
        fprintf(stderr, " ('pointsman check' tells %u warning%s, too)", warnings,
                warnings == 1 ? "" : "s");
    }
    fputc('\n', stderr);
    configuration_free(c);
    return false;
}
