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
    unsigned tests;   /* TEST_* bits: where it may stand */
};

enum {
    TEST_REWRITE = 1,
    TEST_MAPPING = 2,
    TEST_MATCH = 4,
    TEST_LOADING = TEST_REWRITE | TEST_MAPPING,
    TEST_ANY = TEST_LOADING | TEST_MATCH
};

#define VALUE(name, member, tests)                                                       \
    {                                                                                    \
        name, CLASSIC_VALUE, offsetof(struct classic, member), NULL, tests               \
    }
#define SWITCH(name, member, tests)                                                      \
    {                                                                                    \
        name, CLASSIC_SWITCH, offsetof(struct classic, member), NULL, tests              \
    }
#define OFF(name, text, tests)                                                           \
    {                                                                                    \
        name, CLASSIC_OFF, 0, text, tests                                                \
    }
#define LATER(name, text)                                                                \
    {                                                                                    \
        name, CLASSIC_LATER, 0, text, TEST_ANY                                           \
    }
#define TESTS  "the tests are -rewrite, -mapping and -match"
#define BESIDE "name a folder that holds it with -configuration_file="

static const struct classic_row rows[] = {
    SWITCH("rewrite", rewrite, TEST_ANY),
    SWITCH("mapping", mapping, TEST_ANY),
    SWITCH("match", match, TEST_ANY),
    VALUE("configuration_file", config, TEST_ANY),
    VALUE("config", config, TEST_ANY),
    VALUE("table", table, TEST_MAPPING),
    VALUE("flags", flags, TEST_MAPPING),
    VALUE("source_channel", source_channel, TEST_REWRITE),
    VALUE("destination_channel", destination_channel, TEST_REWRITE),
    VALUE("from", from, TEST_REWRITE),
    SWITCH("debug", debug, TEST_LOADING),
    SWITCH("channel", channel, TEST_REWRITE),
    SWITCH("json", json, TEST_ANY),
    SWITCH("allow_unhonoured", allow_unhonoured, TEST_LOADING),
    SWITCH("help", help, TEST_ANY),
    OFF("check_expansions", "aliases are not expanded yet", TEST_REWRITE),
    OFF("delivery_receipt", "receipts play no part in rewriting yet", TEST_REWRITE),
    OFF("read_receipt", "receipts play no part in rewriting yet", TEST_REWRITE),
    OFF("filter", "there are no filters yet", TEST_REWRITE),
    OFF("image_file", "this command always reads the text", TEST_LOADING),
    OFF("reprocessing", "there are no reprocessing channels yet", TEST_REWRITE),
    OFF("restricted", "the restricted encoding is not there yet", TEST_REWRITE),
    LATER("alias_file", "aliases are not expanded yet"),
    LATER("mapping_file", BESIDE),
    LATER("option_file", BESIDE),
    LATER("database", "databases are text files beside the main file"),
    LATER("grey", "there is no greylisting yet"),
    LATER("local_alias", "aliases are not expanded yet"),
    LATER("sender", "nothing depends on an authenticated sender yet"),
    LATER("url", TESTS),
    LATER("expression", TESTS),
    LATER("domain", TESTS),
};
enum { ROW_COUNT = sizeof rows / sizeof *rows, SUGGEST_DISTANCE = 3 };

struct reading {
    struct classic *out;
    int argc, next;
    char **argv;
    const char *words[ROW_COUNT]; /* the word that gave each row, or NULL */
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
    if (!row) {
        return unknown(word, name);
    }
    r->words[row - rows] = word;
    return apply(r, row, negated, word, value);
}

/* One test is wanted, and every word belongs to it. */
static bool check_test(const struct reading *r)
{
    const struct classic *o = r->out;
    unsigned test = (o->rewrite ? TEST_REWRITE : 0) | (o->mapping ? TEST_MAPPING : 0) |
                    (o->match ? TEST_MATCH : 0);

    if (test != TEST_REWRITE && test != TEST_MAPPING && test != TEST_MATCH) {
        fprintf(stderr, "pointsman: test needs to know what: %s\n", TESTS);
        return false;
    }
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (r->words[i] && !(rows[i].tests & test)) {
            return complain(r->words[i], "does not belong to this test", NULL);
        }
    }
    return true;
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
    return out->help || check_test(&r);
}
