/* tool: what the commands of `pointsman` share: one row per command, the options as
 * the user gave them, exit codes. The rows stand in tools/commands.c; each command is
 * one file cmd_<name>.c. Only this program prints and chooses exit codes. */
#ifndef TOOLS_TOOL_H
#define TOOLS_TOOL_H

#include <stdbool.h>
#include <stdio.h>

/* Exit codes; documented in pointsman.1. */
enum {
    TOOL_OK = 0,   /* yes, clean, routed */
    TOOL_NO = 1,   /* no: errors found, not routable, refused */
    TOOL_USAGE = 2 /* wrong usage, unreadable file, nobody to talk to */
};

/* Options a command may take; TAKES_* are bits of command.options. */
enum {
    TAKES_CONFIG = 1 << 0,
    TAKES_HELP = 1 << 1,
    TAKES_STRICT = 1 << 2,
    TAKES_ALLOW = 1 << 3,
    TAKES_SOURCE = 1 << 4,
    TAKES_ENVELOPE = 1 << 5,
    TAKES_HEADER = 1 << 6,
    TAKES_FORWARD = 1 << 7,
    TAKES_BACKWARD = 1 << 8,
    TAKES_TRACE = 1 << 9,
    TAKES_JSON = 1 << 10,
    TAKES_SOCKET = 1 << 11,
    TAKES_VERSION = 1 << 12, /* in place of a command only */
    TAKES_DESTINATION = 1 << 13,
    TAKES_FORMAT = 1 << 14,
    TAKES_MAX_ERRORS = 1 << 15,
    TAKES_SILENCE = 1 << 16,
    TAKES_CLIENT = 1 << 17, /* --from-ip, --tls, --auth, --helo, --sender ... */
    TAKES_ADDRESSES = 1 << 18,
    TAKES_OUTPUT = 1 << 20,
    TAKES_FLAGS = 1 << 21,
    TAKES_RELAY = 1 << 22,
    TAKES_NO_FILES = 1 << 23,
    TAKES_QUEUE = 1 << 25, /* of `queue` */
    TAKES_SENDER = 1 << 24,
    TAKES_TLS = 1 << 26,   /* of `tls explain`, `audit`, `probe` */
    TAKES_PROBE = 1 << 27, /* of `tls probe` */
    TAKES_WORDS = 1 << 19  /* what follows the command is left to it */
};

/* --format; --json is JSON, too. */
enum tool_format { TOOL_FORMAT_TEXT, TOOL_FORMAT_JSON, TOOL_FORMAT_SARIF };

enum { TOOL_SILENCE_MAX = 64 };

struct tool_options {
    const char *config;                               /* -c, or the default */
    const char *source_channel;                       /* NULL: the local channel */
    const char *destination_channel;                  /* NULL: not known */
    const char *socket;                               /* NULL: from the configuration */
    const char *from_ip, *from_name, *service, *auth; /* a client; NULL: not given */
    const char *helo, *server_ip;                     /* likewise */
    struct {
        const char *version, *cipher, *group, *sni, *subject, *issuer, *spki;
    } handshake;                       /* likewise, of its TLS */
    const char *sender;                /* of the envelope */
    const char *output;                /* -o; NULL: the usual place */
    const char *addresses;             /* a file of them, NULL: none */
    const char *flags;                 /* of a mapping; NULL: none */
    const char *channel, *mx, *ip;     /* of `tls explain` and `queue`; NULL: not given */
    const char *destination, *require; /* of `tls audit` and `tls probe` */
    unsigned timeout_s;                /* of `tls probe`; 0: not given */
    bool implicit;                     /* likewise: without STARTTLS */
    struct {                           /* of `queue` */
        const char *from, *to, *match, *older, *host; /* which messages */
        const char *to_channel, *to_host, *entry;
        bool held, all, dry_run, raw, once;
    } queue;
    bool help, version, strict, allow_unhonoured, trace, json, tls, relay, no_files;
    enum tool_format format; /* where json is false */
    unsigned max_errors;     /* 0: no limit */
    const char *silence[TOOL_SILENCE_MAX];
    unsigned silence_count;
    bool header, backward; /* else envelope, forward */
};

struct command;
struct invocation {
    const struct command *command;
    struct tool_options options;
    char **args; /* the words that are no options */
    int arg_count;
    bool colour; /* standard output is a terminal that wants it */
};

struct command {
    const char *name;
    const char *arguments;  /* as shown in the usage line */
    const char *summary;    /* one line */
    const char *about;      /* more lines for --help */
    const char *examples;   /* two, each a line */
    unsigned options;       /* TAKES_* bits; TAKES_HELP and TAKES_CONFIG always */
    int min_args, max_args; /* max_args -1: any number */
    int (*run)(const struct invocation *in);
};

int cmd_check(const struct invocation *in);
int cmd_compile(const struct invocation *in);
int cmd_rewrite(const struct invocation *in);
int cmd_map(const struct invocation *in);
int cmd_match(const struct invocation *in);
int cmd_alias(const struct invocation *in);
int cmd_explain(const struct invocation *in);
int cmd_test(const struct invocation *in);
int cmd_diff(const struct invocation *in);
int cmd_graph(const struct invocation *in);
int cmd_keywords(const struct invocation *in);
int cmd_options(const struct invocation *in);
int cmd_print(const struct invocation *in);
int cmd_queue(const struct invocation *in);
int cmd_qm(const struct invocation *in);
int cmd_control(const struct invocation *in); /* status, reload, stop, tls ... */
int cmd_tls(const struct invocation *in);
int cmd_version(const struct invocation *in);
int cmd_help(const struct invocation *in);

/* Prints the help text of a command. */
void command_usage(const struct command *c);
/* True when `stream` is a terminal that takes control sequences. */
bool tool_screen(FILE *stream);
/* True when it is one that may be coloured (NO_COLOR unset). */
bool tool_colour(FILE *stream);

#endif
