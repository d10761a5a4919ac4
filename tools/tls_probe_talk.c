/* tls_probe_talk: the conversation of `pointsman tls probe` with a host, step by step, on
 * a socket of its own: reads replies as a delivery does (smtp_reply), and TLS is the
 * daemon's own filter. */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "channels/smtp_reply.h"
#include "tools/tls_probe.h"

/* Replies are bounded by smtp_reply; what is read ahead of them by this. */
enum { READ_BYTES = 16384, PENDING_MAX = 256 * 1024 };

struct talk {
    const struct probe_target *target;
    struct probe_found *found;
    struct arena *arena;
    int fd;
    struct tls_filter *tls; /* NULL: in clear */
    bool established;
    struct buf in;   /* what was read, decrypted, and is no reply yet */
    struct buf wire; /* what is to be sent */
    struct smtp_reply reply;
};

/* Always false: the conversation ends. */
static bool fail(struct talk *t, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static bool fail(struct talk *t, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    if (t->found->failure[0] == '\0') {
        vsnprintf(t->found->failure, sizeof t->found->failure, fmt, ap);
    }
    va_end(ap);
    return false;
}

static bool lose(struct talk *t, const char *why)
{
    t->found->lost = true;
    return fail(t, "%s", why);
}

/* --- octets --- */

static bool await(struct talk *t, short events)
{
    int ready = dial_wait(t->fd, events, t->target->deadline_ms);
    if (ready < 0) {
        return lose(t, strerror(errno));
    }
    return ready > 0 || lose(t, "no answer in time");
}

/* Sends what is in t->wire. */
static bool flush(struct talk *t)
{
    while (t->wire.len > 0) {
        ssize_t n = send(t->fd, t->wire.data, t->wire.len, MSG_NOSIGNAL);
        if (n >= 0) {
            buf_consume(&t->wire, (size_t)n);
        } else if (errno == EAGAIN) {
            if (!await(t, POLLOUT)) {
                return false;
            }
        } else if (errno != EINTR) {
            return lose(t, strerror(errno));
        }
    }
    return true;
}

/* What came in, through the filter; the first call of a session has no data. */
static bool filter(struct talk *t, const char *data, size_t len)
{
    enum tls_step step = tls_filter_in(t->tls, data, len, &t->wire, &t->in);
    t->established = t->established || step == TLS_STEP_DONE;
    bool sent = flush(t); /* an alert, too */
    switch (step) {
    case TLS_STEP_FAILED:
        return lose(t, tls_filter_error(t->tls));
    case TLS_STEP_CLOSED:
        return lose(t, "the host ended the TLS session");
    case TLS_STEP_MORE:
    case TLS_STEP_DONE:
        break;
    }
    return sent;
}

/* One piece of what the host sends. */
static bool fill(struct talk *t)
{
    char data[READ_BYTES];
    for (;;) {
        ssize_t n = recv(t->fd, data, sizeof data, 0);
        if (n > 0) {
            bool fits = t->tls || buf_append(&t->in, data, (size_t)n);
            return t->tls ? filter(t, data, (size_t)n)
                          : fits || fail(t, "the host sends without end");
        }
        if (n == 0) {
            return lose(t, "the host closed the connection");
        }
        if (errno != EAGAIN && errno != EINTR) {
            return lose(t, strerror(errno));
        }
        if (errno == EAGAIN && !await(t, POLLIN)) {
            return false;
        }
    }
}

/* --- commands and replies --- */

static bool say(struct talk *t, const char *verb, const char *argument)
{
    char line[512];
    int n =
        snprintf(line, sizeof line, "%s%s%s\r\n", verb, *argument ? " " : "", argument);
    if (n < 0 || (size_t)n >= sizeof line) {
        return fail(t, "our name is too long");
    }
    if (!t->tls) {
        return buf_append(&t->wire, line, (size_t)n) && flush(t);
    }
    if (tls_filter_out(t->tls, line, (size_t)n, &t->wire) != TLS_STEP_MORE) {
        return lose(t, tls_filter_error(t->tls));
    }
    return flush(t);
}

static bool hear(struct talk *t)
{
    smtp_reply_reset(&t->reply);
    for (;;) {
        str rest = buf_slice(&t->in);
        enum smtp_reply_status status = smtp_reply_feed(&t->reply, &rest);
        buf_consume(&t->in, t->in.len - rest.len);
        if (status == SMTP_REPLY_DONE) {
            return true;
        }
        if (status == SMTP_REPLY_BAD) {
            return fail(t, "this is no SMTP: %s", t->reply.flaw);
        }
        if (!fill(t)) {
            return false;
        }
    }
}

/* The text of the reply, kept. */
static str heard(const struct talk *t)
{
    str text = arena_str(t->arena, buf_slice(&t->reply.text));
    return text.ptr ? text : STR("");
}

static bool hear_greeting(struct talk *t)
{
    if (!hear(t)) {
        return false;
    }
    t->found->greeting_code = t->reply.code;
    t->found->greeting = heard(t);
    return t->reply.code == 220 || fail(t, "the host greets with %u", t->reply.code);
}

static bool offers_starttls(str lines)
{
    str line, word;
    while (smtp_reply_line_take(&lines, &line)) {
        if (str_word(&line, &word) && str_ieq(word, STR("STARTTLS"))) {
            return true;
        }
    }
    return false;
}

/* *lines: the extensions, without the first line, which is the host's name. */
static bool ask_ehlo(struct talk *t, str *lines)
{
    str first;
    if (!say(t, "EHLO", t->target->helo) || !hear(t)) {
        return false;
    }
    t->found->ehlo_code = t->reply.code;
    *lines = STR("");
    if (t->reply.code / 100 == 2) {
        *lines = heard(t);
        smtp_reply_line_take(lines, &first);
        *lines = lines->ptr ? *lines : STR("");
        return true;
    }
    /* RFC 5321 3.2: an old server, to which HELO would be said */
    return t->reply.code / 100 == 5 || fail(t, "EHLO is answered with %u", t->reply.code);
}

/* --- TLS --- */

static void prove(struct talk *t, struct probe_level *l, enum tls_verify level)
{
    l->asked = true;
    l->proven = tls_filter_proves(t->tls, level, l->why, sizeof l->why);
}

static void note_tls(struct talk *t)
{
    struct probe_found *f = t->found;
    f->tls = true;
    f->chain_count = tls_filter_chain(t->tls, t->arena, f->chain, PROBE_CHAIN_MAX);
    prove(t, &f->ca, TLS_VERIFY_CA);
    prove(t, &f->is_host, TLS_VERIFY_HOST);
    if (tls_context_pins(t->target->context)) {
        prove(t, &f->pinned, TLS_VERIFY_FP);
    }
}

/* Nothing is asked of the certificate, so that the handshake shows whatever there is. */
static bool shake_hands(struct talk *t)
{
    str host = str_from(t->target->host);
    const struct tls_wish wish = {.host = host,
                                  .verify = TLS_VERIFY_NO,
                                  .names = {host},
                                  .other_groups = t->target->other_groups};
    t->found->stage = PROBE_HANDSHAKE;
    t->target->step(t->target->host, "TLS", NULL);
    t->tls = tls_filter_new(t->target->context, &wish);
    bool ok = filter(t, "", 0);
    while (ok && !t->established) {
        ok = fill(t);
    }
    t->found->facts = *tls_filter_facts(t->tls);
    if (t->established) {
        note_tls(t);
        t->found->stage = PROBE_AFTER;
    }
    return ok;
}

static bool ask_starttls(struct talk *t)
{
    struct probe_found *f = t->found;
    f->stage = PROBE_STARTTLS;
    if (!say(t, "STARTTLS", "") || !hear(t)) {
        return false;
    }
    f->starttls_code = t->reply.code;
    f->starttls = heard(t);
    if (t->reply.code != 220) {
        return fail(t, "STARTTLS was refused: %u %.*s", t->reply.code,
                    STR_ARG(f->starttls));
    }
    f->injected = t->in.len > 0;
    return !f->injected || fail(t, "bytes followed the reply to STARTTLS");
}

/* --- all of it --- */

static bool converse_implicit(struct talk *t)
{
    return shake_hands(t) && hear_greeting(t) && ask_ehlo(t, &t->found->under_tls);
}

static bool converse_starttls(struct talk *t)
{
    struct probe_found *f = t->found;
    f->stage = PROBE_GREETING;
    if (!hear_greeting(t)) {
        return false;
    }
    f->stage = PROBE_EHLO;
    if (!ask_ehlo(t, &f->clear)) {
        return false;
    }
    f->offered = offers_starttls(f->clear);
    return !f->offered ||
           (ask_starttls(t) && shake_hands(t) && ask_ehlo(t, &f->under_tls));
}

static void converse(struct talk *t)
{
    if (t->target->implicit ? converse_implicit(t) : converse_starttls(t)) {
        t->found->stage = PROBE_DONE;
        say(t, "QUIT", ""); /* its reply tells nothing */
    }
}

int probe_connect(const struct probe_target *target, struct probe_found *out)
{
    struct dialled line;
    int64_t begun = dial_now_ms();
    *out = (struct probe_found){.stage = PROBE_CONNECTING};
    if (!dial_open(target->host, target->port, target->deadline_ms, target->step, NULL,
                   &line, out->failure, sizeof out->failure)) {
        return -1;
    }
    memcpy(out->ip, line.ip, sizeof out->ip);
    memcpy(out->our_ip, line.our_ip, sizeof out->our_ip);
    out->our_port = line.our_port;
    out->connect_ms = dial_now_ms() - begun;
    return line.fd;
}

void probe_talk(const struct probe_target *target, int fd, struct arena *a,
                struct probe_found *out)
{
    struct talk t = {.target = target, .found = out, .arena = a, .fd = fd};
    buf_init(&t.in, PENDING_MAX);
    buf_init(&t.wire, PENDING_MAX);
    smtp_reply_init(&t.reply);
    converse(&t);
    tls_filter_free(&t.tls);
    smtp_reply_free(&t.reply);
    buf_free(&t.in);
    buf_free(&t.wire);
    close(fd);
}
