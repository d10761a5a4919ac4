/* pipe_command: see pipe_command.h. */
#include "channels/pipe_command.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"

enum { LINE_MAX_OCTETS = 200 };

/* ---- what an address may bring in -------------------------------------------------- */

bool pipe_recipient_ok(const struct address *to, struct arena *a, str *user,
                       struct outcome *out)
{
    *user = address_unquote_local(a, to->local);
    bool good = pipe_user_ok(*user) && domain_name_ok(to->domain);
    if (!good) {
        outcome_set(out, OUTCOME_FAILED, 550, 5, 1, 3,
                    "programs get addresses of letters, digits and + - . _ = only, which "
                    "do not begin with '-' or '.'");
    }
    return good;
}

/* The sender is anybody's: what is not harmless is not handed on. */
static str sender_cleaned(str sender, struct arena *a)
{
    char *out = arena_array(a, char, sender.len + 1);
    for (size_t i = 0; i < sender.len; i++) {
        char c = sender.ptr[i];
        bool keep = (pipe_harmless(c) || c == '@') && (i > 0 || c != '-');
        out[i] = keep ? c : '_';
    }
    return str_n(out, sender.len);
}

/* ---- the call ---------------------------------------------------------------------- */

struct values {
    str user, base, detail, domain, address, sender, queue_id;
};

static void values_make(const struct pipe_envelope *e, struct arena *a, struct values *v)
{
    ptrdiff_t plus = str_find(e->user, '+');
    size_t base = plus > 0 ? (size_t)plus : e->user.len;
    *v = (struct values){
        .user = e->user,
        .base = str_sub(e->user, 0, base),
        .detail = base < e->user.len ? str_from_pos(e->user, base + 1) : STR(""),
        .domain = e->domain,
        .address = arena_printf(a, "%.*s@%.*s", STR_ARG(e->user), STR_ARG(e->domain)),
        .sender = sender_cleaned(e->sender, a),
        .queue_id = e->queue_id,
    };
}

static str value_of(const struct values *v, char sequence)
{
    switch (sequence) {
    case 's':
        return v->user;
    case 'u':
        return v->base;
    case 'e':
        return v->detail;
    case 'd':
        return v->domain;
    case 'a':
        return v->address;
    case 'f':
        return v->sender;
    case 'q':
        return v->queue_id;
    default:
        return STR("%");
    }
}

static char *word_make(str word, const struct values *v, struct arena *a)
{
    struct buf out;
    buf_init(&out, PIPE_WORD_MAX);
    for (size_t i = 0; i < word.len; i++) {
        bool more = word.ptr[i] == '%' && i + 1 < word.len;
        str part = more ? value_of(v, word.ptr[i + 1]) : str_sub(word, i, 1);
        /* "+-x" has a detail that is an option where it stands at the beginning */
        bool option = more && out.len == 0 && part.len > 0 && part.ptr[0] == '-';
        bool fits = buf_str(&out, option ? STR("_") : STR("")) &&
                    buf_str(&out, option ? str_from_pos(part, 1) : part);
        check(fits); /* command_read() saw to that */
        i += more;
    }
    char *made = (char *)arena_str(a, buf_slice(&out)).ptr;
    buf_free(&out);
    return made;
}

/* A script that forgets the quotes makes a word of it. */
static char *variable_make(const char *name, str value, struct arena *a)
{
    bool option = value.len > 0 && value.ptr[0] == '-';
    return (char *)arena_printf(a, "%s=%s%.*s", name, option ? "_" : "",
                                STR_ARG(str_from_pos(value, option ? 1 : 0)))
        .ptr;
}

static char **environment_make(const struct values *v, struct arena *a)
{
    const struct {
        const char *name;
        str value;
    } set[] = {{"PATH", STR("/usr/local/bin:/usr/bin:/bin")},
               {"SHELL", STR("/bin/sh")},
               {"HOME", STR("/")},
               {"LC_ALL", STR("C")},
               {"RECIPIENT", v->address},
               {"USER", v->base},
               {"LOGNAME", v->base},
               {"EXTENSION", v->detail},
               {"DOMAIN", v->domain},
               {"SENDER", v->sender},
               {"QUEUE_ID", v->queue_id}};
    size_t count = sizeof set / sizeof *set;
    char **envp = arena_array(a, char *, count + 1);
    for (size_t i = 0; i < count; i++) {
        envp[i] = variable_make(set[i].name, set[i].value, a);
    }
    return envp;
}

bool pipe_call_make(const struct pipe_command *p, const struct pipe_envelope *e,
                    struct arena *a, struct pipe_call *call, struct outcome *out)
{
    struct values v;
    if (e->sender.len > PIPE_SENDER_MAX) {
        outcome_set(out, OUTCOME_FAILED, 0, 5, 1, 7,
                    "the sender's address is too long for a program");
        return false;
    }
    values_make(e, a, &v);
    call->argv = arena_array(a, char *, p->count + 1);
    for (unsigned i = 0; i < p->count; i++) {
        call->argv[i] = word_make(p->words[i], &v, a);
    }
    call->envp = environment_make(&v, a);
    return true;
}

/* ---- what came of it --------------------------------------------------------------- */

struct exit_row {
    int status;
    enum outcome_class class;
    unsigned subject, detail;
    const char *text;
};

static const struct exit_row EXITS[] = {
    {64, OUTCOME_FAILED, 3, 0, "it was called wrongly"},
    {65, OUTCOME_FAILED, 6, 0, "the message is not as it wants it"},
    {66, OUTCOME_FAILED, 3, 0, "it cannot open a file"},
    {67, OUTCOME_FAILED, 1, 1, "there is no such user"},
    {68, OUTCOME_FAILED, 1, 2, "there is no such host"},
    {69, OUTCOME_FAILED, 3, 0, "its service is not available"},
    {70, OUTCOME_FAILED, 3, 0, "it has an internal error"},
    {71, OUTCOME_DEFERRED, 3, 0, "the system lacks something"},
    {72, OUTCOME_FAILED, 3, 0, "a file of the system is missing"},
    {73, OUTCOME_FAILED, 3, 0, "it cannot create a file"},
    {74, OUTCOME_DEFERRED, 3, 0, "reading or writing failed"},
    {75, OUTCOME_DEFERRED, 3, 0, "it failed for now"},
    {76, OUTCOME_FAILED, 5, 0, "there was a protocol error"},
    {77, OUTCOME_FAILED, 7, 0, "it may not do that"},
    {78, OUTCOME_FAILED, 3, 5, "its configuration is wrong"},
    {79, OUTCOME_DEFERRED, 3, 0, "its database failed"}, /* Oracle: EX_DB */
};

static str first_line(str output)
{
    str line = STR("");
    while (line.len == 0 && output.len > 0) {
        ptrdiff_t end = str_find(output, '\n');
        line = str_trim(str_sub(output, 0, end >= 0 ? (size_t)end : output.len));
        output = end >= 0 ? str_from_pos(output, (size_t)end + 1) : STR("");
    }
    return str_sub(line, 0, LINE_MAX_OCTETS);
}

/* Takes "5.7.1 " off a line, when it is a status of class `class`. */
static void take_status(str *line, unsigned class, unsigned *subject, unsigned *detail)
{
    str rest = *line, part[3], word;
    uint64_t n[3];
    if (!str_word(&rest, &word)) {
        return;
    }
    for (size_t i = 0; i < 3; i++) {
        ptrdiff_t dot = i < 2 ? str_find(word, '.') : (ptrdiff_t)word.len;
        if (dot <= 0 || dot > 3) {
            return;
        }
        part[i] = str_sub(word, 0, (size_t)dot);
        word = str_from_pos(word, i < 2 ? (size_t)dot + 1 : (size_t)dot);
        if (!str_u64(part[i], i == 0 ? 5 : 255, &n[i])) {
            return;
        }
    }
    if (n[0] == class) {
        *subject = (unsigned)n[1];
        *detail = (unsigned)n[2];
        *line = str_trim(rest);
    }
}

static void ended_by_status(const struct pipe_result *r, struct outcome *out)
{
    struct exit_row row = {r->status, OUTCOME_FAILED, 3, 0, "it failed"};
    for (size_t i = 0; i < sizeof EXITS / sizeof *EXITS; i++) {
        row = EXITS[i].status == r->status ? EXITS[i] : row;
    }
    str line = first_line(r->output);
    unsigned class = row.class == OUTCOME_FAILED ? 5 : 4;
    take_status(&line, class, &row.subject, &row.detail);
    outcome_set(out, row.class, 0, class, row.subject, row.detail,
                "the program ended with status %d, %s%s%.*s", r->status, row.text,
                line.len > 0 ? ": " : "", STR_ARG(line));
}

static void ended_early(const struct pipe_result *r, struct outcome *out)
{
    str line = first_line(r->output);
    char why[80];
    if (r->timed_out) {
        snprintf(why, sizeof why, "was killed after %u seconds", r->timeout_s);
    } else if (r->stopped) {
        snprintf(why, sizeof why, "was killed because this system stops");
    } else if (r->body_failed) {
        snprintf(why, sizeof why, "was killed because the message cannot be read");
    } else {
        snprintf(why, sizeof why, "was ended by signal %d", r->signal);
    }
    outcome_set(out, OUTCOME_DEFERRED, 0, 4, 3, 0, "the program %s%s%.*s", why,
                line.len > 0 ? ": " : "", STR_ARG(line));
}

void pipe_outcome(const struct pipe_result *r, struct outcome *out)
{
    str line = first_line(r->output);
    if (r->error != 0) {
        outcome_set(out, OUTCOME_DEFERRED, 0, 4, 3, 5,
                    "the program cannot be started: %s", strerror(r->error));
    } else if (r->timed_out || r->stopped || r->body_failed || r->signal != 0) {
        ended_early(r, out);
    } else if (r->status == 0) {
        outcome_set(out, OUTCOME_DELIVERED, 0, 2, 0, 0, "%s%.*s",
                    line.len > 0 ? "the program said: " : "the program took it",
                    STR_ARG(line));
    } else {
        ended_by_status(r, out);
    }
}
