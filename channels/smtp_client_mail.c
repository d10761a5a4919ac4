/* smtp_client_mail: one message after another in an open session: checks before sending,
 * the group of commands, the outcome of each recipient, the body. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "channels/smtp_client_private.h"
#include "channels/smtp_syntax.h"

void client_take(struct smtp_client *m, struct smtp_client_message *message)
{
    check(message != NULL && message->recipient_count > 0);
    free(m->status);
    m->status = calloc(message->recipient_count, 1); /* all RECIPIENT_OPEN */
    check(m->status != NULL);
    m->msg = message;
    for (unsigned i = 0; i < message->recipient_count; i++) {
        outcome_init(&message->recipients[i].outcome);
        message->recipients[i].passed_on = false;
    }
    m->ask = CLIENT_ASK_NONE;
    m->sent = m->answered = m->in_flight = m->accepted = 0;
    m->mail_refused = m->data_sent = m->after_dot = false;
}

static void client_settle_one(struct smtp_client *m, unsigned i, const struct outcome *o)
{
    struct outcome *to = &m->msg->recipients[i].outcome;
    outcome_set(to, o->class, o->code, o->enhanced[0], o->enhanced[1], o->enhanced[2],
                "%s", o->text);
    m->status[i] = RECIPIENT_SETTLED;
}

void client_settle(struct smtp_client *m, const struct outcome *o)
{
    for (unsigned i = 0; i < m->msg->recipient_count; i++) {
        if (m->status[i] != RECIPIENT_SETTLED) {
            client_settle_one(m, i, o);
        }
    }
}

static void client_settled(struct smtp_client *m)
{
    m->state = CLIENT_IDLE;
    m->ask = CLIENT_ASK_SETTLED;
}

/* All recipients without an outcome get the one of the reply just read. */
static void client_settle_by_reply(struct smtp_client *m)
{
    struct outcome o;
    outcome_init(&o);
    client_outcome_from_reply(m, &o);
    client_settle(m, &o);
}

static void client_unexpected(struct smtp_client *m)
{
    client_end_deferred(m, 5, 0, "unexpected reply %u", m->reply.code);
}

/* Before sending */

static void client_fail(struct smtp_client *m, unsigned y, unsigned z, const char *text)
{
    struct outcome o;
    outcome_init(&o);
    outcome_set(&o, OUTCOME_FAILED, 0, 5, y, z, "%s", text);
    client_settle(m, &o);
}

static bool address_sendable(str address, struct outcome *o)
{
    if (smtp_find_non_ascii(address) >= 0) {
        outcome_set(o, OUTCOME_FAILED, 0, 5, 6, 7, "the address is not ASCII");
        return false;
    }
    outcome_set(o, OUTCOME_FAILED, 0, 5, 1, 3, "the address cannot be sent");
    return smtp_path_sendable(address);
}

/* Settles what this server can never take (RFC 1870 6.1, RFC 6152 3), and addresses
 * that would break a command. */
static void client_check_message(struct smtp_client *m)
{
    const struct smtp_client_message *msg = m->msg;
    struct outcome o;
    outcome_init(&o);
    if (msg->sender.len > 0 && !address_sendable(msg->sender, &o)) {
        client_fail(m, 1, 7, "the sender's address cannot be sent");
    } else if (msg->eight_bit && !m->offers_8bit) {
        client_fail(m, 6, 3, "the server does not take 8-bit messages");
    } else if (m->offers_size && m->size_limit_bytes > 0 &&
               msg->size_bytes > m->size_limit_bytes) {
        client_fail(m, 3, 4, "the message is larger than the server takes");
    }
    for (unsigned i = 0; i < msg->recipient_count; i++) {
        str address = msg->recipients[i].address;
        if (m->status[i] == RECIPIENT_OPEN &&
            (address.len == 0 || !address_sendable(address, &o))) {
            client_settle_one(m, i, &o);
        }
    }
}

/* Sending */

/* The first recipient from i on that is not settled; recipient_count if none. */
static unsigned client_next_open(const struct smtp_client *m, unsigned i)
{
    while (i < m->msg->recipient_count && m->status[i] == RECIPIENT_SETTLED) {
        i++;
    }
    return i;
}

static void client_send_mail(struct smtp_client *m)
{
    char size[32] = "";
    const struct smtp_client_message *msg = m->msg;
    if (m->offers_size && msg->size_bytes > 0) {
        snprintf(size, sizeof size, " SIZE=%" PRIu64, msg->size_bytes);
    }
    bool ret = m->offers_dsn && msg->ret != QUEUE_RET_NONE;
    bool envid = m->offers_dsn && msg->envid.ptr != NULL;
    client_send(m, "MAIL FROM:<%.*s>%s%s%s%s%.*s", STR_ARG(msg->sender), size,
                msg->eight_bit ? " BODY=8BITMIME" : "",
                !ret                         ? ""
                : msg->ret == QUEUE_RET_FULL ? " RET=FULL"
                                             : " RET=HDRS",
                envid ? " ENVID=" : "", STR_ARG(envid ? msg->envid : STR("")));
    m->txn_open = true;
}

/* RCPT with what is asked for about the recipient (RFC 3461 5.2.1). */
static void client_send_recipient(struct smtp_client *m, struct smtp_client_recipient *r)
{
    unsigned notify = m->offers_dsn ? r->asked.notify : 0;
    bool orcpt = m->offers_dsn && r->asked.orcpt.ptr != NULL;
    r->passed_on = m->offers_dsn;
    client_send(m, "RCPT TO:<%.*s>%s%s%s%.*s", STR_ARG(r->address),
                notify != 0 ? " NOTIFY=" : "", dsn_notify_print(notify),
                orcpt ? " ORCPT=" : "", STR_ARG(orcpt ? r->asked.orcpt : STR("")));
}

static void client_send_data(struct smtp_client *m)
{
    client_send(m, "DATA");
    m->data_sent = true;
}

/* The next window of recipients, when none is under way; DATA behind the last one when
 * groups are allowed (RFC 2920 3.1). */
static void client_send_recipients(struct smtp_client *m)
{
    unsigned window = m->offers_pipelining ? CLIENT_WINDOW : 1;
    unsigned count = m->msg->recipient_count;
    while (m->in_flight < window && (m->sent = client_next_open(m, m->sent)) < count) {
        client_send_recipient(m, &m->msg->recipients[m->sent]);
        m->sent++;
        m->in_flight++;
    }
    if (m->offers_pipelining && client_next_open(m, m->sent) == count) {
        client_send_data(m);
    }
}

static void client_start(struct smtp_client *m)
{
    client_send_mail(m);
    m->state = CLIENT_MAIL;
    if (m->offers_pipelining) {
        client_send_recipients(m);
    }
}

void client_begin(struct smtp_client *m)
{
    client_check_message(m);
    if (client_next_open(m, 0) == m->msg->recipient_count) {
        client_settled(m);
    } else if (m->txn_open) {
        client_send(m, "RSET");
        m->state = CLIENT_RSET;
    } else {
        client_start(m);
    }
}

/* Replies */

void client_on_rset(struct smtp_client *m)
{
    if (m->reply.code / 100 != 2) {
        client_unexpected(m);
        return;
    }
    m->txn_open = false;
    client_start(m);
}

/* Every RCPT under way is answered: the next window, DATA, or the end. */
static void client_after_recipients(struct smtp_client *m)
{
    if (m->in_flight > 0) {
        m->state = CLIENT_RCPT;
        return;
    }
    if (!m->mail_refused && !m->data_sent) {
        client_send_recipients(m);
    }
    if (m->in_flight > 0) {
        m->state = CLIENT_RCPT;
    } else if (m->data_sent) {
        m->state = CLIENT_DATA;
    } else if (m->accepted > 0) {
        client_send_data(m);
        m->state = CLIENT_DATA;
    } else {
        client_settled(m);
    }
}

void client_on_mail(struct smtp_client *m)
{
    unsigned class = m->reply.code / 100;
    if (class == 3) {
        client_unexpected(m);
        return;
    }
    if (class != 2) {
        m->mail_refused = true;
        client_settle_by_reply(m);
    }
    client_after_recipients(m);
}

/* RFC 5321 4.5.3.1.10: 552 where 452 is meant, "too many recipients", is temporary. A
 * full mailbox says 5.2.x. */
static bool client_means_452(const struct smtp_client *m)
{
    return m->reply.code == 552 && m->accepted > 0 && m->reply.enhanced[1] != 2;
}

void client_on_rcpt(struct smtp_client *m)
{
    struct outcome o;
    if (m->reply.code / 100 == 3) {
        client_unexpected(m);
        return;
    }
    m->in_flight--;
    if (m->mail_refused) {
        client_after_recipients(m);
        return;
    }
    unsigned i = client_next_open(m, m->answered);
    check(i < m->sent);
    m->answered = i + 1;
    outcome_init(&o);
    client_outcome_from_reply(m, &o);
    if (o.class == OUTCOME_DELIVERED) {
        m->status[i] = RECIPIENT_ACCEPTED;
        m->accepted++;
    } else {
        if (client_means_452(m)) {
            outcome_set(&o, OUTCOME_DEFERRED, o.code, 4, 5, 3, "%s", o.text);
        }
        client_settle_one(m, i, &o);
    }
    client_after_recipients(m);
}

void client_on_data(struct smtp_client *m)
{
    unsigned class = m->reply.code / 100;
    if (m->reply.code == 354 && m->accepted > 0) {
        smtp_data_encode_start(&m->encoder);
        m->state = CLIENT_BODY;
        m->ask = CLIENT_ASK_BODY;
    } else if (m->reply.code == 354 && m->lmtp) {
        /* RFC 2033 4.2: it must be refused, and no reply would come to the end. */
        client_unexpected(m);
    } else if (m->reply.code == 354) {
        /* Nobody is to get it, but it has to be ended (RFC 2920 3.1). */
        client_send(m, ".");
        m->state = CLIENT_DOT;
    } else if (class == 4 || class == 5) {
        client_settle_by_reply(m);
        client_settled(m);
    } else {
        client_unexpected(m);
    }
}

/* LMTP: the reply just read is for the first of the recipients accepted that has none;
 * and are there more? RFC 2033 4.2. */
static bool client_settle_next(struct smtp_client *m)
{
    struct outcome o;
    unsigned i = client_next_open(m, 0);
    check(i < m->msg->recipient_count);
    outcome_init(&o);
    client_outcome_from_reply(m, &o);
    client_settle_one(m, i, &o);
    return client_next_open(m, i) < m->msg->recipient_count;
}

/* A reply before the message was sent whole: final, and the rest cannot follow. */
void client_on_body(struct smtp_client *m)
{
    struct outcome o;
    outcome_init(&o);
    client_outcome_from_reply(m, &o);
    if (m->reply.code < 400) {
        client_unexpected(m);
        return;
    }
    if (m->lmtp && client_settle_next(m)) {
        client_end_deferred(m, 4, 2, "the server did not take the whole message");
    } else {
        client_end(m, &o);
    }
    m->try_next_host = false;
}

void client_on_dot(struct smtp_client *m)
{
    m->txn_open = false;
    if (m->reply.code / 100 == 3) {
        client_unexpected(m);
        return;
    }
    if (m->lmtp) {
        if (!client_settle_next(m)) {
            client_settled(m);
        }
        return;
    }
    client_settle_by_reply(m); /* nobody, if no recipient was accepted */
    client_settled(m);
}

void smtp_client_body(struct smtp_client *m, const char *data, size_t len, bool last)
{
    if (m->state == CLIENT_CLOSED) {
        return; /* the server gave up meanwhile */
    }
    check(m->state == CLIENT_BODY && len <= SMTP_DATA_SLICE_MAX);
    bool ok = smtp_data_encode(&m->encoder, str_n(data, len), &m->out);
    if (last) {
        ok = ok && smtp_data_encode_end(&m->encoder, &m->out);
        m->state = CLIENT_DOT;
        m->ask = CLIENT_ASK_NONE;
        m->after_dot = true;
    }
    check(ok); /* out was to be written first */
}
