/* keywords: the rows of keywords.def as a table, and finding a word in it. */
#include "parser/keywords.h"

enum { KEYWORD_SIGNIFICANT = 32 };

/* clang-format off */
static const struct keyword KEYWORDS[] = {
#define ROW(word, row_kind, row_args, row_status, ...)                                   \
    {.name = #word, .id = KEYWORD_ID_##word, .kind = KEYWORD_KIND_##row_kind,            \
     .args = KEYWORD_ARGS_##row_args, .status = KEYWORD_##row_status, __VA_ARGS__},
#define DEFAULT true
#define CHOSEN  false
#define INT(word, type, initial, low, high, arg, in_group, meaning)                      \
    ROW(word, INT, ONE, HONOURED, .group = in_group, .argument = arg, .min = low,        \
        .max = high, .text = meaning)
#define CHANNEL(word, in_group, meaning)                                                 \
    ROW(word, CHANNEL, ONE, HONOURED, .group = in_group, .argument = "channel",          \
        .text = meaning)
#define PROFILE(word, in_group, meaning)                                                 \
    ROW(word, PROFILE, ONE, HONOURED, .group = in_group, .argument = "profile",          \
        .text = meaning)
#define POOL(word, in_group, meaning)                                                    \
    ROW(word, POOL, ONE, HONOURED, .group = in_group, .argument = "pool",                \
        .text = meaning)
#define POOL_OF(word, other, in_group, meaning) POOL(word, in_group, meaning)
#define HOST(word, arg, in_group, meaning)                                               \
    ROW(word, HOST, ONE, HONOURED, .group = in_group, .argument = arg, .text = meaning)
#define ADDRESS(word, arg, in_group, meaning)                                            \
    ROW(word, ADDRESS, ONE, HONOURED, .group = in_group, .argument = arg, .text = meaning)
#define TEXT(word, arg, in_group, meaning)                                               \
    ROW(word, TEXT, ONE, HONOURED, .group = in_group, .argument = arg, .text = meaning)
#define SERVERS(word, arg, in_group, meaning)                                            \
    ROW(word, SERVERS, ADDRESSES, HONOURED, .group = in_group, .argument = arg,          \
        .text = meaning)
#define DOMAINS(word, field, value, arg, in_group, meaning)                              \
    ROW(word, DOMAINS, ONE_OR_TWO, HONOURED, .group = in_group, .argument = arg,         \
        .text = meaning)
#define PERIOD(word, in_group, meaning)                                                  \
    ROW(word, PERIOD, ONE, HONOURED, .group = in_group, .argument = "period",            \
        .text = meaning)
#define HIDDEN(word, in_group, meaning)                                                  \
    ROW(word, HIDDEN, ONE, HONOURED, .group = in_group, .argument = "extensions",        \
        .text = meaning)
#define EITHER(word, type, first, second, in_group, meaning)                             \
    ROW(word, EITHER, ONE, HONOURED, .group = in_group,                                  \
        .argument = #first " or " #second, .text = meaning)
#define PERIODS(word, in_group, meaning)                                                 \
    ROW(word, PERIODS, PERIODS, HONOURED, .group = in_group, .argument = "periods",      \
        .text = meaning)
#define PERIODS_OF(word, first, second, third, in_group, meaning)                        \
    PERIODS(word, in_group, meaning)
#define AGES(word, in_group, meaning)                                                    \
    ROW(word, AGES, INTEGERS, HONOURED, .group = in_group, .argument = "numbers",        \
        .text = meaning)
#define AGES_OF(word, first, second, third, in_group, meaning)                           \
    AGES(word, in_group, meaning)
#define CHOICE(word, field, value, state, in_group, meaning)                             \
    ROW(word, CHOICE, NONE, HONOURED, .group = in_group, .argument = "",                 \
        .is_default = state, .text = meaning)
#define PARTLY(word, field, value, state, in_group, lost)                                \
    ROW(word, CHOICE, NONE, LATER, .group = in_group, .argument = "",                    \
        .is_default = state, .text = lost)
#define SPELL(word, first, second, state, in_group, meaning)                             \
    ROW(word, CHOICE, NONE, HONOURED, .group = in_group, .argument = "",                 \
        .is_default = state, .text = meaning)
#define SYNONYM(word, other, state, in_group, meaning)                                   \
    ROW(word, CHOICE, NONE, HONOURED, .group = in_group, .argument = "",                 \
        .is_default = state, .text = meaning)
#define NOCHANNEL(word, other, in_group, meaning)                                        \
    ROW(word, CHOICE, NONE, HONOURED, .group = in_group, .argument = "",                 \
        .is_default = true, .text = meaning)
#define NOSERVERS(word, in_group, meaning)                                               \
    ROW(word, CHOICE, NONE, HONOURED, .group = in_group, .argument = "",                 \
        .is_default = true, .text = meaning)
#define SAME(word, takes, arg, state, in_group, meaning)                                 \
    ROW(word, NOTHING, takes, HONOURED, .group = in_group, .argument = arg,              \
        .is_default = state, .text = meaning)
#define NOEFFECT(word, takes, arg, state, in_group, reason)                              \
    ROW(word, NOTHING, takes, NO_EFFECT, .group = in_group, .argument = arg,             \
        .is_default = state, .text = reason)
#define LATER(word, takes, arg, state, in_group, lost)                                   \
    ROW(word, NOTHING, takes, LATER, .group = in_group, .argument = arg,                 \
        .is_default = state, .text = lost)
#define RESTRICTS(word, takes, arg, state, in_group, lost)                               \
    ROW(word, NOTHING, takes, RESTRICTS, .group = in_group, .argument = arg,             \
        .is_default = state, .text = lost)
#include "parser/keywords.def"
};
/* clang-format on */

static const struct keyword *find_exact(str word)
{
    size_t low = 0, high = KEYWORD_COUNT;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = str_icmp(word, str_from(KEYWORDS[middle].name));
        if (order == 0) {
            return &KEYWORDS[middle];
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

/* Looks for the word with its number written as X, as the table has it. */
static const struct keyword *find_numbered(str word)
{
    char name[KEYWORD_SIGNIFICANT];
    size_t len = 0;
    bool number = false;
    for (size_t i = 0; i < word.len; i++) {
        bool digit = ascii_is_digit(word.ptr[i]);
        if (digit && number && len > 0 && name[len - 1] == 'X') {
            continue;
        }
        name[len++] = digit ? 'X' : word.ptr[i];
        number = number || digit;
    }
    return number && len > 0 && name[0] != 'X' ? find_exact(str_n(name, len)) : NULL;
}

const struct keyword *keyword_find(str word)
{
    word = str_sub(word, 0, KEYWORD_SIGNIFICANT);
    const struct keyword *k = find_exact(word);
    return k != NULL ? k : find_numbered(word);
}

const struct keyword *keyword_at(size_t i)
{
    return i < KEYWORD_COUNT ? &KEYWORDS[i] : NULL;
}

/* The nearest row, or NULL; with security only rows of the TLS, SASL and switch
 * groups. */
static const struct keyword *nearest(str word, unsigned max_distance, bool security)
{
    const struct keyword *best = NULL;
    word = str_sub(word, 0, KEYWORD_SIGNIFICANT);
    for (size_t i = 0; i < KEYWORD_COUNT; i++) {
        const char *group = KEYWORDS[i].group;
        size_t length = strlen(KEYWORDS[i].name);
        if (length > word.len + max_distance || length + max_distance < word.len) {
            continue; /* most rows; the rest costs more */
        }
        if (security && strstr(group, "tls") == NULL && strstr(group, "sasl") == NULL &&
            strstr(group, "switch") == NULL) {
            continue;
        }
        unsigned distance = str_distance(word, str_from(KEYWORDS[i].name), max_distance);
        if (distance <= max_distance) {
            best = &KEYWORDS[i];
            if (distance == 0) {
                break;
            }
            max_distance = distance - 1;
        }
    }
    return best;
}

const struct keyword *keyword_nearest(str word, unsigned max_distance)
{
    return nearest(word, max_distance, false);
}

const struct keyword *keyword_security_slip(str word)
{
    return nearest(word, 2, true);
}
