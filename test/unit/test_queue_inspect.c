/* Endless inspection beside a queue that works: the log file stays bounded, for what
 * reads does so in short transactions, and the store waits for the end of one now and
 * then. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/check.h"
#include "router/queue_sqlite_offline.h"
#include "test/unit/disk_lab.h"

enum {
    INSPECTORS = 2,
    HOLDERS = 3,
    HELD_MS = 100,
    STORED = 1500, /* in the queue before it begins */
    MESSAGES = 6000,
    LOG_MAX = 64 << 20,
    TRANSACTION_MAX_MS = 200
};

/* In memory that the inspectors share with the test. */
struct inspection {
    _Atomic uint64_t entries, longest_ns;
    uint64_t began_ns;
};

/* In processor time, so that what else the machine does is not counted. */
static uint64_t now_ns(void)
{
    struct timespec t;
    check(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) == 0);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The entries of a page come one behind the other when it has been read: what lies
 * between two of them is at most the transaction. */
static void on_seen(const struct queue_seen *e, void *arg)
{
    struct inspection *i = arg;
    uint64_t now = now_ns();
    (void)e;
    if (now - i->began_ns > i->longest_ns) {
        i->longest_ns = now - i->began_ns;
    }
    i->began_ns = now;
    i->entries++;
}

static _Noreturn void inspect(const char *directory, struct inspection *i)
{
    char reason[300];
    for (;;) {
        i->began_ns = now_ns();
        check(queue_look(directory, &(struct queue_filter){0}, on_seen, i, reason,
                         sizeof reason));
    }
}

static _Noreturn void hold(const struct fixture *f, unsigned later_ms)
{
    char path[256];
    sqlite3 *db;
    usleep(later_ms * 1000);
    fixture_path(f, "queue.db", path);
    check(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK);
    sqlite3_busy_timeout(db, 5000);
    for (;;) {
        check(sqlite3_exec(db, "BEGIN; SELECT count(*) FROM meta", NULL, NULL, NULL) ==
              SQLITE_OK);
        usleep(HELD_MS * 1000);
        check(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK);
    }
}

static off_t log_size(const struct fixture *f)
{
    char path[256];
    struct stat st;
    return stat(fixture_path(f, "queue.db-wal", path), &st) == 0 ? st.st_size : 0;
}

static struct inspection *shared_memory(void)
{
    struct inspection *all = mmap(NULL, INSPECTORS * sizeof *all, PROT_READ | PROT_WRITE,
                                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    check(all != MAP_FAILED);
    return all;
}

static void test_endless(void **state)
{
    (void)state;
    struct lab l;
    pid_t children[INSPECTORS + HOLDERS];
    struct inspection *seen = shared_memory();
    off_t largest = 0;
    lab_start(&l);
    assert_true(fixture_open(&l.f));
    int nowhere = open("/dev/null", O_WRONLY);
    load_run(&l.f, nowhere, STORED);
    for (unsigned i = 0; i < INSPECTORS + HOLDERS; i++) {
        children[i] = fork();
        if (children[i] == 0 && i < INSPECTORS) {
            inspect(l.f.directory, &seen[i]);
        } else if (children[i] == 0) {
            hold(&l.f, (i - INSPECTORS) * HELD_MS / HOLDERS);
        }
    }
    for (unsigned done = 0; done < MESSAGES; done += 100) {
        load_run(&l.f, nowhere, 100);
        off_t size = log_size(&l.f);
        largest = size > largest ? size : largest;
    }
    for (int i = 0; i < INSPECTORS + HOLDERS; i++) {
        kill(children[i], SIGKILL);
        waitpid(children[i], NULL, 0);
    }
    close(nowhere);
    fixture_close(&l.f);
    lab_end(&l);
    printf("# log file: %lld KiB at most\n", (long long)largest >> 10);
    for (int i = 0; i < INSPECTORS; i++) {
        printf("# inspector %d: %llu entries, %llu ms at most from one to the next\n", i,
               (unsigned long long)seen[i].entries,
               (unsigned long long)seen[i].longest_ns / 1000000);
        assert_true(seen[i].entries > STORED);
        assert_true(seen[i].longest_ns < TRANSACTION_MAX_MS * 1000000ull);
    }
    assert_true(largest < LOG_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_endless),
    };
    return cmocka_run_group_tests_name("queue_inspect", tests, NULL, NULL);
}
