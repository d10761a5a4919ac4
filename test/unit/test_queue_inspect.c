/* Endless inspection beside a queue that works: the log file stays bounded, for what
 * reads does so in short transactions, and the store waits for the end of one now and
 * then. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/check.h"
#include "router/queue_sqlite_offline.h"
#include "test/unit/disk_lab.h"

enum {
    INSPECTORS = 4,
    STORED = 1500, /* in the queue before it begins */
    MESSAGES = 6000,
    LOG_MAX = 64 << 20,
    TRANSACTION_MAX_MS = 200
};

struct inspection {
    uint64_t entries, began_ns, longest_ns;
};

/* The entries of a page come one behind the other when it has been read: what lies
 * between two of them is at most the transaction. */
static void on_seen(const struct queue_seen *e, void *arg)
{
    struct inspection *i = arg;
    uint64_t now = uv_hrtime();
    (void)e;
    if (now - i->began_ns > i->longest_ns) {
        i->longest_ns = now - i->began_ns;
    }
    i->began_ns = now;
    i->entries++;
}

static _Noreturn void inspect(const char *directory, int to)
{
    struct inspection i = {.entries = 0};
    char reason[300];
    for (;;) {
        i.began_ns = uv_hrtime();
        check(queue_look(directory, false, on_seen, &i, reason, sizeof reason));
        check(write(to, &i, sizeof i) == sizeof i);
    }
}

static off_t log_size(const struct fixture *f)
{
    char path[256];
    struct stat st;
    return stat(fixture_path(f, "queue.db-wal", path), &st) == 0 ? st.st_size : 0;
}

/* What one inspector has told last. */
static struct inspection told(int from)
{
    struct inspection i = {.entries = 0};
    while (read(from, &i, sizeof i) == sizeof i) {
    }
    return i;
}

static void test_endless(void **state)
{
    (void)state;
    struct lab l;
    pid_t children[INSPECTORS];
    int ends[INSPECTORS][2];
    off_t largest = 0;
    lab_start(&l);
    assert_true(fixture_open(&l.f));
    int nowhere = open("/dev/null", O_WRONLY);
    load_run(&l.f, nowhere, STORED);
    for (int i = 0; i < INSPECTORS; i++) {
        check(pipe2(ends[i], O_NONBLOCK) == 0);
        children[i] = fork();
        if (children[i] == 0) {
            inspect(l.f.directory, ends[i][1]);
        }
    }
    for (unsigned done = 0; done < MESSAGES; done += 100) {
        load_run(&l.f, nowhere, 100);
        off_t size = log_size(&l.f);
        largest = size > largest ? size : largest;
    }
    for (int i = 0; i < INSPECTORS; i++) {
        kill(children[i], SIGKILL);
        waitpid(children[i], NULL, 0);
        struct inspection seen = told(ends[i][0]);
        printf("# inspector %d: %llu entries, %llu ms at most from one to the next\n", i,
               (unsigned long long)seen.entries,
               (unsigned long long)seen.longest_ns / 1000000);
        assert_true(seen.entries > STORED);
        assert_true(seen.longest_ns < TRANSACTION_MAX_MS * 1000000ull);
    }
    printf("# log file: %lld KiB at most\n", (long long)largest >> 10);
    assert_true(largest < LOG_MAX);
    fixture_close(&l.f);
    lab_end(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_endless),
    };
    return cmocka_run_group_tests_name("queue_inspect", tests, NULL, NULL);
}
