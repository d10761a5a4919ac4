/* smtp_client: the session of the client machine: greeting, EHLO, STARTTLS, its end. The
 * transactions are in smtp_client_mail.c, replies are read by smtp_reply. */
#include "channels/smtp_client.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "channels/smtp_client_private.h"

struct smtp_client *smtp_client_new(const struct smtp_client_options *o,
                                    struct smtp_client_message *first)
{
    struct smtp_client *m = calloc(1, sizeof *m);
    check(m != NULL);
    for (size_t i = 0; i < o->helo_name.len && i + 1 < sizeof m->helo; i++) {
        char c = o->helo_name.ptr[i];
        m->helo[i] = c > ' ' && c <= '~' ? c : '?';
    }
    m->state = CLIENT_GREETING;
    m->tls_level = o->tls;
    m->times = o->times;
    m->lmtp = o->lmtp;
    m->tls = o->implicit_tls;
    m->fallback = o->fallback && o->tls == TLS_LEVEL_MAY && !o->implicit_tls;
    smtp_reply_init(&m->reply);
    buf_init(&m->out, CLIENT_OUT_MAX);
    outcome_init(&m->host);
    client_take(m, first);
    return m;
}

void smtp_client_free(struct smtp_client **m)
{
    if (*m != NULL) {
        smtp_reply_free(&(*m)->reply);
        buf_free(&(*m)->out);
        free((*m)->status);
        free(*m);
        *m = NULL;
    }
}

void client_send(struct smtp_client *m, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    bool ok = buf_vprintf(&m->out, fmt, ap) && buf_puts(&m->out, "\r\n");
    va_end(ap);
    check(ok); /* a window of commands fits, and the host has written what was before */
}

/* Outcomes */

void client_outcome_from_reply(const struct smtp_client *m, struct outcome *o)
{
    const struct smtp_reply *r = &m->reply;
    enum outcome_class class = OUTCOME_DEFERRED;
    unsigned x = r->code / 100, y = r->enhanced[1], z = r->enhanced[2];
    if (x == 2) {
        class = OUTCOME_DELIVERED;
    } else if (x == 5) {
        class = OUTCOME_FAILED;
    }
    char text[OUTCOME_TEXT_MAX];
    size_t len = r->text.len < sizeof text - 1 ? r->text.len : sizeof text - 1;
    for (size_t i = 0; i < len; i++) {
        text[i] = r->text.data[i] == '\n' ? ' ' : r->text.data[i];
    }
    outcome_set(o, class, r->code, x == 3 ? 4 : x, y, z, "%.*s", (int)len, text);
}

static bool client_needs_tls(const struct smtp_client *m)
{
    return m->tls_level == TLS_LEVEL_MUST && !m->tls;
}

/* A host that is of no use for this message; another may be. Before TLS that must be,
 * nothing is believed: somebody in between must not be able to bounce mail. */
void client_end(struct smtp_client *m, const struct outcome *o)
{
    struct outcome end = *o;
    bool settled = m->after_dot;
    for (unsigned i = 0; i < m->msg->recipient_count; i++) {
        settled |= m->status[i] == RECIPIENT_SETTLED &&
                   m->msg->recipients[i].outcome.class != OUTCOME_DEFERRED;
    }
    if (client_needs_tls(m) && end.class != OUTCOME_DEFERRED) {
        outcome_set(&end, OUTCOME_DEFERRED, o->code, 4, 7, 0, "before TLS: %s", o->text);
    }
    m->try_next_host = !settled && m->state != CLIENT_IDLE && m->state != CLIENT_QUIT;
    m->host = end;
    client_settle(m, &end);
    m->state = CLIENT_CLOSED;
    m->ask = CLIENT_ASK_NONE;
}

void client_end_deferred(struct smtp_client *m, unsigned y, unsigned z, const char *fmt,
                         ...)
{
    char text[OUTCOME_TEXT_MAX];
    struct outcome o;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    outcome_init(&o);
    outcome_set(&o, OUTCOME_DEFERRED, 0, 4, y, z, "%s", text);
    client_end(m, &o);
}

/* The reply ends the session; one that says "good" where nothing good is possible is a
 * fault of the protocol. */
static void client_end_by_reply(struct smtp_client *m)
{
    struct outcome o;
    outcome_init(&o);
    client_outcome_from_reply(m, &o);
    if (o.class == OUTCOME_DELIVERED || m->reply.code < 400) {
        client_end_deferred(m, 5, 0, "unexpected reply %u %s", m->reply.code, o.text);
    } else {
        client_end(m, &o);
    }
}

/* TLS was refused, is missing or broke. */
static void client_tls_failed(struct smtp_client *m, unsigned z, const char *why)
{
    m->tls = false;
    m->tls_failed = true;
    client_end_deferred(m, 7, z, "%s", why);
    if (m->fallback) {
        m->wants_clear = true;
        m->try_next_host = false;
    }
}

/* Something came in clear behind the 220: to be read as if it came through TLS. */
static void client_injected(struct smtp_client *m)
{
    m->injected = true;
    client_tls_failed(m, 5, "bytes followed the reply to STARTTLS");
}

/* Replies of the session */

static void client_say_ehlo(struct smtp_client *m)
{
    client_send(m, "%s %s", m->lmtp ? "LHLO" : "EHLO", m->helo);
    m->state = CLIENT_EHLO;
}

static void client_on_greeting(struct smtp_client *m)
{
    if (m->reply.code == 220) {
        client_say_ehlo(m);
        return;
    }
    client_end_by_reply(m);
    client_send(m, "QUIT"); /* RFC 5321 3.1: also after 554 */
}

/* RFC 9422: LIMITS MAILMAX=20 RCPTMAX=1000. */
static void client_limits(struct smtp_client *m, str line)
{
    str word, mailmax = STR("MAILMAX=");
    uint64_t limit = 0;
    while (str_word(&line, &word)) {
        if (str_istarts(word, mailmax) &&
            str_u64(str_from_pos(word, mailmax.len), UINT32_MAX, &limit)) {
            m->mail_limit = limit;
        }
    }
}

static void client_extension(struct smtp_client *m, str line)
{
    str keyword, value;
    uint64_t limit = 0;
    if (!str_word(&line, &keyword)) {
        return;
    }
    if (str_ieq(keyword, STR("STARTTLS"))) {
        m->offers_starttls = true;
    } else if (str_ieq(keyword, STR("PIPELINING"))) {
        m->offers_pipelining = true;
    } else if (str_ieq(keyword, STR("8BITMIME"))) {
        m->offers_8bit = true;
    } else if (str_ieq(keyword, STR("DSN"))) {
        m->offers_dsn = true;
    } else if (str_ieq(keyword, STR("LIMITS"))) {
        client_limits(m, line);
    } else if (str_ieq(keyword, STR("SIZE"))) {
        m->offers_size = true;
        if (str_word(&line, &value) && str_u64(value, UINT64_MAX, &limit)) {
            m->size_limit_bytes = limit;
        }
    }
}

static void client_extensions(struct smtp_client *m)
{
    str rest = buf_slice(&m->reply.text), line;
    m->offers_starttls = m->offers_pipelining = false;
    m->offers_size = m->offers_8bit = m->offers_dsn = false;
    m->size_limit_bytes = m->mail_limit = 0;
    smtp_reply_line_take(&rest, &line); /* the name of the server */
    while (smtp_reply_line_take(&rest, &line)) {
        client_extension(m, line);
    }
}

static void client_on_ehlo(struct smtp_client *m)
{
    if (m->reply.code / 100 == 2) {
        client_extensions(m);
        if (m->tls || m->tls_level == TLS_LEVEL_NO) {
            client_begin(m);
        } else if (m->offers_starttls) {
            client_send(m, "STARTTLS");
            m->state = CLIENT_STARTTLS;
        } else if (m->tls_level == TLS_LEVEL_MAY) {
            client_begin(m);
        } else {
            client_tls_failed(m, 10, "TLS is a must and not offered");
            client_send(m, "QUIT");
        }
    } else if (m->reply.code / 100 == 5 && !m->lmtp && !client_needs_tls(m)) {
        /* RFC 5321 3.2: an old server. What it would have told is not there. */
        m->offers_starttls = m->offers_pipelining = false;
        m->offers_size = m->offers_8bit = m->offers_dsn = false;
        client_send(m, "HELO %s", m->helo);
        m->state = CLIENT_HELO;
    } else {
        client_end_by_reply(m);
        client_send(m, "QUIT");
    }
}

static void client_on_helo(struct smtp_client *m)
{
    if (m->reply.code / 100 == 2) {
        client_begin(m);
    } else {
        client_end_by_reply(m);
        client_send(m, "QUIT");
    }
}

static void client_on_starttls(struct smtp_client *m, bool more_input)
{
    char why[OUTCOME_TEXT_MAX];
    if (m->reply.code != 220) {
        struct outcome o;
        outcome_init(&o);
        client_outcome_from_reply(m, &o);
        snprintf(why, sizeof why, "STARTTLS was refused: %u %.300s", m->reply.code,
                 o.text);
        client_tls_failed(m, 10, why);
        client_send(m, "QUIT");
    } else if (more_input) {
        client_injected(m);
    } else {
        m->state = CLIENT_HANDSHAKE;
        m->ask = CLIENT_ASK_TLS;
    }
}

void smtp_client_not_in_clear(struct smtp_client *m)
{
    m->fallback = false;
}

void smtp_client_tls_done(struct smtp_client *m, bool ok, const char *reason)
{
    if (m->state == CLIENT_CLOSED) {
        return;
    }
    bool implicit = m->state == CLIENT_GREETING && m->tls;
    check(m->state == CLIENT_HANDSHAKE || implicit);
    m->ask = CLIENT_ASK_NONE;
    if (ok && implicit) {
        return; /* the greeting comes */
    }
    if (ok) {
        m->tls = true;
        m->tls_by_starttls = true;
        smtp_reply_reset(&m->reply);
        client_say_ehlo(m);
    } else {
        char why[OUTCOME_TEXT_MAX];
        snprintf(why, sizeof why, "TLS failed: %.300s", reason);
        client_tls_failed(m, 5, why);
    }
}

/* Feeding */

/* A reply nothing was sent for: the server gives up on its own (421), or the two sides
 * do not agree any more what belongs to what. */
static void client_on_unasked(struct smtp_client *m)
{
    m->peer_gone = true;
}

static void client_on_reply(struct smtp_client *m, bool more_input)
{
    if (m->reply.code == 421 && m->state < CLIENT_IDLE && m->state != CLIENT_STARTTLS) {
        client_end_by_reply(m); /* RFC 5321 3.8: at any time */
        return;
    }
    switch (m->state) {
    case CLIENT_GREETING:
        client_on_greeting(m);
        break;
    case CLIENT_EHLO:
        client_on_ehlo(m);
        break;
    case CLIENT_HELO:
        client_on_helo(m);
        break;
    case CLIENT_STARTTLS:
        client_on_starttls(m, more_input);
        break;
    case CLIENT_RSET:
        client_on_rset(m);
        break;
    case CLIENT_MAIL:
        client_on_mail(m);
        break;
    case CLIENT_RCPT:
        client_on_rcpt(m);
        break;
    case CLIENT_DATA:
        client_on_data(m);
        break;
    case CLIENT_BODY:
        client_on_body(m);
        break;
    case CLIENT_DOT:
        client_on_dot(m);
        break;
    case CLIENT_IDLE:
        client_on_unasked(m);
        break;
    case CLIENT_QUIT:
        m->state = CLIENT_CLOSED;
        break;
    case CLIENT_HANDSHAKE:
    case CLIENT_CLOSED:
        check(m->state != CLIENT_HANDSHAKE && m->state != CLIENT_CLOSED);
    }
}

static void client_on_bad_reply(struct smtp_client *m)
{
    if (m->state == CLIENT_IDLE) {
        client_on_unasked(m);
    } else if (m->state == CLIENT_STARTTLS) {
        client_tls_failed(m, 10, m->reply.flaw);
    } else {
        client_end_deferred(m, 5, 0, "protocol error: %s", m->reply.flaw);
    }
}

static enum smtp_step client_step(const struct smtp_client *m)
{
    if (m->state == CLIENT_CLOSED) {
        return STEP_CLOSE;
    }
    return m->ask != CLIENT_ASK_NONE ? STEP_WAIT : STEP_MORE;
}

enum smtp_step smtp_client_feed(struct smtp_client *m, const char *data, size_t len)
{
    str rest = str_n(data, len);
    bool was_idle = m->state == CLIENT_IDLE;
    if (m->state == CLIENT_HANDSHAKE && len > 0) {
        client_injected(m);
    }
    while (m->state != CLIENT_CLOSED && !m->peer_gone && rest.len > 0) {
        switch (smtp_reply_feed(&m->reply, &rest)) {
        case SMTP_REPLY_MORE:
            break;
        case SMTP_REPLY_DONE:
            m->replies++;
            client_on_reply(m, rest.len > 0);
            smtp_reply_reset(&m->reply);
            break;
        case SMTP_REPLY_BAD:
            client_on_bad_reply(m);
            smtp_reply_reset(&m->reply);
            break;
        }
    }
    if (was_idle && m->peer_gone && m->state == CLIENT_IDLE) {
        m->state = CLIENT_CLOSED; /* the outcomes stand */
        m->ask = CLIENT_ASK_NONE;
    }
    return client_step(m);
}

void smtp_client_lost(struct smtp_client *m, const char *reason)
{
    /* With TLS 1.3 a server that does not like us says so only after we think the
     * handshake is done. */
    bool in_tls_setup = m->state == CLIENT_STARTTLS || m->state == CLIENT_HANDSHAKE ||
                        (m->state == CLIENT_EHLO && m->tls_by_starttls);
    if (m->state == CLIENT_CLOSED) {
        return;
    }
    if (in_tls_setup) {
        char why[OUTCOME_TEXT_MAX];
        snprintf(why, sizeof why, "TLS failed: %.300s", reason);
        client_tls_failed(m, 5, why);
        return;
    }
    /* RFC 3463: X.4.1 no answer from host, X.4.2 bad connection */
    client_end_deferred(m, 4, m->state == CLIENT_GREETING ? 1 : 2, "%.300s%s", reason,
                        m->after_dot ? " (after the end of the message)" : "");
}

/* Between messages */

void smtp_client_next(struct smtp_client *m, struct smtp_client_message *message)
{
    check(m->state == CLIENT_IDLE || m->state == CLIENT_CLOSED);
    bool gone = m->peer_gone || m->state == CLIENT_CLOSED;
    client_take(m, message);
    if (gone) {
        m->state = CLIENT_RSET; /* not idle: this message needs another connection */
        client_end_deferred(m, 4, 2, "the server ended the session between two messages");
        return;
    }
    client_begin(m);
}

void smtp_client_quit(struct smtp_client *m)
{
    if (m->state == CLIENT_CLOSED) {
        return;
    }
    check(m->state == CLIENT_IDLE);
    m->ask = CLIENT_ASK_NONE;
    if (m->peer_gone) {
        m->state = CLIENT_CLOSED;
    } else {
        client_send(m, "QUIT");
        m->state = CLIENT_QUIT;
    }
}

/* Looking in */

enum smtp_client_ask smtp_client_ask(const struct smtp_client *m)
{
    return m->ask;
}

struct buf *smtp_client_out(struct smtp_client *m)
{
    return &m->out;
}

bool smtp_client_tls_failed(const struct smtp_client *m)
{
    return m->tls_failed;
}

bool smtp_client_wants_clear(const struct smtp_client *m)
{
    return m->wants_clear;
}

bool smtp_client_injected(const struct smtp_client *m)
{
    return m->injected;
}

bool smtp_client_try_next_host(const struct smtp_client *m)
{
    return m->try_next_host;
}

const struct outcome *smtp_client_host_outcome(const struct smtp_client *m)
{
    return &m->host;
}

bool smtp_client_mail_put_off(const struct smtp_client *m)
{
    return m->mail_refused && m->msg->recipients[0].outcome.class == OUTCOME_DEFERRED;
}

bool smtp_client_may_rest(const struct smtp_client *m)
{
    return m->state == CLIENT_IDLE && !m->peer_gone && !m->mail_refused;
}

uint64_t smtp_client_mail_limit(const struct smtp_client *m)
{
    return m->mail_limit;
}

bool smtp_client_after_dot(const struct smtp_client *m)
{
    return m->after_dot;
}

bool smtp_client_is_tls(const struct smtp_client *m)
{
    return m->tls;
}

unsigned smtp_client_replies(const struct smtp_client *m)
{
    return m->replies;
}

/* What was configured for the present state; 0: nothing. */
static unsigned client_configured_ms(const struct smtp_client *m)
{
    switch (m->state) {
    case CLIENT_GREETING:
    case CLIENT_EHLO:
    case CLIENT_HELO:
    case CLIENT_STARTTLS:
    case CLIENT_RSET:
    case CLIENT_DATA:
        return m->times.reply;
    case CLIENT_MAIL:
        return m->times.mail;
    case CLIENT_RCPT:
        return m->times.rcpt;
    case CLIENT_BODY:
        return m->times.sending;
    case CLIENT_DOT:
        return m->times.dot;
    default:
        return 0;
    }
}

/* What a large message with many recipients gets more. */
static uint64_t client_dot_more_ms(const struct smtp_client *m)
{
    const struct smtp_client_times *t = &m->times;
    uint64_t blocks = t->block_bytes > 0 ? m->msg->size_bytes / t->block_bytes : 0;
    uint64_t each = t->dot_per_address + blocks * t->dot_per_address_block;
    return blocks * t->dot_per_block + m->accepted * each;
}

unsigned smtp_client_timeout_ms(const struct smtp_client *m)
{
    enum { TIMEOUT_MAX_MS = 24 * 60 * 60 * 1000 };
    static const unsigned timeouts_ms[] = {
#define STATE_ROW(name, timeout_ms, text) timeout_ms,
        CLIENT_STATES(STATE_ROW)
#undef STATE_ROW
    };
    uint64_t ms = client_configured_ms(m);
    ms = ms > 0 ? ms : timeouts_ms[m->state];
    ms += m->state == CLIENT_DOT ? client_dot_more_ms(m) : 0;
    return ms < TIMEOUT_MAX_MS ? (unsigned)ms : TIMEOUT_MAX_MS;
}

const char *smtp_client_state_text(const struct smtp_client *m)
{
    static const char *const texts[] = {
#define STATE_ROW(name, timeout_ms, text) text,
        CLIENT_STATES(STATE_ROW)
#undef STATE_ROW
    };
    return texts[m->state];
}
