/* transcript: parsing and playing. */
#include "test/smtp/transcript.h"

struct parser {
    struct arena *arena;
    struct transcript *t;
    unsigned line;
    bool send_open; /* the last step is a SEND that the next C line adds to */
    const char *error;
};

static bool hex_digit(char c, unsigned *out)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c != '\0' ? strchr(digits, ascii_lower(c)) : NULL;
    *out = at != NULL ? (unsigned)(at - digits) : 0;
    return at != NULL;
}

/* Resolves the escapes of a C line. */
static str unescape(struct parser *p, str text)
{
    char *out = arena_alloc(p->arena, text.len + 1);
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned high, low;
        char c = text.ptr[i];
        if (c != '\\') {
            out[len++] = c;
            continue;
        }
        c = ++i < text.len ? text.ptr[i] : ' ';
        if (c == 'x' && i + 2 < text.len && hex_digit(text.ptr[i + 1], &high) &&
            hex_digit(text.ptr[i + 2], &low)) {
            out[len++] = (char)(high * 16 + low);
            i += 2;
        } else if (c == 'r' || c == 'n' || c == '0' || c == '\\') {
            out[len++] = c == 'r' ? '\r' : c == 'n' ? '\n' : c == '0' ? '\0' : '\\';
        } else {
            p->error = "bad escape";
        }
    }
    return str_n(out, len);
}

static str join(struct arena *a, str first, str second)
{
    char *out = arena_alloc(a, first.len + second.len + 1);
    if (first.len > 0) {
        memcpy(out, first.ptr, first.len);
    }
    if (second.len > 0) {
        memcpy(out + first.len, second.ptr, second.len);
    }
    return str_n(out, first.len + second.len);
}

static void add_step(struct parser *p, enum transcript_kind kind, str text)
{
    *vec_add(p->arena, &p->t->steps) = (struct transcript_step){kind, text, p->line};
    p->send_open = kind == TRANSCRIPT_SEND;
}

static void add_send(struct parser *p, str bytes)
{
    if (p->send_open) {
        str *last = &p->t->steps.at[p->t->steps.n - 1].text;
        *last = join(p->arena, *last, bytes);
    } else {
        add_step(p, TRANSCRIPT_SEND, bytes);
    }
}

static void parse_repeat(struct parser *p, str rest)
{
    str number, all = STR("");
    uint64_t n = 0;
    if (!str_word(&rest, &number) || !str_u64(number, 100000, &n)) {
        p->error = "C* takes a number";
        return;
    }
    str part = unescape(p, str_from_pos(rest, 1));
    char *bytes = arena_alloc_n(p->arena, (size_t)n + 1, part.len);
    for (uint64_t i = 0; i < n; i++) {
        memcpy(bytes + i * part.len, part.ptr, part.len);
    }
    all = str_n(bytes, (size_t)n * part.len);
    add_send(p, all);
}

static void parse_level(struct parser *p, str value, enum tls_level *out)
{
    if (str_eq(value, STR("no"))) {
        *out = TLS_LEVEL_NO;
    } else if (str_eq(value, STR("may"))) {
        *out = TLS_LEVEL_MAY;
    } else if (str_eq(value, STR("must"))) {
        *out = TLS_LEVEL_MUST;
    } else {
        p->error = "a level is no, may or must";
    }
}

/* "recipientlimit 3" */
static void take_limit(struct parser *p, str value)
{
    static const struct {
        const char *keyword;
        size_t at;
    } rows[] = {
#define ROW(keyword) {#keyword, offsetof(struct smtp_limits, keyword)}
        ROW(transactionlimit),      ROW(disconnecttransactionlimit),
        ROW(recipientlimit),        ROW(recipientcutoff),
        ROW(deferralrejectlimit),   ROW(disconnectrecipientlimit),
        ROW(disconnectrejectlimit), ROW(disconnectbadcommandlimit),
#undef ROW
    };
    str keyword;
    uint64_t number;
    bool good =
        str_word(&value, &keyword) && str_u64(str_trim(value), UINT32_MAX, &number);
    for (size_t i = 0; good && i < sizeof rows / sizeof rows[0]; i++) {
        if (str_eq(keyword, str_from(rows[i].keyword))) {
            *(unsigned *)(void *)((char *)&p->t->limits + rows[i].at) = (unsigned)number;
            return;
        }
    }
    p->error = "limit takes a keyword and a number";
}

static void parse_setting(struct parser *p, str name, str value)
{
    struct transcript *t = p->t;
    if (str_eq(name, STR("tls"))) {
        parse_level(p, value, &t->tls);
        t->tls_after = t->tls;
    } else if (str_eq(name, STR("tls-after"))) {
        parse_level(p, value, &t->tls_after);
    } else if (str_eq(name, STR("implicit"))) {
        t->implicit_tls = str_eq(value, STR("yes"));
    } else if (str_eq(name, STR("injection"))) {
        t->ignore_injection = str_eq(value, STR("ignore"));
    } else if (str_eq(name, STR("packets"))) {
        t->whole_packets = str_eq(value, STR("whole"));
    } else if (str_eq(name, STR("needs"))) {
        t->needs_machine = str_eq(value, STR("machine"));
    } else if (str_eq(name, STR("limit"))) {
        take_limit(p, value);
    } else if (!str_eq(name, STR("size")) ||
               !str_u64(value, UINT64_MAX, &t->size_limit_bytes)) {
        p->error = "unknown setting";
    }
}

static void parse_line(struct parser *p, str line)
{
    str text = str_from_pos(line, 3);
    if (line.len == 0 || line.ptr[0] == '#') {
        return;
    }
    if (str_starts(line, STR("C*"))) {
        parse_repeat(p, str_from_pos(line, 2));
    } else if (str_starts(line, STR("C-"))) {
        add_send(p, unescape(p, text));
    } else if (str_starts(line, STR("C:"))) {
        add_send(p, join(p->arena, unescape(p, text), STR("\r\n")));
    } else if (str_starts(line, STR("S:"))) {
        add_step(p, TRANSCRIPT_EXPECT, text);
    } else if (str_eq(line, STR("T:"))) {
        add_step(p, TRANSCRIPT_TLS, STR(""));
    } else if (str_eq(line, STR("E:"))) {
        add_step(p, TRANSCRIPT_END, STR(""));
    } else if (str_find(line, ':') > 0 && p->t->steps.n == 0) {
        size_t colon = (size_t)str_find(line, ':');
        parse_setting(p, str_sub(line, 0, colon),
                      str_trim(str_from_pos(line, colon + 1)));
    } else {
        p->error = "not a line of a transcript";
    }
}

struct transcript *transcript_parse(struct arena *a, str text, str *error)
{
    struct parser p = {.arena = a, .t = arena_new_of(a, struct transcript)};
    str line;
    p.t->size_limit_bytes = 1000;
    while (str_split(&text, '\n', &line)) {
        p.line++;
        parse_line(&p, line);
        if (p.error != NULL) {
            *error = arena_printf(a, "%u: %s", p.line, p.error);
            return NULL;
        }
    }
    return p.t;
}

/* '*' in the pattern stands for any text. */
static bool matches(str pattern, str text)
{
    ptrdiff_t star = str_find(pattern, '*');
    if (star < 0) {
        return str_eq(pattern, text);
    }
    str before = str_sub(pattern, 0, (size_t)star);
    str after = str_from_pos(pattern, (size_t)star + 1);
    if (!str_starts(text, before)) {
        return false;
    }
    for (size_t i = before.len; i <= text.len; i++) {
        if (matches(after, str_from_pos(text, i))) {
            return true;
        }
    }
    return false;
}

static str run_step(struct arena *a, const struct transcript_step *step,
                    struct transcript_peer *peer)
{
    str line = STR("");
    bool received = step->kind != TRANSCRIPT_SEND && peer->receive(peer->arg, &line);
    switch (step->kind) {
    case TRANSCRIPT_EXPECT:
        if (!received || !matches(step->text, line)) {
            return arena_printf(a, "%u: expected '%.*s', got %s'%.*s'", step->line,
                                STR_ARG(step->text), received ? "" : "nothing ",
                                STR_ARG(line));
        }
        return STR("");
    case TRANSCRIPT_SEND:
        peer->send(peer->arg, step->text);
        return STR("");
    case TRANSCRIPT_TLS:
        if (!received && peer->start_tls(peer->arg)) {
            return STR("");
        }
        break;
    case TRANSCRIPT_END:
        if (!received && peer->closed(peer->arg)) {
            return STR("");
        }
        break;
    }
    return arena_printf(a, "%u: %s, got '%.*s'", step->line,
                        step->kind == TRANSCRIPT_TLS ? "no handshake" : "not closed",
                        STR_ARG(line));
}

str transcript_run(struct arena *a, const struct transcript *t,
                   struct transcript_peer *peer)
{
    for (size_t i = 0; i < t->steps.n; i++) {
        const struct transcript_step *step = &t->steps.at[i];
        str line, wrong = run_step(a, step, peer);
        if (wrong.len > 0) {
            return wrong;
        }
        bool block_ends =
            i + 1 == t->steps.n || t->steps.at[i + 1].kind == TRANSCRIPT_SEND;
        if (step->kind == TRANSCRIPT_EXPECT && block_ends &&
            peer->receive(peer->arg, &line)) {
            return arena_printf(a, "%u: also got '%.*s'", step->line, STR_ARG(line));
        }
    }
    return STR("");
}
