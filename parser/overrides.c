/* overrides: see overrides.h. */
#include "parser/overrides.h"

enum { WORD_MAX = 40 };

/* The last keyword of the line for every row, with its position. */
struct last_words {
    struct {
        const struct ast_keyword *keyword;
        unsigned position;
        bool told; /* a word is told once a line, however often it stands there */
    } at[KEYWORD_COUNT];
};

static void report(struct diags *diags, const struct ast_keyword *k, struct span later)
{
    struct diag *d = diag_warning(diags, k->at, "keyword-overridden",
                                  "'%.*s' has no effect: a later word of this line takes "
                                  "its place; delete one of them",
                                  STR_ARG(k->name));
    diag_mark(diags, d, later);
    diag_note(diags, d, later, "this one counts");
}

/* Is every field the word sets another word's, behind it on the line? (A field can also
 * be what it was before the line: when the argument is wrong.) *later is the place of
 * one. */
static bool fields_lost(const struct channel_opts *o, const struct ast_keyword *k,
                        struct span *later)
{
    struct span at[CHANNEL_OPTS_PLACES_MAX];
    unsigned n = channel_opts_places(o, k->known->id, at);
    for (unsigned i = 0; i < n; i++) {
        if (at[i].source != k->at.source || at[i].offset <= k->at.offset) {
            return false;
        }
    }
    *later = n > 0 ? at[0] : SPAN_NONE;
    return n > 0;
}

/* The keyword of that name if it stands behind `position` and in the same group. */
static const struct ast_keyword *later_word(const struct last_words *last,
                                            const struct keyword *than, unsigned position,
                                            const char *prefix, str rest)
{
    char name[WORD_MAX];
    size_t prefix_len = strlen(prefix);
    if (prefix_len + rest.len > sizeof name) {
        return NULL;
    }
    memcpy(name, prefix, prefix_len);
    memcpy(name + prefix_len, rest.ptr, rest.len);
    const struct keyword *k = keyword_find(str_n(name, prefix_len + rest.len));
    if (k == NULL || strcmp(k->group, than->group) != 0) {
        return NULL;
    }
    return last->at[k->id].position > position ? last->at[k->id].keyword : NULL;
}

/* What a word that sets nothing here loses against; NULL if nothing. */
static const struct ast_keyword *word_lost(const struct last_words *last,
                                           const struct keyword *k, unsigned position)
{
    str name = str_from(k->name);
    const struct ast_keyword *found = later_word(last, k, position, "", name);
    if (found == NULL && k->args == KEYWORD_ARGS_NONE) {
        found = str_starts(name, STR("no"))
                    ? later_word(last, k, position, "", str_from_pos(name, 2))
                    : later_word(last, k, position, "no", name);
    }
    return found;
}

static void check_word(const struct channel_opts *o, struct last_words *last,
                       const struct ast_keyword *k, unsigned position,
                       struct diags *diags)
{
    bool *told = &last->at[k->known->id].told;
    struct span later = SPAN_NONE;
    if (!fields_lost(o, k, &later) && k->known->kind == KEYWORD_KIND_NOTHING) {
        const struct ast_keyword *winner = word_lost(last, k->known, position);
        later = winner != NULL ? winner->at : SPAN_NONE;
    }
    if (later.source != 0 && !*told) {
        report(diags, k, later);
        *told = true;
    }
}

void overrides_check(const struct channel_opts *o, const struct ast_keyword *keywords,
                     struct diags *diags)
{
    struct last_words last = {0};
    unsigned position = 0;
    for (const struct ast_keyword *k = keywords; k != NULL; k = k->next) {
        if (k->known != NULL) {
            last.at[k->known->id].keyword = k;
            last.at[k->known->id].position = ++position;
        }
    }
    position = 0;
    for (const struct ast_keyword *k = keywords; k != NULL; k = k->next) {
        if (k->known != NULL) {
            check_word(o, &last, k, ++position, diags);
        }
    }
}
