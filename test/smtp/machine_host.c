/* machine_host: see the header for the rules. */
#include "test/smtp/machine_host.h"

#include "base/check.h"

enum { COLLECT_MAX = 16 * 1024 * 1024 };

void machine_host_init(struct machine_host *h, const struct smtp_server_policy *policy)
{
    *h = (struct machine_host){.tls_policy = *policy, .step = STEP_MORE};
    h->m = smtp_server_new(policy);
    buf_init(&h->replies, COLLECT_MAX);
    buf_init(&h->body, COLLECT_MAX);
    buf_init(&h->message, COLLECT_MAX);
    smtp_server_greet(h->m);
    check(buf_str(&h->replies, buf_slice(smtp_server_out(h->m))));
    buf_clear(smtp_server_out(h->m));
}

void machine_host_free(struct machine_host *h)
{
    smtp_server_free(&h->m);
    buf_free(&h->replies);
    buf_free(&h->body);
    buf_free(&h->message);
}

static bool is(str s, const char *name)
{
    return str_eq(s, str_from(name));
}

static void answer_sender(struct machine_host *h, const struct smtp_server_txn *txn)
{
    buf_clear(&h->body);
    h->slices = 0;
    if (is(txn->sender.local, "refused")) {
        smtp_server_answer_command(h->m, 550, 5, 7, 1, "Sender refused");
    } else if (is(txn->sender.local, "later")) {
        smtp_server_answer_command(h->m, 451, 4, 7, 1, "Later");
    } else {
        smtp_server_answer_command(h->m, 250, 2, 1, 0, "Sender OK");
    }
}

static void answer_recipient(struct machine_host *h, const struct smtp_server_txn *txn)
{
    if (is(txn->recipient.local, "nobody")) {
        smtp_server_answer_command(h->m, 550, 5, 1, 1, "No such user");
    } else if (is(txn->recipient.local, "full")) {
        smtp_server_answer_command(h->m, 452, 4, 2, 2, "Mailbox full");
    } else if (is(txn->recipient.local, "relay")) {
        smtp_server_answer_command(h->m, 550, 5, 7, 1, "Relaying denied");
    } else {
        smtp_server_answer_command(h->m, 250, 2, 1, 5, "Recipient OK");
    }
}

static void answer_body(struct machine_host *h, const struct smtp_server_txn *txn)
{
    h->slices++;
    if (is(txn->sender.local, "nodisk")) {
        smtp_server_answer_body(h->m, false, 452, 4, 3, 1, "Disk full");
        return;
    }
    check(buf_str(&h->body, smtp_server_body(h->m)));
    smtp_server_answer_body(h->m, true, 0, 0, 0, 0, NULL);
}

static void answer_commit(struct machine_host *h, const struct smtp_server_txn *txn)
{
    if (is(txn->sender.local, "nocommit")) {
        smtp_server_answer_command(h->m, 452, 4, 3, 1, "Not stored");
        return;
    }
    h->commits++;
    h->eight_bit = txn->eight_bit;
    buf_clear(&h->message);
    check(buf_str(&h->message, buf_slice(&h->body)));
    smtp_server_answer_command(h->m, 250, 2, 0, 0, "Queued");
}

static void answer(struct machine_host *h)
{
    const struct smtp_server_txn *txn = smtp_server_txn(h->m);
    enum smtp_ask ask = smtp_server_ask(h->m);
    h->asked_in_clear += ask != ASK_TLS && !smtp_server_is_tls(h->m);
    h->mail_replies += ask != ASK_TLS;
    switch (ask) {
    case ASK_SENDER:
        answer_sender(h, txn);
        break;
    case ASK_RECIPIENT:
        answer_recipient(h, txn);
        break;
    case ASK_DATA:
        if (is(txn->sender.local, "nodata")) {
            smtp_server_answer_command(h->m, 451, 4, 3, 0, "Not now");
        } else {
            smtp_server_answer_command(h->m, 354, 0, 0, 0, "Go on");
        }
        break;
    case ASK_BODY:
        answer_body(h, txn);
        break;
    case ASK_COMMIT:
        answer_commit(h, txn);
        break;
    case ASK_TLS:
        h->handshakes++;
        smtp_server_tls_started(h->m, &h->tls_policy);
        break;
    case ASK_NONE:
        check(ask != ASK_NONE);
    }
}

static void collect(struct machine_host *h)
{
    struct buf *out = smtp_server_out(h->m);
    check(buf_str(&h->replies, buf_slice(out)));
    buf_clear(out);
}

static void feed_piece(struct machine_host *h, const char *data, size_t len)
{
    h->step = smtp_server_feed(h->m, data, len);
    collect(h);
    while (h->step == STEP_WAIT) {
        if (smtp_server_ask(h->m) == ASK_TLS && h->hold_tls) {
            return;
        }
        answer(h);
        h->step = smtp_server_feed(h->m, NULL, 0);
        collect(h);
    }
}

void machine_host_feed(struct machine_host *h, const char *data, size_t len, size_t piece)
{
    for (size_t at = 0; at < len && h->step != STEP_CLOSE; at += piece) {
        feed_piece(h, data + at, len - at < piece ? len - at : piece);
    }
}
