/* client_dialogue: see client_dialogue.h. */
#include "test/unit/client_dialogue.h"

struct run {
    bool implicit;
    struct smtp_client *m;
    struct smtp_client_message message;
    struct smtp_client_recipient recipients[8];
    struct buf out;
    enum smtp_step step;
};

static void collect(struct run *r)
{
    struct buf *out = smtp_client_out(r->m);
    assert_true(buf_str(&r->out, buf_slice(out)));
    buf_clear(out);
}

static void feed(struct run *r, str data, size_t piece)
{
    for (size_t at = 0; at < data.len; at += piece) {
        str part = str_sub(data, at, piece);
        r->step = smtp_client_feed(r->m, part.ptr, part.len);
        collect(r);
    }
}

static void do_line(struct run *r, const struct dialogue *d, const char *line,
                    size_t piece)
{
    const char *rest = line + 1;
    switch (line[0]) {
    case '8':
    case 'A':
    case 'F':
        return; /* taken before the machine was made */
    case 'S':
        feed(r, str_from(rest), piece);
        return;
    case 'C':
        if (!str_eq(buf_slice(&r->out), str_from(rest))) {
            fail_msg("%s, piece %zu: sent:\n%.*s\nexpected:\n%s", d->name, piece,
                     STR_ARG(buf_slice(&r->out)), rest);
        }
        buf_clear(&r->out);
        return;
    case 'T':
        assert_int_equal(smtp_client_ask(r->m),
                         r->implicit ? CLIENT_ASK_NONE : CLIENT_ASK_TLS);
        smtp_client_tls_done(r->m, strcmp(rest, "ok") == 0, rest);
        break;
    case 'B':
    case 'b':
        assert_int_equal(smtp_client_ask(r->m), CLIENT_ASK_BODY);
        smtp_client_body(r->m, rest, strlen(rest), line[0] == 'b');
        break;
    case 'L':
        smtp_client_lost(r->m, rest);
        break;
    case 'N':
        assert_true(r->step == STEP_CLOSE || smtp_client_ask(r->m) == CLIENT_ASK_SETTLED);
        smtp_client_next(r->m, &r->message);
        break;
    case 'Q':
        assert_int_equal(smtp_client_ask(r->m), CLIENT_ASK_SETTLED);
        smtp_client_quit(r->m);
        break;
    default:
        fail_msg("%s: bad line %s", d->name, line);
    }
    r->step = smtp_client_feed(r->m, NULL, 0);
    collect(r);
}

/* "address class code x.y.z text; ..." and "; next host", "; clear", "; tls". */
static void results(const struct run *r, char *out, size_t size)
{
    size_t len = 0;
    for (unsigned i = 0; i < r->message.recipient_count; i++) {
        const struct smtp_client_recipient *to = &r->recipients[i];
        const struct outcome *o = &to->outcome;
        len += (size_t)snprintf(
            out + len, size - len, "%s%.*s %s %u %u.%u.%u %s%s", i > 0 ? "; " : "",
            STR_ARG(to->address), outcome_class_name(o->class), o->code, o->enhanced[0],
            o->enhanced[1], o->enhanced[2], o->text, to->passed_on ? ", passed on" : "");
    }
    snprintf(out + len, size - len, "%s%s%s", smtp_client_is_tls(r->m) ? "; tls" : "",
             smtp_client_wants_clear(r->m) ? CLEAR : "",
             smtp_client_try_next_host(r->m) ? NEXT : "");
}

static void run_dialogue(const struct dialogue *d, size_t piece)
{
    struct run r = {.implicit = (d->tls & IMPLICIT) != 0};
    struct smtp_client_options o = {.helo_name = STR("c.example"),
                                    .lmtp = (d->tls & LMTP) != 0,
                                    .tls = (enum tls_level)(d->tls & 7),
                                    .implicit_tls = (d->tls & IMPLICIT) != 0,
                                    .fallback = (d->tls & STAYS) == 0};
    str rest = str_from(d->to), address;
    char got[2048];
    buf_init(&r.out, 1024 * 1024);
    r.message = (struct smtp_client_message){.sender = STR("ann@a.example"),
                                             .recipients = r.recipients,
                                             .size_bytes = 1000,
                                             .eight_bit = d->lines[0][0] == '8'};
    if (d->lines[0][0] == 'F') {
        r.message.sender = str_from(d->lines[0] + 1);
    }
    while (str_word(&rest, &address)) {
        r.recipients[r.message.recipient_count++].address = address;
    }
    if (d->lines[0][0] == 'A') {
        r.message.ret = QUEUE_RET_HDRS;
        r.message.envid = STR("QQ+2B1");
        r.recipients[0].asked = (struct dsn_request){
            QUEUE_NOTIFY_SUCCESS | QUEUE_NOTIFY_DELAY, STR("rfc822;B@b")};
    }
    r.m = smtp_client_new(&o, &r.message);
    for (size_t i = 0; d->lines[i] != NULL; i++) {
        do_line(&r, d, d->lines[i], piece);
    }
    results(&r, got, sizeof got);
    if (strcmp(got, d->results) != 0) {
        fail_msg("%s, piece %zu:\n     got %s\nexpected %s", d->name, piece, got,
                 d->results);
    }
    if (r.out.len > 0) {
        fail_msg("%s: also sent %.*s", d->name, STR_ARG(buf_slice(&r.out)));
    }
    smtp_client_free(&r.m);
    buf_free(&r.out);
}

void run_dialogues(const struct dialogue *dialogues, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t piece = 1; piece < 100; piece += piece < 30 ? 1 : 30) {
            run_dialogue(&dialogues[i], piece);
        }
        run_dialogue(&dialogues[i], 10000);
    }
}
