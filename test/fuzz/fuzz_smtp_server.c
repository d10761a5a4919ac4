/* fuzz_smtp_server: the server machine against any client. The first byte is the policy
 * (bits 0-1 TLS level, 2-3 level after STARTTLS, 4 TLS from the start, 5 a size limit),
 * the second how the bytes are cut into packets; the rest is what the client sends. The
 * host answers by the names in machine_host.h. */
#include <stdint.h>

#include "base/check.h"
#include "test/smtp/machine_host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SIZE_LIMIT = 200 };

static enum tls_level level_of(unsigned bits)
{
    return bits % 3 == 0 ? TLS_LEVEL_NO : bits % 3 == 1 ? TLS_LEVEL_MAY : TLS_LEVEL_MUST;
}

/* Every reply line is "ddd text" or "ddd-text", printable, at most 512 octets. */
static void check_replies(str replies)
{
    str line;
    check(replies.len == 0 || str_iends(replies, STR("\r\n")));
    while (replies.len > 0 && str_split(&replies, '\n', &line)) {
        check(line.len >= 5 && line.len < 512 && line.ptr[line.len - 1] == '\r');
        check(line.ptr[0] >= '2' && line.ptr[0] <= '5' && ascii_is_digit(line.ptr[1]) &&
              ascii_is_digit(line.ptr[2]) && (line.ptr[3] == ' ' || line.ptr[3] == '-'));
        for (size_t i = 0; i + 1 < line.len; i++) {
            check(line.ptr[i] >= ' ' && line.ptr[i] <= '~');
        }
    }
}

/* What was accepted holds nothing that another hop could read as an end. */
static void check_message(str message)
{
    for (size_t i = 0; i < message.len; i++) {
        char c = message.ptr[i];
        bool crlf_before = i > 0 && message.ptr[i - 1] == '\r';
        check(c != '\0' && (c == '\n') == crlf_before);
    }
    check(message.len == 0 || message.ptr[message.len - 1] == '\n');
}

static void run(struct machine_host *h, unsigned bits, const uint8_t *data, size_t size,
                size_t piece)
{
    static const struct smtp_limits limits = {3, 5, 2,     4,    2,     6,
                                              4, 7, false, true, false, true};
    struct smtp_server_policy p = {.local_name = STR("mx.example"),
                                   .tls = level_of(bits & 3),
                                   .size_limit_bytes = (bits & 32) != 0 ? SIZE_LIMIT : 0,
                                   .recipient_limit = 100};
    if ((bits & 64) != 0) {
        p.limits = limits;
    }
    machine_host_init(h, &p);
    h->tls_policy.tls = level_of(bits >> 2 & 3);
    if ((bits & 16) != 0) {
        smtp_server_tls_implicit(h->m);
    }
    machine_host_feed(h, (const char *)data, size, piece);
    check_replies(buf_slice(&h->replies));
    check_message(buf_slice(&h->message));
    check(p.tls != TLS_LEVEL_MUST || h->asked_in_clear == 0);
    check(p.size_limit_bytes == 0 || h->message.len <= SIZE_LIMIT);
    check(h->handshakes == 0 || ((bits & 16) == 0 && p.tls != TLS_LEVEL_NO));
    check(h->handshakes <= 1 &&
          smtp_server_is_tls(h->m) == (h->handshakes > 0 || (bits & 16)));
    check((h->step == STEP_CLOSE) == (smtp_server_close_reason(h->m) != NULL));
}

static bool met_starttls(const struct machine_host *h)
{
    const char *reason = smtp_server_close_reason(h->m);
    return h->handshakes > 0 ||
           (reason != NULL && strcmp(reason, "starttls-injection") == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3) {
        return 0;
    }
    struct machine_host cut, whole;
    run(&cut, data[0], data + 2, size - 2, data[1] + 1u);
    run(&whole, data[0], data + 2, size - 2, size);
    /* How the bytes were cut matters only behind STARTTLS. */
    if (!met_starttls(&cut) && !met_starttls(&whole)) {
        check(str_eq(buf_slice(&cut.replies), buf_slice(&whole.replies)));
        check(str_eq(buf_slice(&cut.message), buf_slice(&whole.message)));
        check(cut.commits == whole.commits && cut.step == whole.step);
    }
    machine_host_free(&cut);
    machine_host_free(&whole);
    return 0;
}
