/* rewrite: what becomes of an address, and the line that says so. */
#include "base/json.h"
#include "tools/configuration.h"

enum { JSON_LINE_MAX = 1 << 20, SUGGEST_DISTANCE = 2 };

struct answer {
    const struct invocation *in;
    const struct configuration *c;
    const struct channel *source;
    const char *written; /* the address as given */
    struct route route;
};

/* ---- text ---------------------------------------------------------------------- */

/* The text of a span on one line: runs of blanks become three, control bytes '?'. */
static void print_span(const struct snapshot *s, struct span span)
{
    const struct source *source = sources_get(s->sources, span.source);
    str text = str_sub(source->text, span.offset, span.length);
    bool blank = false;

    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        bool space = c == ' ' || c == '\t' || c == '\r' || c == '\n';
        if (space && !blank) {
            fputs("   ", stdout);
        } else if (!space) {
            putchar(c < ' ' || c == 0x7f ? '?' : c);
        }
        blank = space;
    }
}

static str where(const struct answer *a, struct span span)
{
    return span_text(a->c->arena, a->c->snapshot->sources, span);
}

static void print_deciding(const struct answer *a)
{
    const struct route *r = &a->route;

    if (r->rule.source != 0) {
        printf("  by %.*s   ", STR_ARG(where(a, r->rule)));
        print_span(a->c->snapshot, r->rule);
        putchar('\n');
    } else if (r->host.source != 0) {
        printf("  by %.*s   host table: ", STR_ARG(where(a, r->host)));
        print_span(a->c->snapshot, r->host);
        putchar('\n');
    }
}

static void print_steps(const struct answer *a)
{
    for (const struct route_step *step = a->route.steps; step; step = step->next) {
        str at = step->rule.source != 0 ? where(a, step->rule) : STR("-");
        printf("  probe %-28.*s  %-16.*s  %.*s", STR_ARG(step->probe), STR_ARG(at),
               STR_ARG(step->outcome));
        if (step->template.len > 0) {
            printf("   %.*s", STR_ARG(step->template));
        }
        putchar('\n');
    }
}

static void print_text(const struct answer *a)
{
    const struct route *r = &a->route;
    const char *bold = a->in->colour ? "\033[1m" : "",
               *end = a->in->colour ? "\033[0m" : "";

    printf("%s\n", a->written);
    print_steps(a);
    if (r->channel) {
        str address = address_print(a->c->arena, &r->address);
        printf("  -> %s%-32.*s%s  channel %s%.*s%s\n", bold, STR_ARG(address), end, bold,
               STR_ARG(r->channel->name), end);
    } else {
        printf("  -> no route: %u.%u.%u %.*s\n", r->status[0], r->status[1], r->status[2],
               STR_ARG(r->error));
    }
    print_deciding(a);
}

/* ---- JSON ---------------------------------------------------------------------- */

static void put_name(struct buf *out, const char *name)
{
    buf_printf(out, "%s\"%s\":", out->data[out->len - 1] == '{' ? "" : ",", name);
}

/* A NULL pointer becomes null. */
static void put_string(struct buf *out, const char *name, str value)
{
    put_name(out, name);
    if (value.ptr) {
        json_put_string(out, value);
    } else {
        buf_puts(out, "null");
    }
}

static void put_place(const struct answer *a, struct buf *out, struct span span)
{
    struct place place = span_place(a->c->snapshot->sources, span);

    put_string(out, "file", span.source != 0 ? place.file : STR_NONE);
    put_name(out, "line");
    if (span.source != 0) {
        buf_printf(out, "%u", place.line);
    } else {
        buf_puts(out, "null");
    }
}

/* A line of the configuration that had a part in it, or null. */
static void put_line(const struct answer *a, struct buf *out, const char *name,
                     struct span span)
{
    put_name(out, name);
    if (span.source == 0) {
        buf_puts(out, "null");
        return;
    }
    buf_putc(out, '{');
    put_place(a, out, span);
    buf_putc(out, '}');
}

static void put_error(const struct route *r, struct buf *out)
{
    put_name(out, "error");
    if (r->channel) {
        buf_puts(out, "null");
        return;
    }
    buf_printf(out, "{\"status\":\"%u.%u.%u\"", r->status[0], r->status[1], r->status[2]);
    put_string(out, "text", r->error);
    buf_putc(out, '}');
}

static void put_trace(const struct answer *a, struct buf *out)
{
    put_name(out, "trace");
    buf_putc(out, '[');
    for (const struct route_step *step = a->route.steps; step; step = step->next) {
        buf_putc(out, '{');
        put_string(out, "probe", step->probe);
        put_place(a, out, step->rule);
        put_string(out, "template", step->rule.source != 0 ? step->template : STR_NONE);
        put_string(out, "outcome", step->outcome);
        buf_puts(out, step->next ? "}," : "}");
    }
    buf_putc(out, ']');
}

static void print_json(const struct answer *a)
{
    const struct tool_options *o = &a->in->options;
    const struct route *r = &a->route;
    bool routed = r->channel != NULL;
    struct buf out;

    buf_init(&out, JSON_LINE_MAX);
    buf_putc(&out, '{');
    put_string(&out, "address", str_from(a->written));
    put_string(&out, "form", o->form == ROUTE_HEADER ? STR("header") : STR("envelope"));
    put_string(&out, "direction",
               o->direction == ROUTE_BACKWARD ? STR("backward") : STR("forward"));
    put_string(&out, "source_channel", a->source->name);
    put_string(&out, "rewritten",
               routed ? address_print(a->c->arena, &r->address) : STR_NONE);
    put_string(&out, "channel", routed ? r->channel->name : STR_NONE);
    put_string(&out, "routing_host", routed ? r->routing_host : STR_NONE);
    put_error(r, &out);
    put_line(a, &out, "rule", r->rule);
    put_line(a, &out, "host", r->host);
    if (o->trace) {
        put_trace(a, &out);
    }
    printf("%.*s}\n", (int)out.len, out.data);
    buf_free(&out);
}

/* ---- the command --------------------------------------------------------------- */

/* The address without blanks around it and without angle brackets. */
static str bare_address(const char *text)
{
    str s = str_trim(str_from(text));

    if (s.len >= 2 && s.ptr[0] == '<' && s.ptr[s.len - 1] == '>') {
        s = str_sub(s, 1, s.len - 2);
    }
    return s;
}

static int rewrite_one(struct answer *a)
{
    struct rewrite_context ctx = {a->source, a->in->options.direction,
                                  a->in->options.form, NULL};
    struct address addr;
    const char *reason = address_parse(bare_address(a->written), &addr);

    if (!reason && address_is_null(&addr)) {
        reason = "it is empty";
    }
    if (reason) {
        fprintf(stderr, "pointsman: '%s' is no address: %s\n", a->written, reason);
        return TOOL_USAGE;
    }
    route_rewrite(a->c->snapshot, &ctx, &addr, a->in->options.trace, a->c->arena,
                  &a->route);
    if (a->in->options.json) {
        print_json(a);
    } else {
        print_text(a);
    }
    return a->route.channel ? TOOL_OK : TOOL_NO;
}

static const struct channel *find_source(const struct snapshot *s, const char *name)
{
    const struct channel *c = name ? snapshot_channel(s, str_from(name)) : s->channels[0];

    if (c) {
        return c;
    }
    fprintf(stderr, "pointsman: channel '%s' does not exist", name);
    for (unsigned i = 0; i < s->channel_count; i++) {
        str known = s->channels[i]->name;
        if (str_distance(str_from(name), known, SUGGEST_DISTANCE) <= SUGGEST_DISTANCE) {
            fprintf(stderr, "; did you mean '%.*s'?", STR_ARG(known));
            break;
        }
    }
    fputc('\n', stderr);
    return NULL;
}

int cmd_rewrite(const struct invocation *in)
{
    struct configuration c;
    struct answer a = {.in = in, .c = &c};
    int code = TOOL_OK;

    if (!configuration_need(&c, in)) {
        return TOOL_USAGE;
    }
    a.source = find_source(c.snapshot, in->options.source_channel);
    if (!a.source) {
        code = TOOL_USAGE;
    }
    for (int i = 0; a.source && i < in->arg_count; i++) {
        a.written = in->args[i];
        int one = rewrite_one(&a);
        if (one > code) {
            code = one;
        }
    }
    configuration_free(&c);
    return code;
}
