/* smtp_server: input, dispatch by smtp_verbs.def, and the verbs of the session. The
 * transaction is in smtp_server_mail.c, framing in smtp_line and smtp_data. */
#include "channels/smtp_server.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "channels/smtp_server_private.h"
#include "router/refusal.h"

struct smtp_server *smtp_server_new(const struct smtp_server_policy *policy)
{
    struct smtp_server *m = calloc(1, sizeof *m);
    check(m != NULL);
    m->policy = *policy;
    m->state = SERVER_CONNECTED;
    smtp_line_init(&m->line, SERVER_LINE_MAX);
    buf_init(&m->in, SERVER_INPUT_MAX);
    buf_init(&m->out, SERVER_OUT_MAX);
    buf_init(&m->body, SMTP_DATA_SLICE_MAX);
    return m;
}

void smtp_server_free(struct smtp_server **m)
{
    if (*m != NULL) {
        smtp_line_free(&(*m)->line);
        buf_free(&(*m)->in);
        buf_free(&(*m)->out);
        buf_free(&(*m)->body);
        free(*m);
        *m = NULL;
    }
}

/* Replies */

void server_reply(struct smtp_server *m, unsigned code, unsigned x, unsigned y,
                  unsigned z, const char *text)
{
    struct smtp_reply_line r = {code, {x, y, z}, text};
    size_t before = m->out.len;
    if (!smtp_reply_print(&m->out, &r)) {
        server_close(m, "flood");
        return;
    }
    if (code >= 400) {
        size_t len = m->out.len - before - 2;
        len = len < sizeof m->last_refusal ? len : sizeof m->last_refusal;
        memcpy(m->last_refusal, m->out.data + before, len);
        m->last_refusal_len = len;
        m->last_refusal_keyword = NULL;
        m->last_refusal_has_recipient = !address_is_null(&m->txn.recipient);
    }
}

void server_limit(struct smtp_server *m, const struct smtp_limit_hit *hit)
{
    server_reply(m, hit->code, hit->enhanced[0], hit->enhanced[1], hit->enhanced[2],
                 hit->text);
    m->last_refusal_keyword = hit->keyword;
    if (hit->code == 421) {
        server_close(m, hit->keyword);
    }
}

/* The limit of the channel, if it has one, stands in for ours: it may be larger, too. */
static bool server_count_error(struct smtp_server *m)
{
    m->errors++;
    m->counts.bad_commands++;
    const struct smtp_limit_hit *hit =
        smtp_limits_bad_command(&m->policy.limits, &m->counts);
    if (hit != NULL) {
        server_limit(m, hit);
        return false;
    }
    if (m->errors <= SERVER_ERRORS_MAX ||
        m->policy.limits.disconnectbadcommandlimit > 0) {
        return true;
    }
    server_reply(m, 421, 4, 7, 0, "Too many errors, closing the connection");
    server_close(m, "too-many-errors");
    return false;
}

void server_error(struct smtp_server *m, unsigned code, unsigned x, unsigned y,
                  unsigned z, const char *text)
{
    if (server_count_error(m)) {
        server_reply(m, code, x, y, z, text);
    }
}

bool server_count_idle(struct smtp_server *m)
{
    return ++m->idle <= SERVER_IDLE_MAX || server_count_error(m);
}

void server_close(struct smtp_server *m, const char *reason)
{
    if (m->state != SERVER_CLOSED) {
        server_reset(m);
        m->state = SERVER_CLOSED;
        m->ask = ASK_NONE;
        m->close_reason = reason;
    }
}

void smtp_server_greet(struct smtp_server *m)
{
    str more = m->policy.banner_addition;
    if (!buf_printf(&m->out, "220 %.*s ESMTP%s%.*s\r\n", STR_ARG(m->policy.local_name),
                    more.len > 0 ? " " : "", STR_ARG(more))) {
        server_close(m, "flood");
    }
}

void smtp_server_shut(struct smtp_server *m, const char *text)
{
    if (m->state != SERVER_CLOSED) {
        server_reply(m, 421, 0, 0, 0, text);
        server_close(m, "shut");
    }
}

/* The verbs of the session */

static bool server_take_name(struct smtp_server *m, str name)
{
    if (m->policy.helo_max > 0 && name.len > m->policy.helo_max) {
        server_error(m, 501, 5, 5, 4, "The name is too long");
        return false;
    }
    if (!smtp_helo_ok(name)) {
        server_error(m, 501, 5, 5, 4, "Give one name of at most 255 characters");
        return false;
    }
    server_reset(m);
    memcpy(m->helo, name.ptr, name.len);
    m->helo_len = name.len;
    m->sender_refused = false;
    m->state = SERVER_READY;
    return true;
}

static bool server_offers_starttls(const struct smtp_server *m)
{
    return m->policy.tls != TLS_LEVEL_NO && !m->tls;
}

static bool server_shows(const struct smtp_server *m, enum ehlo_extension e)
{
    return (m->policy.hidden & e) == 0;
}

static void smtp_verb_ehlo(struct smtp_server *m, str args)
{
    if (!server_take_name(m, args)) {
        return;
    }
    m->esmtp = true;
    char size[40] = "SIZE";
    if (m->policy.size_limit_bytes > 0) {
        snprintf(size, sizeof size, "SIZE %" PRIu64, m->policy.size_limit_bytes);
    }
    const char *const lines[] = {
        server_shows(m, EHLO_PIPELINING) ? "PIPELINING" : NULL,
        server_shows(m, EHLO_8BITMIME) ? "8BITMIME" : NULL,
        server_shows(m, EHLO_DSN) ? "DSN" : NULL,
        server_shows(m, EHLO_SIZE) ? size : NULL,
        server_offers_starttls(m) ? "STARTTLS" : NULL,
        server_shows(m, EHLO_ENHANCEDSTATUSCODES) ? "ENHANCEDSTATUSCODES" : NULL,
    };
    size_t count = sizeof lines / sizeof *lines;
    while (count > 0 && lines[count - 1] == NULL) {
        count--;
    }
    bool ok = buf_printf(&m->out, "250%c%.*s\r\n", count > 0 ? '-' : ' ',
                         STR_ARG(m->policy.local_name));
    for (size_t i = 0; i < count; i++) {
        if (lines[i] != NULL) {
            ok &= buf_printf(&m->out, "250%c%s\r\n", i + 1 < count ? '-' : ' ', lines[i]);
        }
    }
    if (!ok) {
        server_close(m, "flood");
    }
}

static void smtp_verb_helo(struct smtp_server *m, str args)
{
    if (server_take_name(m, args)) {
        m->esmtp = false;
        if (!buf_printf(&m->out, "250 %.*s\r\n", STR_ARG(m->policy.local_name))) {
            server_close(m, "flood");
        }
    }
}

static void smtp_verb_starttls(struct smtp_server *m, str args)
{
    (void)args;
    if (m->pending > 0 && m->policy.injection == TLS_INJECTION_REJECT) {
        /* STARTTLS ends a pipelined group (RFC 3207 4). What follows it in clear was
         * put there by somebody else, or by a client that is no better. */
        server_reply(m, 554, 5, 5, 1, "Input behind STARTTLS, closing the connection");
        server_close(m, "starttls-injection");
        return;
    }
    server_reply(m, 220, 2, 0, 0, "Ready to start TLS");
    m->ask = m->state == SERVER_CLOSED ? ASK_NONE : ASK_TLS;
}

static void smtp_verb_noop(struct smtp_server *m, str args)
{
    (void)args;
    server_reply(m, 250, 2, 0, 0, "OK");
}

static void smtp_verb_vrfy(struct smtp_server *m, str args)
{
    (void)args;
    server_reply(m, 252, 2, 5, 0, "Not verified here; RCPT will tell");
}

static void smtp_verb_help(struct smtp_server *m, str args)
{
    (void)args;
    server_reply(m, 214, 2, 0, 0, "Commands:"
#define VERB(name, handler, first, last, argument, flags) " " #name
#define ABSENT(name)
#include "channels/smtp_verbs.def"
#undef ABSENT
#undef VERB
    );
}

static void smtp_verb_quit(struct smtp_server *m, str args)
{
    (void)args;
    server_reply(m, 221, 2, 0, 0, "Closing the connection");
    server_close(m, "quit");
}

/* Dispatch */

enum verb_flag { VERB_CLEAR = 1, VERB_IDLE = 2, VERB_TLS = 4, VERB_PATH = 8 };
enum verb_argument { VERB_ARG_NONE, VERB_ARG_SOME, VERB_ARG_ANY };

struct verb {
    const char *name;
    void (*handler)(struct smtp_server *m, str args); /* NULL: known, not taken */
    enum server_state first, last;
    enum verb_argument argument;
    unsigned flags;
};

static const struct verb verbs[] = {
#define VERB(name, handler, first, last, argument, flags)                                \
    {#name,         smtp_verb_##handler, SERVER_##first,                                 \
     SERVER_##last, VERB_ARG_##argument, flags},
#define ABSENT(name) {#name, NULL, SERVER_CONNECTED, SERVER_RECIPIENT, VERB_ARG_ANY, 0},
#include "channels/smtp_verbs.def"
#undef ABSENT
#undef VERB
};

static const struct verb *verb_find(str name)
{
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (str_ieq(name, str_from(verbs[i].name))) {
            return &verbs[i];
        }
    }
    return NULL;
}

/* A verb in a state it is not legal in. */
static void server_bad_sequence(struct smtp_server *m, const struct verb *v)
{
    if (m->state > v->last) {
        server_error(m, 503, 5, 5, 1, "Not inside a transaction");
    } else if (m->state == SERVER_CONNECTED) {
        server_error(m, 503, 5, 5, 1, "Send EHLO or HELO first");
    } else if (m->state == SERVER_SENDER && m->recipients_refused > 0) {
        server_reply(m, 554, 5, 5, 1, "No valid recipients");
    } else if (m->state == SERVER_SENDER) {
        server_error(m, 503, 5, 5, 1, "Send RCPT first");
    } else if (!m->sender_refused) {
        server_error(m, 503, 5, 5, 1, "Send MAIL first");
    } else if (server_count_idle(m)) {
        /* The rest of a pipelined group whose MAIL was refused is no error. */
        server_reply(m, 503, 5, 5, 1, "MAIL was refused");
    }
}

/* What is wrong with a command before its meaning is looked at. True: answered. */
static bool server_refuse_bytes(struct smtp_server *m, const struct verb *v, str line)
{
    if (smtp_find_control(line) >= 0) {
        server_error(m, 500, 5, 5, 2, "Control character in the command");
    } else if (smtp_find_non_ascii(line) < 0) {
        return false;
    } else if (v != NULL && (v->flags & VERB_PATH) != 0) {
        server_error(m, 553, 5, 6, 7, "Only ASCII addresses are taken");
    } else {
        server_error(m, 500, 5, 5, 2, "Only ASCII commands are taken");
    }
    return true;
}

static bool server_refuse_verb(struct smtp_server *m, const struct verb *v)
{
    if (m->policy.tls == TLS_LEVEL_MUST && !m->tls &&
        (v == NULL || (v->flags & VERB_CLEAR) == 0)) {
        server_error(m, 530, 5, 7, 0, REFUSAL_WITHOUT_TLS);
    } else if (v == NULL) {
        server_error(m, 500, 5, 5, 1, "Command not recognised");
    } else if (v->handler == NULL ||
               ((v->flags & VERB_TLS) != 0 && !m->tls && !server_offers_starttls(m))) {
        server_error(m, 502, 5, 5, 1, "Command not implemented");
    } else if ((v->flags & VERB_TLS) != 0 && m->tls) {
        server_error(m, 503, 5, 5, 1, "TLS is already active");
    } else if (m->state < v->first || m->state > v->last) {
        server_bad_sequence(m, v);
    } else {
        return false;
    }
    return true;
}

static void server_command(struct smtp_server *m, str line)
{
    str name, args;
    smtp_command_split(line, &name, &args);
    const struct verb *v = verb_find(name);
    m->txn.recipient = (struct address){0};
    if (smtp_is_http(line)) {
        server_reply(m, 554, 5, 5, 1, "This is not HTTP, closing the connection");
        server_close(m, "http");
        return;
    }
    line.len = args.len > 0 ? (size_t)(args.ptr - line.ptr) + args.len : name.len;
    if (server_refuse_bytes(m, v, line) || server_refuse_verb(m, v)) {
        return;
    }
    if (v->argument == VERB_ARG_NONE && args.len > 0) {
        server_error(m, 501, 5, 5, 4, "No argument allowed");
    } else if (v->argument == VERB_ARG_SOME && args.len == 0) {
        server_error(m, 501, 5, 5, 4, "Argument missing");
    } else if ((v->flags & VERB_IDLE) == 0 || server_count_idle(m)) {
        v->handler(m, args);
    }
}

static void server_line(struct smtp_server *m)
{
    unsigned flaws = m->line.flaws;
    if ((flaws & (SMTP_LINE_BARE_CR | SMTP_LINE_BARE_LF)) != 0) {
        server_error(m, 500, 5, 5, 2, "Only CR LF ends a command");
    } else if ((flaws & SMTP_LINE_NUL) != 0) {
        server_error(m, 500, 5, 5, 2, "NUL in the command");
    } else if ((flaws & SMTP_LINE_LONG) != 0) {
        server_error(m, 500, 5, 5, 2, "Line too long");
    } else {
        server_command(m, buf_slice(&m->line.text));
    }
}

/* A TLS ClientHello on a connection that is to begin in clear: it may never hold a CR
 * LF, so it is looked for before there is a line. */
static bool server_is_tls_record(const struct smtp_server *m, str rest)
{
    return m->line.text.len == 0 && !m->line.cr && rest.ptr[0] == 0x16;
}

/* Takes one command off *rest. False: no whole line yet. */
static bool server_input(struct smtp_server *m, str *rest)
{
    if (rest->len == 0) {
        return false;
    }
    if (server_is_tls_record(m, *rest)) {
        server_reply(m, 554, 5, 5, 1, "Say STARTTLS first, closing the connection");
        server_close(m, "tls-in-clear");
        return true;
    }
    if (!smtp_line_feed(&m->line, rest)) {
        return false;
    }
    m->pending = rest->len;
    server_line(m);
    smtp_line_reset(&m->line);
    if (m->ask == ASK_TLS) { /* tlsinjection ignore: nothing of it is ever read */
        m->injected += rest->len;
        *rest = str_from_pos(*rest, rest->len);
    }
    return true;
}

/* Feeding */

static enum smtp_step server_run(struct smtp_server *m, str *rest)
{
    for (;;) {
        if (m->state == SERVER_CLOSED) {
            return STEP_CLOSE;
        }
        if (m->ask != ASK_NONE) {
            return STEP_WAIT;
        }
        if (!(m->state == SERVER_DATA ? server_data(m, rest) : server_input(m, rest))) {
            return STEP_MORE;
        }
    }
}

/* Puts what was not consumed aside. False: more than SERVER_INPUT_MAX. */
static bool server_keep(struct smtp_server *m, str rest)
{
    if (rest.len > 0) {
        buf_consume(&m->in, m->in_from);
        m->in_from = 0;
    }
    return buf_str(&m->in, rest);
}

static enum smtp_step server_run_kept(struct smtp_server *m)
{
    str rest = str_from_pos(buf_slice(&m->in), m->in_from);
    enum smtp_step step = server_run(m, &rest);
    if (step == STEP_CLOSE || rest.len == 0) {
        buf_free(&m->in);
        m->in_from = 0;
    } else {
        m->in_from = m->in.len - rest.len;
    }
    return step;
}

enum smtp_step smtp_server_feed(struct smtp_server *m, const char *data, size_t len)
{
    str rest = str_n(data, len);
    if (m->state == SERVER_CLOSED) {
        return STEP_CLOSE;
    }
    if (m->ask == ASK_TLS && len > 0) {
        if (m->policy.injection == TLS_INJECTION_IGNORE) {
            m->injected += len;
            return STEP_WAIT;
        }
        server_close(m, "starttls-injection");
        return STEP_CLOSE;
    }
    if (m->ask != ASK_NONE || m->in.len > 0) {
        if (!server_keep(m, rest)) {
            server_reply(m, 421, 4, 7, 0, "Too much input, closing the connection");
            server_close(m, "flood");
        }
        return server_run_kept(m);
    }
    enum smtp_step step = server_run(m, &rest);
    if (step == STEP_WAIT && !server_keep(m, rest)) {
        server_reply(m, 421, 4, 7, 0, "Too much input, closing the connection");
        server_close(m, "flood");
        return STEP_CLOSE;
    }
    return step;
}

/* TLS and policy */

void smtp_server_tls_started(struct smtp_server *m,
                             const struct smtp_server_policy *policy)
{
    if (m->state == SERVER_CLOSED) {
        return;
    }
    check(m->ask == ASK_TLS && m->in.len == 0);
    server_reset(m);
    smtp_line_reset(&m->line);
    m->policy = *policy;
    m->ask = ASK_NONE;
    m->tls = true;
    m->esmtp = false;
    m->helo_len = 0;
    m->sender_refused = false;
    m->state = SERVER_CONNECTED;
}

void smtp_server_tls_implicit(struct smtp_server *m)
{
    m->tls = true;
}

void smtp_server_set_policy(struct smtp_server *m,
                            const struct smtp_server_policy *policy)
{
    m->policy = *policy;
}

/* Looking in */

size_t smtp_server_injected(const struct smtp_server *m)
{
    return m->injected;
}

enum smtp_ask smtp_server_ask(const struct smtp_server *m)
{
    return m->ask;
}

const struct smtp_server_txn *smtp_server_txn(const struct smtp_server *m)
{
    return &m->txn;
}

str smtp_server_body(const struct smtp_server *m)
{
    return buf_slice(&m->body);
}

struct buf *smtp_server_out(struct smtp_server *m)
{
    return &m->out;
}

bool smtp_server_idle(const struct smtp_server *m)
{
    return m->ask == ASK_NONE && m->state != SERVER_SENDER &&
           m->state != SERVER_RECIPIENT && m->state != SERVER_DATA;
}

bool smtp_server_is_tls(const struct smtp_server *m)
{
    return m->tls;
}

bool smtp_server_in_data(const struct smtp_server *m)
{
    return m->state == SERVER_DATA;
}

str smtp_server_helo(const struct smtp_server *m, bool *esmtp)
{
    *esmtp = m->esmtp;
    return str_n(m->helo, m->helo_len);
}

const char *smtp_server_close_reason(const struct smtp_server *m)
{
    return m->close_reason;
}

str smtp_server_take_refusal(struct smtp_server *m)
{
    str refusal = str_n(m->last_refusal, m->last_refusal_len);
    m->last_refusal_len = 0;
    return refusal;
}

const char *smtp_server_refusal_keyword(const struct smtp_server *m)
{
    return m->last_refusal_keyword;
}

const struct address *smtp_server_refused_recipient(const struct smtp_server *m)
{
    return m->last_refusal_has_recipient ? &m->txn.recipient : NULL;
}

const char *smtp_server_state_text(const struct smtp_server *m)
{
    static const char *const texts[] = {
#define STATE_ROW(name, text) text,
        SERVER_STATES(STATE_ROW)
#undef STATE_ROW
    };
    return texts[m->state];
}
