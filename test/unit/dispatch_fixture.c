/* dispatch_fixture: see dispatch_fixture.h. */
#include "test/unit/dispatch_fixture.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <setjmp.h>

#include <cmocka.h>

#include "base/check.h"
#include "router/gates.h"
#include "test/unit/route_fixture.h"

static const char CONFIG[] = "demo.test $U%demo.test@l-daemon\n"
                             "far.test $U%far.test@tcp-daemon\n"
                             "\n"
                             "l nosendpost nowarnpost\n"
                             "l-daemon\n"
                             "\n"
                             "tcp_local nosendpost nowarnpost\n"
                             "tcp-daemon\n";

struct bench *bench; /* the drivers have no other way to it */

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

void end_job(struct job *job)
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

void turn(void)
{
    uv_run(&bench->worker.loop, UV_RUN_NOWAIT);
    usleep(200);
}

static int64_t fake_now(const struct clock *c)
{
    return atomic_load(&((const struct fake_clock *)c)->now_ms);
}

struct runtime *make_runtime(const char *config)
{
    struct fixture f = fixture_new(config, NULL);
    atomic_init(&f.s->refs, 1);
    struct runtime *r = runtime_prepare(&f.s, kinds, NULL, f.diags);
    assert_non_null(r);
    return r;
}

void open_queue(void)
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

int set_up(void **state)
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

void on_idle(struct worker *w)
{
    (void)w;
    bench->idle = true;
}

void stop_dispatch(void)
{
    bench->idle = false;
    dispatch_stop(&bench->worker, on_idle);
    assert_false(bench->idle);
    RUN_UNTIL(bench->idle);
    dispatch_free(&bench->worker);
    assert_null(bench->worker.dispatch);
}

int tear_down(void **state)
{
    struct bench *b = *state;
    char command[128];
    if (b->worker.dispatch != NULL) {
        stop_dispatch();
    }
    queue_close(&b->daemon.queue);
    gates_free(&b->daemon);
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

void send_body(const char *sender, const char *entries, struct body *body)
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

void send_text(const char *sender, const char *entries, const char *text)
{
    send_body(sender, entries, body_from_memory(text, strlen(text)));
}

static void on_counted(struct worker *w, const struct queue_counts *c,
                       const struct queue_result *r, void *arg)
{
    (void)w;
    (void)arg;
    assert_true(r->ok);
    bench->counts = *c;
    bench->answers++;
}

bool queue_holds(int64_t entries, int64_t held)
{
    unsigned answers = bench->answers;
    queue_count(bench->daemon.queue, &bench->worker, on_counted, NULL);
    RUN_UNTIL(bench->answers > answers);
    return bench->counts.entries == entries && bench->counts.held == held;
}

void pass_time(int64_t ms)
{
    atomic_fetch_add(&bench->clock.now_ms, ms);
    dispatch_wake(&bench->worker);
}

const char *log_text(void)
{
    static char text[200000];
    ssize_t n = pread(bench->log_fd, text, sizeof text - 1, 0);
    assert_true(n >= 0);
    text[n] = '\0';
    return text;
}

void assert_logged(const char *part)
{
    if (strstr(log_text(), part) == NULL) {
        fail_msg("'%s' is not in the log:\n%s", part, log_text());
    }
}

void assert_seen(unsigned i, const char *channel, const char *host,
                 const char *recipients)
{
    assert_true(i < bench->seen_count);
    assert_string_equal(bench->seen[i].channel, channel);
    assert_string_equal(bench->seen[i].host, host);
    assert_string_equal(bench->seen[i].recipients, recipients);
}

void configure(const char *words)
{
    char config[400];
    snprintf(config, sizeof config,
             "demo.test $U%%demo.test@l-daemon\nfar.test $U%%far.test@tcp-daemon\n\n"
             "l\nl-daemon\n\ntcp_local %s\ntcp-daemon\n",
             words);
    runtime_unref(&bench->worker.current);
    bench->worker.current = make_runtime(config);
}

void restart(void)
{
    stop_dispatch();
    queue_close(&bench->daemon.queue);
    open_queue();
    dispatch_start(&bench->worker);
}
