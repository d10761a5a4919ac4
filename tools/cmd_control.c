/* status, reload and stop: the commands that talk to the running daemon. They find the
 * socket by option.dat alone: a configuration with errors must not keep its owner from
 * asking the daemon about it. */
#include "tools/tool.h"

#include <sys/stat.h>

#include "parser/parse.h"
#include "router/control_client.h"

/* The configuration folder: -c itself, or the folder of the file it names. */
static str configuration_folder(struct arena *a, const char *config)
{
    struct stat st;
    str path = str_from(config);

    if (stat(config, &st) == 0 && S_ISDIR(st.st_mode)) {
        return path;
    }
    ptrdiff_t slash = str_rfind(path, '/');
    if (slash < 0) {
        return STR(".");
    }
    return slash == 0 ? STR("/") : arena_str(a, str_sub(path, 0, (size_t)slash));
}

/* CONTROL_SOCKET of option.dat, or the default. */
static str control_socket(struct arena *a, const struct invocation *in)
{
    str folder = configuration_folder(a, in->options.config);
    str file = arena_printf(a, "%.*s/option.dat", STR_ARG(folder));
    struct sources *sources = sources_new(a);
    str found = STR(POINTSMAN_CONTROL_SOCKET);
    struct stat st;

    if (stat(file.ptr, &st) != 0) {
        return found;
    }
    const struct ast *ast = parse_file(a, &loader_files, sources, file, STR("option.dat"),
                                       SYNTAX_OPTIONS, diags_new(a, sources));
    for (const struct ast_section *s = ast->sections; s; s = s->next) {
        for (const struct ast_option *o = s->options; o; o = o->next) {
            if (s->name.len == 0 && str_ieq(o->name, STR("CONTROL_SOCKET"))) {
                found = o->value;
            }
        }
    }
    if (found.len > 0 && found.ptr[0] != '/') {
        found = arena_printf(a, "%.*s/%.*s", STR_ARG(folder), STR_ARG(found));
    }
    return found;
}

/* A reload of a large configuration takes its time. */
enum { REPLY_TIMEOUT_MS = 10 * 60 * 1000 };

static void print_reply(const struct invocation *in, const struct control_reply *reply)
{
    str text = in->options.json ? reply->line : reply->text;
    FILE *out = in->options.json || reply->ok ? stdout : stderr;

    fwrite(text.ptr, 1, text.len, out);
    if (text.len > 0 && text.ptr[text.len - 1] != '\n') {
        fputc('\n', out);
    }
}

int cmd_control(const struct invocation *in)
{
    struct arena *a = arena_new();
    str path = in->options.socket ? str_from(in->options.socket) : control_socket(a, in);
    struct control_reply reply;
    char reason[256];
    int code = TOOL_USAGE;

    if (control_ask(a, path, in->command->name, REPLY_TIMEOUT_MS, &reply, reason,
                    sizeof reason)) {
        print_reply(in, &reply);
        code = reply.ok ? TOOL_OK : TOOL_NO;
    } else {
        fprintf(stderr,
                "pointsman: %s\n"
                "-c names the configuration of the daemon, or --socket its socket.\n",
                reason);
    }
    arena_free(&a);
    return code;
}
