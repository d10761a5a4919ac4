/* A process that is killed at any instant while it commits and settles loses nothing it
 * was told is stored, and brings nothing back it was told is gone. Children work and
 * verify; the parent has no threads, so it may fork. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/check.h"
#include "test/unit/queue_fixture.h"

enum { ROUNDS = 20, RECORDS_MAX = 20000, IN_FLIGHT = 8, HEADER_EVERY = 4 };

enum record_kind { STORED = 1, SETTLING = 2, SETTLED = 3 };
struct record {
    uint64_t number;
    enum record_kind kind;
};

/* What one message is about to be, by its number; both sides know it. */
static size_t size_of(uint64_t number)
{
    return number % 5 == 0 ? 70000 : 50 + number % 3000;
}

/* --- the child that works until it is killed --- */

static int to_parent;

static void tell(uint64_t number, enum record_kind kind)
{
    struct record r = {number, kind};
    check(write(to_parent, &r, sizeof r) == sizeof r);
}

struct work {
    struct fixture *f;
    struct queue_message *m;
    struct queue_settlement settlement;
};

static void work_next(struct work *k);

static void on_work_settled(struct worker *w, const struct queue_result *r, void *arg)
{
    (void)w;
    struct work *k = arg;
    check(r->ok);
    tell(k->m->number, SETTLED);
    work_next(k);
}

static void on_work_stored(struct worker *w, struct queue_message *m,
                           const struct queue_result *r, void *arg)
{
    struct work *k = arg;
    check(r->ok);
    tell(m->number, STORED);
    if (m->number % 3 != 0) {
        work_next(k);
        return;
    }
    tell(m->number, SETTLING);
    k->settlement =
        (struct queue_settlement){.entry_id = m->entries->id, .number = m->number};
    queue_settle(k->f->daemon.queue, w, &k->settlement, on_work_settled, k);
}

static void work_next(struct work *k)
{
    struct queue_message *probe = queue_message_new(k->f->daemon.queue, 0);
    uint64_t number = probe->number + 1; /* of the message made next */
    queue_message_free(&probe);
    queue_message_free(&k->m);
    k->m = fixture_message(k->f, size_of(number), 1);
    check(k->m->number == number);
    if (number % HEADER_EVERY == 0) {
        fixture_headers(k->m, 1);
        k->m->entries->header = k->m->headers;
    }
    queue_commit(k->f->daemon.queue, k->f->w, k->m, on_work_stored, k);
}

static void child_work(struct fixture *f)
{
    static struct work work[IN_FLIGHT];
    check(fixture_open(f));
    for (unsigned i = 0; i < IN_FLIGHT; i++) {
        work[i].f = f;
        work_next(&work[i]);
    }
    for (;;) {
        uv_run(&f->w->loop, UV_RUN_ONCE);
    }
}

/* --- the child that looks at what is left --- */

static bool all_there(const struct record *records, size_t count, const bool *found,
                      uint64_t first)
{
    static bool stored[RECORDS_MAX], settling[RECORDS_MAX], settled[RECORDS_MAX];
    for (size_t i = 0; i < count; i++) {
        uint64_t at = records[i].number - first;
        check(at < RECORDS_MAX);
        (records[i].kind == STORED     ? stored
         : records[i].kind == SETTLING ? settling
                                       : settled)[at] = true;
    }
    for (size_t i = 0; i < RECORDS_MAX; i++) {
        if (stored[i] && !settling[i] && !found[i]) {
            fprintf(stderr, "# message %zu is lost\n", i);
            return false;
        }
        if (settled[i] && found[i]) {
            fprintf(stderr, "# message %zu came back\n", i);
            return false;
        }
    }
    return true;
}

/* Takes everything out of the queue; leaves it empty for the next round. */
static bool child_verify(struct fixture *f, const struct record *records, size_t count)
{
    static bool found[RECORDS_MAX];
    static struct claimed c;
    check(fixture_open(f));
    struct queue_message *probe = queue_message_new(f->daemon.queue, 0);
    uint64_t first = count > 0 ? records[0].number - RECORDS_MAX / 2 : 0;
    for (size_t i = 0; i < count; i++) {
        check(records[i].number < probe->number); /* never used again */
    }
    queue_message_free(&probe);
    do {
        fixture_claim(f, 100, 5000000, &c);
        check(c.result.ok);
        for (unsigned i = 0; i < c.count; i++) {
            struct queue_message *m = c.messages[i];
            check(m->number - first < RECORDS_MAX);
            found[m->number - first] = true;
            if (!fixture_body_good(m, size_of(m->number))) {
                fprintf(stderr, "# message %s has a wrong body\n", m->id);
                return false;
            }
            if (m->number % HEADER_EVERY == 0 && !fixture_header_good(m)) {
                fprintf(stderr, "# message %s has a wrong header\n", m->id);
                return false;
            }
            struct queue_settlement s = {.entry_id = m->entries->id, .number = m->number};
            check(fixture_settle(f, &s).ok);
        }
        claimed_free(&c);
    } while (c.next_due_ms != 0);
    struct queue_counts left;
    check(fixture_count(f, &left).ok);
    bool good = all_there(records, count, found, first) && left.messages == 0 &&
                !fixture_logged(f, "what=held");
    fixture_close(f);
    return good;
}

/* --- the parent --- */

static size_t read_records(int fd, struct record *records)
{
    size_t count = 0;
    while (count < RECORDS_MAX) {
        ssize_t n = read(fd, &records[count], sizeof *records);
        if (n == 0) {
            break;
        }
        check(n == sizeof *records || (n < 0 && errno == EINTR));
        count += n > 0;
    }
    return count;
}

/* Lets a child work for a while after its first record, kills it, returns what it told.
 */
static size_t run_killed(struct fixture *f, struct record *records, unsigned ms)
{
    int ends[2];
    check(pipe(ends) == 0);
    pid_t child = fork();
    check(child >= 0);
    if (child == 0) {
        close(ends[0]);
        to_parent = ends[1];
        check(uv_loop_fork(&f->w->loop) == 0);
        child_work(f);
    }
    close(ends[1]);
    check(read(ends[0], &records[0], sizeof *records) == sizeof *records);
    usleep(ms * 1000);
    check(kill(child, SIGKILL) == 0);
    check(waitpid(child, NULL, 0) == child);
    size_t count = 1 + read_records(ends[0], records + 1);
    close(ends[0]);
    return count;
}

static bool run_verify(struct fixture *f, const struct record *records, size_t count)
{
    int status;
    pid_t child = fork();
    check(child >= 0);
    if (child == 0) {
        check(uv_loop_fork(&f->w->loop) == 0);
        _exit(child_verify(f, records, count) ? 0 : 1);
    }
    check(waitpid(child, &status, 0) == child);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void test_killed(void **state)
{
    (void)state;
    struct fixture f;
    struct record *records = calloc(RECORDS_MAX + 1, sizeof *records);
    size_t all = 0;
    check(records != NULL);
    fixture_start(&f);
    fixture_close(&f);
    srand(7);
    for (unsigned i = 0; i < ROUNDS; i++) {
        size_t count = run_killed(&f, records, (unsigned)rand() % 60);
        if (!run_verify(&f, records, count)) {
            fail_msg("round %u", i);
        }
        all += count;
    }
    assert_true(all > ROUNDS); /* it did work */
    free(records);
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_killed),
    };
    return cmocka_run_group_tests_name("queue_crash", tests, NULL, NULL);
}
