/* The power goes at any call that changes a file: what was not synced is gone, all of it
 * or a part. Nothing the queue has acknowledged is lost, and it opens again.
 *
 * The same program is built again with one sync left out of the daemon's code (see
 * test/Makefile.inc): then a loss must be found, or this test could not find one.
 *
 * POWER_CUTS=1000 in the environment is the long form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/check.h"
#include "test/unit/disk_lab.h"

#ifndef LEFT_OUT
#define LEFT_OUT 0
#endif
enum {
    LOSS_EXPECTED = LEFT_OUT,
    CUTS = LOSS_EXPECTED ? 400 : 150, /* by default; stops at the first loss */
    FRESH_EVERY = 16                  /* cuts, of which the first are in new queues */
};

/* Where the power went. */
enum where { PLACE_LOG, PLACE_DATABASE, PLACE_BODY, PLACE_FOLDERS, PLACES };
static const char *const PLACE_NAMES[PLACES] = {"the log file", "the database", "bodies",
                                                "folders"};

enum {
    MESSAGES = 60,   /* of one run, more or less */
    VERIFY_EVERY = 3 /* cuts: the second one may hit the recovery from the first */
};

static enum where wanted;
static unsigned calls_at[PLACES];

static enum where place_of(const char *path)
{
    size_t n = strlen(path);
    if (n > 4 && strcmp(path + n - 4, "-wal") == 0) {
        return PLACE_LOG;
    }
    if (n > 9 && strcmp(path + n - 9, "/queue.db") == 0) {
        return PLACE_DATABASE;
    }
    const char *body = strstr(path, "/bodies/");
    return body != NULL && strlen(body) > 11 ? PLACE_BODY : PLACE_FOLDERS;
}

static void count_call(const char *path)
{
    calls_at[place_of(path)]++;
}

static bool is_wanted(const char *path)
{
    return place_of(path) == wanted;
}

/* --- the child --- */

/* When and how the power goes. */
struct cut {
    enum where where;
    unsigned call; /* there; 0: when all is done and closed */
    enum disk_loss loss;
    unsigned seed;
};

/* Opens, works, closes. What remains after the cut is in the folder. */
static void work(struct fixture *f, int to, const void *arg)
{
    const struct cut *cut = arg;
    wanted = cut->where;
    disk_each(count_call);
    disk_cut_at(cut->call, is_wanted, cut->loss, cut->seed);
    check(fixture_open(f));
    load_run(f, to, MESSAGES / 2 + cut->seed % MESSAGES);
    fixture_close(f);
    for (int i = 0; i < PLACES; i++) {
        load_tell(to, calls_at[i], LOAD_NOTE);
    }
    disk_cut(cut->loss, cut->seed); /* what was answered is there after the end, too */
}

/* --- the parent --- */

struct cuts {
    struct lab lab;
    struct load_record *records;
    size_t count;
    unsigned done, places[PLACES], late;
    unsigned calls[PLACES]; /* of a run from nothing to its end */
};

/* A queue of its own that is cut when all is done, to count the calls. */
static bool cut_none(struct cuts *c)
{
    struct cut never = {.loss = DISK_LOSE_ALL};
    size_t count = lab_run(&c->lab, work, &never, c->records);
    check(count > PLACES);
    for (int i = 0; i < PLACES; i++) {
        c->calls[i] = (unsigned)c->records[count - PLACES + (unsigned)i].number;
        check(c->calls[i] > 0);
    }
    return lab_verify(&c->lab, c->records, count);
}

static bool is_fresh(const struct cuts *c)
{
    return c->done % FRESH_EVERY < PLACES;
}

/* One cut, in the queue of the one before or in one that does not exist yet. */
static bool cut_one(struct cuts *c)
{
    unsigned chance = (unsigned)rand();
    struct cut cut = {.where = c->done % PLACES,
                      .loss = chance % 2 == 0 ? DISK_LOSE_ALL : DISK_LOSE_PARTS,
                      .seed = chance / 2};
    cut.call = 1 + (unsigned)rand() % c->calls[cut.where];
    if (is_fresh(c)) {
        lab_fresh(&c->lab);
    }
    size_t told = lab_run(&c->lab, work, &cut, c->records + c->count);
    c->count += told;
    bool late = told > 0 && c->records[c->count - 1].kind == LOAD_NOTE;
    c->places[cut.where] += !late;
    c->late += late;
    c->done++;
    if (!is_fresh(c) && c->done % VERIFY_EVERY != 0) {
        return true;
    }
    told = c->count;
    c->count = 0;
    if (!lab_verify(&c->lab, c->records, told)) {
        fprintf(stderr, "# cut %u, at call %u at %s\n", c->done, cut.call,
                late ? "its end" : PLACE_NAMES[cut.where]);
        return false;
    }
    return true;
}

static unsigned cuts_wanted(void)
{
    const char *text = getenv("POWER_CUTS");
    return text != NULL && !LOSS_EXPECTED ? (unsigned)atoi(text) : CUTS;
}

static void test_power(void **state)
{
    (void)state;
    struct cuts c = {.done = 0};
    unsigned number = cuts_wanted();
    c.records = calloc(VERIFY_EVERY * LOAD_RECORDS_MAX, sizeof *c.records);
    check(c.records != NULL);
    lab_start(&c.lab);
    srand(11);
    bool lost = !cut_none(&c);
    while ((c.done < number || c.count > 0) && !lost) {
        lost = !cut_one(&c);
    }
    printf("# %u cuts", c.done);
    for (int i = 0; i < PLACES; i++) {
        printf(", %u at %s", c.places[i], PLACE_NAMES[i]);
    }
    printf(", %u after the end\n", c.late);
    lab_end(&c.lab);
    free(c.records);
    assert_int_equal(lost, LOSS_EXPECTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_power),
    };
    return cmocka_run_group_tests_name("queue_power", tests, NULL, NULL);
}
