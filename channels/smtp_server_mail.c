/* smtp_server_mail: the transaction of the server machine: MAIL, RCPT, DATA, the message
 * itself, RSET, and the host's answers. */
#include <stdio.h>

#include "base/check.h"
#include "channels/smtp_server_private.h"
#include "router/refusal.h"

void server_reset(struct smtp_server *m)
{
    m->txn = (struct smtp_server_txn){0};
    m->recipients_refused = m->recipients_over = 0;
    m->refusal.set = false;
    buf_free(&m->body);
    if (m->state != SERVER_CONNECTED && m->state != SERVER_CLOSED) {
        m->state = SERVER_READY;
    }
}

void smtp_verb_rset(struct smtp_server *m, str args)
{
    const struct smtp_limit_hit *hit = smtp_limits_rset(&m->policy.limits, &m->counts);
    (void)args;
    server_reset(m);
    m->sender_refused = false;
    if (hit != NULL) {
        server_limit(m, hit);
    } else {
        server_reply(m, 250, 2, 0, 0, "OK");
    }
}

/* MAIL and RCPT */

/* z: 7 for a sender, 3 for a recipient (RFC 3463 3.2). */
static void server_bad_address(struct smtp_server *m, unsigned z, const char *why)
{
    char text[160];
    snprintf(text, sizeof text, "The address %s", why);
    server_error(m, 501, 5, 1, z, text);
}

/* Parses a path into *out, its text copied into `copy`. Returns what is wrong. */
static const char *take_address(str path, char copy[ADDRESS_PATH_MAX],
                                struct address *out)
{
    if (path.len > ADDRESS_PATH_MAX) {
        return "is too long";
    }
    memcpy(copy, path.ptr, path.len);
    return address_parse(str_n(copy, path.len), out);
}

static bool mail_sender(struct smtp_server *m, str *args)
{
    str path;
    if (!smtp_path_take(args, STR("FROM:"), &path)) {
        server_error(m, 501, 5, 5, 4, "Syntax: MAIL FROM:<address>");
        return false;
    }
    const char *why = take_address(path, m->sender, &m->txn.sender);
    if (why != NULL) {
        server_bad_address(m, 7, why);
        return false;
    }
    if (m->txn.sender.local.len > 0 && m->txn.sender.domain.len == 0 &&
        !m->policy.bare_addresses) {
        server_error(m, 553, 5, 1, 7, "The address has no domain");
        return false;
    }
    return true;
}

void smtp_verb_mail(struct smtp_server *m, str args)
{
    const struct smtp_limit_hit *hit = smtp_limits_mail(&m->policy.limits, &m->counts);
    server_reset(m);
    m->sender_refused = true;
    if (m->policy.peer == SMTP_PEER_REJECT) {
        server_error(m, 550, 5, 7, 1, REFUSAL_WITHOUT_CERTIFICATE);
    } else if (m->policy.peer == SMTP_PEER_TEMPFAIL) {
        server_error(m, 454, 4, 7, 0, REFUSAL_WITHOUT_CERTIFICATE);
    } else if (hit != NULL) {
        if (server_count_idle(m)) {
            server_limit(m, hit);
        }
    } else if (mail_sender(m, &args) && server_mail_params(m, args)) {
        m->ask = ASK_SENDER;
    } else {
        server_reset(m);
    }
}

static bool rcpt_address(struct smtp_server *m, str *args)
{
    str path;
    struct address *to = &m->txn.recipient;
    m->txn.request = (struct dsn_request){0};
    if (!smtp_path_take(args, STR("TO:"), &path)) {
        server_error(m, 501, 5, 5, 4, "Syntax: RCPT TO:<address>");
        return false;
    }
    const char *why = path.len == 0 ? "is empty" : take_address(path, m->recipient, to);
    if (why != NULL) {
        *to = (struct address){0}; /* there is no recipient */
        server_bad_address(m, 3, why);
        return false;
    }
    if (to->domain.len == 0 && !m->policy.bare_addresses &&
        !str_ieq(to->local, STR("postmaster"))) {
        /* RFC 5321 4.1.1.3: only the postmaster comes without a domain. */
        server_error(m, 553, 5, 1, 3, "The address has no domain");
        return false;
    }
    return true;
}

static void server_recipient_refused(struct smtp_server *m)
{
    m->recipients_refused++;
    m->counts.rejects++;
}

/* More than may be taken is no offence (RFC 5321 4.5.3.1.10): the client sends the others
 * in another transaction, if it is not cut off before it has sent this one. */
static void server_recipient_over(struct smtp_server *m, const struct smtp_limit_hit *hit)
{
    m->recipients_refused++;
    if (++m->recipients_over > SERVER_OVER_MAX && !server_count_idle(m)) {
        return;
    }
    if (hit != NULL) {
        server_limit(m, hit);
    } else {
        server_reply(m, 452, 4, 5, 3, "Too many recipients");
    }
}

void smtp_verb_rcpt(struct smtp_server *m, str args)
{
    unsigned limit = m->policy.recipient_limit;
    if (limit < SERVER_RECIPIENTS_MIN) {
        limit = SERVER_RECIPIENTS_MIN;
    }
    const struct smtp_limit_hit *hit = smtp_limits_rcpt(&m->policy.limits, &m->counts);
    const struct smtp_limit_hit *full =
        smtp_limits_room(&m->policy.limits, m->txn.recipients);
    if (!rcpt_address(m, &args) || !server_rcpt_params(m, args)) {
        server_recipient_refused(m);
    } else if (hit != NULL) {
        server_recipient_refused(m);
        if (server_count_idle(m)) {
            server_limit(m, hit);
        }
    } else if (full != NULL || m->txn.recipients >= limit) {
        server_recipient_over(m, full);
    } else {
        m->ask = ASK_RECIPIENT;
    }
}

/* DATA */

void smtp_verb_data(struct smtp_server *m, str args)
{
    const struct smtp_limit_hit *hit =
        smtp_limits_data(&m->policy.limits, m->txn.recipients, m->recipients_refused);
    (void)args;
    if (hit != NULL) {
        server_limit(m, hit);
    } else {
        m->ask = ASK_DATA;
    }
}

struct flaw_reply {
    unsigned flaw;
    struct smtp_reply_line reply;
};

/* The first flaw in this order is told. */
static const struct flaw_reply flaw_replies[] = {
    {SMTP_DATA_BARE_CR | SMTP_DATA_BARE_LF,
     {554, {5, 6, 0}, "Message refused: a CR or LF that is not part of CR LF"}},
    {SMTP_DATA_NUL, {554, {5, 6, 0}, "Message refused: it holds a NUL"}},
    {SMTP_DATA_LONG_LINE,
     {554, {5, 6, 0}, "Message refused: a line is longer than 8192 octets"}},
    {SMTP_DATA_TOO_BIG, {552, {5, 3, 4}, "Message larger than the size limit"}},
};

static void server_message_refused(struct smtp_server *m)
{
    struct smtp_reply_line r = {
        m->refusal.code,
        {m->refusal.enhanced[0], m->refusal.enhanced[1], m->refusal.enhanced[2]},
        m->refusal.text};
    if (!m->refusal.set) {
        size_t i = 0;
        while ((m->data.flaws & flaw_replies[i].flaw) == 0) {
            i++;
            check(i < sizeof flaw_replies / sizeof flaw_replies[0]);
        }
        r = flaw_replies[i].reply;
    }
    server_reply(m, r.code, r.enhanced[0], r.enhanced[1], r.enhanced[2], r.text);
    server_reset(m);
}

/* Reads the message on to its end when it is refused already. */
static bool server_swallow(struct smtp_server *m, str *rest)
{
    buf_free(&m->body);
    if (m->data.at != SMTP_DATA_END) {
        return rest->len > 0;
    }
    server_message_refused(m);
    return true;
}

bool server_data(struct smtp_server *m, str *rest)
{
    if (m->data.at != SMTP_DATA_END) {
        if (rest->len == 0) {
            return false;
        }
        smtp_data_decode(&m->data, rest, &m->body);
    }
    if (m->data.flaws != 0) {
        return server_swallow(m, rest);
    }
    bool end = m->data.at == SMTP_DATA_END;
    bool full = m->body.max - m->body.len < SMTP_DATA_ROOM;
    if (m->body.len > 0 && (end || full)) {
        m->ask = ASK_BODY;
    } else if (end) {
        m->ask = ASK_COMMIT;
    }
    return m->ask != ASK_NONE;
}

/* Answers */

/* For the first two, true: the session goes on. */

static bool server_answered_sender(struct smtp_server *m, bool good)
{
    m->sender_refused = !good;
    if (good) {
        m->counts.transactions++;
        m->state = SERVER_SENDER;
        return true;
    }
    server_reset(m);
    return server_count_idle(m);
}

static bool server_answered_recipient(struct smtp_server *m, bool good)
{
    if (good) {
        m->txn.recipients++;
        m->counts.recipients++;
        m->state = SERVER_RECIPIENT;
        return true;
    }
    server_recipient_refused(m);
    return server_count_idle(m);
}

static void server_answered_data(struct smtp_server *m, bool good)
{
    if (good) {
        smtp_data_start(&m->data, m->policy.size_limit_bytes);
        m->state = SERVER_DATA;
    }
}

static void server_answered_commit(struct smtp_server *m, bool good)
{
    if (good) {
        m->errors = 0;
        m->idle = 0;
    }
    server_reset(m);
}

void smtp_server_answer_command(struct smtp_server *m, unsigned code, unsigned x,
                                unsigned y, unsigned z, const char *text)
{
    enum smtp_ask ask = m->ask;
    bool good = code >= 200 && code < 300;
    if (m->state == SERVER_CLOSED) {
        return; /* the answer came after smtp_server_shut() */
    }
    check(code >= 200 && code <= 599);
    m->ask = ASK_NONE;
    switch (ask) {
    case ASK_SENDER:
        if (!server_answered_sender(m, good)) {
            return;
        }
        break;
    case ASK_RECIPIENT:
        if (!server_answered_recipient(m, good)) {
            return;
        }
        break;
    case ASK_DATA:
        server_answered_data(m, code == 354);
        break;
    case ASK_COMMIT:
        server_answered_commit(m, good);
        break;
    case ASK_NONE:
    case ASK_BODY:
    case ASK_TLS:
        check(ask == ASK_SENDER); /* no such question is open */
    }
    server_reply(m, code, x, y, z, text);
    if (code == 421) {
        server_close(m, "shut");
    }
}

void smtp_server_answer_body(struct smtp_server *m, bool stored, unsigned code,
                             unsigned x, unsigned y, unsigned z, const char *text)
{
    if (m->state == SERVER_CLOSED) {
        return;
    }
    check(m->ask == ASK_BODY);
    m->ask = ASK_NONE;
    buf_clear(&m->body);
    if (!stored) {
        check(code >= 400 && code <= 599);
        m->refusal = (struct server_refusal){true, code, {x, y, z}, ""};
        snprintf(m->refusal.text, sizeof m->refusal.text, "%s", text);
        m->data.flaws |= SMTP_DATA_TOO_BIG; /* store nothing more, find the end */
    }
}
