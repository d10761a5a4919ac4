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

static int run_summarize(struct qm *qm, const struct qm_line *line)
{
    struct qm_line plain = *line;
    static const char *const names[] = {"held", NULL};

    if (line->qualifier_count == 1 && !line->qualifiers[0].value &&
        qm_find(line->qualifiers[0].name, names) == 0) {
        plain.qualifier_count = 0; /* what is held has its column in any case */
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

struct acting {
    const char *name;    /* "queue delete" */
    const char *channel; /* only entries of it; NULL: any */
    int (*run)(struct queueing *q);
    bool by_id; /* the command takes an id, no filter */
    int code;
    unsigned done;
};

static bool act_one(struct qm *qm, unsigned number, const struct qm_numbered *e,
                    void *arg)
{
    struct acting *a = arg;
    struct invocation in = *qm->in;
    char entry[16], id[QUEUE_ID_MAX];
    char *words[] = {id};

    if (a->channel && number > 0 && !str_ieq(str_from(a->channel), e->channel)) {
        return true;
    }
    memcpy(id, e->id, sizeof id);
    snprintf(entry, sizeof entry, "%u", e->position);
    in.options.queue.entry = number > 0 ? entry : NULL;
    struct queueing q = qm_queueing(qm, &in, a->name);
    if (a->by_id) {
        q.words = words;
        q.word_count = 1;
    } else {
        q.filter = (struct queue_filter){.number = e->number,
                                         .channel = number > 0 ? e->channel
                                                               : str_from(a->channel),
                                         .host = e->host.len > 0 ? e->host : STR_NONE};
        printf("%s: ", e->id);
        fflush(stdout);
    }
    int code = a->run(&q);
    a->code = code > a->code ? code : a->code;
    a->done++;
    return code != TOOL_USAGE;
}

/* -all: those of the last directory; -channel=: of them, those of a channel. */
static bool acting_read(struct acting *a, const struct qm_line *line, bool *all)
{
    static const char *const names[] = {"all", "channel", "log", NULL};

    for (unsigned i = 0; i < line->qualifier_count; i++) {
        const char *value = line->qualifiers[i].value;
        int at = qm_find(line->qualifiers[i].name, names);
        if (a->by_id || at < 0 || (value != NULL) != (at == 1)) {
            fprintf(stderr, "qm: %s does not take -%.*s\n", a->name + strlen("queue "),
                    STR_ARG(line->qualifiers[i].name));
            return false;
        }
        *all = *all || at == 0;
        a->channel = at == 1 ? value : a->channel;
    }
    if (*all == (line->word_count > 1)) {
        fprintf(stderr, "qm: %s takes numbers of the last directory (1,3-5), ids%s\n",
                a->name + strlen("queue "), a->by_id ? "" : ", or -all");
        return false;
    }
    return true;
}

static int act(struct qm *qm, const struct qm_line *line, struct acting a)
{
    bool all = false;
    char range[48];

    if (!acting_read(&a, line, &all)) {
        return TOOL_USAGE;
    }
    if (all) {
        if (qm->last.n == 0) {
            fputs("qm: the last directory was empty, or there was none\n", stderr);
            return TOOL_NO;
        }
        snprintf(range, sizeof range, "1-%zu", qm->last.n);
        qm_choose(qm, range, act_one, &a);
    }
    for (unsigned i = 1; i < line->word_count; i++) {
        if (!qm_choose(qm, line->words[i], act_one, &a)) {
            return a.code > TOOL_NO ? a.code : TOOL_USAGE;
        }
    }
    return a.done > 0 ? a.code : TOOL_NO;
}

static int run_hold(struct qm *qm, const struct qm_line *line)
{
    return act(qm, line, (struct acting){.name = "queue hold", .run = queue_act});
}

static int run_release(struct qm *qm, const struct qm_line *line)
{
    return act(qm, line, (struct acting){.name = "queue release", .run = queue_act});
}

static int run_return(struct qm *qm, const struct qm_line *line)
{
    return act(qm, line, (struct acting){.name = "queue return", .run = queue_act});
}

static int run_delete(struct qm *qm, const struct qm_line *line)
{
    return act(qm, line, (struct acting){.name = "queue delete", .run = queue_act});
}

static int run_history(struct qm *qm, const struct qm_line *line)
{
    return act(qm, line,
               (struct acting){.name = "queue show", .run = queue_show, .by_id = true});
}

static int run_read(struct qm *qm, const struct qm_line *line)
{
    return act(qm, line,
               (struct acting){.name = "queue read", .run = queue_read, .by_id = true});
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
    {NULL, "", "pointsman queue hold --from PATTERN; qm top shows what there is much of"},
    {NULL, "", "pointsman status"},
    {run_date, "", "the time"},
    {run_delete, "N,N-N|ID|-all [-channel=C]", "remove; nobody is told"},
    {run_directory, "[C] [-held -from= -to= -match= -total]", "number what is queued"},
    {run_exit, "", "leave"},
    {run_held, "[C]", "directory -held"},
    {qm_help, "", "this text"},
    {run_history, "N|ID", "all about it, with each attempt"},
    {run_hold, "N|ID|-all [-channel=C]", "set aside until released"},
    {NULL, "", "pointsman queue summarize, whose column 'active' tells what runs"},
    {NULL, "", "pointsman queue directory CHANNEL, or queue top host"},
    {run_exit, "", "leave"},
    {run_read, "N|ID", "the message as it would leave"},
    {run_release, "N|ID|-all [-channel=C]", "what is held becomes due"},
    {run_return, "N|ID|-all [-channel=C]", "back to the sender"},
    {NULL, "", "pointsman queue retry --channel CHANNEL"},
    {run_start, "C", "deliveries of the channel go on"},
    {run_stop, "C", "no deliveries of the channel, also after a restart"},
    {run_summarize, "", "by channel"},
    {run_top, "[channel|host|sender|reason]", "what there is much of"},
    {NULL, "", "nothing: there is one store, not files and a database"},
};

static int qm_help(struct qm *qm, const struct qm_line *line)
{
    (void)qm;
    (void)line;
    for (size_t i = 0; names[i]; i++) {
        if (rows[i].run) {
            printf("%-10s %-40s %s\n", names[i], rows[i].arguments, rows[i].text);
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
    int at = line.word_count > 0 ? qm_find(str_from(line.words[0]), names) : -1;
    if (at < 0) {
        fprintf(stderr, "qm: %s '%s'; try help\n",
                at == -2 ? "several commands begin with" : "there is no command",
                line.word_count > 0 ? line.words[0] : "");
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
