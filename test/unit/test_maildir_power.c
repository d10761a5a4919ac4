/* Deliveries into Maildirs on a disk that loses its power at each call in turn, or has
 * one call fail before that: what was answered as delivered is there, whole.
 *
 * Built again without the syncs of maildir.c (test/Makefile.inc) it must find a loss. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/check.h"
#include "channels/maildir.h"
#include "router/body.h"
#include "test/unit/disk_shim.h"
#include "test/unit/queue_fixture.h"

#ifndef LEFT_OUT
#define LEFT_OUT 0
#endif
enum { MESSAGES = 6, NEW_USER = 4, SIZE = 9000, CALLS_MAX = 400 };

/* What a child says of each message that was delivered; a last one with the number of
 * calls. */
struct told {
    unsigned calls;
    char path[MAILDIR_PATH_MAX];
};

struct trial {
    unsigned cut, fail; /* calls, from 1; 0: the cut is at the end, none fails */
    enum disk_loss loss;
};

static _Noreturn void child(const char *root, int to, const struct trial *t)
{
    static char data[SIZE];
    memset(data, 'x', sizeof data);
    disk_watch(root);
    disk_cut_at(t->cut, NULL, t->loss, t->cut + 1);
    disk_fail(t->fail, t->fail, DISK_EIO);
    int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    check(fd >= 0);
    for (unsigned i = 0; i < MESSAGES; i++) {
        struct told told = {.calls = 0};
        struct outcome out;
        struct maildir_delivery m = {.body = body_from_memory(data, sizeof data),
                                     .sender = STR("sue@far.test"),
                                     .message_id = STR("10000"),
                                     .host = STR("here.test"),
                                     .serial = i};
        struct maildir_root at = {.fd = fd, .rule = STR("%u")};
        struct maildir_folder folder = {.path = "ann"};
        if (i % 3 == 0) {
            folder = (struct maildir_folder){.path = "postmaster", .made = 1};
        } else if (i == NEW_USER) { /* made a moment ago, by somebody who did not sync */
            folder = (struct maildir_folder){.path = "sue"};
            mkdirat(fd, "sue", 0700);
        }
        maildir_deliver(&at, &folder, &m, told.path, &out);
        if (out.class == OUTCOME_DELIVERED) {
            check(write(to, &told, sizeof told) == sizeof told);
        }
    }
    struct told end = {.calls = disk_calls()};
    check(write(to, &end, sizeof end) == sizeof end);
    disk_cut(t->loss, t->cut + 1);
}

/* Whole means: more than the body, for Return-Path stands in front. */
static bool is_whole(const char *root, const struct told *t)
{
    char path[MAILDIR_PATH_MAX + 64];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", root, t->path);
    if (stat(path, &st) != 0 || st.st_size <= SIZE) {
        fprintf(stderr, "# %s is lost\n", t->path);
        return false;
    }
    return true;
}

/* In a new folder with one user. True when all is there; *calls, when the child came to
 * its end. */
static bool run_trial(const char *root, const struct trial *t, unsigned *calls)
{
    int ends[2], status;
    char user[64];
    struct told told;
    bool good = true;
    fixture_remove(root);
    snprintf(user, sizeof user, "%s/ann", root);
    check(mkdir(root, 0700) == 0 && mkdir(user, 0700) == 0 && pipe(ends) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        child(root, ends[1], t);
    }
    close(ends[1]);
    check(pid > 0 && waitpid(pid, &status, 0) == pid);
    check(WIFEXITED(status) && WEXITSTATUS(status) == DISK_CUT_STATUS);
    while (read(ends[0], &told, sizeof told) == sizeof told) {
        if (told.calls > 0) {
            *calls = told.calls;
        } else {
            good = is_whole(root, &told) && good;
        }
    }
    close(ends[0]);
    return good;
}

static unsigned run_all(const char *root)
{
    unsigned calls = 0, lost = 0, unused = 0, trials = 0;
    struct trial t = {.cut = 0};
    lost += !run_trial(root, &t, &calls);
    check(calls > 20 && calls < CALLS_MAX);
    for (unsigned at = 1; at <= calls && !(LEFT_OUT && lost > 0); at++) {
        for (unsigned kind = 0; kind < 3; kind++, trials++) {
            t = (struct trial){.cut = kind < 2 ? at : 0,
                               .fail = kind < 2 ? 0 : at,
                               .loss = kind == 1 ? DISK_LOSE_PARTS : DISK_LOSE_ALL};
            lost += !run_trial(root, &t, &unused);
        }
    }
    printf("# %u calls, %u trials, %u with a loss\n", calls, trials, lost);
    return lost;
}

static void test_maildir(void **state)
{
    (void)state;
    char root[40] = "/dev/shm/pm-mail-XXXXXX";
    if (mkdtemp(root) == NULL) {
        strcpy(root, "/tmp/pm-mail-XXXXXX");
        check(mkdtemp(root) != NULL);
    }
    unsigned lost = run_all(root);
    fixture_remove(root);
    assert_int_equal(lost > 0, LEFT_OUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_maildir),
    };
    return cmocka_run_group_tests_name("maildir_power", tests, NULL, NULL);
}
