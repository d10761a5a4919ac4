/* access_flags: the rows; see access_flags.h. */
#include "tables/access_flags.h"

enum {
    PORT = 1 << ACCESS_PORT,
    FROM = 1 << ACCESS_FROM,
    RECIPIENT = 1 << ACCESS_ORIG_SEND | 1 << ACCESS_ORIG_MAIL | 1 << ACCESS_SEND |
                1 << ACCESS_MAIL,
    MESSAGE = FROM | RECIPIENT,
    HOST = 1 << ACCESS_IP,
    TLS = 1 << ACCESS_TLS | 1 << ACCESS_TLS_PEER
};

static const struct access_flag flags[] = {
    /* without argument */
    {'Y', ACCESS_ARG_NONE, 0, PORT | MESSAGE | HOST | TLS, KEYWORD_HONOURED, NULL},
    {'B', ACCESS_ARG_NONE, 0, MESSAGE | TLS, KEYWORD_HONOURED, NULL},
    {'H', ACCESS_ARG_NONE, 0, MESSAGE, KEYWORD_HONOURED, NULL},
    {'V', ACCESS_ARG_NONE, 0, MESSAGE, KEYWORD_HONOURED, NULL},
    {'Z', ACCESS_ARG_NONE, 0, MESSAGE, KEYWORD_HONOURED, NULL},
    {'!', ACCESS_ARG_NONE, 0, FROM, KEYWORD_NO_EFFECT, "there are no vacation replies"},
    /* with one, in this order */
    {'U', ACCESS_ARG_LOST, 1, MESSAGE, KEYWORD_NO_EFFECT, "there are no debug files"},
    {'J', ACCESS_ARG_SENDER, 1, FROM, KEYWORD_HONOURED, NULL},
    {'J', ACCESS_ARG_LOST, 1, RECIPIENT, KEYWORD_NO_EFFECT,
     "only FROM_ACCESS replaces the sender"},
    {'K', ACCESS_ARG_LOST, 1, MESSAGE, KEYWORD_LATER, "no Sender field is written"},
    {'I', ACCESS_ARG_LOST, 2, MESSAGE, KEYWORD_RESTRICTS,
     "there are no groups to look a user up in, so that it is refused for the time "
     "being"},
    {'<', ACCESS_ARG_LOG_MATCH, 1, PORT | MESSAGE | TLS, KEYWORD_HONOURED, NULL},
    {'>', ACCESS_ARG_LOG_REJECT, 1, PORT | MESSAGE | TLS, KEYWORD_HONOURED, NULL},
    {'D', ACCESS_ARG_DELAY, 1, MESSAGE, KEYWORD_HONOURED, NULL},
    {'T', ACCESS_ARG_LOST, 1, MESSAGE, KEYWORD_LATER, "lines of the log have no tags"},
    {'A', ACCESS_ARG_HEADER, 1, MESSAGE, KEYWORD_HONOURED, NULL},
    {'G', ACCESS_ARG_LOST, 1, MESSAGE, KEYWORD_NO_EFFECT, "there are no conversions"},
    {'S', ACCESS_ARG_LIMITS, 1, MESSAGE, KEYWORD_HONOURED, NULL},
    {'X', ACCESS_ARG_STATUS, 1, MESSAGE | TLS, KEYWORD_HONOURED, NULL},
    {',', ACCESS_ARG_LOST, 1, MESSAGE, KEYWORD_NO_EFFECT, "there is no spam filter"},
    {'N', ACCESS_ARG_REASON, 1, PORT | MESSAGE | HOST | TLS, KEYWORD_HONOURED, NULL},
    {'F', ACCESS_ARG_REASON, 1, PORT | MESSAGE | TLS, KEYWORD_HONOURED, NULL},
    {'S', ACCESS_ARG_CHANNEL, 1, TLS, KEYWORD_HONOURED, NULL},
    {'T', ACCESS_ARG_LOG_TAG, 1, PORT, KEYWORD_HONOURED, NULL},
    {'I', ACCESS_ARG_NONE, 0, HOST, KEYWORD_HONOURED, NULL},
    {'A', ACCESS_ARG_IP, 1, HOST, KEYWORD_HONOURED, NULL},
};
enum { FLAG_COUNT = sizeof flags / sizeof flags[0] };

const struct access_flag *access_flag_find(enum access_table t, char letter)
{
    char c = letter >= 'a' && letter <= 'z' ? (char)(letter - 'a' + 'A') : letter;
    for (size_t i = 0; i < FLAG_COUNT; i++) {
        if (flags[i].letter == c && (flags[i].tables & 1U << t) != 0) {
            return &flags[i];
        }
    }
    return NULL;
}

const struct access_flag *access_flag_next(enum access_table t,
                                           const struct access_flag *before)
{
    for (const struct access_flag *f = before != NULL ? before + 1 : flags;
         f < flags + FLAG_COUNT; f++) {
        if ((f->tables & 1U << t) != 0) {
            return f;
        }
    }
    return NULL;
}
