/* keyword_value: the arguments of one keyword, read and checked by their kind. */
#include "parser/keyword_value.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/address.h"
#include "base/clock.h"

enum {
    PERIOD_MAX_DAYS = 366, /* longer than any message waits */
    AGE_MAX = 10000        /* more than a year of hours */
};

const char *keyword_extension(unsigned bit)
{
    static const char *const names[] = {"PIPELINING", "8BITMIME", "SIZE",
                                        "ENHANCEDSTATUSCODES", "DSN"};
    return bit < sizeof names / sizeof *names ? names[bit] : NULL;
}

str keyword_wanted(const struct keyword *k, struct arena *a)
{
    switch (k->kind) {
    case KEYWORD_KIND_INT:
        return arena_printf(a, "a number from %u to %u", k->min, k->max);
    case KEYWORD_KIND_CHANNEL:
        return STR("the name of a channel");
    case KEYWORD_KIND_PROFILE:
        return STR("the name of a section of tls.cnf");
    case KEYWORD_KIND_POOL:
        return STR("the name of a pool of job_controller.cnf");
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
    case KEYWORD_KIND_TEXT:
        return k->id == KEYWORD_ID_returnaddress
                   ? STR("an address with a host, as postmaster@example.com")
               : k->id == KEYWORD_ID_user ? STR("the name of a user")
               : k->id == KEYWORD_ID_returnpersonal
                   ? STR("a name of up to 100 ASCII characters, in quotes where it has "
                         "blanks")
                   : STR("the tag of a language, as de or en-GB");
    case KEYWORD_KIND_CHOICE:
    case KEYWORD_KIND_NOTHING:
        break;
    }
    return arena_printf(a, "an argument (%s)", k->argument);
}

static void bad_argument(const struct keyword_reading *on, const struct ast_word *arg,
                         const char *slug)
{
    const struct ast_keyword *k = on->keyword;
    str want = keyword_wanted(k->known, on->arena);
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

static bool read_servers(const struct keyword_reading *on, struct keyword_value *v)
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
static bool read_host(const struct keyword_reading *on, const struct ast_word *arg,
                      struct keyword_value *v)
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

static bool read_domains(const struct keyword_reading *on, struct keyword_value *v)
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
static bool read_either(const struct keyword_reading *on, const struct ast_word *arg,
                        struct keyword_value *v)
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

static bool read_seconds(str text, uint32_t *seconds)
{
    int64_t ms;
    if (!clock_period_ms(text, &ms) || ms < 1000 ||
        ms > PERIOD_MAX_DAYS * INT64_C(86400000)) {
        return false;
    }
    *seconds = (uint32_t)(ms / 1000);
    return true;
}

static bool read_periods(const struct keyword_reading *on, struct keyword_value *v)
{
    struct keyword_periods *p = &v->periods;
    for (const struct ast_word *w = on->keyword->args; w != NULL; w = w->next) {
        if (p->count == KEYWORD_PERIODS_MAX || !read_seconds(w->text, &p->s[p->count])) {
            bad_argument(on, w, "keyword-range");
            return false;
        }
        p->count++;
    }
    return true;
}

static bool read_ages(const struct keyword_reading *on, struct keyword_value *v)
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

static bool read_period(const struct keyword_reading *on, const struct ast_word *arg,
                        struct keyword_value *v)
{
    if (!read_seconds(arg->text, &v->number)) {
        bad_argument(on, arg, "keyword-range");
        return false;
    }
    return true;
}

static uint32_t extension_bit(str name)
{
    const char *known;
    for (unsigned i = 0; (known = keyword_extension(i)) != NULL; i++) {
        if (str_ieq(name, str_from(known))) {
            return UINT32_C(1) << i;
        }
    }
    return 0;
}

/* STARTTLS is none of them: what hides it and still takes it would only look safe. */
static bool read_hidden(const struct keyword_reading *on, const struct ast_word *arg,
                        struct keyword_value *v)
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

bool report_address_ok(str text)
{
    struct address address;
    return address_parse(text, &address) == NULL && address.domain.len > 0 &&
           address.route.len == 0;
}

bool report_name_ok(str text)
{
    bool good = text.len > 0 && text.len <= REPORT_NAME_MAX;
    for (size_t i = 0; i < text.len; i++) {
        good = good && text.ptr[i] >= ' ' && text.ptr[i] <= '~';
    }
    return good;
}

static bool language_tag_ok(str text)
{
    bool good = text.len > 0 && text.len <= LANGUAGE_TAG_MAX;
    for (size_t i = 0; i < text.len; i++) {
        good = good && (ascii_is_alnum(text.ptr[i]) || text.ptr[i] == '-');
    }
    return good;
}

bool user_name_ok(str name)
{
    enum { USER_MAX = 32 };
    bool good = name.len > 0 && name.len <= USER_MAX && name.ptr[0] != '-';
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        good = good && (ascii_is_alnum(c) || c == '_' || c == '-' || c == '.');
    }
    return good;
}

static bool read_text(const struct keyword_reading *on, const struct ast_word *arg,
                      struct keyword_value *v)
{
    enum keyword_id id = on->keyword->known->id;
    v->text = arg->text;
    bool good = id == KEYWORD_ID_returnaddress    ? report_address_ok(arg->text)
                : id == KEYWORD_ID_user           ? user_name_ok(arg->text)
                : id == KEYWORD_ID_returnpersonal ? report_name_ok(arg->text)
                                                  : language_tag_ok(arg->text);
    if (!good) {
        bad_argument(on, arg, "keyword-range");
    }
    return good;
}

bool keyword_value_read(const struct keyword_reading *on, struct keyword_value *v)
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
    case KEYWORD_KIND_TEXT:
        return read_text(on, arg, v);
    case KEYWORD_KIND_CHANNEL:
    case KEYWORD_KIND_PROFILE:
        v->text = arg->text;
        return true;
    case KEYWORD_KIND_POOL:
        v->text = arg->text;
        if (arg->text.len == 0) { /* it would mean that none is named */
            bad_argument(on, arg, "keyword-range");
        }
        return arg->text.len > 0;
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
