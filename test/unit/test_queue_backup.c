/* A copy of the queue made while it works, and what is found wrong with a queue. */
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

static void on_wrong(const char *text, void *arg)
{
    fprintf(stderr, "# wrong: %s\n", text);
    (*(unsigned *)arg)++;
}

static unsigned wrongs(const char *directory)
{
    unsigned count = 0;
    char reason[300];
    if (!queue_check(directory, on_wrong, &count, reason, sizeof reason)) {
        fprintf(stderr, "# not read: %s\n", reason);
        count += 1000;
    }
    return count;
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
    if (!queue_backup(l.f.directory, to, &copied, reason, sizeof reason)) {
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
    assert_false(queue_backup(l.f.directory, to, &copied, reason, sizeof reason));
    assert_non_null(strstr(reason, "is there already"));

    memcpy(l.f.directory, to, sizeof to);
    assert_true(lab_verify(&l, records, count));
    free(records);
    lab_end(&l);
}

/* A message whose file goes while the copy is made leaves it; one that is half made keeps
 * its other name. */
static void test_gone(void **state)
{
    (void)state;
    struct fixture f;
    struct queue_copied copied;
    char to[80], path[256], name[64], reason[300];
    fixture_start(&f);
    struct queue_message *large = fixture_message(&f, 90000, 2);
    struct queue_message *small = fixture_message(&f, 900, 1);
    assert_true(fixture_commit(&f, large).ok && fixture_commit(&f, small).ok);
    snprintf(name, sizeof name, "bodies/%s", body_file(large->body));
    assert_int_equal(unlink(fixture_path(&f, name, path)), 0);
    assert_int_equal(wrongs(f.directory), 1);
    snprintf(to, sizeof to, "%s-copy", f.directory);
    assert_true(queue_backup(f.directory, to, &copied, reason, sizeof reason));
    assert_int_equal(copied.messages, 1);
    assert_int_equal(copied.gone, 1);
    assert_int_equal(wrongs(to), 0);
    fixture_remove(to);

    snprintf(path, sizeof path, "%s.partial", to);
    check(mkdir(path, 0700) == 0);
    assert_false(queue_backup(f.directory, to, &copied, reason, sizeof reason));
    assert_non_null(strstr(reason, ".partial"));
    fixture_remove(path);
    queue_message_free(&large);
    queue_message_free(&small);
    fixture_end(&f);
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

/* A page of zeros in the database: the next start refuses it and says so. */
static void test_damaged(void **state)
{
    (void)state;
    struct fixture f;
    char path[256], nothing[4096] = {0};
    fixture_start(&f);
    for (unsigned i = 0; i < 50; i++) {
        struct queue_message *m = fixture_message(&f, 3000, 1);
        assert_true(fixture_commit(&f, m).ok);
        queue_message_free(&m);
    }
    int64_t page =
        fixture_sql(&f, "SELECT rootpage FROM sqlite_schema WHERE name = 'entries'");
    fixture_close(&f);
    int fd = open(fixture_path(&f, "queue.db", path), O_RDWR);
    check(fd >= 0 && pwrite(fd, nothing, sizeof nothing, (page - 1) * 4096) == 4096);
    close(fd);
    assert_false(fixture_open(&f));
    if (strstr(f.reason, "damaged") == NULL && strstr(f.reason, "malformed") == NULL) {
        fail_msg("%s", f.reason);
    }
    assert_true(wrongs(f.directory) > 0);
    fixture_end(&f);
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
        cmocka_unit_test(test_beside), cmocka_unit_test(test_gone),
        cmocka_unit_test(test_wrongs), cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_large),
    };
    return cmocka_run_group_tests_name("queue_backup", tests, NULL, NULL);
}
