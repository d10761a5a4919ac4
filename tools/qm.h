/* qm: the parts of `pointsman qm`, PMDF's spelling of `pointsman queue`. */
#ifndef TOOLS_QM_H
#define TOOLS_QM_H

#include "base/vec.h"
#include "tools/queue_tool.h"

enum { QM_WORDS_MAX = 64 };

/* What a number of the last directory stands for. */
struct qm_numbered {
    uint64_t number;
    char id[QUEUE_ID_MAX];
    unsigned position;
    str channel, host;
};

/* A session: one command, or many. */
struct qm {
    const struct invocation *in;
    struct arena *arena;   /* of one command */
    struct arena *numbers; /* of the last directory */
    VEC(struct qm_numbered) last;
    bool ended;
};

/* A command as it was typed: words, and qualifiers "-name[=value]". */
struct qm_line {
    const char *words[QM_WORDS_MAX];
    unsigned word_count;
    struct {
        str name;
        const char *value; /* NULL: none */
    } qualifiers[QM_WORDS_MAX];
    unsigned qualifier_count;
};

/* --- qm_words.c --- */

/* Takes words apart; false after saying what is wrong. */
bool qm_line_read(struct arena *a, char *const *words, unsigned count,
                  struct qm_line *out);
/* Splits a line at blanks, but not within "quotes". Returns how many; -1 after saying
 * that there are too many or that a quote is open. */
int qm_split(struct arena *a, str line, char **words);
/* The row that the word, or the beginning of a word, names: its index in names, which end
 * with NULL; -1: none; -2: several. Case-blind. */
int qm_find(str word, const char *const *names);
/* Each entry that "1,3-5" or an id means; false after saying what is wrong. */
typedef bool (*qm_chosen_fn)(struct qm *qm, unsigned number, const struct qm_numbered *e,
                             void *arg);
bool qm_choose(struct qm *qm, const char *word, qm_chosen_fn fn, void *arg);

/* --- qm_act.c --- */

/* A command of `queue` that is asked for one message after the other. */
struct qm_action {
    const char *name; /* "queue delete" */
    int (*run)(struct queueing *q);
    bool shows; /* a message, by its id; else it changes what a filter says */
};
/* For the numbers, ids and qualifiers of the line. Returns the worst exit code. */
int qm_act(struct qm *qm, const struct qm_line *line, const struct qm_action *action);
/* Holds or deletes what has such a sender. */
int qm_clean(struct qm *qm, const struct qm_line *line);

/* --- qm_directory.c --- */

int qm_directory(struct qm *qm, const struct qm_line *line, bool held);
/* A struct queueing for one of the commands of `queue`. */
struct queueing qm_queueing(struct qm *qm, const struct invocation *in, const char *name);

#endif
