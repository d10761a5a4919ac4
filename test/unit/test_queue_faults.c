/* The queue on a bad day: full disk, failed syncs, lost files, foreign hands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/check.h"
#include "test/unit/queue_fixture.h"

enum { LATER = 2000000 };

static int64_t messages_stored(struct fixture *f)
{
    struct queue_counts c;
    struct queue_result r = fixture_count(f, &c);
    check(r.ok);
    return c.messages;
}

static void heal(struct fixture *f)
{
    atomic_store(&f->faults->write_error, 0);
    atomic_store(&f->faults->sync_error, 0);
    atomic_store(&f->faults->open_error, 0);
}

/* While a disk fails every request is answered with the reason; when it is well again
 * everything goes on without a restart. */
static void run_outage(atomic_int *(*which)(struct faults *), int code, const char *text)
{
    struct fixture f;
    struct queue_counts c;
    fixture_start(&f);
    struct queue_message *a = fixture_message(&f, 100, 1);
    struct queue_message *b = fixture_message(&f, 100, 1);
    assert_true(fixture_commit(&f, a).ok);
    atomic_store(which(f.faults), code);
    for (unsigned i = 0; i < 3; i++) {
        struct queue_result r = fixture_commit(&f, b);
        assert_false(r.ok);
        if (strstr(r.reason, text) == NULL) {
            fail_msg("'%s' is not in '%s'", text, r.reason);
        }
    }
    struct queue_settlement s = {.entry_id = a->entries->id, .number = a->number};
    assert_false(fixture_settle(&f, &s).ok);
    heal(&f);
    assert_true(fixture_count(&f, &c).ok);
    assert_int_equal(c.messages, 1); /* the refused one is not there */
    assert_true(fixture_will_log(&f, "what=error"));
    assert_true(fixture_will_log(&f, "what=recovered"));
    assert_true(fixture_settle(&f, &s).ok);
    assert_true(fixture_commit(&f, b).ok);
    assert_int_equal(messages_stored(&f), 1);
    queue_message_free(&a);
    queue_message_free(&b);
    fixture_end(&f);
}

static atomic_int *writes(struct faults *x)
{
    return &x->write_error;
}
static atomic_int *syncs(struct faults *x)
{
    return &x->sync_error;
}

static void test_full_disk(void **state)
{
    (void)state;
    run_outage(writes, SQLITE_FULL, "full");
}

static void test_write_error(void **state)
{
    (void)state;
    run_outage(writes, SQLITE_IOERR_WRITE, "disk I/O error");
}

static void test_sync_error(void **state)
{
    (void)state;
    run_outage(syncs, SQLITE_IOERR_FSYNC, "disk I/O error");
}

/* The store cannot be opened again for a while. */
static void test_no_reopen(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f);
    struct queue_message *m = fixture_message(&f, 100, 1);
    atomic_store(&f.faults->open_error, SQLITE_CANTOPEN);
    atomic_store(&f.faults->sync_error, SQLITE_IOERR_FSYNC);
    assert_false(fixture_commit(&f, m).ok);
    struct queue_result r = fixture_commit(&f, m);
    assert_false(r.ok);
    assert_non_null(strstr(r.reason, "unable to open"));
    heal(&f);
    assert_true(fixture_commit(&f, m).ok);
    assert_int_equal(messages_stored(&f), 1);
    queue_message_free(&m);
    fixture_end(&f);
}

/* A message and its report: neither is there after a commit that failed, both after one
 * that did not. */
static void test_report_fails_too(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f);
    struct queue_message *m = fixture_message(&f, 100, 1);
    m->report = fixture_message(&f, 100, 1);
    atomic_store(&f.faults->sync_error, SQLITE_IOERR_FSYNC);
    assert_false(fixture_commit(&f, m).ok);
    heal(&f);
    struct queue_message *other = fixture_message(&f, 100, 1);
    assert_true(fixture_commit(&f, other).ok);
    assert_int_equal(messages_stored(&f), 1);
    assert_true(fixture_commit(&f, m).ok);
    assert_int_equal(messages_stored(&f), 3);
    queue_message_free(&m);
    queue_message_free(&other);
    fixture_end(&f);
}

/* --- a batch: all of it fails with its commit --- */

struct batch {
    unsigned answers, good;
    bool done;
    unsigned wanted;
};

static void batch_answer(struct batch *b, const struct queue_result *r)
{
    b->answers++;
    b->good += r->ok;
    check(r->ok || r->reason[0] != '\0');
    b->done = b->answers == b->wanted;
}
static void on_batch_commit(struct worker *w, struct queue_message *m,
                            const struct queue_result *r, void *arg)
{
    (void)w;
    (void)m;
    batch_answer(arg, r);
}
static void on_batch_settle(struct worker *w, const struct queue_result *r, void *arg)
{
    (void)w;
    batch_answer(arg, r);
}
static void on_batch_claim(struct worker *w, struct queue_message **messages,
                           unsigned count, int64_t next_due_ms,
                           const struct queue_result *r, void *arg)
{
    (void)w;
    (void)messages;
    (void)next_due_ms;
    check(r->ok || count == 0);
    batch_answer(arg, r);
}

/* One of each kind while no sync works, and while the failed commits stay in the log
 * file (closing cannot write either), so that they come up again at the next open:
 * they must be taken back. */
static void test_failed_batch(void **state)
{
    (void)state;
    struct fixture f;
    struct claimed c;
    struct batch b = {.wanted = 4};
    fixture_start(&f);
    struct queue_message *m[5];
    for (unsigned i = 0; i < 5; i++) {
        m[i] = fixture_message(&f, 100, 1);
        if (i < 4) {
            assert_true(fixture_commit(&f, m[i]).ok);
        }
    }
    queue_release(f.daemon.queue, m[0]->entries->id, 1000); /* will be claimed */
    assert_int_equal(messages_stored(&f), 4);
    struct queue_settlement keep = {.entry_id = m[1]->entries->id,
                                    .number = m[1]->number,
                                    .keep = m[1]->entries->recipients,
                                    .keep_count = 2,
                                    .next_try_ms = 1000};
    struct queue_settlement gone = {.entry_id = m[2]->entries->id,
                                    .number = m[2]->number};
    atomic_store(&f.faults->sync_error, SQLITE_IOERR_FSYNC);
    queue_commit(f.daemon.queue, f.w, m[4], on_batch_commit, &b);
    queue_claim(f.daemon.queue, f.w, 10, LATER, on_batch_claim, &b);
    queue_settle(f.daemon.queue, f.w, &keep, on_batch_settle, &b);
    queue_settle(f.daemon.queue, f.w, &gone, on_batch_settle, &b);
    queue_release(f.daemon.queue, m[3]->entries->id, 1000);
    fixture_wait(f.w, &b.done);
    assert_int_equal(b.good, 0);
    heal(&f);
    fixture_claim(&f, 10, LATER, &c);
    assert_true(c.result.ok);
    assert_int_equal(c.count, 2); /* the lost claim is due again, the release is done */
    assert_true(c.messages[0]->number == m[0]->number);
    assert_true(c.messages[1]->number == m[3]->number);
    claimed_free(&c);
    assert_true(fixture_settle(&f, &keep).ok);
    assert_true(fixture_settle(&f, &gone).ok);
    assert_int_equal(messages_stored(&f), 3);
    for (unsigned i = 0; i < 5; i++) {
        queue_message_free(&m[i]);
    }
    fixture_end(&f);
}

/* What was ordered of an entry while it was being delivered is done when it is settled at
 * last, although a settlement before that, which reported failure, had done it. */
static void test_order_and_failed_settlement(void **state)
{
    (void)state;
    static const struct {
        enum queue_action action;
        int64_t state, ordered; /* -1: it is gone */
    } cases[] = {{QUEUE_HOLD, 2, 0}, {QUEUE_DELETE, -1, -1}, {QUEUE_RETURN, 0, 3}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        fixture_start(&f);
        struct queue_message *m = fixture_message(&f, 100, 1);
        assert_true(fixture_commit(&f, m).ok);
        const struct queue_order o = {.action = cases[i].action,
                                      .filter.number = m->number};
        assert_int_equal(fixture_order(&f, &o, queue_cursor_first(&o.filter)).active, 1);
        const struct queue_settlement keep = {.entry_id = m->entries->id,
                                              .number = m->number,
                                              .keep = m->entries->recipients,
                                              .keep_count = 2,
                                              .next_try_ms = 1000};
        atomic_store(&f.faults->sync_error, SQLITE_IOERR_FSYNC);
        assert_false(fixture_settle(&f, &keep).ok);
        heal(&f);
        assert_true(fixture_settle(&f, &keep).ok);
        assert_int_equal(fixture_sql(&f, "SELECT state FROM entries"), cases[i].state);
        assert_int_equal(fixture_sql(&f, "SELECT ordered FROM entries"),
                         cases[i].ordered);
        queue_message_free(&m);
        fixture_end(&f);
    }
}

/* A release has nobody to repeat it: the store thread does, without being asked. */
static void test_release_repeated(void **state)
{
    (void)state;
    struct fixture f;
    struct claimed c;
    fixture_start(&f);
    struct queue_message *m = fixture_message(&f, 100, 1);
    assert_true(fixture_commit(&f, m).ok);
    atomic_store(&f.faults->sync_error, SQLITE_IOERR_FSYNC);
    queue_release(f.daemon.queue, m->entries->id, 1000);
    while (atomic_load(&f.faults->failures) == 0) {
        usleep(1000);
    }
    heal(&f);
    for (unsigned i = 0; i < 400; i++) {
        if (fixture_sql(&f, "SELECT count(*) FROM entries WHERE state = 0") == 1) {
            break;
        }
        usleep(10000);
    }
    fixture_claim(&f, 1, LATER, &c);
    assert_int_equal(c.count, 1);
    claimed_free(&c);
    queue_message_free(&m);
    fixture_end(&f);
}

/* A request that the store refuses fails alone. */
static void test_savepoints(void **state)
{
    (void)state;
    struct fixture f;
    struct batch b = {.wanted = 60};
    struct queue_message *m[60];
    fixture_start(&f);
    fixture_sql(&f, "CREATE TRIGGER refuse BEFORE INSERT ON recipients"
                    " WHEN NEW.address = 'bad' BEGIN SELECT RAISE(ABORT, 'no'); END");
    for (unsigned i = 0; i < 60; i++) {
        m[i] = fixture_message(&f, 100, 2);
        if (i % 3 == 0) {
            m[i]->entries[1].recipients[1].address = STR("bad");
        }
    }
    for (unsigned i = 0; i < 60; i++) {
        queue_commit(f.daemon.queue, f.w, m[i], on_batch_commit, &b);
    }
    fixture_wait(f.w, &b.done);
    assert_int_equal(b.good, 40);
    assert_int_equal(messages_stored(&f), 40);
    assert_int_equal(fixture_sql(&f, "SELECT count(*) FROM recipients"), 160);
    assert_false(fixture_logged(&f, "what=error")); /* the store is well */
    for (unsigned i = 0; i < 60; i++) {
        queue_message_free(&m[i]);
    }
    fixture_end(&f);
}

/* A failed settlement leaves the body file in place. */
static void test_refused_settle_keeps_file(void **state)
{
    (void)state;
    struct fixture f;
    char name[64], path[256];
    fixture_start(&f);
    struct queue_message *m = fixture_message(&f, 70000, 1);
    snprintf(name, sizeof name, "bodies/%s", body_file(m->body));
    fixture_path(&f, name, path);
    assert_true(fixture_commit(&f, m).ok);
    fixture_sql(&f, "CREATE TRIGGER refuse BEFORE INSERT ON messages"
                    " BEGIN SELECT RAISE(ABORT, 'no'); END");
    struct queue_message *report = fixture_message(&f, 10, 1);
    struct queue_settlement s = {
        .entry_id = m->entries->id, .number = m->number, .report = report};
    assert_false(fixture_settle(&f, &s).ok);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(messages_stored(&f), 1);
    fixture_sql(&f, "DROP TRIGGER refuse");
    assert_true(fixture_settle(&f, &s).ok);
    assert_int_not_equal(access(path, F_OK), 0);
    queue_message_free(&report);
    queue_message_free(&m);
    fixture_end(&f);
}

/* --- files and rows that lost each other --- */

static void put_file(struct fixture *f, const char *name)
{
    char path[256], text[2000];
    int fd = open(fixture_path(f, name, path), O_WRONLY | O_CREAT | O_EXCL, 0600);
    memset(text, 'x', sizeof text);
    check(fd >= 0 && write(fd, text, sizeof text) == sizeof text);
    close(fd);
}

static void test_orphans(void **state)
{
    (void)state;
    struct fixture f;
    char path[256], name[64];
    fixture_start(&f);
    struct queue_message *m = fixture_message(&f, 70000, 1);
    assert_true(fixture_commit(&f, m).ok);
    fixture_close(&f);
    put_file(&f, "bodies/05/ZZZZZZ");
    put_file(&f, "bodies/05/not-ours");
    assert_true(fixture_open(&f));
    assert_int_not_equal(access(fixture_path(&f, "bodies/05/ZZZZZZ", path), F_OK), 0);
    assert_int_equal(access(fixture_path(&f, "bodies/05/not-ours", path), F_OK), 0);
    snprintf(name, sizeof name, "bodies/%s", body_file(m->body));
    assert_int_equal(access(fixture_path(&f, name, path), F_OK), 0);
    assert_true(fixture_will_log(&f, "what=orphan_removed id=ZZZZZZ"));
    assert_true(fixture_will_log(&f, "what=foreign_file"));
    queue_message_free(&m);
    fixture_end(&f);
}

/* Without its body a message is set aside and told of; the others are claimed. */
static void lose_body(bool running, bool cut)
{
    struct fixture f;
    struct claimed c;
    struct queue_counts counts;
    char path[256], name[64];
    fixture_start(&f);
    struct queue_message *m = fixture_message(&f, 70000, 1);
    struct queue_message *other = fixture_message(&f, 70000, 1);
    assert_true(fixture_commit(&f, m).ok);
    assert_true(fixture_commit(&f, other).ok);
    snprintf(name, sizeof name, "bodies/%s", body_file(m->body));
    fixture_path(&f, name, path);
    if (running) {
        queue_release(f.daemon.queue, m->entries->id, 1);
        queue_release(f.daemon.queue, other->entries->id, 1);
    } else {
        fixture_close(&f);
    }
    assert_int_equal(cut ? truncate(path, 1000) : unlink(path), 0);
    assert_true(running || fixture_open(&f));
    fixture_claim(&f, 10, LATER, &c);
    assert_int_equal(c.count, 1);
    assert_true(c.messages[0]->number == other->number);
    assert_true(fixture_count(&f, &counts).ok);
    assert_int_equal(counts.held, 1);
    assert_true(fixture_will_log(&f, "what=held"));
    claimed_free(&c);
    queue_message_free(&m);
    queue_message_free(&other);
    fixture_end(&f);
}

static void test_lost_body(void **state)
{
    (void)state;
    lose_body(true, false);
    lose_body(false, false);
    lose_body(true, true);
    lose_body(false, true);
}

/* A name that leads out of the folder is never followed. */
static void test_foreign_body_name(void **state)
{
    static const char *const names[] = {"../queue.db", "00/../../queue.db", "/etc/passwd",
                                        "00/", "0"};
    (void)state;
    struct fixture f;
    struct claimed c;
    char sql[200];
    fixture_start(&f);
    struct queue_message *m = fixture_message(&f, 70000, 1);
    assert_true(fixture_commit(&f, m).ok);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(sql, sizeof sql, "UPDATE messages SET body_file = '%s'", names[i]);
        fixture_sql(&f, sql);
        fixture_sql(&f, "UPDATE entries SET state = 0, next_try_ms = 1");
        fixture_claim(&f, 10, LATER, &c);
        assert_true(c.result.ok);
        assert_int_equal(c.count, 0);
    }
    queue_message_free(&m);
    fixture_end(&f);
}

/* --- foreign hands --- */

static void test_second_daemon(void **state)
{
    (void)state;
    struct fixture f;
    char pid[32];
    fixture_start(&f);
    assert_int_equal(
        queue_lock(f.directory, (unsigned)-1, (unsigned)-1, f.reason, sizeof f.reason),
        -1);
    snprintf(pid, sizeof pid, "process %ld ", (long)getpid());
    assert_non_null(strstr(f.reason, pid));
    assert_non_null(strstr(f.reason, f.directory));
    fixture_close(&f);
    assert_true(fixture_open(&f)); /* given back */
    fixture_end(&f);
}

static void test_modes(void **state)
{
    static const struct {
        const char *name;
        mode_t mode;
    } cases[] = {{"lock", 0600},         {"queue.db", 0600}, {"queue.db-wal", 0600},
                 {"queue.db-shm", 0600}, {"bodies", 0700},   {"bodies/ff", 0700}};
    (void)state;
    struct fixture f;
    struct stat st;
    char path[256], name[64];
    mode_t old = umask(0);
    fixture_start(&f);
    struct queue_message *m = fixture_message(&f, 70000, 1);
    assert_true(fixture_commit(&f, m).ok);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(lstat(fixture_path(&f, cases[i].name, path), &st), 0);
        assert_int_equal(st.st_mode & 07777, cases[i].mode);
    }
    snprintf(name, sizeof name, "bodies/%s", body_file(m->body));
    assert_int_equal(lstat(fixture_path(&f, name, path), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    queue_message_free(&m);
    fixture_end(&f);
    umask(old);
}

static void expect_refused(struct fixture *f, const char *text)
{
    if (fixture_open(f)) {
        fail_msg("opened, although: %s", text);
    }
    if (strstr(f->reason, text) == NULL) {
        fail_msg("'%s' is not in '%s'", text, f->reason);
    }
}

static void test_refusals(void **state)
{
    (void)state;
    struct fixture f;
    char path[256], other[256];
    fixture_start(&f);
    fixture_close(&f);
    assert_int_equal(chmod(f.directory, 0770), 0);
    expect_refused(&f, "can be written by others");
    assert_int_equal(chmod(f.directory, 0700), 0);
    if (geteuid() == 0) {
        assert_int_equal(chown(f.directory, 12345, (gid_t)-1), 0);
        expect_refused(&f, "belongs to user 12345");
        assert_int_equal(chown(f.directory, 0, (gid_t)-1), 0);
    }
    fixture_path(&f, "lock", path);
    fixture_path(&f, "other", other);
    assert_int_equal(link(path, other), 0);
    expect_refused(&f, "not a plain file");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("other", path), 0);
    expect_refused(&f, "lock file");
    assert_int_equal(unlink(path), 0);
    fixture_sql(&f, "PRAGMA user_version = 99");
    expect_refused(&f, "newer program");
    fixture_sql(&f, "PRAGMA application_id = 7");
    expect_refused(&f, "not a message queue");
    fixture_path(&f, "queue.db", path);
    assert_int_equal(rename(path, other), 0);
    assert_int_equal(symlink("other", path), 0);
    expect_refused(&f, "queue ");
    assert_int_equal(unlink(path), 0);
    put_file(&f, "queue.db");
    expect_refused(&f, "not a database");
    assert_int_equal(unlink(path), 0);
    assert_true(fixture_open(&f));
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_write_error),
        cmocka_unit_test(test_sync_error),
        cmocka_unit_test(test_report_fails_too),
        cmocka_unit_test(test_no_reopen),
        cmocka_unit_test(test_failed_batch),
        cmocka_unit_test(test_order_and_failed_settlement),
        cmocka_unit_test(test_release_repeated),
        cmocka_unit_test(test_savepoints),
        cmocka_unit_test(test_refused_settle_keeps_file),
        cmocka_unit_test(test_orphans),
        cmocka_unit_test(test_lost_body),
        cmocka_unit_test(test_foreign_body_name),
        cmocka_unit_test(test_second_daemon),
        cmocka_unit_test(test_modes),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests_name("queue_faults", tests, NULL, NULL);
}
