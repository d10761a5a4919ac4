/* rewrite: what becomes of an address, and the line that says so. */
#include "tools/addresses.h"
#include "tools/configuration.h"
#include "tools/record.h"
#include "tools/text.h"
#include "tools/trace.h"

struct answer {
    const struct invocation *in;
    const struct configuration *c;
    struct rewrite_context context;
    int code;    /* of the program, so far */
    str written; /* the address as given */
    struct route route;
};

/* ---- text ---------------------------------------------------------------------- */

static str where(const struct answer *a, struct span span)
{
    return span_text(a->c->arena, a->c->snapshot->sources, span);
}

static void print_deciding(const struct answer *a)
{
    const struct route *r = &a->route;
    bool rule = r->rule.source != 0;
    struct span at = rule ? r->rule : r->host;

    if (at.source != 0) {
        str text = text_written(a->c->arena, a->c->snapshot->sources, at);
        printf("  by %.*s   %s%.*s\n", STR_ARG(where(a, at)),
               rule ? "" : "host table: ", STR_ARG(text));
    }
}

static void print_text(const struct answer *a)
{
    const struct route *r = &a->route;
    const char *bold = a->in->colour ? "\033[1m" : "",
               *end = a->in->colour ? "\033[0m" : "";
    str written = text_plain(a->c->arena, a->written);

    printf("%.*s\n", STR_ARG(written));
    trace_print(a->c->arena, a->c->snapshot, r->steps);
    if (r->channel) {
        str address = address_print(a->c->arena, &r->address);
        printf("  -> %s%-32.*s%s  channel %s%.*s%s\n", bold, STR_ARG(address), end, bold,
               STR_ARG(r->channel->name), end);
    } else {
        str error = text_plain(a->c->arena, r->error);
        printf("  -> no route: %u.%u.%u %.*s\n", r->status[0], r->status[1], r->status[2],
               STR_ARG(error));
    }
    print_deciding(a);
}

/* ---- JSON ---------------------------------------------------------------------- */

static void record_error(const struct answer *a, struct record *out)
{
    const struct route *r = &a->route;
    const unsigned *s = r->status;

    if (r->channel) {
        record_null(out, "error");
        return;
    }
    record_open(out, "error", '{');
    record_str(out, "status", arena_printf(a->c->arena, "%u.%u.%u", s[0], s[1], s[2]));
    record_str(out, "text", r->error);
    record_close(out, '}');
}

static void record_step(const struct answer *a, struct record *out,
                        const struct route_step *step)
{
    struct place place = span_place(a->c->snapshot->sources, step->rule);
    bool rule = step->rule.source != 0;

    record_open(out, NULL, '{');
    record_str(out, "probe", step->probe);
    record_str(out, "file", rule ? place.file : STR_NONE);
    if (rule) {
        record_uint(out, "line", place.line);
    } else {
        record_null(out, "line");
    }
    record_str(out, "template", rule ? step->template : STR_NONE);
    record_str(out, "outcome", step->outcome);
    record_close(out, '}');
}

static void print_json(const struct answer *a)
{
    const struct rewrite_context *ctx = &a->context;
    const struct route *r = &a->route;
    bool routed = r->channel != NULL, header = ctx->form == ROUTE_HEADER;
    bool backward = ctx->direction == ROUTE_BACKWARD;
    struct record out;

    record_begin(&out);
    record_str(&out, "address", a->written);
    record_str(&out, "form", header ? STR("header") : STR("envelope"));
    record_str(&out, "direction", backward ? STR("backward") : STR("forward"));
    record_str(&out, "source_channel", ctx->source->name);
    record_str(&out, "rewritten",
               routed ? address_print(a->c->arena, &r->address) : STR_NONE);
    record_str(&out, "channel", routed ? r->channel->name : STR_NONE);
    record_str(&out, "routing_host", routed ? r->routing_host : STR_NONE);
    record_error(a, &out);
    record_place(&out, "rule", a->c->snapshot->sources, r->rule);
    if (a->in->options.trace) {
        record_open(&out, "trace", '[');
        for (const struct route_step *step = r->steps; step; step = step->next) {
            record_step(a, &out, step);
        }
        record_close(&out, ']');
    }
    record_print(&out);
}

/* ---- the command --------------------------------------------------------------- */

/* What cannot be parsed is refused like an address without a route: 5.1.3, bad mailbox
 * syntax (RFC 3463). */
static void rewrite_one(str written, void *arg)
{
    struct answer *a = arg;
    struct arena_mark mark = arena_mark(a->c->arena);
    struct address addr;
    const char *reason = address_read(written, &addr);

    a->written = written;
    if (reason) {
        a->route =
            (struct route){.status = {5, 1, 3},
                           .error = arena_printf(a->c->arena, "the address %s", reason)};
    } else {
        route_rewrite(a->c->snapshot, &a->context, &addr, a->in->options.trace,
                      a->c->arena, &a->route);
    }
    if (a->in->options.json) {
        print_json(a);
    } else {
        print_text(a);
    }
    if (!a->route.channel) {
        a->code = TOOL_NO;
    }
    arena_reset(a->c->arena, mark);
}

/* False when a channel that is named does not exist. */
static bool read_context(struct answer *a)
{
    const struct tool_options *o = &a->in->options;
    const struct snapshot *s = a->c->snapshot;
    struct rewrite_context *ctx = &a->context;

    *ctx = (struct rewrite_context){.source = s->channels[0],
                                    .direction =
                                        o->backward ? ROUTE_BACKWARD : ROUTE_FORWARD,
                                    .form = o->header ? ROUTE_HEADER : ROUTE_ENVELOPE};
    if (o->source_channel) {
        ctx->source = channel_given(s, o->source_channel);
    }
    if (o->destination_channel) {
        ctx->destination = channel_given(s, o->destination_channel);
    }
    return ctx->source && (ctx->destination || !o->destination_channel);
}

int cmd_rewrite(const struct invocation *in)
{
    struct configuration c;
    struct answer a = {.in = in, .c = &c, .code = TOOL_OK};

    if (!configuration_need(&c, in)) {
        return TOOL_USAGE;
    }
    if (!read_context(&a) || !addresses_given(in, rewrite_one, &a)) {
        a.code = TOOL_USAGE;
    }
    configuration_free(&c);
    return a.code;
}
