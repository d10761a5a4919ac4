/* options: one row per option; parsing and help come from the rows. */
#include "tools/options.h"

#include <string.h>

#include "base/str.h"

enum { SUGGEST_DISTANCE = 2 };

struct option_row {
    unsigned bit;
    char brief;           /* one-letter form, 0: none */
    const char *name;     /* long form without the dashes */
    const char *argument; /* NULL: takes none */
    const char *help;
};

static const struct option_row rows[] = {
    {TAKES_CONFIG, 'c', "config", "FILE-or-DIR",
     "the configuration (default " POINTSMAN_SYSCONFDIR ")"},
    {TAKES_STRICT, 0, "strict", NULL, "warnings fail too"},
    {TAKES_FORMAT, 0, "format", "FORMAT", "text, json (one object a line) or sarif"},
    {TAKES_MAX_ERRORS, 0, "max-errors", "N", "show no more than the first N errors"},
    {TAKES_SILENCE, 0, "silence", "SLUG,...", "leave these warnings out; repeatable"},
    {TAKES_ALLOW, 0, "allow-unhonoured", NULL,
     "restrictions that are not honoured yet: warn"},
    {TAKES_SOURCE, 0, "source-channel", "CHANNEL",
     "the channel mail comes from (default: the local one)"},
    {TAKES_DESTINATION, 0, "destination-channel", "CHANNEL",
     "the channel mail goes to ($Q, $C)"},
    {TAKES_ENVELOPE, 0, "envelope", NULL, "an address of the envelope (default)"},
    {TAKES_HEADER, 0, "header", NULL, "an address of a header field"},
    {TAKES_FORWARD, 0, "forward", NULL, "a recipient (default)"},
    {TAKES_BACKWARD, 0, "backward", NULL, "a sender"},
    {TAKES_TRACE, 0, "trace", NULL, "show every rule looked at"},
    {TAKES_JSON, 0, "json", NULL, "one JSON object a line"},
    {TAKES_SOCKET, 0, "socket", "PATH", "the daemon's control socket"},
    {TAKES_HELP, 'h', "help", NULL, "this text"},
    {TAKES_VERSION, 0, "version", NULL, "the version of this program"},
};
enum { ROW_COUNT = sizeof rows / sizeof *rows };

static bool format_apply(struct tool_options *o, const char *value)
{
    static const char *const names[] = {[TOOL_FORMAT_TEXT] = "text",
                                        [TOOL_FORMAT_JSON] = "json",
                                        [TOOL_FORMAT_SARIF] = "sarif"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(value, names[i]) == 0) {
            o->format = (enum tool_format)i;
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

static bool silence_apply(struct tool_options *o, const char *value)
{
    if (o->silence_count == TOOL_SILENCE_MAX) {
        return false;
    }
    o->silence[o->silence_count++] = value;
    return true;
}

/* False when the value is none the option can have. */
static bool option_apply(struct tool_options *o, unsigned bit, const char *value)
{
    switch (bit) {
    case TAKES_FORMAT:
        return format_apply(o, value);
    case TAKES_MAX_ERRORS:
        return max_errors_apply(o, value);
    case TAKES_SILENCE:
        return silence_apply(o, value);
    case TAKES_CONFIG:
        o->config = value;
        break;
    case TAKES_HELP:
        o->help = true;
        break;
    case TAKES_VERSION:
        o->version = true;
        break;
    case TAKES_STRICT:
        o->strict = true;
        break;
    case TAKES_ALLOW:
        o->allow_unhonoured = true;
        break;
    case TAKES_SOURCE:
        o->source_channel = value;
        break;
    case TAKES_DESTINATION:
        o->destination_channel = value;
        break;
    case TAKES_ENVELOPE:
    case TAKES_HEADER:
        o->form = bit == TAKES_HEADER ? ROUTE_HEADER : ROUTE_ENVELOPE;
        break;
    case TAKES_FORWARD:
    case TAKES_BACKWARD:
        o->direction = bit == TAKES_BACKWARD ? ROUTE_BACKWARD : ROUTE_FORWARD;
        break;
    case TAKES_TRACE:
        o->trace = true;
        break;
    case TAKES_JSON:
        o->json = true;
        o->format = TOOL_FORMAT_JSON;
        break;
    case TAKES_SOCKET:
        o->socket = value;
        break;
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
    if (!option_apply(&r->in->options, row->bit, value)) {
        complain(r, "this value cannot be used:", value);
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
        if (!only_words && strcmp(word, "--") == 0) {
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

void options_print(FILE *out, unsigned options)
{
    for (size_t i = 0; i < ROW_COUNT; i++) {
        const struct option_row *row = &rows[i];
        char left[64];
        if (!(row->bit & options)) {
            continue;
        }
        snprintf(left, sizeof left, "%c%c%s--%s%s%s", row->brief ? '-' : ' ',
                 row->brief ? row->brief : ' ', row->brief ? ", " : "  ", row->name,
                 row->argument ? " " : "", row->argument ? row->argument : "");
        fprintf(out, "  %-33s  %s\n", left, row->help);
    }
}
