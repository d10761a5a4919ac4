/* qm: PMDF's spelling of `queue`: one command, or a session with a prompt, in which the
 * numbers of the last directory can be used. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "tools/daemon_place.h"
#include "tools/qm.h"

static int qm_help(struct qm *qm, const struct qm_line *line);

static int run_directory(struct qm *qm, const struct qm_line *line)
{
    return qm_directory(qm, line, false);
}

static int run_held(struct qm *qm, const struct qm_line *line)
{
    return qm_directory(qm, line, true);
}

/* False after saying that the command has no such qualifier. */
static bool no_qualifiers(const struct qm_line *line, const char *name)
{
    if (line->qualifier_count == 0) {
        return true;
    }
    fprintf(stderr, "qm: %s does not take -%.*s\n", name,
            STR_ARG(line->qualifiers[0].name));
    return false;
}

/* The same command of `queue`, with the words behind the first. */
static int run_queue(struct qm *qm, const struct qm_line *line, const char *name,
                     bool once)
{
    struct invocation in = *qm->in;
    char *words[QM_WORDS_MAX + 1];

    if (!no_qualifiers(line, name)) {
        return TOOL_USAGE;
    }
    words[0] = arena_strdup(qm->arena, name);
    for (unsigned i = 1; i < line->word_count; i++) {
        words[i] = arena_strdup(qm->arena, line->words[i]);
    }
    in.args = words;
    in.arg_count = line->word_count > 0 ? (int)line->word_count : 1;
    in.options.queue.once = once;
    return cmd_queue(&in);
}

/* What is held has its column in any case. */
static int run_summarize(struct qm *qm, const struct qm_line *line)
{
    struct qm_line plain = *line;
    static const char *const names[] = {"held", NULL};

    if (line->qualifier_count == 1 && !line->qualifiers[0].value &&
        qm_find(line->qualifiers[0].name, names) == 0) {
        plain.qualifier_count = 0;
    }
    return run_queue(qm, &plain, "summarize", false);
}

static int run_top(struct qm *qm, const struct qm_line *line)
{
    return run_queue(qm, line, "top", true);
}

static int run_stop(struct qm *qm, const struct qm_line *line)
{
    return run_queue(qm, line, "stop", false);
}

static int run_start(struct qm *qm, const struct qm_line *line)
{
    return run_queue(qm, line, "start", false);
}

/* ---- messages by number ---------------------------------------------------------- */

static int run_hold(struct qm *qm, const struct qm_line *line)
{
    return qm_act(qm, line, &(struct qm_action){"queue hold", queue_act, false});
}

static int run_release(struct qm *qm, const struct qm_line *line)
{
    return qm_act(qm, line, &(struct qm_action){"queue release", queue_act, false});
}

static int run_return(struct qm *qm, const struct qm_line *line)
{
    return qm_act(qm, line, &(struct qm_action){"queue return", queue_act, false});
}

static int run_delete(struct qm *qm, const struct qm_line *line)
{
    return qm_act(qm, line, &(struct qm_action){"queue delete", queue_act, false});
}

static int run_history(struct qm *qm, const struct qm_line *line)
{
    return qm_act(qm, line, &(struct qm_action){"queue show", queue_show, true});
}

static int run_read(struct qm *qm, const struct qm_line *line)
{
    return qm_act(qm, line, &(struct qm_action){"queue read", queue_read, true});
}

/* PMDF starts the channel's program at once: here what waits becomes due. */
static int run_run(struct qm *qm, const struct qm_line *line)
{
    struct invocation in = *qm->in;

    if (!no_qualifiers(line, "run")) {
        return TOOL_USAGE;
    }
    if (line->word_count != 2) {
        fputs("qm: run takes one channel\n", stderr);
        return TOOL_USAGE;
    }
    struct queueing q = qm_queueing(qm, &in, "queue retry");
    q.filter.channel = str_from(line->words[1]);
    return queue_act(&q);
}

/* ---- the rest -------------------------------------------------------------------- */

static int run_date(struct qm *qm, const struct qm_line *line)
{
    char now[QUEUE_TIME_MAX];

    (void)qm;
    if (!no_qualifiers(line, "date")) {
        return TOOL_USAGE;
    }
    clock_rfc5322(clock_now_ms(&clock_system), now, sizeof now);
    puts(now);
    return TOOL_OK;
}

static int run_exit(struct qm *qm, const struct qm_line *line)
{
    (void)line;
    qm->ended = true;
    return TOOL_OK;
}

/* In one order: the index of a name is that of its row. */
static const char *const names[] = {
    "clean",   "counters", "date", "delete",    "directory", "exit", "held",    "help",
    "history", "hold",     "jobs", "messages",  "quit",      "read", "release", "return",
    "run",     "start",    "stop", "summarize", "top",       "view", NULL};
static const struct {
    int (*run)(struct qm *qm, const struct qm_line *line);
    const char *arguments, *text; /* run NULL: what to use in its place */
} rows[] = {
    {qm_clean, "-env_from=S [-delete -min_length=] [C]",
     "hold or delete what has S in its sender"},
    {NULL, "", "pointsman status"},
    {run_date, "", "the time"},
    {run_delete, "N,N-N|ID|-all [-channel= -confirm -nolog]", "remove; nobody is told"},
    {run_directory, "[C] [-held -from= -to= -match=or -total]", "number what is queued"},
    {run_exit, "", "leave"},
    {run_held, "[C]", "directory -held"},
    {qm_help, "[COMMAND]", "this text"},
    {run_history, "N|ID|-all", "all about it, with each attempt"},
    {run_hold, "as delete", "set aside until released"},
    {NULL, "", "pointsman queue summarize, whose column 'active' tells what runs"},
    {NULL, "", "pointsman queue directory CHANNEL, or queue top host"},
    {run_exit, "", "leave"},
    {run_read, "N|ID|-all", "the message as it would leave"},
    {run_release, "as delete", "what is held becomes due"},
    {run_return, "as delete", "back to the sender"},
    {run_run, "C", "what waits on the channel becomes due"},
    {run_start, "C", "deliveries of the channel go on"},
    {run_stop, "C", "no deliveries of the channel, also after a restart"},
    {run_summarize, "", "by channel"},
    {run_top, "[channel|host|sender|reason]", "what there is much of"},
    {NULL, "", "nothing: there is one store, not files and a database"},
};

/* The row that the word names; -1 after saying that there is none. */
static int row_named(const char *word)
{
    int at = qm_find(str_from(word), names);

    if (at < 0) {
        fprintf(stderr, "qm: %s '%s'; try help\n",
                at == -2 ? "several commands begin with" : "there is no command", word);
    }
    return at < 0 ? -1 : at;
}

static void help_row(int at)
{
    if (rows[at].run) {
        printf("%-10s %-45s %s\n", names[at], rows[at].arguments, rows[at].text);
    } else {
        printf("%-10s is not here; use %s\n", names[at], rows[at].text);
    }
}

static int qm_help(struct qm *qm, const struct qm_line *line)
{
    (void)qm;
    if (!no_qualifiers(line, "help")) {
        return TOOL_USAGE;
    }
    for (unsigned i = 1; i < line->word_count; i++) {
        int at = row_named(line->words[i]);
        if (at < 0) {
            return TOOL_USAGE;
        }
        help_row(at);
    }
    for (int i = 0; line->word_count == 1 && names[i]; i++) {
        if (rows[i].run) {
            help_row(i);
        }
    }
    return TOOL_OK;
}

static int run_words(struct qm *qm, char *const *words, unsigned count)
{
    struct qm_line line;

    if (!qm_line_read(qm->arena, words, count, &line)) {
        return TOOL_USAGE;
    }
    int at = row_named(line.word_count > 0 ? line.words[0] : "");
    if (at < 0) {
        return TOOL_USAGE;
    }
    if (!rows[at].run) {
        fprintf(stderr, "qm: %s is not here; use %s\n", names[at], rows[at].text);
        return TOOL_USAGE;
    }
    return rows[at].run(qm, &line);
}

/* Commands of standard input. The exit code is the worst of theirs. */
static int session(struct qm *qm)
{
    bool prompt = isatty(STDIN_FILENO) == 1;
    char *line = NULL, *words[QM_WORDS_MAX];
    size_t size = 0;
    int code = TOOL_OK;

    while (!qm->ended) {
        if (prompt) {
            fputs("qm.maint> ", stdout);
        }
        fflush(stdout);
        ssize_t length = getline(&line, &size, stdin);
        if (length < 0) {
            break;
        }
        struct arena_mark mark = arena_mark(qm->arena);
        int count = qm_split(qm->arena, str_n(line, (size_t)length), words);
        int one = count > 0 ? run_words(qm, words, (unsigned)count)
                            : (count < 0 ? TOOL_USAGE : TOOL_OK);
        code = one > code ? one : code;
        arena_reset(qm->arena, mark);
    }
    if (prompt && !qm->ended) {
        putchar('\n');
    }
    free(line);
    return code;
}

/* `qm -maintenance ...` is what it is without that word, too. */
int cmd_qm(const struct invocation *in)
{
    static const char *const modes[] = {"maintenance", NULL};
    struct qm qm = {.in = in, .arena = arena_new(), .numbers = arena_new()};
    char **words = in->args;
    int count = in->arg_count;

    if (count > 0 && words[0][0] == '-' && words[0][1] != '\0' &&
        qm_find(str_from(words[0] + 1), modes) == 0) {
        words++;
        count--;
    }
    if (count > 0 && (strcmp(words[0], "--help") == 0 || strcmp(words[0], "-h") == 0)) {
        arena_free(&qm.arena);
        arena_free(&qm.numbers);
        command_usage(in->command);
        return TOOL_OK;
    }
    int code = count > 0 ? run_words(&qm, words, (unsigned)count) : session(&qm);
    arena_free(&qm.arena);
    arena_free(&qm.numbers);
    return code;
}
