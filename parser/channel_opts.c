/* channel_opts: the functions generated from the rows of keywords.def (assign, holds,
 * print) and the checks of arguments in front of them. */
#include "parser/channel_opts.h"

#include <arpa/inet.h>

#include "base/address.h"
#include "base/check.h"
#include "base/clock.h"
#include "parser/overrides.h"

/* In a file of rubbish the words behind these are not compared with all keywords. */
enum { SUGGEST_WARNINGS_MAX = 10000 };

enum {
    PERIOD_MAX_DAYS = 366, /* longer than any message waits */
    AGE_MAX = 10000        /* more than a year of hours */
};

/* By the bits of enum ehlo_extension. */
static const char *const extensions[] = {"PIPELINING", "8BITMIME", "SIZE",
                                         "ENHANCEDSTATUSCODES", "DSN"};

/* An argument that was read and found good. */
struct value {
    uint32_t number;
    str text;
    struct nameserver servers[KEYWORD_NAMESERVERS_MAX];
    unsigned server_count;
    str domains[2];
    struct keyword_periods periods;
    struct keyword_ages ages;
};

/* For the messages of one keyword. */
struct applying {
    const struct ast_keyword *keyword;
    const struct keyword *meant; /* what an unknown word before it was meant for: this
                                  * one may be its argument */
    struct arena *arena;
    struct diags *diags;
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

static void assign(struct channel_opts *o, enum keyword_id id, const struct value *v,
                   struct span at)
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
#define PERIOD(word, ...)         case KEYWORD_ID_##word: at[n++] = o->word##_at; break;
#define HIDDEN(word, ...)         case KEYWORD_ID_##word: at[n++] = o->word##_at; break;
#define EITHER(word, ...)         case KEYWORD_ID_##word: at[n++] = o->word##_at; break;
#define HOST(word, ...)           case KEYWORD_ID_##word: at[n++] = o->word##_at; break;
#define ADDRESS(word, ...)        case KEYWORD_ID_##word: at[n++] = o->word##_at; break;
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
#define PERIOD(word, ...)  case KEYWORD_ID_##word: return o->word != 0;
#define HIDDEN(word, ...)  case KEYWORD_ID_##word: return o->word != 0;
#define EITHER(word, ...)  case KEYWORD_ID_##word: return o->word != 0;
#define HOST(word, ...)    case KEYWORD_ID_##word: return o->word.len > 0;
#define ADDRESS(word, ...) case KEYWORD_ID_##word: return o->word.len > 0;
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
    const char *before = " ";
    for (unsigned i = 0; i < sizeof extensions / sizeof *extensions; i++) {
        if ((bits >> i & 1) != 0) {
            buf_printf(out, "%s%s", before, extensions[i]);
            before = ",";
        }
    }
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

/* "a number from 1 to 65535": what the argument of k must be. */
static str wanted(struct arena *a, const struct keyword *k)
{
    switch (k->kind) {
    case KEYWORD_KIND_INT:
        return arena_printf(a, "a number from %u to %u", k->min, k->max);
    case KEYWORD_KIND_CHANNEL:
        return STR("the name of a channel");
    case KEYWORD_KIND_PROFILE:
        return STR("the name of a section of tls.cnf");
    case KEYWORD_KIND_HOST:
        return k->id == KEYWORD_ID_daemon
                   ? STR("a host name, an address in brackets or unix: and the path of a "
                         "socket")
                   : STR("a host name or an address in brackets");
    case KEYWORD_KIND_ADDRESS:
        return STR("an IP address");
    case KEYWORD_KIND_SERVERS:
        return STR("the addresses of name servers, IP or IP@port");
    case KEYWORD_KIND_DOMAINS:
        return STR("a domain name, and perhaps another one with a dot in it");
    case KEYWORD_KIND_PERIOD:
        return STR("a period from a second to 366 days, like PT12H or P1D");
    case KEYWORD_KIND_HIDDEN:
        return STR("names out of PIPELINING, 8BITMIME, SIZE, DSN and "
                   "ENHANCEDSTATUSCODES, with commas in between");
    case KEYWORD_KIND_EITHER:
        return str_from(k->argument);
    case KEYWORD_KIND_PERIODS:
        return arena_printf(a,
                            "periods like PT30M or P1DT4H, up to %d of them, each "
                            "from a second to %d days",
                            KEYWORD_PERIODS_MAX, PERIOD_MAX_DAYS);
    case KEYWORD_KIND_AGES:
        return arena_printf(a, "up to %d numbers from 1 to %d, each above the one before",
                            KEYWORD_AGES_MAX, AGE_MAX);
    case KEYWORD_KIND_CHOICE:
    case KEYWORD_KIND_NOTHING:
        break;
    }
    return arena_printf(a, "an argument (%s)", k->argument);
}

static void bad_argument(const struct applying *on, const struct ast_word *arg,
                         const char *slug)
{
    const struct ast_keyword *k = on->keyword;
    str want = wanted(on->arena, k->known);
    struct diag *d = diag_error(on->diags, arg->at, slug, "'%s' needs %.*s",
                                k->known->name, STR_ARG(want));
    diag_mark(on->diags, d, k->at);
}

/* IPv4 or IPv6 as inet_pton() takes it. */
static bool is_ip(struct arena *a, str text)
{
    unsigned char address[16];
    const char *c = arena_str(a, text).ptr;
    if (memchr(text.ptr, '\0', text.len) != NULL) {
        return false;
    }
    return inet_pton(AF_INET, c, address) == 1 || inet_pton(AF_INET6, c, address) == 1;
}

static bool read_server(struct arena *a, str text, struct nameserver *out)
{
    ptrdiff_t at = str_rfind(text, '@');
    uint64_t port = 53;
    out->ip = at < 0 ? text : str_sub(text, 0, (size_t)at);
    if (at >= 0 &&
        (!str_u64(str_from_pos(text, (size_t)at + 1), 65535, &port) || port == 0)) {
        return false;
    }
    out->port = (uint16_t)port;
    return is_ip(a, out->ip);
}

static bool read_servers(const struct applying *on, struct value *v)
{
    bool good = true;
    for (const struct ast_word *w = on->keyword->args; w != NULL; w = w->next) {
        if (v->server_count == KEYWORD_NAMESERVERS_MAX) {
            diag_error(on->diags, w->at, "too-many-servers",
                       "'%s' takes at most %d name servers", on->keyword->known->name,
                       KEYWORD_NAMESERVERS_MAX);
            return false;
        }
        struct nameserver *s = &v->servers[v->server_count];
        if (read_server(on->arena, w->text, s)) {
            v->server_count++;
        } else {
            bad_argument(on, w, "bad-address");
            good = false;
        }
    }
    return good;
}

/* PMDF: an argument of `daemon` that is no full host name stands for the official host.
 */
static bool read_host(const struct applying *on, const struct ast_word *arg,
                      struct value *v)
{
    str path;
    bool is_daemon = on->keyword->known->id == KEYWORD_ID_daemon;
    v->text = arg->text;
    if (domain_literal_ok(arg->text) || (is_daemon && socket_host_ok(arg->text, &path))) {
        return true;
    }
    if (is_ip(on->arena, arg->text)) {
        /* No host name looks like this, so the brackets are only forgotten. */
        bool six = str_find(arg->text, ':') >= 0;
        v->text =
            arena_printf(on->arena, "[%s%.*s]", six ? "IPv6:" : "", STR_ARG(arg->text));
        return true;
    }
    if (!domain_name_ok(arg->text)) {
        bad_argument(on, arg, "bad-host-name");
        return false;
    }
    if (is_daemon && str_find(arg->text, '.') < 0) {
        if (!str_ieq(arg->text, STR("router"))) {
            struct diag *d = diag_warning(
                on->diags, arg->at, "host-without-dot",
                "'%.*s' has no dot, so it means the official host of the channel; "
                "write 'router' to say so",
                STR_ARG(arg->text));
            diag_mark(on->diags, d, on->keyword->at);
        }
        v->text = STR("router");
    }
    return true;
}

static bool read_domains(const struct applying *on, struct value *v)
{
    unsigned n = 0;
    for (const struct ast_word *w = on->keyword->args; w != NULL && n < 2; w = w->next) {
        bool dot = n == 0 || str_find(w->text, '.') >= 0;
        if (!dot || !(domain_name_ok(w->text) || domain_literal_ok(w->text))) {
            bad_argument(on, w, "bad-host-name");
            return false;
        }
        v->domains[n++] = w->text;
    }
    return true;
}

/* The argument is called "first or second" in the table. */
static bool read_either(const struct applying *on, const struct ast_word *arg,
                        struct value *v)
{
    str rest = str_from(on->keyword->known->argument), word;
    for (uint32_t i = 0; str_word(&rest, &word); i++) {
        if (i % 2 == 0 && str_ieq(word, arg->text)) {
            v->number = i / 2;
            return true;
        }
    }
    bad_argument(on, arg, "keyword-range");
    return false;
}

static bool read_periods(const struct applying *on, struct value *v)
{
    struct keyword_periods *p = &v->periods;
    for (const struct ast_word *w = on->keyword->args; w != NULL; w = w->next) {
        int64_t ms;
        bool good = clock_period_ms(w->text, &ms) && ms >= 1000 &&
                    ms <= PERIOD_MAX_DAYS * INT64_C(86400000);
        if (!good || p->count == KEYWORD_PERIODS_MAX) {
            bad_argument(on, w, "keyword-range");
            return false;
        }
        p->s[p->count++] = (uint32_t)(ms / 1000);
    }
    return true;
}

static bool read_ages(const struct applying *on, struct value *v)
{
    struct keyword_ages *a = &v->ages;
    uint64_t least = 1, age;
    for (const struct ast_word *w = on->keyword->args; w != NULL; w = w->next) {
        if (!str_u64(w->text, AGE_MAX, &age) || age < least ||
            a->count == KEYWORD_AGES_MAX) {
            bad_argument(on, w, "keyword-range");
            return false;
        }
        a->age[a->count++] = (uint32_t)age;
        least = age + 1;
    }
    return true;
}

static bool read_period(const struct applying *on, const struct ast_word *arg,
                        struct value *v)
{
    int64_t ms;
    if (!clock_period_ms(arg->text, &ms) || ms < 1000 ||
        ms > PERIOD_MAX_DAYS * INT64_C(86400000)) {
        bad_argument(on, arg, "keyword-range");
        return false;
    }
    v->number = (uint32_t)(ms / 1000);
    return true;
}

static uint32_t extension_bit(str name)
{
    for (unsigned i = 0; i < sizeof extensions / sizeof *extensions; i++) {
        if (str_ieq(name, str_from(extensions[i]))) {
            return UINT32_C(1) << i;
        }
    }
    return 0;
}

/* STARTTLS is none of them: what hides it and still takes it would only look safe. */
static bool read_hidden(const struct applying *on, const struct ast_word *arg,
                        struct value *v)
{
    str rest = arg->text, name;
    while (str_split(&rest, ',', &name)) {
        uint32_t bit = extension_bit(str_trim(name));
        if (str_ieq(str_trim(name), STR("STARTTLS"))) {
            struct diag *d = diag_error(on->diags, arg->at, "keyword-range",
                                        "'notlsserver' is the word for no STARTTLS");
            diag_mark(on->diags, d, on->keyword->at);
            return false;
        }
        if (bit == 0) {
            bad_argument(on, arg, "keyword-range");
            return false;
        }
        v->number |= bit;
    }
    return true;
}

static bool read_value(const struct applying *on, struct value *v)
{
    const struct keyword *k = on->keyword->known;
    const struct ast_word *arg = on->keyword->args;
    uint64_t number;
    switch (k->kind) {
    case KEYWORD_KIND_INT:
        if (!str_u64(arg->text, k->max, &number) || number < k->min) {
            bad_argument(on, arg, "keyword-range");
            return false;
        }
        v->number = (uint32_t)number;
        return true;
    case KEYWORD_KIND_HOST:
        return read_host(on, arg, v);
    case KEYWORD_KIND_ADDRESS:
        v->text = arg->text;
        if (!is_ip(on->arena, arg->text)) {
            bad_argument(on, arg, "bad-address");
            return false;
        }
        return true;
    case KEYWORD_KIND_CHANNEL:
    case KEYWORD_KIND_PROFILE:
        v->text = arg->text;
        return true;
    case KEYWORD_KIND_PERIOD:
        return read_period(on, arg, v);
    case KEYWORD_KIND_HIDDEN:
        return read_hidden(on, arg, v);
    case KEYWORD_KIND_EITHER:
        return read_either(on, arg, v);
    case KEYWORD_KIND_SERVERS:
        return read_servers(on, v);
    case KEYWORD_KIND_PERIODS:
        return read_periods(on, v);
    case KEYWORD_KIND_AGES:
        return read_ages(on, v);
    case KEYWORD_KIND_DOMAINS:
        return read_domains(on, v);
    case KEYWORD_KIND_CHOICE:
    case KEYWORD_KIND_NOTHING:
        return true;
    }
    return false;
}

/* Returns the keyword the word was probably meant for, or NULL. */
static const struct keyword *report_unknown(const struct applying *on)
{
    const struct ast_keyword *k = on->keyword;
    const struct keyword *slip = keyword_security_slip(k->name);
    if (slip != NULL) {
        diag_error(on->diags, k->at, "security-slip",
                   "'%.*s' is not a keyword; did you mean '%s'? A slip in a TLS, SASL or "
                   "switch keyword is always an error",
                   STR_ARG(k->name), slip->name);
        return slip;
    }
    const struct keyword *near = NULL;
    if (diags_warnings(on->diags) < SUGGEST_WARNINGS_MAX) {
        near = keyword_nearest(k->name, k->name.len > 4 ? 2 : 1);
    }
    if (near != NULL) {
        diag_warning(on->diags, k->at, "unknown-keyword",
                     "'%.*s' is not a keyword; did you mean '%s'?", STR_ARG(k->name),
                     near->name);
    } else if (on->meant == NULL || on->meant->args == KEYWORD_ARGS_NONE) {
        diag_warning(on->diags, k->at, "unknown-keyword", "'%.*s' is not a keyword",
                     STR_ARG(k->name));
    }
    return near;
}

/* Says what of a known word is lost. */
static void report_status(const struct applying *on, bool allow_unhonoured)
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

struct span ast_keyword_span(const struct ast_keyword *k)
{
    struct span at = k->at;
    for (const struct ast_word *w = k->args; w != NULL; w = w->next) {
        at = w->at.source == at.source ? span_join(at, w->at) : at;
    }
    return at;
}

static void apply_one(struct channel_opts *o, struct applying *on, bool allow_unhonoured)
{
    const struct ast_keyword *k = on->keyword;
    if (k->known == NULL) {
        on->meant = report_unknown(on);
        return;
    }
    on->meant = NULL;
    bool optional = k->known->args == KEYWORD_ARGS_NONE ||
                    k->known->args == KEYWORD_ARGS_ONE_OPTIONAL;
    if (k->args == NULL && !optional) {
        str want = wanted(on->arena, k->known);
        diag_error(on->diags, k->at, "missing-argument", "'%s' needs %.*s",
                   k->known->name, STR_ARG(want));
        return;
    }
    report_status(on, allow_unhonoured);
    struct value v = {0};
    if (read_value(on, &v)) {
        assign(o, k->known->id, &v, ast_keyword_span(k));
    }
}

void channel_opts_apply(struct channel_opts *o, const struct ast_keyword *keywords,
                        bool allow_unhonoured, struct arena *a, struct diags *diags)
{
    struct applying on = {.arena = a, .diags = diags};
    for (on.keyword = keywords; on.keyword != NULL; on.keyword = on.keyword->next) {
        apply_one(o, &on, allow_unhonoured);
    }
    overrides_check(o, keywords, diags);
}
