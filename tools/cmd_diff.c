/* diff: what changes in meaning from one configuration to another. */
#include "tools/diff.h"
#include "tools/record.h"

static bool load(struct configuration *c, const struct invocation *in, const char *path)
{
    struct invocation loading = *in;

    loading.options.config = path;
    return configuration_need(c, &loading);
}

static void print_summary(const struct diff *d)
{
    bool routes = d->in->options.addresses != NULL;
    struct record out;

    if (d->in->options.json) {
        record_begin(&out);
        record_uint(&out, "changes", d->changes);
        if (routes) {
            record_uint(&out, "addresses", d->addresses);
            record_uint(&out, "rerouted", d->rerouted);
        }
        record_print(&out);
        return;
    }
    if (d->changes == 0) {
        printf("no change in meaning\n");
    } else {
        printf("%u change%s\n", d->changes, d->changes == 1 ? "" : "s");
    }
    if (routes) {
        printf("%u of %u address%s change%s route\n", d->rerouted, d->addresses,
               d->addresses == 1 ? "" : "es", d->rerouted == 1 ? "s" : "");
    }
}

static int compare(struct diff *d)
{
    const char *addresses = d->in->options.addresses;

    diff_channels(d);
    diff_rules(d);
    diff_services(d);
    diff_files(d);
    if (addresses && !diff_routes(d, addresses)) {
        return TOOL_USAGE;
    }
    print_summary(d);
    return d->changes > 0 || d->rerouted > 0 ? TOOL_NO : TOOL_OK;
}

int cmd_diff(const struct invocation *in)
{
    struct diff d = {.in = in};
    int code = TOOL_USAGE;

    if (!load(&d.old, in, in->args[0])) {
        return TOOL_USAGE;
    }
    if (load(&d.new, in, in->args[1])) {
        d.arena = arena_new();
        code = compare(&d);
        arena_free(&d.arena);
        configuration_free(&d.new);
    }
    configuration_free(&d.old);
    return code;
}
