/* tcp_options: see tcp_options.h. */
#include "tables/tcp_options.h"

#include "base/address.h"
#include "base/clock.h"
#include "tables/inputs.h"

enum {
    MINUTE_MS = 60 * 1000,
    TIME_MAX_MS = 24 * 60 * MINUTE_MS,
    IDLE_MAX_MS = 5 * MINUTE_MS, /* hosts need not wait longer (RFC 5321 4.5.3.2.7) */
    TEXT_MAX = 400 /* with the name in a line of 512 octets (RFC 5321 4.5.3.1.5) */
};

void tcp_options_init(struct tcp_options *o)
{
    *o = (struct tcp_options){
#define NUMBER(option, field)        .field = 0,
#define FLAG(option, field, initial) .field = initial,
#define TEXT(option, field)          .field = {"", 0},
        TCP_OPTIONS(NUMBER, NUMBER, FLAG, TEXT, TEXT)
#undef NUMBER
#undef FLAG
#undef TEXT
    };
}

/* What keeps a backslash at the end of a line from continuing it. */
static const char *end_of(str text)
{
    return text.len > 0 && text.ptr[text.len - 1] == '\\' ? " " : "";
}

void tcp_options_print(const struct tcp_options *o, struct buf *out)
{
    char text[40];
#define TIME(option, field)                                                              \
    if (o->field##_at.source != 0) {                                                     \
        clock_duration_print(o->field, text, sizeof text);                               \
        buf_printf(out, #option "=%s\n", text);                                          \
    }
#define COUNT(option, field)                                                             \
    if (o->field##_at.source != 0) {                                                     \
        buf_printf(out, #option "=%u\n", o->field);                                      \
    }
#define FLAG(option, field, initial)                                                     \
    if (o->field##_at.source != 0) {                                                     \
        buf_printf(out, #option "=%d\n", o->field);                                      \
    }
#define TEXT(option, field)                                                              \
    if (o->field##_at.source != 0) {                                                     \
        buf_printf(out, #option "=%.*s%s\n", STR_ARG(o->field), end_of(o->field));       \
    }
    TCP_OPTIONS(TIME, COUNT, FLAG, TEXT, TEXT)
#undef TIME
#undef COUNT
#undef FLAG
#undef TEXT
}

/* ---- values ------------------------------------------------------------------------ */

static void read_time(struct compile *c, const struct ast_option *o, enum option_id id,
                      unsigned *out)
{
    bool idle = id == OPTION_CHANNEL_CONNECTION_IDLE_TIME;
    int64_t ms;

    if (!clock_duration_ms(o->value, MINUTE_MS, idle ? IDLE_MAX_MS : TIME_MAX_MS, &ms) ||
        ms == 0) {
        diag_error(
            c->diags, o->value_at, "option-range",
            "'%.*s' needs a time above 0, at most %s: minutes, or a period like PT10S",
            STR_ARG(o->name), idle ? "5 minutes" : "a day");
        return;
    }
    *out = (unsigned)ms;
}

static void read_count(struct compile *c, const struct ast_option *o, unsigned *out)
{
    uint64_t number;

    if (!str_number(o->value, INT32_MAX, &number)) {
        diag_error(c->diags, o->value_at, "option-range",
                   "'%.*s' needs a number from 0 to %d", STR_ARG(o->name), INT32_MAX);
        return;
    }
    *out = (unsigned)number;
}

static bool read_truth(struct compile *c, const struct ast_option *o, bool *out)
{
    bool good = str_eq(o->value, STR("0")) || str_eq(o->value, STR("1"));

    if (!good) {
        diag_error(c->diags, o->value_at, "option-range", "'%.*s' is 0 or 1",
                   STR_ARG(o->name));
        return false;
    }
    *out = o->value.ptr[0] == '1';
    return true;
}

/* Part of one line of a reply. */
static void read_text(struct compile *c, const struct ast_option *o, str *out)
{
    bool good = o->value.len > 0 && o->value.len <= TEXT_MAX;

    for (size_t i = 0; i < o->value.len; i++) {
        char ch = o->value.ptr[i];
        good = good && ch >= ' ' && ch <= '~' && ch != '|';
    }
    if (!good) {
        diag_error(c->diags, o->value_at, "option-range",
                   "'%.*s' needs a text of 1 to %d characters of ASCII without '|'",
                   STR_ARG(o->name), TEXT_MAX);
        return;
    }
    *out = arena_str(c->arena, o->value);
}

static void read_host(struct compile *c, const struct ast_option *o, str *out)
{
    if (!domain_name_ok(o->value)) {
        diag_error(c->diags, o->value_at, "option-range",
                   "'%.*s' needs a host name, as mail.example.com", STR_ARG(o->name));
        return;
    }
    *out = arena_str(c->arena, o->value);
}

/* What one value of the option asks for is how it always is here. */
static void read_fixed(struct compile *c, const struct ast_option *o, const char *is)
{
    bool wanted;

    if (read_truth(c, o, &wanted) && !wanted) {
        diag_warning(c->diags, o->value_at, "unhonoured-option",
                     "'%.*s=0' is not honoured yet: %s", STR_ARG(o->name), is);
    }
}

/* ---- options ----------------------------------------------------------------------- */

static const struct {
    enum option_id id;
    const char *is;
} fixed[] = {{OPTION_CHANNEL_HIDE_VERIFY, "VRFY never tells whether there is a mailbox"},
             {OPTION_CHANNEL_DISABLE_EXPAND, "EXPN is always refused"},
             {OPTION_CHANNEL_DISABLE_SEND, "SEND, SAML and SOML are always refused"},
             {OPTION_CHANNEL_DISABLE_ADDRESS, "XADR is always refused"},
             {OPTION_CHANNEL_DISABLE_CIRCUIT, "XCIR is always refused"},
             {OPTION_CHANNEL_DISABLE_GENERAL, "XGEN is always refused"},
             {OPTION_CHANNEL_DISABLE_STATUS, "XSTA is always refused"}};

enum { FIXED_COUNT = sizeof fixed / sizeof *fixed };

/* seen: where each of the fixed ones was given. */
static void read_option(struct compile *c, struct tcp_options *out,
                        struct span seen[FIXED_COUNT], const struct ast_option *o)
{
    const struct option_row *row = compile_option(c, OPTION_CHANNEL, o);

    switch (row != NULL ? row->id : OPTION_COUNT) {
#define TIME(option, field)                                                              \
    case OPTION_CHANNEL_##option:                                                        \
        compile_once(c, &out->field##_at, o);                                            \
        read_time(c, o, row->id, &out->field);                                           \
        break;
#define COUNT(option, field)                                                             \
    case OPTION_CHANNEL_##option:                                                        \
        compile_once(c, &out->field##_at, o);                                            \
        read_count(c, o, &out->field);                                                   \
        break;
#define FLAG(option, field, initial)                                                     \
    case OPTION_CHANNEL_##option:                                                        \
        compile_once(c, &out->field##_at, o);                                            \
        read_truth(c, o, &out->field);                                                   \
        break;
#define TEXT(option, field)                                                              \
    case OPTION_CHANNEL_##option:                                                        \
        compile_once(c, &out->field##_at, o);                                            \
        read_text(c, o, &out->field);                                                    \
        break;
#define HOST(option, field)                                                              \
    case OPTION_CHANNEL_##option:                                                        \
        compile_once(c, &out->field##_at, o);                                            \
        read_host(c, o, &out->field);                                                    \
        break;
        TCP_OPTIONS(TIME, COUNT, FLAG, TEXT, HOST)
#undef TIME
#undef COUNT
#undef FLAG
#undef TEXT
#undef HOST
    default:
        for (size_t i = 0; row != NULL && i < FIXED_COUNT; i++) {
            if (fixed[i].id == row->id) {
                compile_once(c, &seen[i], o);
                read_fixed(c, o, fixed[i].is);
            }
        }
        break;
    }
}

static void read_file(struct compile *c, const struct ast *ast, struct tcp_options *out)
{
    struct span seen[FIXED_COUNT] = {{0, 0, 0}};

    for (const struct ast_section *s = ast->sections; s != NULL; s = s->next) {
        if (s->name.len > 0) {
            diag_warning(c->diags, s->at, "unknown-section",
                         "this file has no sections; the head is passed over");
        }
        for (const struct ast_option *o = s->options; o != NULL; o = o->next) {
            read_option(c, out, seen, o);
        }
    }
}

/* The whole first line of a file, as the place of what is said of all of it. */
static struct span first_line(const struct compile *c, const struct ast *ast)
{
    const struct source *source =
        ast->source != 0 ? sources_get(c->s->sources, ast->source) : NULL;
    ptrdiff_t end = source != NULL ? str_find(source->text, '\n') : 0;

    if (source == NULL) {
        return SPAN_NONE;
    }
    return (struct span){ast->source, 0,
                         (uint32_t)(end < 0 ? (ptrdiff_t)source->text.len : end)};
}

void tcp_options_compile(struct compile *c, const struct inputs *in)
{
    for (const struct input_channel *f = in->channels; f != NULL; f = f->next) {
        str name = input_channel_name(f->file);
        struct channel *ch = map_get(c->s->channels_by_name, name);
        if (ch == NULL) {
            str near = nearest_key(c->s->channels_by_name, name, &c->nearest);
            diag_warning(c->diags, first_line(c, f->ast), "option-file",
                         "there is no channel '%.*s', so nobody reads this file%s%.*s%s",
                         STR_ARG(name), near.len > 0 ? "; did you mean '" : "",
                         STR_ARG(near), near.len > 0 ? INPUT_CHANNEL_ENDING "'?" : "");
        } else if (ch->type == CHANNEL_PIPE) {
            pipe_options_compile(c, f->ast, &ch->pipe);
        } else if (ch->type != CHANNEL_TCP) {
            diag_warning(
                c->diags, first_line(c, f->ast), "option-file",
                "'%.*s' speaks no SMTP and is no pipe, and only channels that do "
                "or are have options; nobody reads this file",
                STR_ARG(name));
        } else {
            read_file(c, f->ast, &ch->tcp);
        }
    }
}
