/* check: the whole configuration, certificates and trust anchor included. */
#include "channels/tls.h"
#include "parser/parse.h"
#include "router/dns.h"
#include "tables/image.h"
#include "tools/configuration.h"
#include "tools/messages.h"
#include "tools/relay_report.h"

struct counts {
    unsigned rules, channels;
};

/* Counts for the summary when nothing could be compiled: as written in the main file. */
static struct counts counts_written(const struct configuration *c)
{
    struct counts counts = {0, 0};
    const struct sources *known = diags_sources(c->diags);

    if (c->unreadable || sources_count(known) == 0) {
        return counts;
    }
    struct sources *sources = sources_new(c->arena);
    const struct source *main_file = sources_get(known, 1);
    const struct ast *ast =
        parse_file(c->arena, &loader_files, sources, main_file->path, main_file->name,
                   SYNTAX_CONFIG, diags_new(c->arena, sources));
    for (const struct ast_rule *r = ast->rules; r; r = r->next) {
        counts.rules++;
    }
    for (const struct ast_block *b = ast->blocks; b; b = b->next) {
        counts.channels += b->kind == AST_CHANNEL;
    }
    return counts;
}

static const char *plural(unsigned n)
{
    return n == 1 ? "" : "s";
}

static void print_summary(const struct configuration *c)
{
    unsigned errors = diags_errors(c->diags), warnings = diags_warnings(c->diags);
    unsigned files = sources_count(diags_sources(c->diags));
    struct counts n =
        c->snapshot ? (struct counts){c->snapshot->rule_count, c->snapshot->channel_count}
                    : counts_written(c);

    printf("%u error%s, %u warning%s in %u file%s (%u rule%s, %u channel%s)\n", errors,
           plural(errors), warnings, plural(warnings), files, plural(files), n.rules,
           plural(n.rules), n.channels, plural(n.channels));
    if (c->snapshot && c->snapshot->service_count == 0) {
        printf("no service: pointsmand will not start without one in dispatcher.cnf\n");
    }
}

/* What the daemon would make of the image beside the main file. */
static void print_image(const struct configuration *c)
{
    struct image_status i;

    image_look(&loader_files, image_path(c->arena, c->snapshot->main_file),
               c->snapshot->main_file, c->arena, &i);
    if (i.verdict == IMAGE_FRESH) {
        printf("image %.*s is fresh\n", STR_ARG(i.path));
    } else if (i.verdict != IMAGE_NONE) {
        printf("image %.*s is %s and will not be used: %.*s\n", STR_ARG(i.path),
               i.verdict == IMAGE_STALE ? "stale" : "bad", STR_ARG(i.reason));
    }
}

static void print_relay(const struct configuration *c, enum tool_format format)
{
    if (format == TOOL_FORMAT_JSON) {
        relay_report_json(c->snapshot, c->arena);
    } else {
        relay_report_text(c->snapshot, c->arena);
    }
}

int cmd_check(const struct invocation *in)
{
    struct configuration c;
    enum tool_format format = in->options.json ? TOOL_FORMAT_JSON : in->options.format;
    int code = TOOL_OK;

    if (in->options.relay && format == TOOL_FORMAT_SARIF) {
        fprintf(stderr, "pointsman: --relay is told as text or JSON, not as SARIF\n");
        return TOOL_USAGE;
    }
    configuration_load(&c, in, CONFIGURATION_SOURCES);
    if (c.snapshot) {
        tls_check(c.snapshot, in->options.no_files ? TLS_FILES_NONE : TLS_FILES_CHECK,
                  c.diags);
        dns_check_anchor(c.snapshot, c.diags);
    }
    messages_print(c.diags,
                   &(struct messages_request){.format = format,
                                              .colour = in->colour,
                                              .max_errors = in->options.max_errors},
                   stdout);
    if (c.unreadable) {
        code = TOOL_USAGE;
    } else {
        if (format == TOOL_FORMAT_TEXT) {
            print_summary(&c);
            if (c.snapshot) {
                print_image(&c);
            }
        }
        if (c.snapshot && in->options.relay) {
            print_relay(&c, format);
        }
        if (!c.snapshot || diags_errors(c.diags) > 0 ||
            (in->options.strict && diags_warnings(c.diags) > 0)) {
            code = TOOL_NO;
        }
    }
    configuration_free(&c);
    return code;
}
