/* fuzz_smtp_client: the client machine against any server. The first byte says what is
 * to be sent (bits 0-1 TLS level, 2 TLS from the start, 3 handshakes succeed, 4 an 8-bit
 * message, 5-6 recipients, 7 fallback), the second how the bytes are cut into packets,
 * and LMTP when it is even; the rest is what the server sends, then the connection is
 * lost. */
#include <stdint.h>

#include "base/check.h"
#include "channels/smtp_client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RECIPIENTS_MAX = 4, MESSAGES_MAX = 3 };

struct peer {
    struct smtp_client *m;
    struct smtp_client_message message;
    struct smtp_client_recipient recipients[RECIPIENTS_MAX];
    enum tls_level level;
    bool handshake_ok, fallback;
    bool mail_seen; /* MAIL was sent */
    bool dot_seen;  /* of the present message */
    bool was_tls;
    unsigned messages;
    enum smtp_step step;
};

static bool is_command(str line)
{
    static const char *const commands[] = {
        "EHLO c.example\r", "HELO c.example\r", "LHLO c.example\r", "STARTTLS\r",
        "RSET\r",           "DATA\r",           "QUIT\r",           ".\r"};
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (str_eq(line, str_from(commands[i]))) {
            return true;
        }
    }
    return str_starts(line, STR("MAIL FROM:<ann@a.example>")) ||
           str_starts(line, STR("RCPT TO:<bob@b.example>"));
}

/* Looks at what the client sends: commands, each one line, none of a transaction before
 * TLS where that is a must. */
static void take_commands(struct peer *p)
{
    str rest = buf_slice(smtp_client_out(p->m)), line;
    check(rest.len == 0 || str_iends(rest, STR("\r\n")));
    while (rest.len > 0 && str_split(&rest, '\n', &line)) {
        bool mail = str_starts(line, STR("MAIL"));
        check(is_command(line));
        check(p->level != TLS_LEVEL_MUST || smtp_client_is_tls(p->m) ||
              !(mail || str_starts(line, STR("RCPT")) || str_eq(line, STR("DATA\r"))));
        check(p->level != TLS_LEVEL_NO || !str_eq(line, STR("STARTTLS\r")));
        p->mail_seen |= mail;
    }
    buf_clear(smtp_client_out(p->m));
}

/* What is sent of a body: no bare CR or LF, no NUL. */
static void take_body(struct peer *p, bool last)
{
    str sent = buf_slice(smtp_client_out(p->m));
    for (size_t i = 0; i < sent.len; i++) {
        bool after_cr = i > 0 && sent.ptr[i - 1] == '\r';
        check(sent.ptr[i] != '\0');
        check(!(after_cr && sent.ptr[i] != '\n'));
        check(i == 0 || (sent.ptr[i] == '\n') == after_cr);
    }
    check(!last || str_iends(sent, STR("\r\n.\r\n")));
    buf_clear(smtp_client_out(p->m));
    p->dot_seen |= last;
}

static void give_body(struct peer *p)
{
    static const char first[] = "Subject: x\r\n\r\n.dot\r\n..\n\r.\r";
    static const char last[] = "\n.\r\nend\0.";
    smtp_client_body(p->m, first, sizeof first - 1, false);
    take_body(p, false);
    check(smtp_client_feed(p->m, NULL, 0) == STEP_WAIT);
    smtp_client_body(p->m, last, sizeof last - 1, true);
    take_body(p, true);
}

static void check_outcomes(const struct peer *p)
{
    for (unsigned i = 0; i < p->message.recipient_count; i++) {
        const struct outcome *o = &p->recipients[i].outcome;
        check(o->class != OUTCOME_DELIVERED || (p->dot_seen && o->code / 100 == 2));
        check(o->class != OUTCOME_FAILED || p->level != TLS_LEVEL_MUST || p->was_tls);
        check(o->class == OUTCOME_DELIVERED ? o->enhanced[0] == 2
                                            : o->enhanced[0] == 4 || o->enhanced[0] == 5);
        check((o->class == OUTCOME_FAILED) == (o->enhanced[0] == 5));
        check(o->text[0] != '\0' || o->code != 0);
        for (const char *c = o->text; *c != '\0'; c++) {
            check(*c >= ' ' && *c <= '~');
        }
    }
}

static void settled(struct peer *p)
{
    check_outcomes(p);
    if (++p->messages < MESSAGES_MAX) {
        p->dot_seen = false;
        smtp_client_next(p->m, &p->message);
    } else {
        smtp_client_quit(p->m);
    }
}

static void feed(struct peer *p, const char *data, size_t len)
{
    p->step = smtp_client_feed(p->m, data, len);
    take_commands(p);
    while (p->step == STEP_WAIT) {
        switch (smtp_client_ask(p->m)) {
        case CLIENT_ASK_TLS:
            p->was_tls = p->was_tls || p->handshake_ok;
            smtp_client_tls_done(p->m, p->handshake_ok, "no");
            break;
        case CLIENT_ASK_BODY:
            give_body(p);
            break;
        case CLIENT_ASK_SETTLED:
            settled(p);
            break;
        case CLIENT_ASK_NONE:
            check(!"waits without a question");
        }
        p->step = smtp_client_feed(p->m, NULL, 0);
        take_commands(p);
    }
    check(smtp_client_timeout_ms(p->m) >= 1000);
}

static void check_end(const struct peer *p)
{
    bool clear = smtp_client_wants_clear(p->m), next = smtp_client_try_next_host(p->m);
    check_outcomes(p);
    check(!clear || (p->level == TLS_LEVEL_MAY && p->fallback && !p->mail_seen && !next));
    check(!next || !smtp_client_after_dot(p->m));
    check(!smtp_client_is_tls(p->m) || p->was_tls);
    check(p->level != TLS_LEVEL_MUST || p->was_tls || !p->mail_seen);
}

static void run(unsigned bits, const char *data, size_t size, size_t piece)
{
    static const enum tls_level levels[] = {TLS_LEVEL_NO, TLS_LEVEL_MAY, TLS_LEVEL_MUST,
                                            TLS_LEVEL_MUST};
    struct peer p = {.level = levels[bits & 3], .handshake_ok = (bits & 8) != 0};
    struct smtp_client_options o = {.helo_name = STR("c.example"),
                                    .tls = p.level,
                                    .implicit_tls = (bits & 4) != 0,
                                    .fallback = (bits & 128) != 0,
                                    .lmtp = piece % 2 == 1};
    p.fallback = o.fallback;
    p.was_tls = o.implicit_tls;
    p.message = (struct smtp_client_message){.sender = STR("ann@a.example"),
                                             .recipients = p.recipients,
                                             .recipient_count = (bits >> 5 & 3) + 1,
                                             .size_bytes = 100,
                                             .eight_bit = (bits & 16) != 0,
                                             .ret = QUEUE_RET_FULL,
                                             .envid = STR("id-1")};
    for (unsigned i = 0; i < RECIPIENTS_MAX; i++) {
        p.recipients[i].address = STR("bob@b.example");
        p.recipients[i].asked =
            (struct dsn_request){QUEUE_NOTIFY_SUCCESS, STR("rfc822;bob@b.example")};
    }
    p.m = smtp_client_new(&o, &p.message);
    for (size_t at = 0; at < size && p.step != STEP_CLOSE; at += piece) {
        feed(&p, data + at, size - at < piece ? size - at : piece);
    }
    if (p.step != STEP_CLOSE) {
        smtp_client_lost(p.m, "end of input");
        check(smtp_client_feed(p.m, NULL, 0) == STEP_CLOSE);
    }
    check_end(&p);
    smtp_client_free(&p.m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size >= 3) {
        run(data[0], (const char *)data + 2, size - 2, data[1] + 1u);
    }
    return 0;
}
