/* test: the tests of PMDF. Here is -rewrite: an address in all four forms, with the
 * labels of PMDF's command. */
#include <stdio.h>
#include <unistd.h>

#include "parser/channel_opts.h"
#include "tables/route.h"
#include "tools/addresses.h"
#include "tools/classic.h"
#include "tools/configuration.h"
#include "tools/text.h"
#include "tools/trace.h"

enum { LABEL_WIDTH = 22, SETTINGS_MAX = 1 << 16 };

struct testing {
    const struct classic *options;
    const struct configuration *c;
    struct rewrite_context context;
    int code;
};

static void print_line(const char *label, str value)
{
    printf("%-*s = %.*s\n", LABEL_WIDTH, label, STR_ARG(value));
}

/* The words that hold and take no argument, in capitals; the others have a line each. */
static void print_settings(const struct testing *t, const struct channel *c)
{
    struct arena *a = t->c->arena;
    struct buf flags, word;
    struct channel_opts built_in;
    const struct keyword *k;

    channel_opts_init(&built_in);
    buf_init(&flags, SETTINGS_MAX);
    buf_init(&word, SETTINGS_MAX);
    for (size_t i = 0; (k = keyword_at(i)) != NULL; i++) {
        if (k->args == KEYWORD_ARGS_NONE &&
            channel_opts_word(&c->opts, &built_in, k, &word)) {
            buf_printf(&flags, "%s%s", flags.len > 0 ? " " : "", k->name);
        }
    }
    for (size_t i = 0; i < flags.len; i++) {
        flags.data[i] =
            (char)(flags.data[i] >= 'a' ? flags.data[i] - 'a' + 'A' : flags.data[i]);
    }
    print_line("channel flags #0", buf_slice(&flags));
    for (size_t i = 0; (k = keyword_at(i)) != NULL; i++) {
        buf_clear(&word);
        if (k->args != KEYWORD_ARGS_NONE &&
            channel_opts_word(&c->opts, &built_in, k, &word)) {
            str rest = str_from_pos(buf_slice(&word), 1), name;
            str_word(&rest, &name);
            print_line(arena_printf(a, "channel %s", k->name).ptr, str_trim(rest));
        }
    }
    buf_free(&flags);
    buf_free(&word);
}

/* What the originals take for names of groups. */
static void print_unknown_words(const struct testing *t, const struct channel *c)
{
    const struct snapshot *s = t->c->snapshot;

    for (const struct diag *d = diags_first(t->c->diags); d; d = d->next) {
        if (strcmp(d->slug, "unknown-keyword") == 0 && channel_wrote(s, c, d->span)) {
            printf("*** %.*s: %.*s\n",
                   STR_ARG(text_column(t->c->arena, s->sources, d->span)),
                   STR_ARG(d->text));
        }
    }
}

static void print_channel(const struct testing *t, const struct route *r)
{
    const struct channel *c = r->channel;

    print_line("forward channel", c ? c->name : STR("*** no channel"));
    if (!c || !t->options->channel) {
        return;
    }
    print_settings(t, c);
    print_line("channel official host", c->official_host);
    print_line("channel local alias", c->local_alias);
    print_unknown_words(t, c);
}

/* The address in this form, or why there is none. */
static void rewritten(struct testing *t, const struct address *addr,
                      enum route_direction direction, enum route_form form,
                      struct route *out)
{
    t->context.direction = direction;
    t->context.form = form;
    route_rewrite(t->c->snapshot, &t->context, addr, t->options->debug, t->c->arena, out);
    if (t->options->debug) {
        printf("%s %s\n", form == ROUTE_HEADER ? "header" : "envelope",
               direction == ROUTE_FORWARD ? "To:" : "From:");
        trace_print(t->c->arena, t->c->snapshot, out->steps);
    }
}

static str form_text(struct testing *t, const struct route *r)
{
    if (r->channel) {
        return address_print(t->c->arena, &r->address);
    }
    t->code = TOOL_NO;
    return arena_printf(t->c->arena, "*** %u.%u.%u %.*s", r->status[0], r->status[1],
                        r->status[2], STR_ARG(text_plain(t->c->arena, r->error)));
}

static void print_forms(struct testing *t, const struct address *addr,
                        const struct route *to)
{
    struct arena *a = t->c->arena;
    struct route back, header_to, header_from;
    str route = STR("");

    rewritten(t, addr, ROUTE_BACKWARD, ROUTE_ENVELOPE, &back);
    rewritten(t, addr, ROUTE_FORWARD, ROUTE_HEADER, &header_to);
    rewritten(t, addr, ROUTE_BACKWARD, ROUTE_HEADER, &header_from);
    print_channel(t, to);
    print_line("backward channel", back.channel ? back.channel->name : STR("*** none"));
    print_line("header To: address", form_text(t, &header_to));
    print_line("header From: address", form_text(t, &header_from));
    if (to->channel) {
        route = arena_printf(a, " (route (%.*s,%.*s))", STR_ARG(to->routing_host),
                             STR_ARG(to->channel->official_host));
    }
    print_line("envelope To: address",
               arena_printf(a, "%.*s%.*s", STR_ARG(form_text(t, to)), STR_ARG(route)));
    print_line("envelope From: address", form_text(t, &back));
    print_line("name", STR(""));
    print_line("mbox", to->channel ? to->address.local : addr->local);
}

static void print_lists(const struct testing *t, str given, const struct route *to)
{
    printf("Extracted address action list:\n  %.*s\n"
           "Extracted 733 address action list:\n  %.*s\n",
           STR_ARG(given), STR_ARG(given));
    if (to->channel) {
        str address = address_print(t->c->arena, &to->address);
        str host = route_next_hop(to->channel, &to->address);
        printf("Expanded address:\n  %.*s\nSubmitted address list:\n  %.*s\n"
               "    %.*s (orig %.*s, host %.*s)\n",
               STR_ARG(address), STR_ARG(to->channel->name), STR_ARG(address),
               STR_ARG(given), STR_ARG(host.len > 0 ? host : to->routing_host));
    } else {
        printf("Submitted address list:\n");
    }
    printf("\nSubmitted notifications list:\n\n");
}

static void test_one(str written, void *arg)
{
    struct testing *t = arg;
    struct arena *a = t->c->arena;
    struct arena_mark mark = arena_mark(a);
    struct rewrite_context context = t->context;
    struct address addr;
    struct route to;
    const char *reason = address_read(written, &addr);

    if (reason) {
        str text = text_plain(a, written);
        printf("*** the address '%.*s' %s\n\n", STR_ARG(text), reason);
        t->code = TOOL_NO;
    } else {
        rewritten(t, &addr, ROUTE_FORWARD, ROUTE_ENVELOPE, &to);
        if (!context.destination) { /* the other forms are made for where it goes */
            t->context.destination = to.channel;
        }
        print_forms(t, &addr, &to);
        print_lists(t, address_print(a, &addr), &to);
    }
    t->context = context;
    arena_reset(a, mark);
}

/* False when a channel that is named does not exist. */
static bool read_context(struct testing *t)
{
    const struct classic *o = t->options;
    const struct snapshot *s = t->c->snapshot;
    struct rewrite_context *ctx = &t->context;

    *ctx = (struct rewrite_context){.source = s->channels[0]};
    if (o->source_channel) {
        ctx->source = channel_given(s, o->source_channel);
    }
    if (o->destination_channel) {
        ctx->destination = channel_given(s, o->destination_channel);
    }
    return ctx->source && (ctx->destination || !o->destination_channel);
}

/* Like the originals: without an address they are asked for, until the end of input. */
static bool test_addresses(const struct invocation *in, struct testing *t)
{
    struct invocation given = *in;

    given.args = t->options->args;
    given.arg_count = t->options->arg_count;
    if (given.arg_count > 0) {
        return addresses_given(&given, test_one, t);
    }
    if (isatty(STDIN_FILENO)) {
        fputs("Addresses, one a line; end with Ctrl-D\n", stderr);
    }
    return addresses_of(stdin, test_one, t);
}

static int test_json(const struct invocation *in, const struct classic *o)
{
    struct invocation rewrite = *in;

    char *input[] = {"-"};

    rewrite.args = o->arg_count > 0 ? o->args : input;
    rewrite.arg_count = o->arg_count > 0 ? o->arg_count : 1;
    rewrite.options.json = true;
    rewrite.options.trace = o->debug;
    rewrite.options.source_channel = o->source_channel;
    rewrite.options.destination_channel = o->destination_channel;
    return cmd_rewrite(&rewrite);
}

static int test_rewrite(const struct invocation *loading, const struct classic *o)
{
    struct configuration c;
    struct testing t = {.options = o, .c = &c, .code = TOOL_OK};

    if (o->from) {
        fputs("pointsman: test: -from decides nothing here: 'pointsman explain --sender' "
              "asks the access tables\n",
              stderr);
    }
    if (o->json) {
        return test_json(loading, o);
    }
    if (!configuration_need(&c, loading)) {
        return TOOL_USAGE;
    }
    if (!read_context(&t) || !test_addresses(loading, &t)) {
        t.code = TOOL_USAGE;
    }
    configuration_free(&c);
    return t.code;
}

int cmd_test(const struct invocation *in)
{
    struct invocation loading = *in;
    struct classic options;

    if (!classic_read(in, &options)) {
        return TOOL_USAGE;
    }
    if (options.help) {
        command_usage(in->command);
        return TOOL_OK;
    }
    loading.options.config = options.config ? options.config : in->options.config;
    loading.options.allow_unhonoured |= options.allow_unhonoured || options.mapping;
    if (options.match) {
        return classic_match(&loading, &options);
    }
    return options.mapping ? classic_mapping(&loading, &options)
                           : test_rewrite(&loading, &options);
}
