/* dispatch: messages from the real queue through drivers made for the test, one loop,
 * a clock that the test sets. The driver does what the recipient's name says: "ok...",
 * "fail...", "defer..."; everything else waits until the test ends it. */
#include "router/dispatch.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/check.h"
#include "router/body.h"
#include "router/channel.h"
#include "router/dispatch_state.h"
#include "router/gates.h"
#include "router/runtime.h"
#include "test/unit/route_fixture.h"

/* Turns the loop until cond holds. */
#define RUN_UNTIL(cond)                                                                  \
    for (uint64_t end = uv_hrtime() + 20000000000u; !(cond); turn()) {                   \
        if (uv_hrtime() > end) {                                                         \
            fail_msg("never: %s", #cond);                                                \
        }                                                                                \
    }

static const int64_t MINUTE = 60 * 1000;
static const int64_t DAY = 24 * 60 * 60 * 1000;

static const char CONFIG[] = "demo.test $U%demo.test@l-daemon\n"
                             "far.test $U%far.test@tcp-daemon\n"
                             "\n"
                             "l nosendpost nowarnpost\n"
                             "l-daemon\n"
                             "\n"
                             "tcp_local nosendpost nowarnpost\n"
                             "tcp-daemon\n";
static const char CONFIG_DAEMON[] = "far.test $U%far.test@tcp-daemon\n"
                                    "\n"
                                    "l\n"
                                    "l-daemon\n"
                                    "\n"
                                    "tcp_local daemon=hub.test\n"
                                    "tcp-daemon\n";

struct fake_clock {
    struct clock clock; /* first */
    _Atomic int64_t now_ms;
};

enum { SEEN_MAX = 3000, TEXT_MAX = 80000 };

/* What a driver was given. */
struct seen {
    char channel[32], host[64], recipients[200], sender[64];
    unsigned attempts;
};

struct bench {
    struct fake_clock clock;
    struct daemon daemon;
    struct worker worker;
    char directory[64];
    char reason[300];
    int log_fd;
    bool idle;
    struct queue_counts counts;
    unsigned answers; /* commits and counts */
    struct seen seen[SEEN_MAX];
    unsigned seen_count, running, most_running, reused;
    char text[TEXT_MAX]; /* what was last delivered by l */
    struct job *waiting[100];
    unsigned waiting_count;
    bool reuse;         /* the driver asks for the next job */
    enum queue_ret ret; /* of what is sent */
    const char *too_large;
};

static struct bench *bench; /* the drivers have no other way to it */

/* --- drivers --- */

struct answer {
    struct task task;
    struct job *job;
};

static void remember(struct job *job)
{
    check(bench->seen_count < SEEN_MAX);
    struct seen *s = &bench->seen[bench->seen_count++];
    size_t n = 0;
    snprintf(s->channel, sizeof s->channel, "%.*s", STR_ARG(job->channel->name));
    snprintf(s->host, sizeof s->host, "%.*s", STR_ARG(job->host));
    snprintf(s->sender, sizeof s->sender, "%.*s", STR_ARG(job->sender));
    s->attempts = job->attempts;
    for (unsigned i = 0; i < job->recipient_count && n < sizeof s->recipients; i++) {
        n += (size_t)snprintf(s->recipients + n, sizeof s->recipients - n, "%s%.*s",
                              i > 0 ? " " : "", STR_ARG(job->recipients[i].address));
    }
    if (job->channel->type == CHANNEL_LOCAL) {
        long got = body_read_blocking(job->body, bench->text, TEXT_MAX - 1, 0);
        assert_true(got >= 0);
        bench->text[got] = '\0';
    }
    bench->running++;
    if (bench->running > bench->most_running) {
        bench->most_running = bench->running;
    }
}

static void set_outcomes(struct job *job)
{
    for (unsigned i = 0; i < job->recipient_count; i++) {
        struct job_recipient *r = &job->recipients[i];
        if (str_starts(r->address, STR("fail"))) {
            outcome_set(&r->outcome, OUTCOME_FAILED, 550, 5, 1, 1, "no such user");
            strcpy(r->outcome.host, "mx.far.test");
        } else if (str_starts(r->address, STR("defer"))) {
            outcome_set(&r->outcome, OUTCOME_DEFERRED, 450, 4, 2, 0, "come back");
            strcpy(r->outcome.host, "mx.far.test");
        } else {
            outcome_set(&r->outcome, OUTCOME_DELIVERED, 250, 2, 0, 0, "ok");
            r->success = str_starts(r->address, STR("pass"))   ? JOB_SUCCESS_PASSED_ON
                         : str_starts(r->address, STR("hand")) ? JOB_SUCCESS_RELAYED
                                                               : JOB_SUCCESS_DELIVERED;
        }
    }
}

static void end_job(struct job *job)
{
    struct job *next = bench->reuse ? job_next(job) : NULL;
    set_outcomes(job);
    bench->running--;
    job_done(job);
    if (next != NULL) {
        bench->reused++;
        remember(next);
        end_job(next);
    }
}

static void on_answer(struct worker *w, struct task *t)
{
    struct answer *a = (struct answer *)t;
    struct job *job = a->job;
    (void)w;
    free(a);
    end_job(job);
}

static void fake_deliver(struct worker *w, void *state, struct job *job)
{
    (void)state;
    remember(job);
    if (str_starts(job->recipients[0].address, STR("wait"))) {
        check(bench->waiting_count < 100);
        bench->waiting[bench->waiting_count++] = job;
        return;
    }
    struct answer *a = calloc(1, sizeof *a);
    assert_non_null(a);
    a->task.run = on_answer;
    a->job = job;
    worker_post(w, &a->task);
}

static const struct channel_kind fake_tcp = {
    .name = "tcp", .type = CHANNEL_TCP, .deliver = fake_deliver};
static const struct channel_kind fake_local = {
    .name = "local", .type = CHANNEL_LOCAL, .deliver = fake_deliver};
static const struct channel_kind *const kinds[] = {&fake_tcp, &fake_local, NULL};

/* --- the bench --- */

static void turn(void)
{
    uv_run(&bench->worker.loop, UV_RUN_NOWAIT);
    usleep(200);
}

static int64_t fake_now(const struct clock *c)
{
    return atomic_load(&((const struct fake_clock *)c)->now_ms);
}

static struct runtime *make_runtime(const char *config)
{
    struct fixture f = fixture_new(config, NULL);
    atomic_init(&f.s->refs, 1);
    struct runtime *r = runtime_prepare(&f.s, kinds, NULL, f.diags);
    assert_non_null(r);
    return r;
}

static void open_queue(void)
{
    struct bench *b = bench;
    int lock =
        queue_lock(b->directory, (unsigned)-1, (unsigned)-1, b->reason, sizeof b->reason);
    if (lock >= 0) {
        b->daemon.queue = queue_open(b->directory, lock, b->daemon.log, &b->clock.clock,
                                     b->reason, sizeof b->reason);
    }
    if (b->daemon.queue == NULL) {
        fail_msg("%s", b->reason);
    }
}

static int set_up(void **state)
{
    struct bench *b = bench = calloc(1, sizeof *b);
    assert_non_null(b);
    strcpy(b->directory, "/tmp/test_dispatch.XXXXXX");
    assert_non_null(mkdtemp(b->directory));
    b->clock.clock.now_ms = fake_now;
    atomic_init(&b->clock.now_ms, 1795220530000);
    b->log_fd = open("/tmp", O_TMPFILE | O_RDWR, 0600);
    assert_true(b->log_fd >= 0);
    b->daemon.log = log_new(b->log_fd, LOG_KEYVALUE);
    b->daemon.clock = &b->clock.clock;
    b->daemon.workers = &b->worker;
    b->daemon.worker_count = 1;
    b->daemon.kinds = kinds;
    assert_int_equal(worker_init(&b->worker, &b->daemon, 0), 0);
    open_queue();
    b->worker.current = make_runtime(CONFIG);
    dispatch_start(&b->worker);
    *state = b;
    return 0;
}

static void on_idle(struct worker *w)
{
    (void)w;
    bench->idle = true;
}

static void stop_dispatch(void)
{
    bench->idle = false;
    dispatch_stop(&bench->worker, on_idle);
    assert_false(bench->idle);
    RUN_UNTIL(bench->idle);
    dispatch_free(&bench->worker);
    assert_null(bench->worker.dispatch);
}

static int tear_down(void **state)
{
    struct bench *b = *state;
    char command[128];
    if (b->worker.dispatch != NULL) {
        stop_dispatch();
    }
    queue_close(&b->daemon.queue);
    channel_gates_free(&b->daemon);
    runtime_unref(&b->worker.current);
    for (unsigned i = 0; i < 10; i++) {
        turn();
    }
    assert_true(worker_free(&b->worker));
    log_free(&b->daemon.log);
    close(b->log_fd);
    snprintf(command, sizeof command, "rm -rf '%s'", b->directory);
    int rc = system(command);
    free(b);
    return rc;
}

/* --- what tests do --- */

static void on_committed(struct worker *w, struct queue_message *m,
                         const struct queue_result *r, void *arg)
{
    (void)arg;
    assert_true(r->ok);
    bench->answers++;
    dispatch_add(w, m);
}

static str *words_of(struct arena *a, const char *text, unsigned *count)
{
    str rest = arena_str(a, str_from(text)), word;
    str *words = arena_array(a, str, rest.len + 1);
    for (*count = 0; str_word(&rest, &word); (*count)++) {
        words[*count] = word;
    }
    return words;
}

/* "address", or "address|request|orcpt"; a request is a value of NOTIFY. */
static void recipient_make(struct queue_recipient *r, str word)
{
    str notify;
    str_split(&word, '|', &r->address);
    if (str_split(&word, '|', &notify)) {
        assert_true(notify.len == 0 || dsn_notify_parse(notify, &r->notify) == NULL);
        r->orcpt = word.len > 0 ? word : STR_NONE;
    }
}

/* Commits a message with one entry for each "channel host recipient ..." line. */
static void send_body(const char *sender, const char *entries, struct body *body)
{
    struct worker *w = &bench->worker;
    int64_t now_ms = worker_now_ms(w);
    struct queue_message *m = queue_message_new(bench->daemon.queue, now_ms);
    str rest = str_from(entries), line;
    m->sender = arena_str(m->arena, str_from(sender));
    m->source_channel = STR("tcp_local");
    m->body = body;
    m->entries = arena_array(m->arena, struct queue_entry, 10);
    while (str_split(&rest, '\n', &line)) {
        struct queue_entry *e = &m->entries[m->entry_count++];
        unsigned count;
        str *words = words_of(m->arena, arena_str(m->arena, line).ptr, &count);
        e->channel = words[0];
        e->host = str_eq(words[1], STR("-")) ? STR("") : words[1];
        e->recipient_count = count - 2;
        e->too_large = bench->too_large;
        e->recipients = arena_array(m->arena, struct queue_recipient, count - 2);
        for (unsigned i = 2; i < count; i++) {
            recipient_make(&e->recipients[i - 2], words[i]);
        }
    }
    m->ret = bench->ret;
    m->envid = STR("QQ+2B1");
    unsigned answers = bench->answers;
    queue_commit(bench->daemon.queue, w, m, on_committed, NULL);
    RUN_UNTIL(bench->answers > answers);
}

static void send_text(const char *sender, const char *entries, const char *text)
{
    send_body(sender, entries, body_from_memory(text, strlen(text)));
}

static const char TEXT[] = "Subject: hello\r\n\r\nbody\r\n";

static void on_counted(struct worker *w, const struct queue_counts *c,
                       const struct queue_result *r, void *arg)
{
    (void)w;
    (void)arg;
    assert_true(r->ok);
    bench->counts = *c;
    bench->answers++;
}

static bool queue_holds(int64_t entries, int64_t held)
{
    unsigned answers = bench->answers;
    queue_count(bench->daemon.queue, &bench->worker, on_counted, NULL);
    RUN_UNTIL(bench->answers > answers);
    return bench->counts.entries == entries && bench->counts.held == held;
}

static void pass_time(int64_t ms)
{
    atomic_fetch_add(&bench->clock.now_ms, ms);
    dispatch_wake(&bench->worker);
}

static const char *log_text(void)
{
    static char text[200000];
    ssize_t n = pread(bench->log_fd, text, sizeof text - 1, 0);
    assert_true(n >= 0);
    text[n] = '\0';
    return text;
}

static void assert_logged(const char *part)
{
    if (strstr(log_text(), part) == NULL) {
        fail_msg("'%s' is not in the log:\n%s", part, log_text());
    }
}

static void assert_seen(unsigned i, const char *channel, const char *host,
                        const char *recipients)
{
    assert_true(i < bench->seen_count);
    assert_string_equal(bench->seen[i].channel, channel);
    assert_string_equal(bench->seen[i].host, host);
    assert_string_equal(bench->seen[i].recipients, recipients);
}

/* --- tests --- */

static void test_delivered(void **state)
{
    struct bench *b = *state;
    send_text("you@far.test",
              "tcp_local far.test ok1@far.test ok2@far.test\nl - ok@demo.test", TEXT);
    RUN_UNTIL(b->seen_count == 2);
    RUN_UNTIL(queue_holds(0, 0));
    assert_seen(0, "tcp_local", "far.test", "ok1@far.test ok2@far.test");
    assert_seen(1, "l", "", "ok@demo.test");
    assert_string_equal(b->text, TEXT);
    assert_int_equal(atomic_load(&b->worker.counters.delivered), 3);
    assert_int_equal(atomic_load(&b->worker.counters.deliveries_open), 0);
}

/* One recipient of each kind: the failed one is reported, the deferred one comes again.
 */
static void test_mixed(void **state)
{
    struct bench *b = *state;
    send_text("you@demo.test",
              "tcp_local far.test ok@far.test fail@far.test defer@far.test", TEXT);
    RUN_UNTIL(b->seen_count == 2);
    RUN_UNTIL(queue_holds(1, 0));
    assert_seen(1, "l", "", "you@demo.test");
    assert_string_equal(b->seen[1].sender, "");
    assert_non_null(strstr(b->text, "Final-Recipient: rfc822; fail@far.test\r\n"));
    assert_non_null(strstr(b->text, "Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n"));
    assert_non_null(strstr(b->text, "Remote-MTA: dns; mx.far.test\r\n"));
    assert_non_null(strstr(b->text, "\r\nSubject: hello\r\n\r\n--"));
    assert_null(strstr(b->text, "defer@"));
    assert_null(strstr(b->text, "ok@"));
    assert_logged("deliver id=");
    assert_logged("outcome=failed");
    assert_logged("to=defer@far.test");
    assert_logged("bounce id=");
    assert_int_equal(atomic_load(&b->worker.counters.bounces), 1);

    pass_time(MINUTE / 2);
    for (unsigned i = 0; i < 100; i++) {
        turn();
    }
    assert_int_equal(b->seen_count, 2); /* too early */
    pass_time(MINUTE);
    RUN_UNTIL(b->seen_count == 3);
    assert_seen(2, "tcp_local", "far.test", "defer@far.test");
    assert_int_equal(b->seen[2].attempts, 1);
    pass_time(2 * MINUTE);
    RUN_UNTIL(queue_holds(1, 0));
    assert_int_equal(b->seen_count, 3); /* the second time takes five minutes */
    pass_time(4 * MINUTE);
    RUN_UNTIL(b->seen_count == 4);
    assert_int_equal(b->seen[3].attempts, 2);
}

static void test_given_up(void **state)
{
    struct bench *b = *state;
    send_text("you@demo.test", "tcp_local far.test defer@far.test", TEXT);
    RUN_UNTIL(b->seen_count == 1);
    RUN_UNTIL(queue_holds(1, 0));
    pass_time(12 * DAY);
    RUN_UNTIL(b->seen_count == 3);
    RUN_UNTIL(queue_holds(0, 0));
    assert_non_null(strstr(b->text, "\r\nStatus: 4.4.7\r\n"));
    assert_non_null(strstr(b->text, "not delivered within 12 days; the last reply was: "
                                    "450 come back"));
}

/* What NOTIFY asks for, and nothing else. */
static void test_success(void **state)
{
    struct bench *b = *state;
    send_text("you@demo.test",
              "tcp_local far.test ok@far.test|SUCCESS|rfc822;Old+2BOk@far.test "
              "hand@far.test|SUCCESS,FAILURE| pass@far.test|SUCCESS| plain@far.test "
              "okay@far.test|FAILURE| okey@far.test|NEVER|",
              TEXT);
    RUN_UNTIL(b->seen_count == 2);
    RUN_UNTIL(queue_holds(0, 0));
    assert_seen(1, "l", "", "you@demo.test");
    assert_string_equal(b->seen[1].sender, "");
    assert_non_null(strstr(b->text, "\r\nOriginal-Envelope-Id: QQ+1\r\n"));
    assert_non_null(strstr(b->text, "\r\nOriginal-Recipient: rfc822; Old+Ok@far.test\r\n"
                                    "Final-Recipient: rfc822; ok@far.test\r\n"
                                    "Action: delivered\r\nStatus: 2.0.0\r\n"));
    assert_non_null(strstr(b->text, "\r\nFinal-Recipient: rfc822; hand@far.test\r\n"
                                    "Action: relayed\r\nStatus: 2.0.0\r\n"));
    assert_null(strstr(b->text, "pass@"));
    assert_null(strstr(b->text, "plain@"));
    assert_null(strstr(b->text, "okay@"));
    assert_null(strstr(b->text, "okey@"));
    assert_logged("what=success");
}

/* Who did not ask to know of a failure is not told, and nothing is held for it. */
static void test_notify_never(void **state)
{
    struct bench *b = *state;
    send_text("you@demo.test",
              "tcp_local far.test fail@far.test|NEVER| failure@far.test|SUCCESS,DELAY|",
              TEXT);
    RUN_UNTIL(b->seen_count == 1);
    RUN_UNTIL(queue_holds(0, 0));
    send_text("", "tcp_local far.test fail@far.test|NEVER| ok@far.test|SUCCESS|", TEXT);
    RUN_UNTIL(b->seen_count == 2);
    RUN_UNTIL(queue_holds(0, 0));
    assert_int_equal(atomic_load(&b->worker.counters.bounces), 0);
}

/* RET=FULL: all of it, but for what is too large. */
static void test_return(void **state)
{
    struct bench *b = *state;
    b->ret = QUEUE_RET_FULL;
    send_text("you@demo.test", "tcp_local far.test fail@far.test", TEXT);
    RUN_UNTIL(b->seen_count == 2);
    RUN_UNTIL(queue_holds(0, 0));
    assert_non_null(strstr(b->text, "\r\nContent-Type: message/rfc822\r\n"));
    assert_non_null(strstr(b->text, "\r\n\r\nSubject: hello\r\n\r\nbody\r\n\r\n--"));
    char *large = malloc(300 << 10);
    memset(large, 'x', 300 << 10);
    memcpy(large, TEXT, sizeof TEXT - 1);
    send_body("you@demo.test", "tcp_local far.test fail@far.test",
              body_from_memory(large, 300 << 10));
    free(large);
    RUN_UNTIL(b->seen_count == 4);
    assert_null(strstr(b->text, "message/rfc822\r\n"));
    assert_non_null(strstr(b->text, "text/rfc822-headers\r\n"));
    /* as the site says */
    struct snapshot *site = (struct snapshot *)b->worker.current->snapshot;
    site->options.block_size = 1;
    site->options.content_return_block_limit = (unsigned)strlen(TEXT) - 1;
    site->options.return_address = STR("mailer@demo.test");
    send_text("you@demo.test", "tcp_local far.test fail@far.test", TEXT);
    RUN_UNTIL(b->seen_count == 6);
    assert_non_null(strstr(b->text, "text/rfc822-headers\r\n"));
    assert_non_null(
        strstr(b->text, "\r\nFrom: Mail Delivery System <mailer@demo.test>\r\n"));
    site->options.content_return_block_limit++;
    send_text("you@demo.test", "tcp_local far.test fail@far.test", TEXT);
    RUN_UNTIL(b->seen_count == 8);
    assert_non_null(strstr(b->text, "message/rfc822\r\n"));
}

/* Configurations in which the words are those of the channel. */
static void configure(const char *words)
{
    char config[400];
    snprintf(config, sizeof config,
             "demo.test $U%%demo.test@l-daemon\nfar.test $U%%far.test@tcp-daemon\n\n"
             "l\nl-daemon\n\ntcp_local %s\ntcp-daemon\n",
             words);
    runtime_unref(&bench->worker.current);
    bench->worker.current = make_runtime(config);
}

/* Dies and comes back: what was not stored is gone. */
static void restart(void)
{
    stop_dispatch();
    queue_close(&bench->daemon.queue);
    open_queue();
    dispatch_start(&bench->worker);
}

/* Both clocks: told after 3, 6 and 9 days, once each, also when the daemon is started
 * again in between; those who want no delay are not; returned after 12. */
static void test_warnings(void **state)
{
    struct bench *b = *state;
    send_text("you@demo.test",
              "tcp_local far.test defer@far.test defers@far.test|FAILURE| "
              "deferring@far.test|DELAY,FAILURE|rfc822;Old@far.test",
              TEXT);
    RUN_UNTIL(b->seen_count == 1);
    RUN_UNTIL(queue_holds(1, 0));
    pass_time(3 * DAY - MINUTE);
    RUN_UNTIL(b->seen_count == 2);
    RUN_UNTIL(queue_holds(1, 0));
    pass_time(MINUTE); /* the notice is due before the next attempt would be */
    RUN_UNTIL(b->seen_count == 4);
    RUN_UNTIL(queue_holds(1, 0));
    assert_seen(3, "l", "", "you@demo.test");
    assert_non_null(strstr(b->text, "\r\nSubject: Your message is delayed\r\n"));
    assert_non_null(strstr(b->text, "\r\nFinal-Recipient: rfc822; defer@far.test\r\n"
                                    "Action: delayed\r\nStatus: 4.2.0\r\n"));
    assert_non_null(strstr(b->text, "\r\nOriginal-Recipient: rfc822; Old@far.test\r\n"));
    assert_non_null(
        strstr(b->text, "\r\nWill-Retry-Until: Thu, 3 Dec 2026 00:22:10 +0000\r\n"));
    assert_null(strstr(b->text, "defers@"));
    assert_logged("what=delayed");
    restart();
    pass_time(DAY);
    RUN_UNTIL(b->seen_count == 5);
    RUN_UNTIL(queue_holds(1, 0));
    pass_time(2 * DAY);
    RUN_UNTIL(b->seen_count == 7);
    RUN_UNTIL(queue_holds(1, 0));
    assert_seen(6, "l", "", "you@demo.test");
    pass_time(5 * DAY); /* the third is late: one comes all the same */
    RUN_UNTIL(b->seen_count == 9);
    RUN_UNTIL(queue_holds(1, 0));
    pass_time(DAY);
    RUN_UNTIL(b->seen_count == 11);
    RUN_UNTIL(queue_holds(0, 0));
    assert_non_null(strstr(b->text, "\r\nStatus: 4.4.7\r\n"));
    assert_int_equal(atomic_load(&b->worker.counters.bounces), 4);
}

/* Copies of warnings, and who has no sender gets no warning. */
static void test_warnings_copied(void **state)
{
    struct bench *b = *state;
    configure("nosendpost");
    send_text("you@demo.test", "tcp_local far.test defer@far.test", TEXT);
    send_text("", "tcp_local far.test defer@far.test", TEXT);
    RUN_UNTIL(b->seen_count == 2);
    RUN_UNTIL(queue_holds(2, 0));
    pass_time(3 * DAY);
    RUN_UNTIL(b->seen_count == 6); /* two attempts, a warning and its copy */
    RUN_UNTIL(queue_holds(2, 0));
    assert_logged("copy_for=you@demo.test");
    assert_int_equal(atomic_load(&b->worker.counters.bounces), 2);
}

/* The copies for the postmaster, as the words say: how many deliveries a failure with a
 * sender makes, one without, and one whose sender cannot be reached; and what is held. */
static void test_postmaster(void **state)
{
    static const struct {
        const char *words;
        unsigned seen, seen_null, seen_lost, held;
    } cases[] = {
        {"", 3, 1, 1, 2},           {"copysendpost", 3, 1, 1, 2},
        {"nosendpost", 2, 1, 1, 2}, {"errsendpost", 2, 2, 2, 0},
        {"sendpost", 3, 2, 2, 0},
    };
    struct bench *b = *state;
    int64_t held = 0;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        configure(cases[i].words);
        unsigned before = b->seen_count;
        send_text("you@demo.test", "tcp_local far.test fail@far.test", TEXT);
        RUN_UNTIL(b->seen_count == before + cases[i].seen);
        before = b->seen_count;
        send_text("", "tcp_local far.test fail@far.test", TEXT);
        send_text("you@nowhere.invalid", "tcp_local far.test fail@far.test", TEXT);
        held += cases[i].held;
        unsigned seen = before + cases[i].seen_null + cases[i].seen_lost;
        seen += cases[i].held == 2 && cases[i].words[0] != 'n'; /* a copy, and held */
        RUN_UNTIL(b->seen_count == seen);
        RUN_UNTIL(queue_holds(held, held));
        assert_int_equal(b->seen_count, seen);
    }
    assert_seen(b->seen_count - 1, "l", "", "postmaster@l-daemon");
    assert_non_null(
        strstr(b->text, "The sender of the message is <you@nowhere.invalid>"));
    assert_non_null(strstr(b->text, "\r\nTo: <postmaster@l-daemon>\r\n"));
    assert_non_null(strstr(b->text, "\r\nContent-Type: message/rfc822\r\n"));
    configure("sendpost postheadonly");
    unsigned before = b->seen_count;
    send_text("", "tcp_local far.test fail@far.test", TEXT);
    RUN_UNTIL(b->seen_count == before + 2);
    assert_non_null(strstr(b->text, "\r\nContent-Type: text/rfc822-headers\r\n"));
}

/* What cannot be delivered to the postmaster is not told to the postmaster. */
static void test_postmaster_round(void **state)
{
    struct bench *b = *state;
    configure("sendpost");
    send_text("", "tcp_local far.test fail@far.test|| postmaster@l-daemon||", TEXT);
    RUN_UNTIL(queue_holds(1, 1));
    assert_logged("it is for the postmaster");
    assert_int_equal(b->seen_count, 1);
}

static void test_null_sender(void **state)
{
    struct bench *b = *state;
    send_text("", "tcp_local far.test ok@far.test fail@far.test", TEXT);
    RUN_UNTIL(b->seen_count == 1);
    RUN_UNTIL(queue_holds(1, 1));
    assert_logged("hold id=");
    assert_logged("null sender");
    pass_time(10 * DAY);
    for (unsigned i = 0; i < 100; i++) {
        turn();
    }
    assert_int_equal(b->seen_count, 1);
    assert_true(queue_holds(1, 1));
    assert_int_equal(atomic_load(&b->worker.counters.bounces), 0);
}

/* While one recipient may still get it, nothing of it is held. */
static void test_null_sender_deferred(void **state)
{
    struct bench *b = *state;
    send_text("", "tcp_local far.test defer@far.test fail@far.test", TEXT);
    RUN_UNTIL(b->seen_count == 1);
    RUN_UNTIL(queue_holds(1, 0));
    pass_time(2 * MINUTE);
    RUN_UNTIL(b->seen_count == 2);
    assert_seen(1, "tcp_local", "far.test", "defer@far.test fail@far.test");
    RUN_UNTIL(queue_holds(1, 0));
    pass_time(12 * DAY);
    RUN_UNTIL(queue_holds(1, 1));
    assert_int_equal(b->seen_count, 3);
}

static void test_no_way_back(void **state)
{
    struct bench *b = *state;
    send_text("you@nowhere.invalid", "tcp_local far.test fail@far.test", TEXT);
    RUN_UNTIL(queue_holds(1, 1));
    assert_logged("no route to report to");
    assert_int_equal(b->seen_count, 1);
}

/* A bounce that bounces is held. */
static void test_double_bounce(void **state)
{
    struct bench *b = *state;
    send_text("fail@demo.test", "tcp_local far.test fail@far.test", TEXT);
    RUN_UNTIL(b->seen_count == 2);
    RUN_UNTIL(queue_holds(1, 1));
    assert_seen(1, "l", "", "fail@demo.test");
}

static void on_body(struct body *body, int error, void *arg)
{
    (void)body;
    assert_int_equal(error, 0);
    *(bool *)arg = true;
}

/* A body in a file whose header alone is larger than what is returned. */
static void test_large_body(void **state)
{
    struct bench *b = *state;
    bool done = false;
    int error;
    struct worker *w = &b->worker;
    struct body *body = body_new(4711, queue_body_directory(b->daemon.queue));
    char line[120];
    for (unsigned i = 0; i < 2000; i++) {
        int n = snprintf(line, sizeof line, "X-Line: %05u %70s\r\n", i, "x");
        done = false;
        if (!body_append(w, body, str_n(line, (size_t)n), on_body, &done, &error)) {
            RUN_UNTIL(done);
        }
    }
    done = false;
    if (!body_seal(w, body, on_body, &done, &error)) {
        RUN_UNTIL(done);
    }
    assert_non_null(body_file(body));
    send_body("you@demo.test", "tcp_local far.test fail@far.test", body);
    RUN_UNTIL(b->seen_count == 2);
    RUN_UNTIL(queue_holds(0, 0));
    assert_non_null(strstr(b->text, "\r\nX-Line: 00700 "));
    assert_null(strstr(b->text, "\r\nX-Line: 01000 "));
    assert_non_null(strstr(b->text, "it is very long"));
}

/* The store takes nothing for a while: the outcome is kept and stored later. */
static void test_store_fails(void **state)
{
    struct bench *b = *state;
    struct rlimit old, none;
    send_text("you@demo.test", "tcp_local far.test wait-fail@far.test", TEXT);
    RUN_UNTIL(b->waiting_count == 1);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    none = old;
    none.rlim_cur = 8192; /* enough for the log, not for the store */
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    b->running--;
    struct job *job = b->waiting[0];
    outcome_set(&job->recipients[0].outcome, OUTCOME_FAILED, 550, 5, 1, 1, "no");
    job_done(job);
    for (unsigned i = 0; i < 1000; i++) {
        turn();
    }
    assert_int_equal(b->seen_count, 1);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_logged("an outcome cannot be stored");
    RUN_UNTIL(b->seen_count == 2); /* the report */
    RUN_UNTIL(queue_holds(0, 0));
    assert_int_equal(atomic_load(&b->worker.counters.failed), 1);
}

static void test_channel_gone(void **state)
{
    struct bench *b = *state;
    send_text("you@demo.test", "tcp_old far.test ok@far.test", TEXT);
    RUN_UNTIL(queue_holds(1, 0));
    RUN_UNTIL(atomic_load(&b->worker.counters.deferred) == 1);
    assert_int_equal(b->seen_count, 0);
    assert_logged("no channel 'tcp_old' any more");
    assert_true(queue_holds(1, 0));
}

/* What was queued for one host goes where the new configuration says. */
static void test_new_configuration(void **state)
{
    struct bench *b = *state;
    send_text("you@demo.test", "tcp_local far.test defer@far.test", TEXT);
    RUN_UNTIL(b->seen_count == 1);
    RUN_UNTIL(queue_holds(1, 0));
    runtime_unref(&b->worker.current);
    b->worker.current = make_runtime(CONFIG_DAEMON);
    pass_time(2 * MINUTE);
    RUN_UNTIL(b->seen_count == 2);
    assert_seen(1, "tcp_local", "hub.test", "defer@far.test");
}

static void test_reuse(void **state)
{
    struct bench *b = *state;
    b->reuse = true;
    for (unsigned i = 0; i < 20; i++) {
        send_text("you@demo.test", "tcp_local far.test wait@far.test", TEXT);
    }
    RUN_UNTIL(b->waiting_count == 20);
    for (unsigned i = 0; i < 5; i++) {
        send_text("you@demo.test", "tcp_local far.test ok@far.test", TEXT);
    }
    send_text("you@demo.test", "tcp_local other.test ok@other.test", TEXT);
    RUN_UNTIL(b->seen_count == 21); /* far.test is at its limit, the other is not */
    end_job(b->waiting[0]);
    assert_int_equal(b->reused, 5);
    assert_int_equal(b->seen_count, 26);
    for (unsigned i = 1; i < 20; i++) {
        end_job(b->waiting[i]);
    }
    RUN_UNTIL(queue_holds(0, 0));
    assert_int_equal(atomic_load(&b->worker.counters.delivered), 26);
}

/* What fails without being tried does not give away the connection's place in the
 * channel. */
static void test_reuse_and_maxjobs(void **state)
{
    struct bench *b = *state;
    struct channel *c =
        (struct channel *)snapshot_channel(b->worker.current->snapshot, STR("tcp_local"));
    c->opts.maxjobs = 1;
    send_text("you@demo.test", "tcp_local far.test wait@far.test", TEXT);
    RUN_UNTIL(b->waiting_count == 1);
    b->too_large = "1 octet";
    send_text("you@demo.test", "tcp_local far.test ok@far.test", TEXT);
    b->too_large = NULL;
    send_text("you@demo.test", "tcp_local far.test ok@far.test", TEXT);
    struct job *next = job_next(b->waiting[0]);
    assert_non_null(next);
    send_text("you@demo.test", "tcp_local other.test wait@other.test", TEXT);
    end_job(b->waiting[0]);
    RUN_UNTIL(b->seen_count == 2); /* the report about the large one */
    assert_seen(1, "l", "", "you@demo.test");
    for (unsigned i = 0; i < 50; i++) {
        turn();
    }
    assert_int_equal(b->waiting_count, 1);
    b->running++;
    end_job(next);
    RUN_UNTIL(b->waiting_count == 2);
    end_job(b->waiting[1]);
    RUN_UNTIL(queue_holds(0, 0));
}

/* A channel whose kind is not served, as after a change of the configuration. */
static void test_channel_unsupported(void **state)
{
    struct bench *b = *state;
    runtime_unref(&b->worker.current);
    b->worker.current = make_runtime("demo.test $U%demo.test@l-daemon\n\n"
                                     "l\nl-daemon\n\nconversion\nconversion-daemon\n");
    send_text("you@demo.test", "conversion far.test ok@far.test", TEXT);
    RUN_UNTIL(atomic_load(&b->worker.counters.deferred) == 1);
    RUN_UNTIL(queue_holds(1, 0));
    assert_logged("conversion");
}

/* Too many reports at once: outcomes are stored all the same, or what was delivered would
 * be delivered again when the daemon ends. The reports wait in the queue. */
static void test_stop_with_many_reports(void **state)
{
    struct bench *b = *state;
    struct dispatch *d = b->worker.dispatch;
    while (report_rate_next(&b->worker.report_rate, worker_now_ms(&b->worker)) == 0) {
        continue;
    }
    send_text("you@demo.test", "tcp_local far.test ok@far.test fail@far.test", TEXT);
    RUN_UNTIL(b->seen_count == 1 && d->settling == 0);
    assert_null(d->unsettled);
    restart();
    pass_time(1000);
    RUN_UNTIL(b->seen_count == 2);
    assert_seen(1, "l", "", "you@demo.test");
    RUN_UNTIL(queue_holds(0, 0));
}

/* Stopping with deliveries that run and others that wait; then a new start. */
static void test_stop(void **state)
{
    struct bench *b = *state;
    for (unsigned i = 0; i < 25; i++) {
        send_text("you@demo.test", "tcp_local far.test wait@far.test", TEXT);
    }
    RUN_UNTIL(b->waiting_count == 20);
    dispatch_stop(&b->worker, on_idle);
    for (unsigned i = 0; i < 100; i++) {
        turn();
    }
    assert_false(b->idle);
    assert_null(job_next(b->waiting[0]));
    send_text("you@demo.test", "tcp_local far.test ok@far.test", TEXT);
    for (unsigned i = 0; i < 20; i++) {
        end_job(b->waiting[i]);
    }
    RUN_UNTIL(b->idle);
    assert_true(queue_holds(6, 0));
    assert_int_equal(b->seen_count, 20);
    dispatch_free(&b->worker);
    b->waiting_count = 0;
    dispatch_start(&b->worker);
    RUN_UNTIL(b->seen_count == 26);
    RUN_UNTIL(b->waiting_count == 5);
    for (unsigned i = 0; i < 5; i++) {
        end_job(b->waiting[i]);
    }
    RUN_UNTIL(queue_holds(0, 0));
}

/* Far more than fits into memory: given back, claimed again, every one delivered once,
 * and a host with a backlog does not keep out another one. */
static void test_memory(void **state)
{
    struct bench *b = *state;
    struct scheduler_limits small = {20, 200, 40, 40 * BODY_INLINE_MAX};
    struct dispatch *d = b->worker.dispatch;
    RUN_UNTIL(!d->claiming);
    scheduler_free(&d->scheduler);
    d->scheduler = scheduler_new(&small);
    for (unsigned i = 0; i < 100; i++) {
        send_text("you@demo.test", "tcp_local dead.test wait@dead.test", TEXT);
    }
    RUN_UNTIL(b->waiting_count == 20);
    send_text("you@demo.test", "tcp_local far.test ok@far.test", TEXT);
    RUN_UNTIL(b->seen_count == 21);
    assert_seen(20, "tcp_local", "far.test", "ok@far.test");
    for (unsigned i = 0; i < 100; i++) {
        RUN_UNTIL(b->waiting_count > i);
        end_job(b->waiting[i]);
    }
    RUN_UNTIL(queue_holds(0, 0));
    assert_int_equal(b->seen_count, 101);
    assert_true(b->most_running <= 21);
    assert_int_equal(atomic_load(&b->worker.counters.delivered), 101);
}

/* The retry times of the daemon's command line are there for tests; the channel's notices
 * hold all the same. */
static void test_retry_times(void **state)
{
    struct bench *b = *state;
    dispatch_set_retry(&b->worker, 1000);
    send_text("you@demo.test", "tcp_local far.test defer@far.test", TEXT);
    RUN_UNTIL(b->seen_count == 1);
    RUN_UNTIL(queue_holds(1, 0));
    pass_time(1200);
    RUN_UNTIL(b->seen_count == 2);
    RUN_UNTIL(queue_holds(1, 0));
    dispatch_set_retry(&b->worker, 30 * DAY);
    pass_time(1200);
    RUN_UNTIL(b->seen_count == 3);
    RUN_UNTIL(queue_holds(1, 0));
    pass_time(3 * DAY); /* the first notice */
    RUN_UNTIL(b->seen_count == 5);
    RUN_UNTIL(queue_holds(1, 0));
    pass_time(9 * DAY);
    RUN_UNTIL(b->seen_count == 7);
    assert_non_null(strstr(b->text, "not delivered within 12 days"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_delivered),
        TEST(test_mixed),
        TEST(test_given_up),
        TEST(test_success),
        TEST(test_notify_never),
        TEST(test_return),
        TEST(test_postmaster),
        TEST(test_postmaster_round),
        TEST(test_warnings),
        TEST(test_warnings_copied),
        TEST(test_null_sender),
        TEST(test_null_sender_deferred),
        TEST(test_no_way_back),
        TEST(test_double_bounce),
        TEST(test_large_body),
        TEST(test_store_fails),
        TEST(test_channel_gone),
        TEST(test_new_configuration),
        TEST(test_reuse),
        TEST(test_reuse_and_maxjobs),
        TEST(test_stop),
        TEST(test_stop_with_many_reports),
        TEST(test_channel_unsupported),
        TEST(test_memory),
        TEST(test_retry_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
