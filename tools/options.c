/* options: one row per option; parsing and help come from the rows. */
#include "tools/options.h"

#include <stddef.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"

enum { SUGGEST_DISTANCE = 2 };

struct option_row {
    unsigned bit;
    char brief;           /* one-letter form, 0: none */
    const char *name;     /* long form without the dashes */
    const char *argument; /* NULL: takes none */
    size_t member;        /* of struct tool_options: a string with an argument, else a
                           * truth value, which becomes ... */
    bool truth;
    bool (*read)(struct tool_options *o, const char *value); /* NULL, or instead */
    const char *help; /* NULL: it is told together with the next row */
};

static bool format_apply(struct tool_options *o, const char *value)
{
    static const char *const names[] = {[TOOL_FORMAT_TEXT] = "text",
                                        [TOOL_FORMAT_JSON] = "json",
                                        [TOOL_FORMAT_SARIF] = "sarif"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(value, names[i]) == 0) {
            o->format = (enum tool_format)i;
            o->json = o->format == TOOL_FORMAT_JSON;
            return true;
        }
    }
    return false;
}

static bool max_errors_apply(struct tool_options *o, const char *value)
{
    uint64_t number;
    if (!str_u64(str_from(value), UINT32_MAX, &number) || number == 0) {
        return false;
    }
    o->max_errors = (unsigned)number;
    return true;
}

static bool timeout_apply(struct tool_options *o, const char *value)
{
    enum { TIMEOUT_MAX_S = 3600 };
    uint64_t number;
    if (!str_u64(str_from(value), TIMEOUT_MAX_S, &number) || number == 0) {
        return false;
    }
    o->timeout_s = (unsigned)number;
    return true;
}

static bool silence_apply(struct tool_options *o, const char *value)
{
    if (o->silence_count == TOOL_SILENCE_MAX) {
        return false;
    }
    o->silence[o->silence_count++] = value;
    return true;
}

/* NAME=VALUE, one part of the handshake; there is one then. */
static bool handshake_apply(struct tool_options *o, const char *value)
{
    const struct {
        const char *name;
        const char **to;
    } parts[] = {{"version", &o->handshake.version}, {"cipher", &o->handshake.cipher},
                 {"group", &o->handshake.group},     {"sni", &o->handshake.sni},
                 {"subject", &o->handshake.subject}, {"issuer", &o->handshake.issuer},
                 {"spki", &o->handshake.spki}};
    str text = str_from(value), name = STR("");
    str_split(&text, '=', &name);
    for (size_t i = 0; i < sizeof parts / sizeof *parts && text.ptr != NULL; i++) {
        if (str_eq(name, str_from(parts[i].name))) {
            *parts[i].to = value + name.len + 1;
            o->tls = true;
            return true;
        }
    }
    return false;
}

/* clang-format off */
#define TEXT(bit, brief, name, argument, member, help)                                   \
    {bit, brief, name, argument, offsetof(struct tool_options, member), false, NULL, help}
#define FLAG(bit, brief, name, member, truth, help)                                      \
    {bit, brief, name, NULL, offsetof(struct tool_options, member), truth, NULL, help}
#define READ(bit, name, argument, read, help)                                            \
    {bit, 0, name, argument, 0, false, read, help}

/* clang-format on */
static const struct option_row rows[] = {
    TEXT(TAKES_CONFIG, 'c', "config", "FILE-or-DIR", config,
         "the configuration (default " POINTSMAN_SYSCONFDIR ")"),
    FLAG(TAKES_STRICT, 0, "strict", strict, true, "warnings fail too"),
    TEXT(TAKES_OUTPUT, 'o', "output", "PATH", output,
         "where to write: an image, or a folder (print)"),
    FLAG(TAKES_RELAY, 0, "relay", relay, true,
         "tell who may relay and why, and what is ours"),
    FLAG(TAKES_NO_FILES, 0, "no-files", no_files, true,
         "leave out certificates, keys and CAs"),
    READ(TAKES_FORMAT, "format", "FORMAT", format_apply,
         "text, json (one object a line) or sarif"),
    READ(TAKES_MAX_ERRORS, "max-errors", "N", max_errors_apply,
         "show no more than the first N errors"),
    READ(TAKES_SILENCE, "silence", "SLUG,...", silence_apply,
         "leave these warnings out; repeatable"),
    FLAG(TAKES_ALLOW, 0, "allow-unhonoured", allow_unhonoured, true,
         "restrictions that are not honoured yet: warn"),
    TEXT(TAKES_CLIENT, 0, "from-ip", "IP", from_ip, "the client's address (needed)"),
    TEXT(TAKES_CLIENT, 0, "from-name", "HOST", from_name, "its name in the DNS"),
    TEXT(TAKES_CLIENT, 0, "service", "NAME", service,
         "the service it connects to (default: the first)"),
    TEXT(TAKES_CLIENT, 0, "server-ip", "IP", server_ip, "our address it connects to"),
    TEXT(TAKES_CLIENT, 0, "helo", "NAME", helo, "the name it gives in EHLO"),
    FLAG(TAKES_CLIENT, 0, "tls", tls, true, "it turns TLS on when that is offered"),
    READ(TAKES_CLIENT, "handshake", "NAME=VALUE", handshake_apply,
         "version, cipher, group, sni, subject, issuer, spki"),
    TEXT(TAKES_CLIENT, 0, "auth", "USER", auth, "it authenticates"),
    TEXT(TAKES_CLIENT | TAKES_SENDER, 0, "sender", "ADDRESS", sender,
         "the envelope sender"),
    TEXT(TAKES_SOURCE, 0, "source-channel", "CHANNEL", source_channel,
         "the channel mail comes from (default: the local one)"),
    TEXT(TAKES_DESTINATION, 0, "destination-channel", "CHANNEL", destination_channel,
         "the channel mail goes to ($Q, $C)"),
    FLAG(TAKES_ENVELOPE, 0, "envelope", header, false,
         "an address of the envelope (default)"),
    FLAG(TAKES_HEADER, 0, "header", header, true, "an address of a header field"),
    FLAG(TAKES_FORWARD, 0, "forward", backward, false, "a recipient (default)"),
    FLAG(TAKES_BACKWARD, 0, "backward", backward, true, "a sender"),
    TEXT(TAKES_ADDRESSES, 0, "addresses", "FILE", addresses,
         "compare the routes of these, one a line"),
    TEXT(TAKES_FLAGS, 0, "flags", "LETTERS", flags, "the flags that $: and $; ask for"),
    TEXT(TAKES_QUEUE | TAKES_TLS, 0, "channel", "CHANNEL", channel,
         "only that channel; tls: what it says, its policy"),
    TEXT(TAKES_TLS, 0, "mx", "HOST", mx, NULL),
    TEXT(TAKES_TLS, 0, "ip", "IP", ip, "explain: for a connection to them"),
    TEXT(TAKES_TLS, 0, "destination", "DOMAIN", destination,
         "audit, probe: mail for that domain"),
    TEXT(TAKES_TLS, 0, "require", "LEVEL", require,
         "audit, probe: exit 1 when something is below that"),
    FLAG(TAKES_PROBE, 0, "implicit", implicit, true, NULL),
    READ(TAKES_PROBE, "timeout", "SECONDS", timeout_apply,
         "probe: TLS at once, as on port 465; limit (30)"),
    FLAG(TAKES_TRACE, 0, "trace", trace, true, "show every rule or entry looked at"),
    FLAG(TAKES_JSON, 0, "json", json, true, "one JSON object a line"),
    FLAG(TAKES_QUEUE, 0, "held", queue.held, true, NULL),
    TEXT(TAKES_QUEUE, 0, "older", "TIME", queue.older, NULL),
    TEXT(TAKES_QUEUE, 0, "host", "HOST", queue.host, "only such: 2d, a next hop"),
    TEXT(TAKES_QUEUE, 0, "from", "PATTERN", queue.from, NULL),
    TEXT(TAKES_QUEUE, 0, "to", "PATTERN", queue.to, NULL),
    TEXT(TAKES_QUEUE, 0, "match", "and|or", queue.match, "or one of both"),
    FLAG(TAKES_QUEUE, 0, "all", queue.all, true, NULL),
    FLAG(TAKES_QUEUE, 0, "dry-run", queue.dry_run, true, "act on all; only count"),
    TEXT(TAKES_QUEUE, 0, "to-channel", "CHANNEL", queue.to_channel, NULL),
    TEXT(TAKES_QUEUE, 0, "to-host", "HOST", queue.to_host, "redirect: where to"),
    TEXT(TAKES_QUEUE, 0, "entry", "N", queue.entry, NULL),
    FLAG(TAKES_QUEUE, 0, "raw", queue.raw, true, NULL),
    FLAG(TAKES_QUEUE, 0, "once", queue.once, true,
         "read: which entry, unescaped; top: once"),
    TEXT(TAKES_SOCKET, 0, "socket", "PATH", socket, "the daemon's control socket"),
    FLAG(TAKES_HELP, 'h', "help", help, true, "this text"),
    FLAG(TAKES_VERSION, 0, "version", version, true, "the version of this program"),
};
enum { ROW_COUNT = sizeof rows / sizeof *rows };

/* False when the value is none the option can have. */
static bool option_apply(struct tool_options *o, const struct option_row *row,
                         const char *value)
{
    char *member = (char *)o + row->member;

    if (row->read) {
        return row->read(o, value);
    }
    if (row->argument) {
        *(const char **)member = value;
    } else {
        *(bool *)member = row->truth;
    }
    return true;
}

static const struct option_row *row_find(str name, bool brief)
{
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (brief ? name.len == 1 && rows[i].brief == name.ptr[0]
                  : str_eq(name, str_from(rows[i].name))) {
            return &rows[i];
        }
    }
    return NULL;
}

static const char *row_nearest(str name, unsigned allowed)
{
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if ((rows[i].bit & allowed) &&
            str_distance(name, str_from(rows[i].name), SUGGEST_DISTANCE) <=
                SUGGEST_DISTANCE) {
            return rows[i].name;
        }
    }
    return NULL;
}

struct reader {
    struct invocation *in;
    int argc, next;
    char **argv;
};

static void complain(const struct reader *r, const char *what, const char *word)
{
    const struct command *c = r->in->command;

    fprintf(stderr, "pointsman: %s '%s'\nTry 'pointsman %s%s--help'.\n", what, word,
            c ? c->name : "", c ? " " : "");
}

static void unknown_option(const struct reader *r, const char *word, str name,
                           unsigned allowed)
{
    const char *near = row_nearest(name, allowed);
    const struct command *c = r->in->command;

    fprintf(stderr, "pointsman: unknown option '%s'", word);
    if (near) {
        fprintf(stderr, "; did you mean '--%s'?", near);
    }
    fprintf(stderr, "\nTry 'pointsman %s%s--help'.\n", c ? c->name : "", c ? " " : "");
}

/* One word that begins with '-'. */
static bool read_option(struct reader *r, char *word)
{
    unsigned allowed = TAKES_CONFIG | TAKES_HELP;
    bool brief = word[1] != '-';
    str name = str_from(word + (brief ? 1 : 2));
    const char *value = NULL;

    allowed |= r->in->command ? r->in->command->options : TAKES_VERSION;
    ptrdiff_t equals = brief ? -1 : str_find(name, '=');
    if (equals >= 0) {
        value = name.ptr + equals + 1;
        name.len = (size_t)equals;
    } else if (brief && name.len > 1) {
        value = name.ptr + 1;
        name.len = 1;
    }
    const struct option_row *row = row_find(name, brief);
    if (!row || !(row->bit & allowed)) {
        unknown_option(r, word, name, allowed);
        return false;
    }
    if (!row->argument && value) {
        complain(r, "no value may follow", word);
        return false;
    }
    if (row->argument && !value) {
        if (r->next >= r->argc) {
            complain(r, "a value must follow", word);
            return false;
        }
        value = r->argv[r->next++];
    }
    if (!option_apply(&r->in->options, row, value)) {
        char what[64];
        snprintf(what, sizeof what, "this value of --%s cannot be used:", row->name);
        complain(r, what, value);
        return false;
    }
    return true;
}

bool options_read(struct invocation *in, int argc, char **argv,
                  const struct command *(*find)(const char *name))
{
    struct reader r = {.in = in, .argc = argc, .next = 1, .argv = argv};
    bool only_words = false;
    int words = 0;

    while (r.next < argc) {
        char *word = argv[r.next++];
        if (in->command && (in->command->options & TAKES_WORDS)) {
            argv[words++] = word;
        } else if (!only_words && strcmp(word, "--") == 0) {
            only_words = true;
        } else if (!only_words && word[0] == '-' && word[1] != '\0') {
            if (!read_option(&r, word)) {
                return false;
            }
        } else {
            if (words == 0) {
                in->command = find(word);
            }
            argv[words++] = word;
            if (!in->command) {
                break;
            }
        }
    }
    in->args = argv;
    in->arg_count = words;
    return true;
}

/* "-c, --config FILE-or-DIR" */
static void put_form(struct buf *out, const struct option_row *row)
{
    if (row->brief) {
        buf_printf(out, "-%c, ", row->brief);
    } else if (out->len == 0) {
        buf_puts(out, "    ");
    } else {
        buf_puts(out, ", ");
    }
    buf_printf(out, "--%s%s%s", row->name, row->argument ? " " : "",
               row->argument ? row->argument : "");
}

void options_print(FILE *out, unsigned options)
{
    struct buf left;
    buf_init(&left, 200);
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (!(rows[i].bit & options)) {
            continue;
        }
        put_form(&left, &rows[i]);
        if (rows[i].help) {
            fprintf(out, "  %-33.*s  %s\n", STR_ARG(buf_slice(&left)), rows[i].help);
            buf_clear(&left);
        }
    }
    buf_free(&left);
}
