/* pipe_options: see pipe_options.h. */
#include "tables/pipe_options.h"

#include "base/address.h"
#include "base/vec.h"
#include "tables/compile.h"

enum {
    TIMEOUT_S = 600, /* as PMDF's */
    TIMEOUT_MAX_S = 24 * 60 * 60,
    PROGRAMS = 10,
    PROGRAMS_MAX = 1000,
    WORDS_MAX = 100,
    QUEUE_ID_OCTETS = 32,
    NUMBER_MAX = 1024 * 1024
};

bool pipe_harmless(char c)
{
    return ascii_is_alnum(c) || (c != '\0' && strchr("+-._=", c) != NULL);
}

/* What may stand behind '%'; see channels/pipe_command.h. */
static const char SEQUENCES[] = "%aduesfq";

void pipe_options_init(struct pipe_options *o)
{
    *o = (struct pipe_options){.timeout_s = TIMEOUT_S, .max_programs = PROGRAMS};
}

const struct pipe_command *pipe_options_find(const struct pipe_options *o, str user,
                                             str host, struct arena *a)
{
    if (o->commands == NULL) {
        return NULL;
    }
    const struct pipe_command *found =
        map_get(o->commands, arena_printf(a, "%.*s@%.*s", STR_ARG(user), STR_ARG(host)));
    ptrdiff_t plus = str_find(user, '+');
    if (found == NULL && plus > 0) {
        str base = str_sub(user, 0, (size_t)plus);
        found = map_get(o->commands,
                        arena_printf(a, "%.*s@%.*s", STR_ARG(base), STR_ARG(host)));
    }
    return found != NULL ? found : map_get(o->commands, host);
}

/* ---- printing ---------------------------------------------------------------------- */

static void print_word(str word, struct buf *out)
{
    bool plain = word.len > 0;
    for (size_t i = 0; i < word.len; i++) {
        plain = plain && word.ptr[i] > ' ' && word.ptr[i] != '"' && word.ptr[i] != '\\';
    }
    if (plain) {
        buf_str(out, word);
        return;
    }
    buf_putc(out, '"');
    for (size_t i = 0; i < word.len; i++) {
        if (word.ptr[i] == '"' || word.ptr[i] == '\\') {
            buf_putc(out, '\\');
        }
        buf_putc(out, word.ptr[i]);
    }
    buf_putc(out, '"');
}

void pipe_options_print(const struct pipe_options *o, struct buf *out)
{
    const struct {
        const char *name;
        unsigned value;
        struct span at;
    } numbers[] = {{"SHELL_TIMEOUT", o->timeout_s, o->timeout_s_at},
                   {"MAX_PROGRAMS", o->max_programs, o->max_programs_at},
                   {"MAX_CPU_TIME", o->cpu_s, o->cpu_s_at},
                   {"MAX_MEMORY", o->memory_mib, o->memory_mib_at},
                   {"MAX_FILE_SIZE", o->file_mib, o->file_mib_at}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (numbers[i].at.source != 0) {
            buf_printf(out, "%s=%u\n", numbers[i].name, numbers[i].value);
        }
    }
    for (size_t i = 0; o->commands != NULL && i < map_count(o->commands); i++) {
        str who;
        const struct pipe_command *p = map_at(o->commands, i, &who);
        buf_printf(out, "%.*s=", STR_ARG(p->who));
        for (unsigned n = 0; n < p->count; n++) {
            buf_puts(out, n > 0 ? " " : "");
            print_word(p->words[n], out);
        }
        buf_putc(out, '\n');
    }
}

/* ---- programs ---------------------------------------------------------------------- */

/* Takes the next word: what stands between blanks; inside double quotes blanks are part
 * of it, and '\' takes away the meaning of '"' and '\'. NULL: good, *more false at the
 * end. */
static const char *take_word(struct arena *a, str *rest, str *word, bool *more)
{
    *rest = str_trim(*rest);
    *more = rest->len > 0;
    char *out = arena_array(a, char, rest->len + 1);
    size_t n = 0, i = 0;
    bool quoted = false;
    for (; i < rest->len && (quoted || (rest->ptr[i] != ' ' && rest->ptr[i] != '\t'));
         i++) {
        char c = rest->ptr[i];
        if (c == '"') {
            quoted = !quoted;
        } else if (c == '\\' && quoted && i + 1 < rest->len &&
                   (rest->ptr[i + 1] == '"' || rest->ptr[i + 1] == '\\')) {
            out[n++] = rest->ptr[++i];
        } else {
            out[n++] = c;
        }
    }
    *rest = str_from_pos(*rest, i);
    *word = str_n(out, n);
    return quoted ? "a quote is not closed" : NULL;
}

static bool has_sequence(str word)
{
    for (size_t i = 0; i + 1 < word.len; i++) {
        if (word.ptr[i] == '%' && word.ptr[++i] != '%') {
            return true;
        }
    }
    return false;
}

static const char *word_fault(str word)
{
    for (size_t i = 0; i < word.len; i++) {
        unsigned char c = (unsigned char)word.ptr[i];
        if (c < ' ' || c == 0x7f) {
            return "it has a control character";
        }
        if (c == '%') {
            i++;
            if (i == word.len || strchr(SEQUENCES, word.ptr[i]) == NULL) {
                return "a '%' must be followed by one of a, d, e, f, q, s, u or %";
            }
        }
    }
    return NULL;
}

/* How many octets stand for a sequence at most. */
static size_t sequence_longest(char sequence)
{
    switch (sequence) {
    case 's':
    case 'u':
    case 'e':
        return PIPE_USER_MAX;
    case 'd':
        return ADDRESS_DOMAIN_MAX;
    case 'a':
        return PIPE_USER_MAX + 1 + ADDRESS_DOMAIN_MAX;
    case 'f':
        return PIPE_SENDER_MAX;
    case 'q':
        return QUEUE_ID_OCTETS;
    default:
        return 1;
    }
}

/* Of a word without fault. */
static size_t word_longest(str word)
{
    size_t n = 0;
    for (size_t i = 0; i < word.len; i++) {
        bool sequence = word.ptr[i] == '%';
        n += sequence ? sequence_longest(word.ptr[++i]) : 1;
    }
    return n;
}

/* "sh -c '... %s'": the address would be read as part of a shell's program. */
static bool goes_through_shell(const struct pipe_command *p)
{
    static const char *const shells[] = {"sh",  "bash", "dash", "ksh",
                                         "zsh", "csh",  "tcsh"};
    ptrdiff_t slash = str_rfind(p->words[0], '/');
    str name = str_from_pos(p->words[0], (size_t)(slash + 1));
    bool shell = false, command = false;
    for (size_t i = 0; i < sizeof shells / sizeof *shells; i++) {
        shell = shell || str_eq(name, str_from(shells[i]));
    }
    for (unsigned i = 1; shell && i < p->count; i++) {
        if (command && has_sequence(p->words[i])) {
            return true;
        }
        command = !command && p->words[i].len > 1 && p->words[i].ptr[0] == '-' &&
                  str_find(p->words[i], 'c') > 0;
    }
    return false;
}

/* NULL: good. */
static const char *command_read(struct arena *a, str text, struct pipe_command *p)
{
    VEC(str) words = {0};
    for (;;) {
        bool more;
        str word;
        const char *fault = take_word(a, &text, &word, &more);
        if (!more) {
            break;
        }
        fault = fault != NULL ? fault : word_fault(word);
        if (fault == NULL && word_longest(word) > PIPE_WORD_MAX) {
            fault = "a word of it becomes longer than 65536 octets when its sequences "
                    "are replaced";
        }
        if (fault != NULL) {
            return fault;
        }
        *vec_add(a, &words) = word;
    }
    p->words = words.at;
    p->count = (unsigned)words.n;
    if (words.n == 0 || words.at[0].len < 2 || words.at[0].ptr[0] != '/' ||
        has_sequence(words.at[0])) {
        return "it must begin with the absolute path of a program, without '%' sequences";
    }
    if (words.n > WORDS_MAX) {
        return "it has more than 100 words";
    }
    return goes_through_shell(p)
               ? "an address must not become part of what a shell reads; "
                 "put it into a word of its own behind the script"
               : NULL;
}

bool pipe_user_ok(str user)
{
    bool good = user.len > 0 && user.len <= PIPE_USER_MAX && user.ptr[0] != '-' &&
                user.ptr[0] != '.';
    for (size_t i = 0; i < user.len; i++) {
        good = good && pipe_harmless(user.ptr[i]);
    }
    return good;
}

/* Is it an address, or a host that mail comes to? */
static bool is_address(const struct compile *c, str name)
{
    ptrdiff_t at = str_rfind(name, '@');
    str host = str_from_pos(name, (size_t)(at + 1));
    return at >= 0 || (domain_name_ok(host) &&
                       (str_find(host, '.') >= 0 || snapshot_host(c->s, host) != NULL));
}

static const char *address_fault(str name)
{
    ptrdiff_t at = str_rfind(name, '@');
    str host = str_from_pos(name, (size_t)(at + 1));
    bool good =
        domain_name_ok(host) && (at < 0 || pipe_user_ok(str_sub(name, 0, (size_t)at)));
    return good
               ? NULL
               : "no program gets mail for such an address, only for letters, digits and "
                 "+ - . _ = at a domain";
}

static void add_command(struct compile *c, struct pipe_options *out,
                        const struct ast_option *o)
{
    struct pipe_command *p = arena_new_of(c->arena, struct pipe_command);
    *p = (struct pipe_command){.who = arena_str(c->arena, o->name), .at = o->value_at};
    const char *fault = address_fault(o->name);
    if (fault != NULL) {
        diag_error(c->diags, o->name_at, "pipe-command", "'%.*s': %s", STR_ARG(o->name),
                   fault);
        return;
    }
    fault = command_read(c->arena, o->value, p);
    if (fault != NULL) {
        diag_error(c->diags, o->value_at, "pipe-command",
                   "this is no program for '%.*s': %s", STR_ARG(o->name), fault);
        return;
    }
    if (out->commands == NULL) {
        out->commands = map_new(c->arena, MAP_NOCASE);
    }
    const struct pipe_command *first = map_add(out->commands, p->who, p);
    if (first != p) {
        struct diag *d = diag_error(c->diags, o->name_at, "repeated-option",
                                    "'%.*s' was given before", STR_ARG(o->name));
        diag_note(c->diags, d, first->at, "here");
    }
}

/* ---- options ----------------------------------------------------------------------- */

static void read_number(struct compile *c, const struct ast_option *o, uint64_t max,
                        unsigned *out, struct span *at)
{
    uint64_t number;
    compile_once(c, at, o);
    if (!str_number(o->value, max, &number) || number == 0) {
        diag_error(c->diags, o->value_at, "option-range",
                   "'%.*s' needs a number from 1 to %u", STR_ARG(o->name), (unsigned)max);
        return;
    }
    *out = (unsigned)number;
}

static void read_option(struct compile *c, struct pipe_options *out,
                        const struct ast_option *o)
{
    if (option_find(OPTION_PIPE, o->name) == NULL && is_address(c, o->name)) {
        add_command(c, out, o);
        return;
    }
    const struct option_row *row = compile_option(c, OPTION_PIPE, o);
    switch (row != NULL ? row->id : OPTION_COUNT) {
    case OPTION_PIPE_SHELL_TIMEOUT:
        read_number(c, o, TIMEOUT_MAX_S, &out->timeout_s, &out->timeout_s_at);
        break;
    case OPTION_PIPE_MAX_PROGRAMS:
        read_number(c, o, PROGRAMS_MAX, &out->max_programs, &out->max_programs_at);
        break;
    case OPTION_PIPE_MAX_CPU_TIME:
        read_number(c, o, TIMEOUT_MAX_S, &out->cpu_s, &out->cpu_s_at);
        break;
    case OPTION_PIPE_MAX_MEMORY:
        read_number(c, o, NUMBER_MAX, &out->memory_mib, &out->memory_mib_at);
        break;
    case OPTION_PIPE_MAX_FILE_SIZE:
        read_number(c, o, NUMBER_MAX, &out->file_mib, &out->file_mib_at);
        break;
    default:
        break;
    }
}

void pipe_options_compile(struct compile *c, const struct ast *ast,
                          struct pipe_options *out)
{
    for (const struct ast_section *s = ast->sections; s != NULL; s = s->next) {
        if (s->name.len > 0) {
            diag_warning(c->diags, s->at, "unknown-section",
                         "this file has no sections; the head is passed over");
        }
        for (const struct ast_option *o = s->options; o != NULL; o = o->next) {
            read_option(c, out, o);
        }
    }
}
