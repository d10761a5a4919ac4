/* qm_words: see qm.h. */
#include <stdlib.h>
#include <string.h>

#include "tools/qm.h"

int qm_split(struct arena *a, str line, char **words)
{
    int count = 0;
    bool quoted = false, open = false;
    /* Quotes go, so the words take no more room than the line. */
    char *room = arena_alloc(a, line.len + 2);
    for (size_t i = 0; i < line.len; i++) {
        char c = line.ptr[i];
        bool blank = !quoted && (ascii_is_space(c) || c == '\r' || c == '\n');
        if (blank) {
            open = false;
            *room++ = '\0';
            continue;
        }
        if (!open) {
            if (count == QM_WORDS_MAX) {
                fputs("qm: there are too many words\n", stderr);
                return -1;
            }
            words[count++] = room;
            open = true;
        }
        if (c == '"') {
            quoted = !quoted;
        } else {
            *room++ = c;
        }
    }
    if (quoted) {
        fputs("qm: a quote is not closed\n", stderr);
        return -1;
    }
    return count;
}

bool qm_line_read(struct arena *a, char *const *words, unsigned count,
                  struct qm_line *out)
{
    *out = (struct qm_line){0};
    if (count > QM_WORDS_MAX) {
        fputs("qm: there are too many words\n", stderr);
        return false;
    }
    for (unsigned i = 0; i < count; i++) {
        str word = str_from(words[i]);
        bool qualifier = word.len > 1 && (*word.ptr == '-' || *word.ptr == '/');
        if (!qualifier) {
            out->words[out->word_count++] = words[i];
            continue;
        }
        word = str_from_pos(word, word.ptr[1] == '-' ? 2 : 1);
        ptrdiff_t equals = str_find(word, '=');
        unsigned n = out->qualifier_count++;
        out->qualifiers[n].value = equals < 0 ? NULL : word.ptr + equals + 1;
        out->qualifiers[n].name =
            arena_str(a, str_sub(word, 0, equals < 0 ? word.len : (size_t)equals));
    }
    return true;
}

int qm_find(str word, const char *const *names)
{
    int found = -1;

    for (int i = 0; names[i]; i++) {
        if (str_ieq(str_from(names[i]), word)) {
            return i;
        }
        if (word.len > 0 && str_istarts(str_from(names[i]), word)) {
            found = found == -1 ? i : -2;
        }
    }
    return found;
}

/* "3" or "3-5". */
static bool read_range(str part, uint64_t *first, uint64_t *last)
{
    str from = STR("");

    str_split(&part, '-', &from);
    if (!str_u64(from, UINT32_MAX, first) || *first == 0) {
        return false;
    }
    *last = *first;
    return !part.ptr || (str_u64(part, UINT32_MAX, last) && *last >= *first);
}

static bool choose_id(struct qm *qm, const char *word, qm_chosen_fn fn, void *arg)
{
    struct qm_numbered e = {.position = 0};

    if (!queue_id_parse(str_from(word), &e.number) || e.number == 0) {
        fprintf(stderr, "qm: '%s' is no number of the last directory and no id\n", word);
        return false;
    }
    queue_id_print(e.number, e.id);
    return fn(qm, 0, &e, arg);
}

bool qm_choose(struct qm *qm, const char *word, qm_chosen_fn fn, void *arg)
{
    str rest = str_from(word), part = STR("");
    uint64_t first, last;

    while (str_split(&rest, ',', &part)) {
        if (!read_range(part, &first, &last)) {
            return choose_id(qm, word, fn, arg);
        }
        /* An id may consist of digits only: five and more are never a number here. */
        if (last > qm->last.n && first == last && part.len >= 5) {
            return choose_id(qm, word, fn, arg);
        }
        if (last > qm->last.n) {
            fprintf(stderr, "qm: the last directory has %zu numbers, not %llu\n",
                    qm->last.n, (unsigned long long)last);
            return false;
        }
        for (uint64_t i = first; i <= last; i++) {
            if (!fn(qm, (unsigned)i, &qm->last.at[i - 1], arg)) {
                return false;
            }
        }
    }
    return true;
}
