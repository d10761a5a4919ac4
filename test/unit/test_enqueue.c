/* The accept path against a real configuration and a real queue; dispatch is ours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/check.h"
#include "router/channel.h"
#include "router/dispatch.h"
#include "router/enqueue.h"
#include "test/unit/queue_fixture.h"

static const char CONFIG[] = "! test\n"
                             "ours.test       $U@ours.test\n"
                             "hub.test        $U%$D@tcp-quiet\n"
                             "far.test        $U%$D@tcp-daemon\n"
                             "other.test      $U%$D@tcp-daemon\n"
                             "single.test     $U%$D@tcp-single\n"
                             ".sys.test       $U%$H.sys.test@tcp-sys\n"
                             "few.test        $U%$D@tcp-few\n"
                             "wait.test       $U%$D@tcp-wait\n"
                             "normal.test     $U%$D@tcp-normal\n"
                             "urgent.test     $U%$D@tcp-urgent\n"
                             "period.test     $U%$D@tcp-period\n"
                             "all.test        $U%$D@tcp-all\n"
                             "small.test      $U%$D@tcp-small\n"
                             "dated.test      $U%$D@tcp-dated\n"
                             "\n"
                             "l logging\n"
                             "ours.test\n"
                             "\n"
                             "tcp_local smtp nomx logging\n"
                             "tcp-daemon\n"
                             "\n"
                             "tcp_single smtp nomx single daemon gate.test\n"
                             "tcp-single\n\n"
                             "tcp_sys smtp nomx single_sys daemon gate.test\n"
                             "tcp-sys\n\n"
                             "tcp_few smtp nomx addrsperfile 3\n"
                             "tcp-few\n\n"
                             "tcp_wait smtp nomx after 90\n"
                             "tcp-wait\n\n"
                             "tcp_normal smtp nomx immnormal nonurgentbackoff PT2H\n"
                             "tcp-normal\n\n"
                             "tcp_urgent smtp nomx immurgent normalbackoff PT1H"
                             " nonurgentbackoff PT2H after 90\n"
                             "tcp-urgent\n\n"
                             "tcp_period smtp nomx periodic urgentbackoff PT10M\n"
                             "tcp-period\n\n"
                             "tcp_all smtp nomx immediate nonurgentblocklimit 1\n"
                             "tcp-all\n\n"
                             "tcp_small smtp nomx urgentblocklimit 1 normalblocklimit 2"
                             " nonurgentblocklimit 3 backoff PT1H\n"
                             "tcp-small\n\n"
                             "tcp_dated smtp nomx deferreddestination notices 3\n"
                             "tcp-dated\n\n"
                             "tcp_dating smtp nomx deferredsource\n"
                             "tcp-dating\n\n"
                             "tcp_quiet smtp nomx\n"
                             "tcp-quiet\n";

static const char ALIASES[] = "one:  ann@far.test\n"
                              "two:  ann@far.test, Bob@other.test\n"
                              "team: <team.txt, [ENVELOPE_FROM] boss@ours.test\n";

/* --- kinds and dispatch of the test --- */

static bool local_verify(void *state, const struct channel *c, const struct address *to,
                         struct outcome *out)
{
    (void)state;
    (void)c;
    if (str_eq(to->local, STR("nobody"))) {
        outcome_set(out, OUTCOME_FAILED, 550, 5, 1, 1, "no such user");
        return false;
    }
    return !str_eq(to->local, STR("later")); /* *out as the caller set it */
}

static const struct channel_kind tcp_kind = {.name = "tcp", .type = CHANNEL_TCP};
static const struct channel_kind local_kind = {
    .name = "local", .type = CHANNEL_LOCAL, .verify = local_verify};
static const struct channel_kind *const kinds[] = {&tcp_kind, &local_kind, NULL};

/* What dispatch got; hangs on worker->dispatch. */
struct dispatch {
    struct queue_message *message;
    unsigned count;
    char report[4000]; /* what a message with the null sender said */
};

void dispatch_add(struct worker *w, struct queue_message *m)
{
    struct dispatch *d = w->dispatch;
    if (m->sender.len == 0) {
        long got = body_read_blocking(m->body, d->report, sizeof d->report - 1, 0);
        check(got > 0);
        d->report[got] = '\0';
    }
    queue_message_free(&d->message);
    d->message = m;
    d->count++;
}

/* --- the transaction under test --- */

struct test {
    struct fixture f;
    struct dispatch dispatch;
    struct runtime *runtime;
    struct enqueue_session session;
    struct enqueue *e;
    const struct dsn_request *request;
    struct outcome outcome;
    unsigned answers;
    bool done;
};

static void put_config(struct fixture *f, const char *name, const char *text)
{
    char path[256];
    FILE *file = fopen(fixture_path(f, name, path), "w");
    check(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
}

static struct runtime *load(struct fixture *f)
{
    char path[256];
    bool unreadable;
    struct diags *diags;
    struct arena *a = arena_new();
    put_config(f, "pointsman.cnf", CONFIG);
    put_config(f, "localdomains", "ours.test\nhub.test\n");
    put_config(f, "aliases", ALIASES);
    put_config(f, "team.txt", "ann@far.test\n");
    struct snapshot_request req = {.path =
                                       str_from(fixture_path(f, "pointsman.cnf", path))};
    struct snapshot *s = snapshot_load(&req, a, &diags, &unreadable);
    if (s == NULL) {
        for (const struct diag *d = diags_first(diags); d != NULL; d = d->next) {
            fprintf(stderr, "# %.*s\n", STR_ARG(diag_line(a, diags, d)));
        }
    }
    check(s != NULL);
    struct runtime *r = runtime_prepare(&s, kinds, NULL, diags);
    check(r != NULL);
    arena_free(&a);
    return r;
}

static void begin(struct test *t, const char *sender)
{
    struct address from;
    check(address_parse(str_from(sender), &from) == NULL);
    t->e = enqueue_begin(&t->session, &from);
}

static void test_start(struct test *t, const char *source, bool trusted)
{
    memset(t, 0, sizeof *t);
    fixture_start(&t->f);
    t->f.w->dispatch = &t->dispatch;
    t->runtime = load(&t->f);
    t->session = (struct enqueue_session){
        .worker = t->f.w,
        .runtime = t->runtime,
        .source = snapshot_channel(t->runtime->snapshot, str_from(source)),
        .trusted = trusted,
        .session = STR("w0-1"),
        .peer_ip = STR("192.0.2.7"),
        .helo = STR("client.test"),
        .esmtp = true,
        .tls = true,
        .tls_version = STR("TLSv1.3"),
        .tls_cipher = STR("TLS_AES_256_GCM_SHA384"),
    };
    begin(t, "sender@else.test");
}

static void test_end(struct test *t)
{
    enqueue_abort(&t->e);
    queue_message_free(&t->dispatch.message);
    runtime_unref(&t->runtime);
    fixture_end(&t->f);
}

static bool rcpt(struct test *t, const char *text)
{
    struct address to;
    check(address_parse(str_from(text), &to) == NULL);
    return enqueue_recipient(t->e, &to, t->request, &t->outcome);
}

static void on_answer(struct enqueue *e, const struct outcome *o, void *arg)
{
    struct test *t = arg;
    check(e == t->e && !t->done);
    t->outcome = *o;
    t->answers++;
    t->done = true;
}

static void body(struct test *t, str data)
{
    t->done = false;
    if (!enqueue_body(t->e, data, on_answer, t, &t->outcome)) {
        check(!t->done);
        fixture_wait(t->f.w, &t->done);
    }
}

static void commit(struct test *t)
{
    t->done = false;
    enqueue_commit(t->e, on_answer, t);
    check(!t->done);
    fixture_wait(t->f.w, &t->done);
}

static void expect_outcome(const struct test *t, enum outcome_class class, unsigned code,
                           unsigned x, unsigned y, unsigned z)
{
    const struct outcome *o = &t->outcome;
    if (o->class != class || o->code != code || o->enhanced[0] != x ||
        o->enhanced[1] != y || o->enhanced[2] != z) {
        fail_msg("got %s %u %u.%u.%u %s", outcome_class_name(o->class), o->code,
                 o->enhanced[0], o->enhanced[1], o->enhanced[2], o->text);
    }
}

static void expect_entry(const struct queue_message *m, unsigned i, const char *channel,
                         const char *host, const char *recipients)
{
    struct arena *a = arena_new();
    const struct queue_entry *e = &m->entries[i];
    str all = STR("");
    for (unsigned k = 0; k < e->recipient_count; k++) {
        all =
            arena_printf(a, "%.*s %.*s", STR_ARG(all), STR_ARG(e->recipients[k].address));
    }
    assert_true(str_eq(e->channel, str_from(channel)));
    assert_true(str_eq(e->host, str_from(host)));
    assert_string_equal(arena_str(a, all).ptr, recipients);
    arena_free(&a);
}

/* --- cases --- */

static void test_groups(void **state)
{
    (void)state;
    struct test t;
    test_start(&t, "tcp_local", true);
    assert_true(rcpt(&t, "ann@far.test"));
    assert_true(rcpt(&t, "ann@ours.test"));
    assert_true(rcpt(&t, "Bob@FAR.test"));
    assert_true(rcpt(&t, "ann@other.test"));
    assert_true(rcpt(&t, "ann@Far.Test"));     /* there already */
    assert_true(rcpt(&t, "\"ann\"@far.test")); /* the same mailbox */
    assert_true(rcpt(&t, "bob@far.test"));     /* another one than Bob */
    assert_int_equal(enqueue_recipients(t.e), 5);
    body(&t, STR("A: b\r\n\r\ntext\r\n"));
    commit(&t);
    expect_outcome(&t, OUTCOME_DELIVERED, 250, 2, 0, 0);
    const struct queue_message *m = t.dispatch.message;
    assert_int_equal(t.dispatch.count, 1);
    assert_int_equal(m->entry_count, 3);
    expect_entry(m, 0, "tcp_local", "far.test",
                 " ann@far.test Bob@FAR.test bob@far.test");
    expect_entry(m, 1, "l", "", " ann@ours.test");
    expect_entry(m, 2, "tcp_local", "other.test", " ann@other.test");
    assert_true(str_eq(m->sender, STR("sender@else.test")));
    assert_true(str_eq(m->source_channel, STR("tcp_local")));
    assert_false(m->eight_bit);
    assert_string_equal(m->id, enqueue_id(t.e));
    test_end(&t);
}

/* Which recipients share an entry: those of a next hop; of a domain; nobody; a few. */
static void test_split(void **state)
{
    (void)state;
    struct test t;
    test_start(&t, "tcp_local", true);
    assert_true(rcpt(&t, "a@single.test"));
    assert_true(rcpt(&t, "b@single.test"));
    assert_true(rcpt(&t, "a@one.sys.test"));
    assert_true(rcpt(&t, "a@two.sys.test"));
    assert_true(rcpt(&t, "b@ONE.sys.test"));
    for (char name[] = "a@few.test"; name[0] <= 'g'; name[0]++) {
        assert_true(rcpt(&t, name));
    }
    body(&t, STR("A: b\r\n\r\n"));
    commit(&t);
    const struct queue_message *m = t.dispatch.message;
    assert_int_equal(m->entry_count, 7);
    expect_entry(m, 0, "tcp_single", "gate.test", " a@single.test");
    expect_entry(m, 1, "tcp_single", "gate.test", " b@single.test");
    expect_entry(m, 2, "tcp_sys", "gate.test", " a@one.sys.test b@ONE.sys.test");
    expect_entry(m, 3, "tcp_sys", "gate.test", " a@two.sys.test");
    expect_entry(m, 4, "tcp_few", "few.test", " a@few.test b@few.test c@few.test");
    expect_entry(m, 5, "tcp_few", "few.test", " d@few.test e@few.test f@few.test");
    expect_entry(m, 6, "tcp_few", "few.test", " g@few.test");
    test_end(&t);
}

/* When a message is tried first, and whose rules it goes by then. */
static void test_first_try(void **state)
{
    enum { AT = -1 }; /* at the date of the field */
    static const struct {
        const char *source, *to, *header;
        unsigned body; /* octets */
        int wait_s;    /* 0: at once */
        enum retry_class priority;
    } cases[] = {
        {"tcp_local", "a@far.test", "Priority: normal\r\n", 0, 0, RETRY_NORMAL},
        {"tcp_local", "a@far.test", "priority : URGENT (now)\r\n", 0, 0, RETRY_URGENT},
        {"tcp_local", "a@far.test", "Priority:\r\n non-urgent\r\n", 0, 0,
         RETRY_NONURGENT},
        {"tcp_local", "a@far.test", "Priority: nonurgent\r\n", 0, 0, RETRY_NONURGENT},
        {"tcp_local", "a@far.test", "Priority: high\r\nPriority: urgent\r\n", 0, 0,
         RETRY_URGENT},
        {"tcp_local", "a@far.test", "X-Priority: 1\r\n", 0, 0, RETRY_NORMAL},
        {"tcp_local", "a@far.test", "Priority: third-class\r\n", 0, 60, RETRY_NONURGENT},
        {"tcp_local", "a@wait.test", "", 0, 90, RETRY_NORMAL},
        {"tcp_local", "a@normal.test", "", 0, 0, RETRY_NORMAL},
        {"tcp_local", "a@normal.test", "Priority: non-urgent\r\n", 0, 7200,
         RETRY_NONURGENT},
        {"tcp_local", "a@urgent.test", "Priority: urgent\r\n", 0, 90, RETRY_URGENT},
        {"tcp_local", "a@urgent.test", "", 0, 3600, RETRY_NORMAL},
        {"tcp_local", "a@urgent.test", "Priority: non-urgent\r\n", 0, 7200,
         RETRY_NONURGENT},
        {"tcp_local", "a@period.test", "Priority: urgent\r\n", 0, 600, RETRY_URGENT},
        {"tcp_local", "a@all.test", "Priority: non-urgent\r\n", 2000, 0, RETRY_NONURGENT},
        {"tcp_local", "a@small.test", "Priority: urgent\r\n", 900, 0, RETRY_URGENT},
        {"tcp_local", "a@small.test", "Priority: urgent\r\n", 1500, 0, RETRY_NORMAL},
        {"tcp_local", "a@small.test", "Priority: urgent\r\n", 2100, 0, RETRY_NONURGENT},
        {"tcp_local", "a@small.test", "Priority: urgent\r\n", 4000, 3600,
         RETRY_NONURGENT},
        {"tcp_local", "a@small.test", "", 1500, 0, RETRY_NORMAL},
        /* the fixture's clock stands at Thu, 1 Jan 1970 00:16:40 */
        {"tcp_local", "a@far.test", "Deferred-delivery: 2 Jan 1970 00:00 UT\r\n", 0, 0,
         RETRY_NORMAL},
        {"tcp_local", "a@dated.test", "Deferred-delivery: 2 Jan 1970 00:00 UT\r\n", 0, AT,
         RETRY_NORMAL},
        {"tcp_dating", "a@far.test",
         "Deferred-delivery:\r\n Fri, 2 Jan 1970\r\n 00:00 UT\r\n", 0, AT, RETRY_NORMAL},
        {"tcp_dating", "a@far.test", "Deferred-delivery: 1 Jan 1970 00:00 UT\r\n", 0, 0,
         RETRY_NORMAL},
        {"tcp_dating", "a@far.test", "Deferred-delivery: soon\r\n", 0, 0, RETRY_NORMAL},
        /* not later than when it would be given up */
        {"tcp_local", "a@dated.test", "Deferred-delivery: 22 Nov 2096 00:00 UT\r\n", 0,
         3 * 86400, RETRY_NORMAL},
    };
    const int64_t date = 86400000;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct test t;
        test_start(&t, cases[i].source, true);
        assert_true(rcpt(&t, cases[i].to));
        body(&t, str_from(cases[i].header));
        body(&t, STR("\r\n"));
        if (cases[i].body > 0) {
            char *data = malloc(cases[i].body);
            check(data != NULL);
            memset(data, 'x', cases[i].body);
            body(&t, str_n(data, cases[i].body));
            free(data);
        }
        commit(&t);
        expect_outcome(&t, OUTCOME_DELIVERED, 250, 2, 0, 0);
        const struct queue_message *m = t.dispatch.message;
        const struct queue_entry *e = &m->entries[0];
        int64_t at = cases[i].wait_s == AT  ? date
                     : cases[i].wait_s == 0 ? 0
                                            : m->created_ms + cases[i].wait_s * 1000LL;
        if (e->not_before_ms != at || e->priority != cases[i].priority) {
            fail_msg("row %zu: %lld not %lld, %d", i, (long long)e->not_before_ms,
                     (long long)at, (int)e->priority);
        }
        test_end(&t);
    }
}

/* --- what is asked for about recipients (RFC 3461 5.2.7) --- */

static void expect_asked(const struct queue_message *m, unsigned entry, unsigned i,
                         const char *address, unsigned notify, const char *orcpt)
{
    const struct queue_recipient *r = &m->entries[entry].recipients[i];
    assert_true(str_eq(r->address, str_from(address)));
    assert_int_equal(r->notify, notify);
    if (orcpt == NULL ? r->orcpt.ptr != NULL : !str_eq(r->orcpt, str_from(orcpt))) {
        fail_msg("%s: orcpt is %.*s", address, STR_ARG(r->orcpt));
    }
}

static void asking_start(struct test *t)
{
    test_start(t, "tcp_local", true);
    enqueue_abort(&t->e);
    t->session.envid = STR("QQ+2B1");
    begin(t, "sue@far.test");
}

static const struct queue_message *accepted(struct test *t)
{
    body(t, STR("From: a@b.test\r\nSubject: hello\r\n\r\ntext\r\n"));
    commit(t);
    expect_outcome(t, OUTCOME_DELIVERED, 250, 2, 0, 0);
    return t->dispatch.message;
}

static void test_request_kept(void **state)
{
    struct dsn_request all = {QUEUE_NOTIFY_SUCCESS | QUEUE_NOTIFY_DELAY,
                              STR("rfc822;Old@far.test")};
    struct dsn_request never = {QUEUE_NOTIFY_NEVER, STR_NONE};
    (void)state;
    struct test t;
    test_start(&t, "tcp_local", true);
    t.request = &all;
    assert_true(rcpt(&t, "x@far.test"));
    assert_true(rcpt(&t, "one@ours.test")); /* one address: all of it is kept */
    t.request = &never;
    assert_true(rcpt(&t, "y@far.test"));
    assert_true(rcpt(&t, "x@far.test")); /* again: whoever is told stays told */
    t.request = NULL;
    assert_true(rcpt(&t, "y@far.test"));
    assert_true(rcpt(&t, "z@far.test"));
    const struct queue_message *m = accepted(&t);
    expect_asked(m, 0, 0, "x@far.test", all.notify, "rfc822;Old@far.test");
    expect_asked(m, 0, 1, "ann@far.test", all.notify, "rfc822;Old@far.test");
    expect_asked(m, 0, 2, "y@far.test", QUEUE_NOTIFY_FAILURE | QUEUE_NOTIFY_DELAY, NULL);
    expect_asked(m, 0, 3, "z@far.test", 0, NULL);
    assert_int_equal(t.dispatch.count, 1); /* no report */
    test_end(&t);
}

/* An alias without a request says for whom it stood. */
static void test_orcpt_made(void **state)
{
    (void)state;
    struct test t;
    test_start(&t, "tcp_local", true);
    assert_true(rcpt(&t, "One@ours.test"));
    expect_asked(accepted(&t), 0, 0, "ann@far.test", 0, "rfc822;One@ours.test");
    test_end(&t);
}

static void test_request_expanded(void **state)
{
    struct dsn_request both = {QUEUE_NOTIFY_SUCCESS | QUEUE_NOTIFY_FAILURE, STR_NONE};
    struct dsn_request success = {QUEUE_NOTIFY_SUCCESS, STR_NONE};
    (void)state;
    struct test t;
    asking_start(&t);
    t.request = &both;
    assert_true(rcpt(&t, "two@ours.test"));
    const struct queue_message *m = accepted(&t);
    expect_asked(m, 0, 0, "ann@far.test", QUEUE_NOTIFY_FAILURE, "rfc822;two@ours.test");
    expect_asked(m, 1, 0, "Bob@other.test", QUEUE_NOTIFY_FAILURE, "rfc822;two@ours.test");
    assert_int_equal(t.dispatch.count, 2);
    assert_non_null(strstr(t.dispatch.report, "\r\nTo: <sue@far.test>\r\n"));
    assert_non_null(strstr(t.dispatch.report, "\r\nOriginal-Envelope-Id: QQ+1\r\n"));
    assert_non_null(strstr(t.dispatch.report,
                           "\r\nFinal-Recipient: rfc822; two@ours.test\r\n"
                           "Action: expanded\r\nStatus: 2.0.0\r\n"));
    assert_non_null(strstr(t.dispatch.report, "\r\nSubject: hello\r\n"));
    test_end(&t);
    asking_start(&t);
    t.request = &success;
    assert_true(rcpt(&t, "two@ours.test"));
    expect_asked(accepted(&t), 0, 0, "ann@far.test", QUEUE_NOTIFY_NEVER,
                 "rfc822;two@ours.test");
    test_end(&t);
}

/* A list with a return path of its own is the end of the request. */
static void test_request_list(void **state)
{
    struct dsn_request both = {QUEUE_NOTIFY_SUCCESS | QUEUE_NOTIFY_FAILURE,
                               STR("rfc822;team@ours.test")};
    (void)state;
    struct test t;
    asking_start(&t);
    t.request = &both;
    assert_true(rcpt(&t, "team@ours.test"));
    const struct queue_message *m = accepted(&t);
    expect_asked(m, 0, 0, "ann@far.test", 0, NULL);
    assert_true(str_eq(m->entries[0].returns, STR("boss@ours.test")));
    assert_int_equal(t.dispatch.count, 2);
    assert_non_null(strstr(t.dispatch.report,
                           "\r\nOriginal-Recipient: rfc822; team@ours.test\r\n"
                           "Final-Recipient: rfc822; team@ours.test\r\n"
                           "Action: delivered\r\n"));
    assert_null(strstr(t.dispatch.report, "ann@far.test"));
    test_end(&t);
}

static void test_refusals(void **state)
{
    (void)state;
    struct test t;
    test_start(&t, "tcp_local", false);
    assert_false(rcpt(&t, "ann@far.test"));
    expect_outcome(&t, OUTCOME_FAILED, 550, 5, 7, 1);
    assert_false(rcpt(&t, "nobody@ours.test"));
    expect_outcome(&t, OUTCOME_FAILED, 550, 5, 1, 1);
    assert_false(rcpt(&t, "later@ours.test"));
    expect_outcome(&t, OUTCOME_DEFERRED, 451, 4, 3, 0);
    assert_false(rcpt(&t, "ann@unknown.test"));
    assert_int_equal(t.outcome.class, OUTCOME_FAILED);
    assert_int_equal(t.outcome.code, 550);
    assert_int_equal(t.outcome.enhanced[0], 5);
    assert_int_equal(enqueue_recipients(t.e), 0);
    assert_true(rcpt(&t, "ann@hub.test")); /* in localdomains before and after */
    assert_true(rcpt(&t, "postmaster"));
    assert_int_equal(enqueue_recipients(t.e), 2);
    test_end(&t);
}

static void test_too_many(void **state)
{
    (void)state;
    struct test t;
    char text[64];
    test_start(&t, "tcp_local", true);
    for (unsigned i = 0; i < ENQUEUE_RECIPIENTS_MAX; i++) {
        snprintf(text, sizeof text, "user%u@far.test", i);
        assert_true(rcpt(&t, text));
    }
    assert_false(rcpt(&t, "one@far.test"));
    expect_outcome(&t, OUTCOME_DEFERRED, 452, 4, 5, 3);
    commit(&t);
    /* no next hop is given more than a hundred at a time (RFC 5321 4.5.3.1.8) */
    const struct queue_message *m = t.dispatch.message;
    assert_int_equal(m->entry_count, ENQUEUE_RECIPIENTS_MAX / 100);
    for (unsigned i = 0; i < m->entry_count; i++) {
        assert_int_equal(m->entries[i].recipient_count, 100);
    }
    test_end(&t);
}

/* The message is what came, byte for byte, behind one field of ours. */
static void run_body(size_t size, size_t piece)
{
    struct test t;
    test_start(&t, "tcp_local", true);
    assert_true(rcpt(&t, "ann@far.test"));
    char *data = malloc(size + 1), *got = malloc(size + 2000);
    check(data != NULL && got != NULL);
    memcpy(data, "\r\n", 2);
    for (size_t i = 2; i < size; i++) {
        data[i] = (char)('a' + i % 25);
    }
    for (size_t at = 0; at < size; at += piece) {
        body(&t, str_n(data + at, size - at < piece ? size - at : piece));
        assert_int_equal(t.outcome.class, OUTCOME_DELIVERED);
    }
    commit(&t);
    const struct body *b = t.dispatch.message->body;
    size_t all = (size_t)body_size(b);
    assert_true(all > size && all < size + 2000);
    for (size_t at = 0; at < all;) {
        long n = body_read_blocking(b, got + at, all - at, at);
        assert_true(n > 0);
        at += (size_t)n;
    }
    assert_memory_equal(got + all - size, data, size);
    str field = str_n(got, all - size);
    assert_true(str_starts(field, STR("Received: from client.test ([192.0.2.7])")));
    assert_non_null(memmem(got, field.len, "by ours.test", 12));
    assert_non_null(memmem(got, field.len, "channel tcp_local)", 18));
    assert_non_null(memmem(got, field.len, "with ESMTPS (version=TLSv1.3", 28));
    assert_non_null(memmem(got, field.len, "for <ann@far.test>;", 19));
    assert_non_null(
        memmem(got, field.len, t.dispatch.message->id, strlen(t.dispatch.message->id)));
    assert_true((body_file(b) != NULL) == (all > BODY_INLINE_MAX));
    free(got);
    free(data);
    test_end(&t);
}

static void test_body(void **state)
{
    (void)state;
    run_body(10, 3);
    run_body(5000, 1000);
    run_body(200000, 5000);
    run_body(200000, 200000);
}

static void test_empty_and_eight_bit(void **state)
{
    (void)state;
    struct test t;
    test_start(&t, "tcp_local", true);
    assert_true(rcpt(&t, "ann@far.test"));
    assert_true(rcpt(&t, "bob@far.test"));
    commit(&t); /* without a body */
    expect_outcome(&t, OUTCOME_DELIVERED, 250, 2, 0, 0);
    str data = body_part(t.dispatch.message->body, 0);
    assert_true(str_starts(data, STR("Received: ")));
    assert_null(memmem(data.ptr, data.len, "for <", 5)); /* two recipients */
    enqueue_abort(&t.e);
    begin(&t, "");
    assert_true(rcpt(&t, "ann@far.test"));
    body(&t, STR("\r\n\xe4\r\n"));
    commit(&t);
    assert_true(t.dispatch.message->eight_bit);
    assert_int_equal(t.dispatch.message->sender.len, 0);
    test_end(&t);
}

static void test_loop(void **state)
{
    (void)state;
    struct test t;
    test_start(&t, "tcp_local", true);
    assert_true(rcpt(&t, "ann@far.test"));
    for (unsigned i = 0; i < 100; i++) {
        body(&t, STR("Rece"));
        body(&t, STR("ived: x\r\n"));
        assert_int_equal(t.outcome.class, OUTCOME_DELIVERED);
    }
    body(&t, STR("received: x\r\n"));
    expect_outcome(&t, OUTCOME_FAILED, 554, 5, 4, 6);
    test_end(&t);
}

static void test_log(void **state)
{
    (void)state;
    struct test t;
    test_start(&t, "tcp_quiet", true);
    assert_true(rcpt(&t, "ann@hub.test")); /* neither channel logs */
    commit(&t);
    assert_false(fixture_logged(&t.f, "event=route"));
    assert_false(fixture_logged(&t.f, "event=enqueue"));
    enqueue_abort(&t.e);
    begin(&t, "sender@else.test");
    assert_true(rcpt(&t, "ann@far.test"));
    commit(&t);
    char line[200];
    snprintf(line, sizeof line,
             "event=route session=w0-1 id=%s from=sender@else.test to=ann@far.test "
             "rewritten=ann@far.test channel=tcp_local rule=pointsman.cnf:4",
             t.dispatch.message->id);
    assert_true(fixture_will_log(&t.f, line));
    assert_true(fixture_will_log(&t.f, "event=enqueue"));
    assert_true(fixture_will_log(&t.f, " recipients=1 ms="));
    test_end(&t);
}

static void test_full_disk(void **state)
{
    (void)state;
    struct test t;
    test_start(&t, "tcp_local", true);
    assert_true(rcpt(&t, "ann@far.test"));
    atomic_store(&t.f.faults->write_error, SQLITE_FULL);
    commit(&t);
    expect_outcome(&t, OUTCOME_DEFERRED, 452, 4, 3, 1);
    assert_true(fixture_will_log(&t.f, "message not stored"));
    assert_int_equal(t.dispatch.count, 0);
    enqueue_abort(&t.e);
    atomic_store(&t.f.faults->write_error, 0);
    begin(&t, "sender@else.test");
    assert_true(rcpt(&t, "ann@far.test"));
    commit(&t);
    expect_outcome(&t, OUTCOME_DELIVERED, 250, 2, 0, 0);
    test_end(&t);
}

/* A body that cannot be written: told while it comes and, if nobody looked, at the
 * commit; the second commit path answers at once but never inside the call. */
static void test_no_file(void **state)
{
    (void)state;
    struct test t;
    char path[256], to[256];
    char *data = calloc(1, 100000);
    check(data != NULL);
    test_start(&t, "tcp_local", true);
    fixture_path(&t.f, "bodies", path);
    fixture_path(&t.f, "moved", to);
    assert_int_equal(rename(path, to), 0);
    assert_true(rcpt(&t, "ann@far.test"));
    body(&t, str_n(data, 100000));
    expect_outcome(&t, OUTCOME_DEFERRED, 452, 4, 3, 1);
    commit(&t);
    expect_outcome(&t, OUTCOME_DEFERRED, 452, 4, 3, 1);
    assert_int_equal(t.dispatch.count, 0);
    assert_int_equal(rename(to, path), 0);
    free(data);
    test_end(&t);
}

/* The session goes away: no answer comes, nothing leaks; what was stored is sent. */
static void test_abort(void **state)
{
    (void)state;
    struct test t;
    struct queue_counts counts;
    char *data = calloc(1, 100000);
    check(data != NULL);
    test_start(&t, "tcp_local", true);
    assert_true(rcpt(&t, "ann@far.test"));
    assert_false(enqueue_body(t.e, str_n(data, 100000), on_answer, &t, &t.outcome));
    enqueue_abort(&t.e); /* while the body is written */
    free(data);
    begin(&t, "sender@else.test");
    assert_true(rcpt(&t, "ann@far.test"));
    body(&t, STR("x\r\n"));
    enqueue_commit(t.e, on_answer, &t);
    enqueue_abort(&t.e); /* while it is committed */
    assert_true(fixture_count(&t.f, &counts).ok);
    assert_int_equal(counts.messages, 1);
    while (t.dispatch.count == 0) {
        uv_run(&t.f.w->loop, UV_RUN_ONCE);
    }
    while (uv_loop_alive(&t.f.w->loop) && uv_run(&t.f.w->loop, UV_RUN_NOWAIT) &&
           t.f.w->loop.active_reqs.count > 0) {
        usleep(1000);
    }
    assert_int_equal(t.answers, 0);
    begin(&t, "sender@else.test"); /* and one that never got anywhere */
    test_end(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_first_try),
        cmocka_unit_test(test_request_kept),
        cmocka_unit_test(test_orcpt_made),
        cmocka_unit_test(test_request_expanded),
        cmocka_unit_test(test_request_list),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_body),
        cmocka_unit_test(test_empty_and_eight_bit),
        cmocka_unit_test(test_loop),
        cmocka_unit_test(test_log),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_no_file),
        cmocka_unit_test(test_abort),
    };
    return cmocka_run_group_tests_name("enqueue", tests, NULL, NULL);
}
