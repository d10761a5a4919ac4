/* A process that is killed at any instant while it commits and settles loses nothing it
 * was told is stored, and brings nothing back it was told is gone. Children work and
 * verify; the parent has no threads, so it may fork. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/check.h"
#include "test/unit/queue_load.h"

enum { ROUNDS = 20 };

/* Lets a child work for a while after its first record, kills it, returns what it told.
 */
static size_t run_killed(struct fixture *f, struct load_record *records, unsigned ms)
{
    int ends[2];
    check(pipe(ends) == 0);
    pid_t child = fork();
    check(child >= 0);
    if (child == 0) {
        close(ends[0]);
        check(uv_loop_fork(&f->w->loop) == 0);
        check(fixture_open(f));
        load_run(f, ends[1], 0);
    }
    close(ends[1]);
    check(read(ends[0], &records[0], sizeof *records) == sizeof *records);
    usleep(ms * 1000);
    check(kill(child, SIGKILL) == 0);
    check(waitpid(child, NULL, 0) == child);
    size_t count = 1 + load_read(ends[0], records + 1);
    close(ends[0]);
    return count;
}

static bool run_verify(struct fixture *f, const struct load_record *records, size_t count)
{
    int status;
    pid_t child = fork();
    check(child >= 0);
    if (child == 0) {
        check(uv_loop_fork(&f->w->loop) == 0);
        _exit(load_verify(f, records, count) ? 0 : 1);
    }
    check(waitpid(child, &status, 0) == child);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void test_killed(void **state)
{
    (void)state;
    struct fixture f;
    struct load_record *records = calloc(LOAD_RECORDS_MAX + 1, sizeof *records);
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
