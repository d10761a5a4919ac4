/* classic: see classic.h. One row per word. */
#include "tools/classic.h"

#include <stddef.h>
#include <string.h>

#include "base/str.h"

enum classic_kind {
    CLASSIC_VALUE,  /* =text */
    CLASSIC_SWITCH, /* on, or off with "no" in front */
    CLASSIC_OFF,    /* only "no..." is there: it is what is always done */
    CLASSIC_LATER   /* known, not there */
};

struct classic_row {
    const char *name;
    enum classic_kind kind;
    size_t member;    /* of struct classic */
    const char *text; /* CLASSIC_OFF, CLASSIC_LATER: what to do instead */
};

#define VALUE(name, member)                                                              \
    {                                                                                    \
        name, CLASSIC_VALUE, offsetof(struct classic, member), NULL                      \
    }
#define SWITCH(name, member)                                                             \
    {                                                                                    \
        name, CLASSIC_SWITCH, offsetof(struct classic, member), NULL                     \
    }
#define OFF(name, text)                                                                  \
    {                                                                                    \
        name, CLASSIC_OFF, 0, text                                                       \
    }
#define LATER(name, text)                                                                \
    {                                                                                    \
        name, CLASSIC_LATER, 0, text                                                     \
    }
#define BESIDE "name a folder that holds it with -configuration_file="

static const struct classic_row rows[] = {
    SWITCH("rewrite", rewrite),
    VALUE("configuration_file", config),
    VALUE("config", config),
    VALUE("source_channel", source_channel),
    VALUE("destination_channel", destination_channel),
    VALUE("from", from),
    SWITCH("debug", debug),
    SWITCH("channel", channel),
    SWITCH("json", json),
    SWITCH("allow_unhonoured", allow_unhonoured),
    SWITCH("help", help),
    OFF("check_expansions", "aliases are not expanded yet"),
    OFF("delivery_receipt", "receipts play no part in rewriting yet"),
    OFF("read_receipt", "receipts play no part in rewriting yet"),
    OFF("filter", "there are no filters yet"),
    OFF("image_file", "this command always reads the text"),
    OFF("reprocessing", "there are no reprocessing channels yet"),
    OFF("restricted", "the restricted encoding is not there yet"),
    LATER("alias_file", "aliases are not expanded yet"),
    LATER("mapping_file", BESIDE),
    LATER("option_file", BESIDE),
    LATER("database", "databases are text files beside the main file"),
    LATER("grey", "there is no greylisting yet"),
    LATER("local_alias", "aliases are not expanded yet"),
    LATER("sender", "nothing depends on an authenticated sender yet"),
    LATER("mapping", "only -rewrite is there"),
    LATER("match", "only -rewrite is there"),
    LATER("url", "only -rewrite is there"),
    LATER("expression", "only -rewrite is there"),
    LATER("domain", "only -rewrite is there"),
};
enum { ROW_COUNT = sizeof rows / sizeof *rows, SUGGEST_DISTANCE = 3 };

struct reading {
    struct classic *out;
    int argc, next;
    char **argv;
};

static bool complain(const char *word, const char *what, const char *hint)
{
    fprintf(stderr, "pointsman: test: '%s' %s%s%s\nTry 'pointsman test --help'.\n", word,
            what, hint ? "; " : "", hint ? hint : "");
    return false;
}

/* Case and the kind of dash between words do not matter. */
static bool char_fits(char given, char row)
{
    return ascii_lower(given) == row || (given == '-' && row == '_');
}

static bool begins_with(const char *row, str name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (!char_fits(name.ptr[i], row[i])) {
            return false;
        }
    }
    return true;
}

static bool same_effect(const struct classic_row *a, const struct classic_row *b)
{
    return a->kind == CLASSIC_VALUE && b->kind == CLASSIC_VALUE && a->member == b->member;
}

/* The row meant by a whole or shortened name; NULL when there is none, or several. */
static const struct classic_row *row_find(str name, bool *several)
{
    const struct classic_row *found = NULL;

    *several = false;
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (begins_with(rows[i].name, name)) {
            if (rows[i].name[name.len] == '\0') {
                *several = false;
                return &rows[i];
            }
            *several |= found && !same_effect(found, &rows[i]);
            found = &rows[i];
        }
    }
    return *several ? NULL : found;
}

static bool unknown(const char *word, str name)
{
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (str_distance(name, str_from(rows[i].name), SUGGEST_DISTANCE) <=
            SUGGEST_DISTANCE) {
            fprintf(stderr, "pointsman: test: unknown option '%s'; did you mean '-%s'?\n",
                    word, rows[i].name);
            return false;
        }
    }
    return complain(word, "is no option of this command", NULL);
}

static bool apply_value(struct reading *r, const struct classic_row *row,
                        const char *word, const char *value)
{
    if (!value && r->next < r->argc && (word[1] == '-' || strcmp(word, "-c") == 0)) {
        value = r->argv[r->next++];
    }
    if (!value || !*value) {
        return complain(word, "needs a value", "write it behind '='");
    }
    *(const char **)((char *)r->out + row->member) = value;
    return true;
}

static bool apply(struct reading *r, const struct classic_row *row, bool negated,
                  const char *word, const char *value)
{
    if (row->kind == CLASSIC_LATER || (row->kind == CLASSIC_OFF && !negated)) {
        return complain(word, "is not supported yet", row->text);
    }
    if (row->kind == CLASSIC_VALUE) {
        return negated ? complain(word, "cannot be undone with 'no'", NULL)
                       : apply_value(r, row, word, value);
    }
    if (value) {
        return complain(word, "takes no value", NULL);
    }
    if (row->kind == CLASSIC_SWITCH) {
        *(bool *)((char *)r->out + row->member) = !negated;
    }
    return true;
}

static bool read_word(struct reading *r, const char *word)
{
    str name = str_from(word + (word[1] == '-' ? 2 : 1));
    const char *value = NULL;
    ptrdiff_t equals = str_find(name, '=');
    bool several, negated = false;

    if (equals >= 0) {
        value = name.ptr + equals + 1;
        name.len = (size_t)equals;
    }
    if (str_eq(name, STR("c")) || str_eq(name, STR("h"))) { /* as everywhere */
        name = name.ptr[0] == 'c' ? STR("config") : STR("help");
    }
    const struct classic_row *row = row_find(name, &several);
    if (!row && !several && str_istarts(name, STR("no"))) {
        negated = true;
        name = str_from_pos(name, 2);
        row = row_find(name, &several);
    }
    if (several) {
        return complain(word, "can mean several options", "write more of it");
    }
    return row ? apply(r, row, negated, word, value) : unknown(word, name);
}

bool classic_read(const struct invocation *in, struct classic *out)
{
    struct reading r = {.out = out, .argc = in->arg_count, .argv = in->args};
    bool only_words = false;

    *out = (struct classic){.args = in->args, .channel = true};
    while (r.next < r.argc) {
        char *word = r.argv[r.next++];
        if (!only_words && strcmp(word, "--") == 0) {
            only_words = true;
        } else if (!only_words && word[0] == '-' && word[1] != '\0') {
            if (!read_word(&r, word)) {
                return false;
            }
        } else {
            out->args[out->arg_count++] = word;
        }
    }
    if (!out->rewrite && !out->help) {
        fputs("pointsman: test needs to know what: only 'test -rewrite' is there\n",
              stderr);
        return false;
    }
    return true;
}
