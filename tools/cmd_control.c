/* status, reload, stop, and some of `tls`: the commands that talk to the running daemon.
 */
#include "router/control_client.h"
#include "tools/daemon_place.h"

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
    str name = str_from(in->command->name);
    if (in->arg_count > 0) { /* "tls contexts" */
        name = arena_printf(a, "%.*s %s", STR_ARG(name), in->args[0]);
    }
    const struct control_request request = {.command = name.ptr};
    struct control_reply reply;
    char reason[256];
    int code = TOOL_USAGE;

    if (control_ask(a, daemon_socket(a, in), &request, REPLY_TIMEOUT_MS, &reply, reason,
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
