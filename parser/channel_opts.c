/* channel_opts: the functions generated from the rows of keywords.def (assign, holds,
 * print), and what is said of words that are unknown or not honoured. */
#include "parser/channel_opts.h"

#include "base/clock.h"
#include "parser/keyword_value.h"
#include "parser/overrides.h"

/* In a file of rubbish the words behind these are not compared with all keywords. */
enum { SUGGEST_WARNINGS_MAX = 10000 };

struct applying {
    struct keyword_reading reading;
    const struct keyword *meant; /* what an unknown word before it was meant for: this
                                  * one may be its argument */
};

/* clang-format off */
void channel_opts_init(struct channel_opts *o)
{
    *o = (struct channel_opts){
#define GROUP(field, type, initial)     .field = initial,
#define INT(word, type, initial, ...)   .word = initial,
#include "parser/keywords.def"
    };
}

static void assign(struct channel_opts *o, enum keyword_id id,
                   const struct keyword_value *v, struct span at)
{
    switch (id) {
#define CHOICE(word, field, value, ...)                                                  \
    case KEYWORD_ID_##word: o->field = value; o->field##_at = at; break;
#define PARTLY(word, field, value, ...)                                                  \
    case KEYWORD_ID_##word: o->field = value; o->field##_at = at; break;
#define INT(word, type, ...)                                                             \
    case KEYWORD_ID_##word: o->word = (type)v->number; o->word##_at = at; break;
#define CHANNEL(word, ...)                                                               \
    case KEYWORD_ID_##word: o->word = v->text; o->word##_at = at; break;
#define PROFILE(word, ...)                                                               \
    case KEYWORD_ID_##word: o->word = v->text; o->word##_at = at; break;
#define POOL(word, ...)                                                                  \
    case KEYWORD_ID_##word: o->word = v->text; o->word##_at = at; break;
#define POOL_OF(word, other, ...)                                                        \
    case KEYWORD_ID_##word: assign(o, KEYWORD_ID_##other, v, at); break;
#define PERIOD(word, ...)                                                                \
    case KEYWORD_ID_##word: o->word = v->number; o->word##_at = at; break;
#define HIDDEN(word, ...)                                                                \
    case KEYWORD_ID_##word: o->word = v->number; o->word##_at = at; break;
#define EITHER(word, type, ...)                                                          \
    case KEYWORD_ID_##word: o->word = (type)v->number; o->word##_at = at; break;
#define HOST(word, ...)                                                                  \
    case KEYWORD_ID_##word: o->word = v->text; o->word##_at = at; break;
#define ADDRESS(word, ...)                                                               \
    case KEYWORD_ID_##word: o->word = v->text; o->word##_at = at; break;
#define TEXT(word, ...)                                                                  \
    case KEYWORD_ID_##word: o->word = v->text; o->word##_at = at; break;
#define SERVERS(word, ...)                                                               \
    case KEYWORD_ID_##word:                                                              \
        memcpy(o->word, v->servers, sizeof o->word);                                     \
        o->nameserver_count = v->server_count;                                           \
        o->word##_at = at;                                                               \
        break;
#define DOMAINS(word, field, value, ...)                                                 \
    case KEYWORD_ID_##word:                                                              \
        memcpy(o->word, v->domains, sizeof o->word);                                     \
        o->field = value;                                                                \
        o->word##_at = o->field##_at = at;                                               \
        break;
#define PERIODS(word, ...)                                                               \
    case KEYWORD_ID_##word: o->word = v->periods; o->word##_at = at; break;
#define AGES(word, ...)                                                                  \
    case KEYWORD_ID_##word: o->word = v->ages; o->word##_at = at; break;
#define PERIODS_OF(word, first, second, third, ...)                                      \
    case KEYWORD_ID_##word:                                                              \
        assign(o, KEYWORD_ID_##first, v, at);                                            \
        assign(o, KEYWORD_ID_##second, v, at);                                           \
        assign(o, KEYWORD_ID_##third, v, at);                                            \
        break;
#define AGES_OF(word, first, second, third, ...)                                         \
    PERIODS_OF(word, first, second, third)
#define SPELL(word, first, second, ...)                                                  \
    case KEYWORD_ID_##word:                                                              \
        assign(o, KEYWORD_ID_##first, v, at);                                            \
        assign(o, KEYWORD_ID_##second, v, at);                                           \
        break;
#define SYNONYM(word, other, ...)                                                        \
    case KEYWORD_ID_##word: assign(o, KEYWORD_ID_##other, v, at); break;
#define NOCHANNEL(word, other, ...)                                                      \
    case KEYWORD_ID_##word: o->other = STR_NONE; o->other##_at = at; break;
#define NOSERVERS(word, ...)                                                             \
    case KEYWORD_ID_##word: o->nameserver_count = 0; o->nameservers_at = at; break;
#define SAME(word, ...)      case KEYWORD_ID_##word: break;
#define NOEFFECT(word, ...)  case KEYWORD_ID_##word: break;
#define LATER(word, ...)     case KEYWORD_ID_##word: break;
#define RESTRICTS(word, ...) case KEYWORD_ID_##word: break;
#include "parser/keywords.def"
    case KEYWORD_COUNT: break;
    }
}

unsigned channel_opts_places(const struct channel_opts *o, enum keyword_id id,
                             struct span at[CHANNEL_OPTS_PLACES_MAX])
{
    unsigned n = 0;
    switch (id) {
#define CHOICE(word, field, ...)  case KEYWORD_ID_##word: at[n++] = o->field##_at; break;
#define PARTLY(word, field, ...)  case KEYWORD_ID_##word: at[n++] = o->field##_at; break;
#define INT(word, ...)            case KEYWORD_ID_##word: at[n++] = o->word##_at; break;
#define CHANNEL(word, ...)        case KEYWORD_ID_##word: at[n++] = o->word##_at; break;
#define PROFILE(word, ...)        case KEYWORD_ID_##word: at[n++] = o->word##_at; break;
#define POOL(word, ...)           case KEYWORD_ID_##word: at[n++] = o->word##_at; break;
#define POOL_OF(word, other, ...)                                                        \
    case KEYWORD_ID_##word: n = channel_opts_places(o, KEYWORD_ID_##other, at); break;
#define PERIOD(word, ...)         case KEYWORD_ID_##word: at[n++] = o->word##_at; break;
#define HIDDEN(word, ...)         case KEYWORD_ID_##word: at[n++] = o->word##_at; break;
#define EITHER(word, ...)         case KEYWORD_ID_##word: at[n++] = o->word##_at; break;
#define HOST(word, ...)           case KEYWORD_ID_##word: at[n++] = o->word##_at; break;
#define ADDRESS(word, ...)        case KEYWORD_ID_##word: at[n++] = o->word##_at; break;
#define TEXT(word, ...)           case KEYWORD_ID_##word: at[n++] = o->word##_at; break;
#define SERVERS(word, ...)        case KEYWORD_ID_##word: at[n++] = o->word##_at; break;
#define DOMAINS(word, field, ...) case KEYWORD_ID_##word: at[n++] = o->field##_at; break;
#define PERIODS(word, ...)        case KEYWORD_ID_##word: at[n++] = o->word##_at; break;
#define AGES(word, ...)           case KEYWORD_ID_##word: at[n++] = o->word##_at; break;
#define PERIODS_OF(word, first, second, third, ...)                                      \
    case KEYWORD_ID_##word:                                                              \
        at[n++] = o->first##_at;                                                         \
        at[n++] = o->second##_at;                                                        \
        at[n++] = o->third##_at;                                                         \
        break;
#define AGES_OF(word, first, second, third, ...)                                         \
    PERIODS_OF(word, first, second, third)
#define NOCHANNEL(word, other, ...)                                                      \
    case KEYWORD_ID_##word: at[n++] = o->other##_at; break;
#define NOSERVERS(word, ...)                                                             \
    case KEYWORD_ID_##word: at[n++] = o->nameservers_at; break;
#define SPELL(word, first, second, ...)                                                  \
    case KEYWORD_ID_##word:                                                              \
        n = channel_opts_places(o, KEYWORD_ID_##first, at);                              \
        n += channel_opts_places(o, KEYWORD_ID_##second, at + n);                        \
        break;
#define SYNONYM(word, other, ...)                                                        \
    case KEYWORD_ID_##word: n = channel_opts_places(o, KEYWORD_ID_##other, at); break;
#include "parser/keywords.def"
    default: break;
    }
    return n;
}

/* Does this row's word stand for what is in o, and is that not what is built in? */
static bool holds(const struct channel_opts *o, const struct channel_opts *built_in,
                  enum keyword_id id)
{
    switch (id) {
#define CHOICE(word, field, value, ...)                                                  \
    case KEYWORD_ID_##word: return o->field == value && o->field != built_in->field;
#define INT(word, ...)                                                                   \
    case KEYWORD_ID_##word: return o->word != built_in->word;
#define CHANNEL(word, ...) case KEYWORD_ID_##word: return o->word.len > 0;
#define PROFILE(word, ...) case KEYWORD_ID_##word: return o->word.len > 0;
#define POOL(word, ...)    case KEYWORD_ID_##word: return o->word.len > 0;
#define PERIOD(word, ...)  case KEYWORD_ID_##word: return o->word != 0;
#define HIDDEN(word, ...)  case KEYWORD_ID_##word: return o->word != 0;
#define EITHER(word, ...)  case KEYWORD_ID_##word: return o->word != 0;
#define HOST(word, ...)    case KEYWORD_ID_##word: return o->word.len > 0;
#define ADDRESS(word, ...) case KEYWORD_ID_##word: return o->word.len > 0;
#define TEXT(word, ...)    case KEYWORD_ID_##word: return o->word.len > 0;
#define SERVERS(word, ...) case KEYWORD_ID_##word: return o->nameserver_count > 0;
#define DOMAINS(word, field, value, ...)                                                 \
    case KEYWORD_ID_##word: return o->field == value;
#define PERIODS(word, ...) case KEYWORD_ID_##word: return o->word.count > 0;
#define AGES(word, ...)    case KEYWORD_ID_##word: return o->word.count > 0;
#include "parser/keywords.def"
    default: return false;
    }
}

static void print_period(uint32_t seconds, struct buf *out)
{
    char text[40];
    clock_duration_print((int64_t)seconds * 1000, text, sizeof text);
    buf_printf(out, " %s", text);
}

static void print_periods(const struct keyword_periods *p, struct buf *out)
{
    for (unsigned i = 0; i < p->count; i++) {
        print_period(p->s[i], out);
    }
}

static void print_extensions(uint32_t bits, struct buf *out)
{
    const char *name, *before = " ";
    for (unsigned i = 0; (name = keyword_extension(i)) != NULL; i++) {
        if ((bits >> i & 1) != 0) {
            buf_printf(out, "%s%s", before, name);
            before = ",";
        }
    }
}

/* A word with a blank in it was in quotes, and has none. */
static void print_text(str text, struct buf *out)
{
    const char *quote = str_find(text, ' ') >= 0 ? "\"" : "";
    buf_printf(out, " %s%.*s%s", quote, STR_ARG(text), quote);
}

/* Writes the arguments of a word that holds. */
static void print_argument(const struct channel_opts *o, enum keyword_id id,
                           struct buf *out)
{
    switch (id) {
#define INT(word, ...)                                                                   \
    case KEYWORD_ID_##word: buf_printf(out, " %u", (unsigned)o->word); break;
#define CHANNEL(word, ...)                                                               \
    case KEYWORD_ID_##word: buf_printf(out, " %.*s", STR_ARG(o->word)); break;
#define PROFILE(word, ...)                                                               \
    case KEYWORD_ID_##word: buf_printf(out, " %.*s", STR_ARG(o->word)); break;
#define POOL(word, ...)                                                                  \
    case KEYWORD_ID_##word: buf_printf(out, " %.*s", STR_ARG(o->word)); break;
#define PERIOD(word, ...)                                                                \
    case KEYWORD_ID_##word: print_period(o->word, out); break;
#define HIDDEN(word, ...)                                                                \
    case KEYWORD_ID_##word: print_extensions(o->word, out); break;
#define EITHER(word, type, first, second, ...)                                           \
    case KEYWORD_ID_##word: buf_printf(out, " %s", o->word == 0 ? #first : #second); break;
#define HOST(word, ...)                                                                  \
    case KEYWORD_ID_##word: buf_printf(out, " %.*s", STR_ARG(o->word)); break;
#define ADDRESS(word, ...)                                                               \
    case KEYWORD_ID_##word: buf_printf(out, " %.*s", STR_ARG(o->word)); break;
#define TEXT(word, ...)                                                                  \
    case KEYWORD_ID_##word: print_text(o->word, out); break;
#define SERVERS(word, ...)                                                               \
    case KEYWORD_ID_##word:                                                              \
        for (unsigned i = 0; i < o->nameserver_count; i++) {                             \
            buf_printf(out, " %.*s@%u", STR_ARG(o->word[i].ip),                          \
                       (unsigned)o->word[i].port);                                       \
        }                                                                                \
        break;
#define DOMAINS(word, ...)                                                               \
    case KEYWORD_ID_##word:                                                              \
        for (unsigned i = 0; i < 2 && o->word[i].len > 0; i++) {                         \
            buf_printf(out, " %.*s", STR_ARG(o->word[i]));                               \
        }                                                                                \
        break;
#define PERIODS(word, ...)                                                               \
    case KEYWORD_ID_##word: print_periods(&o->word, out); break;
#define AGES(word, ...)                                                                  \
    case KEYWORD_ID_##word:                                                              \
        for (unsigned i = 0; i < o->word.count; i++) {                                   \
            buf_printf(out, " %u", (unsigned)o->word.age[i]);                            \
        }                                                                                \
        break;
#include "parser/keywords.def"
    default: break;
    }
}
/* clang-format on */

bool channel_opts_word(const struct channel_opts *o, const struct channel_opts *built_in,
                       const struct keyword *k, struct buf *out)
{
    if (!holds(o, built_in, k->id)) {
        return false;
    }
    buf_printf(out, " %s", k->name);
    print_argument(o, k->id, out);
    return true;
}

void channel_opts_print(const struct channel_opts *o, struct buf *out)
{
    struct channel_opts built_in;
    channel_opts_init(&built_in);
    const struct keyword *k;
    for (size_t i = 0; (k = keyword_at(i)) != NULL; i++) {
        channel_opts_word(o, &built_in, k, out);
    }
}

/* Returns the keyword the word was probably meant for, or NULL. */
static const struct keyword *report_unknown(const struct applying *on)
{
    const struct ast_keyword *k = on->reading.keyword;
    struct diags *diags = on->reading.diags;
    const struct keyword *slip = keyword_security_slip(k->name);
    if (slip != NULL) {
        diag_error(diags, k->at, "security-slip",
                   "'%.*s' is not a keyword; did you mean '%s'? A slip in a TLS, SASL or "
                   "switch keyword is always an error",
                   STR_ARG(k->name), slip->name);
        return slip;
    }
    const struct keyword *near = NULL;
    if (diags_warnings(diags) < SUGGEST_WARNINGS_MAX) {
        near = keyword_nearest(k->name, k->name.len > 4 ? 2 : 1);
    }
    if (near != NULL) {
        diag_warning(diags, k->at, "unknown-keyword",
                     "'%.*s' is not a keyword; did you mean '%s'?", STR_ARG(k->name),
                     near->name);
    } else if (on->meant == NULL || on->meant->args == KEYWORD_ARGS_NONE) {
        diag_warning(diags, k->at, "unknown-keyword", "'%.*s' is not a keyword",
                     STR_ARG(k->name));
    }
    return near;
}

/* Says what of a known word is lost. */
static void report_status(const struct keyword_reading *on, bool allow_unhonoured)
{
    const struct ast_keyword *k = on->keyword;
    const char *text = k->known->text;
    switch (k->known->status) {
    case KEYWORD_HONOURED:
        break;
    case KEYWORD_NO_EFFECT:
        diag_warning(on->diags, k->at, "no-effect", "'%.*s' has no effect here: %s",
                     STR_ARG(k->name), text);
        break;
    case KEYWORD_LATER:
        diag_warning(on->diags, k->at, "unhonoured-keyword",
                     "'%.*s' is not honoured yet: %s", STR_ARG(k->name), text);
        break;
    case KEYWORD_RESTRICTS:
        if (allow_unhonoured) {
            diag_warning(on->diags, k->at, "unhonoured-restriction",
                         "'%.*s' is not honoured yet: %s", STR_ARG(k->name), text);
        } else {
            diag_error(on->diags, k->at, "unhonoured-restriction",
                       "'%.*s' is not honoured yet: %s; remove it, or accept that with "
                       "--allow-unhonoured",
                       STR_ARG(k->name), text);
        }
        break;
    }
}

/* The span from a keyword to its last argument, if all of it is in one file; what
 * channel_opts_apply() keeps as the place of its fields. */
static struct span keyword_span(const struct ast_keyword *k)
{
    struct span at = k->at;
    for (const struct ast_word *w = k->args; w != NULL; w = w->next) {
        at = w->at.source == at.source ? span_join(at, w->at) : at;
    }
    return at;
}

static void apply_one(struct channel_opts *o, struct applying *on, bool allow_unhonoured)
{
    const struct ast_keyword *k = on->reading.keyword;
    if (k->known == NULL) {
        on->meant = report_unknown(on);
        return;
    }
    on->meant = NULL;
    bool optional = k->known->args == KEYWORD_ARGS_NONE ||
                    k->known->args == KEYWORD_ARGS_ONE_OPTIONAL;
    if (k->args == NULL && !optional) {
        str want = keyword_wanted(k->known, on->reading.arena);
        diag_error(on->reading.diags, k->at, "missing-argument", "'%s' needs %.*s",
                   k->known->name, STR_ARG(want));
        return;
    }
    report_status(&on->reading, allow_unhonoured);
    struct keyword_value v = {0};
    if (keyword_value_read(&on->reading, &v)) {
        assign(o, k->known->id, &v, keyword_span(k));
    }
}

void channel_opts_apply(struct channel_opts *o, const struct ast_keyword *keywords,
                        bool allow_unhonoured, struct arena *a, struct diags *diags)
{
    struct applying on = {.reading = {.arena = a, .diags = diags}};
    for (on.reading.keyword = keywords; on.reading.keyword != NULL;
         on.reading.keyword = on.reading.keyword->next) {
        apply_one(o, &on, allow_unhonoured);
    }
    overrides_check(o, keywords, diags);
}
