/* commands: one row per command of `pointsman`; a command is a file cmd_<name>.c beside
 * this one. */
#include "tools/commands.h"

#include <string.h>

#include "base/str.h"
#include "tools/options.h"

static const struct command commands[] = {
    {"check", "", "check the whole configuration",
     "Prints every error and warning with file, line and column, then a summary.\n"
     "The name in brackets is what --silence takes, and SILENCE= in option.dat.\n"
     "Exit: 0 clean or warnings only, 1 errors, 2 the main file cannot be read.\n",
     "  pointsman check -c ./new --strict\n"
     "  pointsman check --relay\n",
     TAKES_STRICT | TAKES_ALLOW | TAKES_FORMAT | TAKES_JSON | TAKES_MAX_ERRORS |
         TAKES_SILENCE | TAKES_RELAY | TAKES_NO_FILES,
     0, 0, cmd_check},
    {"compile", "", "the configuration as an image that loads at once",
     "Writes it beside the main file, under its name with the ending .image. There\n"
     "pointsmand and this program use it until a source changes. Errors are shown as by\n"
     "check, and then no image is written.\n"
     "Exit: 0 written, 1 the configuration has errors, 2 it cannot be read or written.\n",
     "  pointsman compile && pointsman reload\n"
     "  pointsman compile -c ./new -o ./new/pointsman.image\n",
     TAKES_STRICT | TAKES_ALLOW | TAKES_SILENCE | TAKES_OUTPUT, 0, 0, cmd_compile},
    {"rewrite", "ADDRESS...", "where mail to an address goes, and which line says so",
     "Prints the rewritten address, the channel and the deciding line. The relay rule\n"
     "is not applied: it depends on who sends. ADDRESS '-': lines of standard input.\n"
     "Exit: 0 every address has a route, 1 one has none, 2 the configuration is bad.\n",
     "  pointsman rewrite ann@sales.example.com\n"
     "  pointsman rewrite --backward --source-channel tcp_local --trace "
     "'x@[192.0.2.7]'\n",
     TAKES_ALLOW | TAKES_SOURCE | TAKES_DESTINATION | TAKES_ENVELOPE | TAKES_HEADER |
         TAKES_FORWARD | TAKES_BACKWARD | TAKES_TRACE | TAKES_JSON,
     1, -1, cmd_rewrite},
    {"map", "TABLE [STRING...]", "what a mapping table makes of a string, and why",
     "Prints the output, the flags and the deciding line. Without STRING, or for '-', "
     "the\n"
     "lines of standard input are taken as they are.\n"
     "Exit: 0 every string matched, 1 one did not, 2 no such table, the configuration "
     "is\n"
     "bad, or a run was given up at a limit.\n",
     "  pointsman map INTERNAL_IP 192.0.2.7\n"
     "  pointsman map REVERSE ann@old.test --flags B --trace --json\n",
     TAKES_ALLOW | TAKES_FLAGS | TAKES_TRACE | TAKES_JSON, 1, -1, cmd_map},
    {"match", "PATTERN TARGET",
     "does a pattern of a mapping match, and what does it save",
     "Prints what the pattern was compiled to ('S': what it matches is saved) and the\n"
     "saved texts by their numbers. Nothing is loaded.\n"
     "Exit: 0 it matches, 1 it does not, 2 it is no pattern.\n",
     "  pointsman match '$D*-$_*.%*' 12-ab.cd.e\n"
     "  pointsman match --json 'TCP|*|25|$(10.0.0.0/8)|*' "
     "'TCP|192.0.2.1|25|10.1.2.3|999'\n",
     TAKES_JSON, 2, 2, cmd_match},
    {"test", "-rewrite|-mapping|-match [WORD...]",
     "as PMDF's test: an address in all its forms, a table, a pattern",
     "Takes the words of PMDF and imsimta, which may be shortened. -rewrite ADDRESS...:\n"
     "-source_channel=, -destination_channel=, -from=, -[no]channel. -mapping "
     "STRING...:\n"
     "-table=, -flags=. -match PATTERN TARGET. All: -configuration_file=, -[no]debug, "
     "and\n"
     "-json for what rewrite, map and match print. Without words: standard input.\n"
     "Exit: 0 routed or matched, 1 not, 2 it cannot be asked.\n",
     "  pointsman test -rewrite -debug -source_channel=tcp_local ann@example.com\n"
     "  pointsman test -mapping -table=INTERNAL_IP 192.0.2.7\n",
     TAKES_WORDS, 0, -1, cmd_test},
    {"alias", "ADDRESS...", "what an address stands for, by aliases and FORWARD",
     "Prints each alias on the way and each address that gets the mail, with the line "
     "it\n"
     "comes from and its channel; and those that cannot get it, and why. The relay rule\n"
     "is not applied. ADDRESS '-': lines of standard input.\n"
     "Exit: 0 each address leads somewhere, 1 one does not, 2 the configuration is "
     "bad.\n",
     "  pointsman alias postmaster staff@example.com\n"
     "  pointsman alias staff --sender ann@example.com --source-channel tcp_local\n",
     TAKES_ALLOW | TAKES_SOURCE | TAKES_SENDER | TAKES_JSON, 1, -1, cmd_alias},
    {"explain", "ADDRESS --from-ip IP",
     "one recipient from the connection to the next hop",
     "Service, switches, relay rule, route and delivery, each with the line that "
     "decides.\n"
     "Exit: 0 accepted, 1 refused, 2 the question cannot be asked.\n",
     "  pointsman explain bob@partner.test --from-ip 192.0.2.7 --tls\n"
     "  pointsman explain ann@example.com --from-ip 2001:db8::7 --service SUBMIT "
     "--json\n",
     TAKES_ALLOW | TAKES_CLIENT | TAKES_JSON, 1, 1, cmd_explain},
    {"diff", "OLD NEW", "what changes in meaning between two configurations",
     "Channels, hosts, keywords in force, rules, listeners, options, lists, tables;\n"
     "with --addresses also the routes of the addresses in FILE ('-': standard input).\n"
     "Exit: 0 no change, 1 changes, 2 one of them cannot be used or read.\n",
     "  pointsman diff /etc/pointsman ./new\n"
     "  pointsman diff /etc/pointsman ./new --addresses vip.txt --json\n",
     TAKES_ALLOW | TAKES_ADDRESSES | TAKES_SOURCE | TAKES_JSON, 2, 2, cmd_diff},
    {"graph", "", "a picture of listeners, switches, rules and channels",
     "Prints it in the dot language of Graphviz, always in the same order.\n"
     "Exit: 0, or 2 when the configuration is bad.\n",
     "  pointsman graph | dot -Tsvg > mail.svg\n"
     "  pointsman graph -c etc/demo | dot -Tpng > demo.png\n",
     TAKES_ALLOW, 0, 0, cmd_graph},
    {"keywords", "[NAME]", "the channel keywords and what becomes of each",
     "Without a name: one line for each keyword. Status is one of honoured, no-effect\n"
     "(never means anything here), later (not honoured yet: a warning) and restricts\n"
     "(not honoured yet and would restrict: an error).\n"
     "Exit: 0, or 1 when nobody knows the name.\n",
     "  pointsman keywords tlsswitchchannel\n"
     "  pointsman keywords --json\n",
     TAKES_JSON, 0, 1, cmd_keywords},
    {"options", "[NAME]", "the options of the NAME=value files and what becomes of each",
     "Without a name: one line for each option of option.dat, dispatcher.cnf, tls.cnf "
     "and\n"
     "the option files of channels (<channel>_option). Status is as for keywords.\n"
     "Exit: 0, or 1 when nobody knows the name.\n",
     "  pointsman options COMMAND_RECEIVE_TIME\n"
     "  pointsman options --json\n",
     TAKES_JSON, 0, 1, cmd_options},
    {"print", "", "the configuration in its canonical form",
     "Prints what the configuration means after includes and defaults: all files, the\n"
     "name of each above it. With -o they are written into a folder, to be read again.\n"
     "Exit: 0, or 2 when the configuration is bad or a file cannot be written.\n",
     "  pointsman print -c etc/demo > before.txt\n"
     "  pointsman print -o canonical\n",
     TAKES_ALLOW | TAKES_OUTPUT, 0, 0, cmd_print},
    {"queue", "COMMAND [ID...|CHANNEL|DIR]",
     "what is in the queue, and what becomes of it",
     "Look: summarize (by channel), directory [CHANNEL] (or list), show ID, read ID,\n"
     "top [channel|host|sender|reason]. Act: hold, release, retry, return (to the "
     "sender),\n"
     "delete, redirect: by ID..., --channel or a filter. stop, start CHANNEL. Keep: "
     "backup\n"
     "DIR, check [DIR]. All of it works beside the daemon, and without one.\n"
     "Exit: 0, 1 nothing like that, refused or wrong, 2 it cannot be read or changed.\n",
     "  pointsman queue retry --channel tcp_partner\n"
     "  pointsman queue return --from '*@spam.test' --older 2d --dry-run\n",
     TAKES_QUEUE | TAKES_SOCKET | TAKES_JSON, 1, -1, cmd_queue},
    {"qm", "[COMMAND...]", "as PMDF's qm: the queue by numbers, in a session",
     "directory [CHANNEL] [-held -from= -to= -match= -total] numbers what is queued;\n"
     "delete, hold, release, return, history, read take the numbers (1,3-5), ids or "
     "-all.\n"
     "summarize, top, held, stop, start, date, help, exit. Without words: standard "
     "input.\n"
     "Exit: the worst of all commands, as for queue.\n",
     "  pointsman qm directory -held tcp_local\n"
     "  pointsman qm return 7F3K2\n",
     TAKES_WORDS, 0, -1, cmd_qm},
    {"status", "", "ask the running daemon how it does",
     "Exit: 0, 1 the daemon said no, 2 it cannot be reached.\n",
     "  pointsman status\n"
     "  pointsman status --socket /run/pointsman/control\n",
     TAKES_SOCKET | TAKES_JSON, 0, 0, cmd_control},
    {"reload", "", "make the running daemon load its configuration again",
     "Everything is loaded and checked first, certificates included; with any error\n"
     "the daemon goes on as before and the errors are shown here.\n"
     "Exit: 0 the new configuration is in force, 1 refused, 2 no daemon.\n",
     "  pointsman reload\n"
     "  pointsman check && pointsman reload\n",
     TAKES_SOCKET | TAKES_JSON, 0, 0, cmd_control},
    {"stop", "", "make the running daemon end in good order",
     "Sessions under way are finished or told to come back; nothing accepted is lost.\n"
     "Exit: 0 it is ending, 1 refused, 2 no daemon.\n",
     "  pointsman stop\n"
     "  pointsman stop --socket /run/pointsman/control\n",
     TAKES_SOCKET | TAKES_JSON, 0, 0, cmd_control},
    {"tls", "explain [ADDRESS]|audit|probe HOST|contexts|reload",
     "the TLS policy of mail that leaves; what a host offers; certificates in use",
     "explain: each field of the policy for ADDRESS or --channel. audit: the weakest "
     "that mail\n"
     "gets: clear, tls (with anybody), ca, host, pinned. probe: what HOST[:PORT] shows, "
     "as\n"
     "--channel judges it. contexts: certificates in use. reload: they are read again.\n"
     "Exit: 0, 1 below --require, no TLS, refused or broken, 2 bad question, nobody "
     "there.\n",
     "  pointsman tls audit --require host --destination partner.test\n"
     "  pointsman tls probe mx.partner.test --channel tcp_partner\n",
     TAKES_ALLOW | TAKES_SOURCE | TAKES_TLS | TAKES_PROBE | TAKES_SOCKET | TAKES_JSON, 1,
     2, cmd_tls},
    {"help", "[COMMAND]", "what a command does, as COMMAND --help",
     "Without a name: the commands.\n"
     "Exit: 0, or 2 when there is no such command.\n",
     "  pointsman help\n"
     "  pointsman help queue\n",
     0, 0, 1, cmd_help},
    {"version", "", "the version of this program", "Exit: 0.\n",
     "  pointsman version\n"
     "  pointsman -c etc/demo version\n",
     0, 0, 0, cmd_version},
};
enum { COMMAND_COUNT = sizeof commands / sizeof *commands, SUGGEST_DISTANCE = 2 };

const struct command *command_find(const char *name)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

const char *command_nearest(const char *name)
{
    const char *nearest = NULL;
    unsigned best = SUGGEST_DISTANCE + 1;

    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        unsigned distance =
            str_distance(str_from(name), str_from(commands[i].name), SUGGEST_DISTANCE);
        if (distance < best) {
            best = distance;
            nearest = commands[i].name;
        }
    }
    return nearest;
}

const struct command *command_at(size_t i)
{
    return i < COMMAND_COUNT ? &commands[i] : NULL;
}

void command_usage(const struct command *c)
{
    printf("Usage: pointsman %s [OPTION...]%s%s\n\n%c%s.\n%s\nOptions:\n", c->name,
           *c->arguments ? " " : "", c->arguments,
           c->summary[0] >= 'a' ? c->summary[0] - 'a' + 'A' : c->summary[0],
           c->summary + 1, c->about);
    options_print(stdout, c->options | TAKES_CONFIG | TAKES_HELP);
    printf("\nExamples:\n%s", c->examples);
}
