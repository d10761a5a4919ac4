/* A copy of the queue made while it works, and what is found wrong with a queue. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/check.h"
#include "router/queue_sqlite_offline.h"
#include "test/unit/disk_lab.h"

/* --- backup --- */

/* Of what is told of the time in which the copy is made only the questions count: their
 * answers may be in it or not. */
static size_t asked_only(struct load_record *records, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (records[i].kind == LOAD_KEEPING || records[i].kind == LOAD_SETTLING) {
            records[kept++] = records[i];
        }
    }
    return kept;
}

static pid_t work(struct lab *l, int ends[2], unsigned messages)
{
    check(pipe(ends) == 0);
    pid_t child = fork();
    check(child >= 0);
    if (child == 0) {
        check(uv_loop_fork(&l->f.w->loop) == 0);
        check(fixture_open(&l->f));
        load_run(&l->f, ends[1], messages);
        fixture_close(&l->f);
        _exit(0);
    }
    close(ends[1]);
    return child;
}

struct wrongs {
    unsigned count, notes;
    char last[400];
};

static void on_wrong(const char *text, bool harmless, void *arg)
{
    struct wrongs *w = arg;
    fprintf(stderr, "# %s: %s\n", harmless ? "note" : "wrong", text);
    w->count += !harmless;
    w->notes += harmless;
    snprintf(w->last, sizeof w->last, "%s", text);
}

static struct wrongs check_all(const char *directory)
{
    struct wrongs w = {0};
    char reason[300];
    if (!queue_check(directory, on_wrong, &w, reason, sizeof reason)) {
        fprintf(stderr, "# not read: %s\n", reason);
        w.count += 1000;
    }
    return w;
}

static unsigned wrongs(const char *directory)
{
    return check_all(directory).count;
}

/* A copy beside a queue at work: what was stored before it began is in it, with bodies,
 * and the copy is a queue like any other. */
static void test_beside(void **state)
{
    (void)state;
    struct lab l;
    struct queue_copied copied;
    int ends[2];
    char to[64], reason[300];
    struct load_record *records = calloc(2 * LOAD_RECORDS_MAX, sizeof *records);
    check(records != NULL);
    lab_start(&l);
    pid_t child = work(&l, ends, 300);
    size_t count = load_read(ends[0], records);
    close(ends[0]);
    check(waitpid(child, NULL, 0) == child);

    child = work(&l, ends, 0);
    check(read(ends[0], &records[count], sizeof *records) == sizeof *records);
    snprintf(to, sizeof to, "%s/copy", l.root);
    if (!queue_backup(l.f.directory, to, NULL, NULL, &copied, reason, sizeof reason)) {
        fail_msg("%s", reason);
    }
    check(kill(child, SIGKILL) == 0 && waitpid(child, NULL, 0) == child);
    size_t more = 1 + load_read(ends[0], records + count + 1);
    close(ends[0]);
    count += asked_only(records + count, more);
    printf("# copy: %lld messages, %lld files, %lld messages gone meanwhile\n",
           (long long)copied.messages, (long long)copied.bodies, (long long)copied.gone);
    assert_true(copied.messages > 100 && copied.bodies > 20);
    assert_int_equal(wrongs(to), 0);
    assert_false(
        queue_backup(l.f.directory, to, NULL, NULL, &copied, reason, sizeof reason));
    assert_non_null(strstr(reason, "is there already"));

    memcpy(l.f.directory, to, sizeof to);
    assert_true(lab_verify(&l, records, count));
    free(records);
    lab_end(&l);
}

/* A message that lost its body file long ago is in the copy, and that is told. */
static void test_lost(void **state)
{
    (void)state;
    struct fixture f;
    struct queue_copied copied;
    char to[80], path[256], name[64], reason[300];
    fixture_start(&f);
    struct queue_message *large = fixture_message(&f, 90000, 2);
    struct queue_message *other = fixture_message(&f, 80000, 1);
    assert_true(fixture_commit(&f, large).ok && fixture_commit(&f, other).ok);
    snprintf(name, sizeof name, "bodies/%s", body_file(large->body));
    assert_int_equal(unlink(fixture_path(&f, name, path)), 0);
    assert_int_equal(wrongs(f.directory), 1);
    snprintf(to, sizeof to, "%s-copy", f.directory);
    assert_true(
        queue_backup(f.directory, to, NULL, NULL, &copied, reason, sizeof reason));
    assert_int_equal(copied.messages, 2);
    assert_int_equal(copied.bodies, 1);
    assert_int_equal(copied.gone, 0);
    assert_int_equal(copied.lost, 1);
    assert_int_equal(wrongs(to), 1);
    fixture_remove(to);
    /* a row that was damaged leads nowhere else */
    fixture_sql(&f, "UPDATE messages SET body_file = '../queue.db'"
                    " WHERE number = (SELECT max(number) FROM messages)");
    assert_true(
        queue_backup(f.directory, to, NULL, NULL, &copied, reason, sizeof reason));
    assert_int_equal(copied.lost, 2);
    fixture_remove(to);
    queue_message_free(&large);
    queue_message_free(&other);
    fixture_end(&f);
}

/* Messages come and go while copy after copy is made: each of these is a whole queue. */
static void test_again_and_again(void **state)
{
    (void)state;
    struct lab l;
    int ends[2];
    char to[64], reason[300];
    long long gone = 0;
    lab_start(&l);
    pid_t child = work(&l, ends, 0);
    int flags = fcntl(ends[0], F_GETFL);
    struct load_record ignored[64];
    check(read(ends[0], ignored, sizeof *ignored) == sizeof *ignored);
    check(fcntl(ends[0], F_SETFL, flags | O_NONBLOCK) == 0);
    snprintf(to, sizeof to, "%s/copy", l.root);
    for (unsigned i = 0; i < 8; i++) {
        struct queue_copied copied;
        while (read(ends[0], ignored, sizeof ignored) > 0) {
        }
        if (!queue_backup(l.f.directory, to, NULL, NULL, &copied, reason,
                          sizeof reason)) {
            fail_msg("%s", reason);
        }
        assert_int_equal(copied.lost, 0);
        gone += copied.gone;
        struct wrongs w = check_all(to);
        assert_int_equal(w.count + w.notes, 0);
        fixture_remove(to);
    }
    printf("# %lld messages gone while their bodies were copied\n", gone);
    close(ends[0]);
    check(kill(child, SIGKILL) == 0 && waitpid(child, NULL, 0) == child);
    lab_end(&l);
}

/* --- where it cannot be made --- */

static void refused(struct fixture *f, const char *to, const char *why)
{
    struct queue_copied copied;
    char reason[300];
    assert_false(
        queue_backup(f->directory, to, NULL, NULL, &copied, reason, sizeof reason));
    if (strstr(reason, why) == NULL) {
        fail_msg("'%s' is not in '%s'", why, reason);
    }
}

static bool exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

static void test_names(void **state)
{
    (void)state;
    struct fixture f;
    struct queue_copied copied;
    char to[100], link[100], partial[120], reason[300];
    fixture_start(&f);
    snprintf(to, sizeof to, "%s-copy", f.directory);
    snprintf(partial, sizeof partial, "%s.partial", to);
    refused(&f, "", "names no new directory");
    refused(&f, "/", "names no new directory");
    refused(&f, "x/..", "names no new directory");
    refused(&f, "/nowhere/at/all", "cannot find /nowhere/at");
    snprintf(link, sizeof link, "%s/copy", f.directory);
    refused(&f, link, "lies within the queue");
    snprintf(link, sizeof link, "%s/bodies/copy", f.directory);
    refused(&f, link, "lies within the queue");
    check(mkdir(partial, 0700) == 0);
    refused(&f, to, ".partial is there");
    assert_true(exists(partial)); /* it is not ours */
    check(rmdir(partial) == 0);
    check(symlink("/nowhere", to) == 0);
    refused(&f, to, "is there already");
    check(unlink(to) == 0);
    /* a link on the way, and slashes at the end */
    snprintf(link, sizeof link, "%s-link", f.directory);
    check(symlink("/tmp", link) == 0);
    char through[220];
    snprintf(through, sizeof through, "%s/%s//", link, strrchr(to, '/') + 1);
    if (!queue_backup(f.directory, through, NULL, NULL, &copied, reason, sizeof reason)) {
        fail_msg("%s", reason);
    }
    assert_int_equal(wrongs(to), 0);
    check(unlink(link) == 0);
    fixture_remove(to);
    fixture_end(&f);
}

static bool never(const struct queue_copied *c, void *arg)
{
    (void)c;
    (void)arg;
    return false;
}

/* Interrupted, or on a disk that takes no more: nothing is left of it. */
static void test_half_made(void **state)
{
    (void)state;
    struct lab l; /* in memory, where syncs take no time */
    struct queue_copied copied;
    struct rlimit before, small;
    char to[80], partial[100], reason[300];
    lab_start(&l);
    assert_true(fixture_open(&l.f));
    struct queue_message *m = fixture_message(&l.f, 900000, 1);
    assert_true(fixture_commit(&l.f, m).ok);
    snprintf(to, sizeof to, "%s-copy", l.f.directory);
    snprintf(partial, sizeof partial, "%s.partial", to);
    assert_false(
        queue_backup(l.f.directory, to, never, NULL, &copied, reason, sizeof reason));
    assert_non_null(strstr(reason, "interrupted"));
    assert_false(exists(to) || exists(partial));
    check(getrlimit(RLIMIT_FSIZE, &before) == 0);
    signal(SIGXFSZ, SIG_IGN);
    for (rlim_t size = 4096; size < 900000; size *= 3) {
        small = before;
        small.rlim_cur = size;
        check(setrlimit(RLIMIT_FSIZE, &small) == 0);
        bool good =
            queue_backup(l.f.directory, to, NULL, NULL, &copied, reason, sizeof reason);
        check(setrlimit(RLIMIT_FSIZE, &before) == 0);
        fprintf(stderr, "# files of %u octets: %s\n", (unsigned)size, reason);
        assert_false(good || exists(to) || exists(partial));
    }
    assert_true(
        queue_backup(l.f.directory, to, NULL, NULL, &copied, reason, sizeof reason));
    fixture_remove(to);
    queue_message_free(&m);
    fixture_close(&l.f);
    lab_end(&l);
}

/* In a child, whose disk fails or is full: the copy is whole, or there is none. */
static void trial(const struct lab *l, unsigned call, enum disk_fault fault,
                  uint64_t room)
{
    struct queue_copied copied;
    char to[64], partial[80], reason[300];
    snprintf(to, sizeof to, "%s/copy", l->root);
    snprintf(partial, sizeof partial, "%s.partial", to);
    disk_watch(l->root);
    disk_room(room);
    if (call > 0) {
        disk_fail(call, call, fault);
    }
    bool good =
        queue_backup(l->f.directory, to, NULL, NULL, &copied, reason, sizeof reason);
    disk_room(0);
    if (good) {
        check(wrongs(to) == 0 && copied.lost == 0 && !exists(partial));
        fixture_remove(to);
    } else {
        check(*reason != '\0' && !exists(to) && !exists(partial));
    }
    if (room > 0) {
        check(!good && strstr(reason, "disk full") != NULL);
    }
    _exit(call == 0 && room == 0 ? (int)(disk_calls() / 8) : good ? 0 : 1);
}

static int trial_run(const struct lab *l, unsigned call, enum disk_fault fault,
                     uint64_t room)
{
    int status;
    pid_t child = fork();
    check(child >= 0);
    if (child == 0) {
        trial(l, call, fault, room);
    }
    check(waitpid(child, &status, 0) == child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void test_failing_disk(void **state)
{
    (void)state;
    struct lab l;
    int ends[2];
    unsigned failed = 0, trials = 0;
    struct load_record *ignored = calloc(LOAD_RECORDS_MAX, sizeof *ignored);
    check(ignored != NULL);
    lab_start(&l);
    pid_t child = work(&l, ends, 100);
    load_read(ends[0], ignored);
    close(ends[0]);
    check(waitpid(child, NULL, 0) == child);
    unsigned calls = (unsigned)trial_run(&l, 0, DISK_EIO, 0) * 8;
    assert_true(calls > 256);
    for (unsigned call = 1; call <= calls; call += call < calls - 60 ? 61 : 7) {
        failed += trial_run(&l, call, call % 2 ? DISK_EIO : DISK_ENOSPC, 0) == 1;
        trials++;
    }
    printf("# %u calls; %u of %u trials failed\n", calls, failed, trials);
    assert_true(failed > trials / 2);
    /* less than stays free on the queue's own disk */
    assert_int_equal(trial_run(&l, 0, DISK_EIO, 60 << 20), 1);
    free(ignored);
    lab_end(&l);
}

/* --- check --- */

/* Each of these is one wrong, found while the queue is open and repaired by the second
 * statement. */
static void test_wrongs(void **state)
{
    static const char *const cases[][2] = {
        {"UPDATE messages SET size = size + 1 WHERE body_file IS NULL",
         "UPDATE messages SET size = size - 1 WHERE body_file IS NULL"},
        {"UPDATE messages SET size = size + 1 WHERE body_file IS NOT NULL",
         "UPDATE messages SET size = size - 1 WHERE body_file IS NOT NULL"},
        {"UPDATE entries SET header = 7 WHERE header IS NOT NULL",
         "UPDATE entries SET header = 0 WHERE header IS NOT NULL"},
        {"UPDATE meta SET value = value - 1000000 WHERE key = 'next_number'",
         "UPDATE meta SET value = value + 1000000 WHERE key = 'next_number'"},
    };
    (void)state;
    struct fixture f;
    fixture_start(&f);
    struct queue_message *small = fixture_message(&f, 900, 1);
    struct queue_message *large = fixture_message(&f, 90000, 1);
    fixture_headers(small, 1);
    small->entries->header = small->headers;
    assert_true(fixture_commit(&f, large).ok && fixture_commit(&f, small).ok);
    assert_int_equal(wrongs(f.directory), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fixture_sql(&f, cases[i][0]);
        if (wrongs(f.directory) != 1) {
            fail_msg("not one thing is wrong after: %s", cases[i][0]);
        }
        fixture_sql(&f, cases[i][1]);
        assert_int_equal(wrongs(f.directory), 0);
    }
    fixture_sql(&f, "DELETE FROM recipients");
    assert_int_equal(wrongs(f.directory), 2); /* an entry of each without recipients */
    queue_message_free(&small);
    queue_message_free(&large);
    fixture_end(&f);
}

/* Files that no message has are told, but are no harm. */
static void test_left_over(void **state)
{
    (void)state;
    struct fixture f;
    char path[256];
    fixture_start(&f);
    for (unsigned i = 0; i < 2; i++) {
        int fd =
            open(fixture_path(&f, i == 0 ? "bodies/05/ZZZZZZ" : "bodies/05/x-y", path),
                 O_WRONLY | O_CREAT, 0600);
        check(fd >= 0 && close(fd) == 0);
    }
    struct wrongs w = check_all(f.directory);
    assert_int_equal(w.count, 0);
    assert_int_equal(w.notes, 2);
    fixture_end(&f);
}

static void put_octets(struct fixture *f, const char *name, off_t at, const char *octets,
                       size_t size)
{
    char path[256];
    int fd = open(fixture_path(f, name, path), O_RDWR);
    check(fd >= 0 && pwrite(fd, octets, size, at) == (ssize_t)size);
    close(fd);
}

static off_t size_of(struct fixture *f, const char *name)
{
    char path[256];
    struct stat st;
    check(stat(fixture_path(f, name, path), &st) == 0);
    return st.st_size;
}

static void fill(struct fixture *f)
{
    for (unsigned i = 0; i < 50; i++) {
        struct queue_message *m = fixture_message(f, i == 49 ? 90000 : 3000, 1);
        assert_true(fixture_commit(f, m).ok);
        queue_message_free(&m);
    }
}

/* A page of zeros in the database: the next start refuses it and says so. */
static void test_damaged(void **state)
{
    (void)state;
    struct fixture f;
    static const char nothing[4096];
    fixture_start(&f);
    fill(&f);
    int64_t page =
        fixture_sql(&f, "SELECT rootpage FROM sqlite_schema WHERE name = 'entries'");
    fixture_close(&f);
    put_octets(&f, "queue.db", (page - 1) * 4096, nothing, sizeof nothing);
    assert_false(fixture_open(&f));
    if (strstr(f.reason, "damaged") == NULL && strstr(f.reason, "malformed") == NULL) {
        fail_msg("%s", f.reason);
    }
    assert_true(wrongs(f.directory) > 0);
    fixture_end(&f);
}

static void damage(struct fixture *f, unsigned round, off_t size)
{
    char path[256], octets[16];
    for (unsigned k = 0; k < sizeof octets; k++) {
        octets[k] = (char)random();
    }
    if (round % 4 == 0) {
        check(truncate(fixture_path(f, "queue.db", path), random() % size) == 0);
    } else { /* round % 4: the head of a page twice, anywhere */
        off_t page = random() % (size / 4096) * 4096;
        put_octets(f, "queue.db", round % 4 == 3 ? random() % (size - 16) : page, octets,
                   sizeof octets);
    }
}

/* Octets turned over anywhere, and a file cut off: who reads it ends, and says that
 * something is wrong where the structure is hit. */
static void test_flipped(void **state)
{
    (void)state;
    struct lab l; /* in memory, where syncs take no time */
    struct queue_copied copied;
    char to[80], path[256], reason[300];
    unsigned found = 0, made = 0;
    enum { ROUNDS = 32 };
    lab_start(&l);
    assert_true(fixture_open(&l.f));
    fill(&l.f);
    fixture_close(&l.f);
    off_t size = size_of(&l.f, "queue.db");
    char *whole = malloc((size_t)size);
    int fd = open(fixture_path(&l.f, "queue.db", path), O_RDWR);
    check(fd >= 0 && whole != NULL && pread(fd, whole, (size_t)size, 0) == size);
    close(fd);
    snprintf(to, sizeof to, "%s-copy", l.f.directory);
    srandom(7);
    for (unsigned i = 0; i < ROUNDS; i++) {
        put_octets(&l.f, "queue.db", 0, whole, (size_t)size);
        damage(&l.f, i, size);
        found += wrongs(l.f.directory) > 0;
        if (queue_backup(l.f.directory, to, NULL, NULL, &copied, reason, sizeof reason)) {
            made++;
            fixture_remove(to);
        }
    }
    printf("# %u of %d found, %u copied\n", found, ROUNDS, made);
    assert_true(found > ROUNDS / 2);
    free(whole);
    lab_end(&l);
}

/* One that is too large to be read through at each start is opened, and the log says so.
 */
static void test_large(void **state)
{
    (void)state;
    struct lab l;
    lab_start(&l);
    assert_true(fixture_open(&l.f));
    assert_false(fixture_logged(&l.f, "what=not_checked"));
    fixture_sql(&l.f,
                "INSERT INTO bodies (number, data) VALUES (1, zeroblob(135000000))");
    fixture_close(&l.f);
    assert_true(fixture_open(&l.f));
    assert_true(fixture_logged(&l.f, "what=not_checked"));
    assert_int_equal(wrongs(l.f.directory), 1); /* it belongs to nothing */
    fixture_close(&l.f);
    lab_end(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_beside),          cmocka_unit_test(test_lost),
        cmocka_unit_test(test_again_and_again), cmocka_unit_test(test_names),
        cmocka_unit_test(test_half_made),       cmocka_unit_test(test_failing_disk),
        cmocka_unit_test(test_left_over),       cmocka_unit_test(test_flipped),
        cmocka_unit_test(test_wrongs),          cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_large),
    };
    return cmocka_run_group_tests_name("queue_backup", tests, NULL, NULL);
}
