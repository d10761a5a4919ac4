/* Every call that changes a file fails in turn: with EIO, for want of room, or half done.
 * What is acknowledged meanwhile is on the disk all the same, nothing crashes, and when
 * the disk is well again the queue goes on without a restart. Then the power goes, so
 * that only what was truly synced counts; a sync that failed has lost what it was to
 * write.
 *
 * DISK_FAULTS=all in the environment is the long form: every call, not every seventh. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/check.h"
#include "test/unit/disk_lab.h"

enum { MESSAGES = 24, AFTER = 16, STEP = 7 };

struct trial {
    unsigned first, last; /* calls that fail */
    enum disk_fault fault;
    bool closed;       /* while they still do */
    uint64_t room;     /* instead: the disk has so much room */
    unsigned messages; /* sent then */
};

/* What the child says of itself, in notes when the disk is well again. */
enum { NOTE_CALLS, NOTE_FAILURES, NOTE_OPENED, NOTES };

static void work(struct fixture *f, int to, const void *arg)
{
    const struct trial *t = arg;
    disk_fail(t->first, t->last, t->fault);
    disk_room(t->room);
    bool opened = fixture_open(f);
    if (opened) {
        load_run(f, to, t->messages);
    }
    if (opened && t->closed) {
        fixture_close(f);
    }
    load_tell(to, disk_calls(), LOAD_NOTE);
    load_tell(to, disk_failures(), LOAD_NOTE);
    load_tell(to, opened, LOAD_NOTE);
    disk_fail(0, 0, DISK_EIO);
    disk_room(0);
    check((opened && !t->closed) || fixture_open(f));
    load_run(f, to, AFTER);
    disk_cut(DISK_LOSE_ALL, 1);
}

/* --- the parent --- */

struct trials {
    struct lab lab;
    struct load_record *records;
    uint64_t notes[NOTES];    /* of the last trial */
    unsigned stored, refused; /* messages of the last trial while the disk was bad */
    unsigned done, hit, unopened;
};

static void trials_start(struct trials *t)
{
    memset(t, 0, sizeof *t);
    t->records = calloc(LOAD_RECORDS_MAX, sizeof *t->records);
    check(t->records != NULL);
    lab_start(&t->lab);
}

static void trials_end(struct trials *t)
{
    lab_end(&t->lab);
    free(t->records);
}

/* Nothing was lost, and nothing was refused any more when the disk was well. */
static void trial_run(struct trials *t, const struct trial *trial)
{
    size_t count = lab_run(&t->lab, work, trial, t->records);
    unsigned notes = 0, refused_after = 0;
    t->refused = t->stored = 0;
    for (size_t i = 0; i < count; i++) {
        if (t->records[i].kind == LOAD_NOTE) {
            t->notes[notes++] = t->records[i].number;
        } else if (t->records[i].kind == LOAD_REFUSED) {
            *(notes == 0 ? &t->refused : &refused_after) += 1;
        } else if (t->records[i].kind == LOAD_STORED && notes == 0) {
            t->stored++;
        }
    }
    t->done++;
    t->hit += t->notes[NOTE_FAILURES] > 0;
    t->unopened += t->notes[NOTE_OPENED] == 0;
    if (!lab_verify(&t->lab, t->records, count) || refused_after > 0) {
        fail_msg("calls %u to %u with fault %d: %u messages refused afterwards",
                 trial->first, trial->last, (int)trial->fault, refused_after);
    }
}

static unsigned step(void)
{
    const char *text = getenv("DISK_FAULTS");
    return text != NULL && strcmp(text, "all") == 0 ? 1 : STEP;
}

/* From that call on `length` calls fail. In the queue of the trial before, or in one that
 * does not exist yet. */
static void run_faults(enum disk_fault fault, unsigned length, bool fresh)
{
    struct trials t;
    struct trial trial = {.fault = fault, .messages = MESSAGES, .closed = true};
    trials_start(&t);
    if (!fresh) {
        trial_run(&t, &trial);
    }
    trial_run(&t, &trial);
    unsigned calls = (unsigned)t.notes[NOTE_CALLS];
    t.done = t.hit = t.unopened = 0;
    for (unsigned at = 1 + (unsigned)fault; at <= calls; at += step()) {
        trial.first = at;
        trial.last = at + length - 1;
        trial.closed = at % 2 == 1;
        if (fresh) {
            lab_fresh(&t.lab);
        }
        trial_run(&t, &trial);
    }
    printf(
        "# %u calls, %u trials, in %u of them something failed, %u times the queue did "
        "not open\n",
        calls, t.done, t.hit, t.unopened);
    assert_true(t.hit > 0);
    trials_end(&t);
}

static void test_io_error(void **state)
{
    (void)state;
    run_faults(DISK_EIO, 1, false);
}

static void test_io_errors(void **state)
{
    (void)state;
    run_faults(DISK_EIO, 20, false);
}

static void test_no_space(void **state)
{
    (void)state;
    run_faults(DISK_ENOSPC, 1, false);
}

static void test_no_space_for_long(void **state)
{
    (void)state;
    run_faults(DISK_ENOSPC, 50, false);
}

static void test_short_write(void **state)
{
    (void)state;
    run_faults(DISK_SHORT, 2, false);
}

static void test_new_queue(void **state)
{
    (void)state;
    run_faults(DISK_EIO, 1, true);
}

/* A disk with little more room than the reserve: new messages are refused when that is
 * reached, what is there can be delivered, and with room all goes on. Then one with much
 * less than the reserve. */
static void test_full(void **state)
{
    (void)state;
    struct trials t;
    struct trial full = {.room = (16 << 20) + (3 << 20), .messages = 300};
    trials_start(&t);
    trial_run(&t, &full);
    printf("# full disk by the shim: %u messages stored, %u refused\n", t.stored,
           t.refused);
    assert_true(t.stored > 20 && t.refused > 20);
    full.closed = true;
    lab_fresh(&t.lab); /* what is left of the first trial may fill this one's disk */
    trial_run(&t, &full);
    assert_true(t.stored > 20 && t.refused > 20);
    full.room = 1 << 20;
    trial_run(&t, &full);
    assert_int_equal(t.stored, 0);
    assert_true(t.notes[NOTE_OPENED] == 1 && t.refused == full.messages);
    trials_end(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_io_error),    cmocka_unit_test(test_io_errors),
        cmocka_unit_test(test_no_space),    cmocka_unit_test(test_no_space_for_long),
        cmocka_unit_test(test_short_write), cmocka_unit_test(test_new_queue),
        cmocka_unit_test(test_full),
    };
    return cmocka_run_group_tests_name("queue_disk", tests, NULL, NULL);
}
