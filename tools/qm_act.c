/* qm_act: what becomes of messages that are named by the numbers of the last directory,
 * by ids, or by what is in their envelope. */
#include <stdlib.h>
#include <string.h>

#include "tools/qm.h"
#include "tools/text.h"

/* A command that takes numbers and ids, and what was said with it. */
struct acting {
    const struct qm_action *action;
    const char *channel; /* only entries of it; NULL: any */
    bool all, confirm, quiet;
    int code;
    unsigned done;
};

static const char *short_name(const char *name)
{
    return name + strlen("queue ");
}

/* ---- -confirm ---------------------------------------------------------------------- */

enum confirmed { CONFIRMED_NO, CONFIRMED_YES, CONFIRMED_END };

/* The answer is a line of standard input, as the commands are; at its end: no more. */
static enum confirmed confirm(struct qm *qm, const struct acting *a, unsigned number,
                              const struct qm_numbered *e)
{
    enum confirmed answer = CONFIRMED_NO;
    char *line = NULL;
    size_t size = 0;

    printf("%s %s", short_name(a->action->name), e->id);
    if (number > 0) {
        printf(" (%u, %.*s)", number, STR_ARG(text_plain(qm->arena, e->channel)));
    }
    fputs("? [y/N] ", stdout);
    fflush(stdout);
    ssize_t length = getline(&line, &size, stdin);
    str word = length < 0 ? STR("quit") : str_trim(str_n(line, (size_t)length));
    if (word.len > 0 && str_istarts(STR("yes"), word)) {
        answer = CONFIRMED_YES;
    } else if (word.len > 0 && str_istarts(STR("quit"), word)) {
        answer = CONFIRMED_END;
    }
    free(line);
    return answer;
}

/* ---- one ------------------------------------------------------------------------- */

static int run_one(struct qm *qm, const struct acting *a, unsigned number,
                   const struct qm_numbered *e)
{
    struct invocation in = *qm->in;
    char entry[16], id[QUEUE_ID_MAX];
    char *words[] = {id};

    memcpy(id, e->id, sizeof id);
    snprintf(entry, sizeof entry, "%u", e->position);
    in.options.queue.entry = number > 0 ? entry : NULL;
    struct queueing q = qm_queueing(qm, &in, a->action->name);
    if (a->action->shows) {
        q.words = words;
        q.word_count = 1;
        return a->action->run(&q);
    }
    q.filter =
        (struct queue_filter){.number = e->number,
                              .channel = number > 0 ? e->channel : str_from(a->channel),
                              .host = e->host.len > 0 ? e->host : STR_NONE};
    q.quiet = a->quiet;
    if (!a->quiet) {
        printf("%s: ", e->id);
        fflush(stdout);
    }
    return a->action->run(&q);
}

static bool act_one(struct qm *qm, unsigned number, const struct qm_numbered *e,
                    void *arg)
{
    struct acting *a = arg;

    if (a->channel && number > 0 && !str_ieq(str_from(a->channel), e->channel)) {
        return true;
    }
    a->done++;
    if (a->confirm) {
        enum confirmed answer = confirm(qm, a, number, e);
        if (answer != CONFIRMED_YES) {
            return answer == CONFIRMED_NO;
        }
    }
    int code = run_one(qm, a, number, e);
    a->code = code > a->code ? code : a->code;
    return code != TOOL_USAGE;
}

/* ---- qualifiers -------------------------------------------------------------------- */

/* -all: those of the last directory; -channel=: of them, those of a channel. */
static bool acting_read(struct acting *a, const struct qm_line *line)
{
    static const char *const names[] = {"all", "channel", "confirm",      "noconfirm",
                                        "log", "nolog",   "content_only", NULL};
    enum { ALL, CHANNEL, CONFIRM, NOCONFIRM, LOG, NOLOG, CONTENT_ONLY };

    for (unsigned i = 0; i < line->qualifier_count; i++) {
        const char *value = line->qualifiers[i].value;
        int at = qm_find(line->qualifiers[i].name, names);
        bool fits = at >= 0 && (value != NULL) == (at == CHANNEL) &&
                    (at != CONTENT_ONLY || a->action->run == queue_read) &&
                    ((at != LOG && at != NOLOG) || !a->action->shows);
        if (!fits) {
            fprintf(stderr, "qm: %s does not take -%.*s%s\n", short_name(a->action->name),
                    STR_ARG(line->qualifiers[i].name), value != NULL ? "=..." : "");
            return false;
        }
        a->all = a->all || at == ALL;
        a->channel = at == CHANNEL ? value : a->channel;
        a->confirm = at == CONFIRM || (a->confirm && at != NOCONFIRM);
        a->quiet = at == NOLOG || (a->quiet && at != LOG);
        /* -content_only: the envelope is never shown with it */
    }
    if (a->all == (line->word_count > 1)) {
        fprintf(stderr,
                "qm: %s takes numbers of the last directory (1,3-5), ids, or -all\n",
                short_name(a->action->name));
        return false;
    }
    return true;
}

int qm_act(struct qm *qm, const struct qm_line *line, const struct qm_action *action)
{
    struct acting a = {.action = action};
    char range[48];

    if (!acting_read(&a, line)) {
        return TOOL_USAGE;
    }
    if (a.all) {
        if (qm->last.n == 0) {
            fputs("qm: the last directory was empty, or there was none\n", stderr);
            return TOOL_NO;
        }
        snprintf(range, sizeof range, "1-%zu", qm->last.n);
        qm_choose(qm, range, act_one, &a);
    }
    for (unsigned i = 1; i < line->word_count; i++) {
        unsigned before = a.done;
        if (!qm_choose(qm, line->words[i], act_one, &a)) {
            bool ended = a.done > before && a.code <= TOOL_NO; /* who was asked says so */
            return ended || a.code > TOOL_NO ? a.code : TOOL_USAGE;
        }
    }
    return a.done > 0 ? a.code : TOOL_NO;
}

/* ---- clean ------------------------------------------------------------------------- */

enum { LENGTH_MIN = 24 }; /* of what is searched for: a safety net against "a" */

struct cleaning {
    const char *sender;
    bool delete;
    uint64_t length_min;
};

static bool cleaning_read(struct cleaning *c, const struct qm_line *line)
{
    static const char *const names[] = {"env_from", "delete",  "hold", "min_length",
                                        "subject",  "content", NULL};
    enum { ENV_FROM, DELETE, HOLD, MIN_LENGTH };

    for (unsigned i = 0; i < line->qualifier_count; i++) {
        const char *value = line->qualifiers[i].value;
        int at = qm_find(line->qualifiers[i].name, names);
        if (at > MIN_LENGTH) {
            fprintf(stderr,
                    "qm: clean looks at the sender only (-env_from=), not at -%s\n",
                    names[at]);
            return false;
        }
        bool number = at != MIN_LENGTH ||
                      (value && str_u64(str_from(value), UINT32_MAX, &c->length_min));
        if (at < 0 || !number ||
            (value != NULL) != (at == ENV_FROM || at == MIN_LENGTH)) {
            fprintf(stderr,
                    "qm: clean has -env_from=, -hold, -delete and -min_length=, not "
                    "-%.*s\n",
                    STR_ARG(line->qualifiers[i].name));
            return false;
        }
        c->sender = at == ENV_FROM ? value : c->sender;
        c->delete = at == DELETE || (c->delete &&at != HOLD);
    }
    if (!c->sender || strlen(c->sender) < c->length_min) {
        fprintf(stderr,
                "qm: clean wants -env_from= with a part of the sender of %u octets or "
                "more; -min_length= changes that\n",
                (unsigned)c->length_min);
        return false;
    }
    return true;
}

int qm_clean(struct qm *qm, const struct qm_line *line)
{
    struct cleaning c = {.length_min = LENGTH_MIN};
    struct invocation in = *qm->in;

    if (!cleaning_read(&c, line)) {
        return TOOL_USAGE;
    }
    if (line->word_count > 2) {
        fputs("qm: clean takes one channel\n", stderr);
        return TOOL_USAGE;
    }
    struct queueing q = qm_queueing(qm, &in, c.delete ? "queue delete" : "queue hold");
    q.filter.from = arena_printf(qm->arena, "*%s*", c.sender);
    q.filter.channel = line->word_count == 2 ? str_from(line->words[1]) : STR_NONE;
    return queue_act(&q);
}
