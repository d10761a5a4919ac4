/* local: which folder an address means, and a message into it, in a temporary root with
 * everything in it that must not be followed. And bitbucket, which has no such cares. */
#include "channels/local.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "channels/bitbucket.h"
#include "channels/maildir.h"
#include "channels/maildir_known.h"
#include "router/body.h"
#include "router/runtime.h"
#include "router/worker.h"

struct fixture {
    char root[64];
    int fd;
};

static void make(const struct fixture *f, const char *path)
{
    char whole[200];
    snprintf(whole, sizeof whole, "%s/%s", f->root, path);
    assert_int_equal(mkdir(whole, 0700), 0);
}

static void make_link(const struct fixture *f, const char *to, const char *path)
{
    assert_int_equal(symlinkat(to, f->fd, path), 0);
}

/* With the rule "%u" for folders. */
static bool find(int fd, str local, char user[MAILDIR_FOLDER_MAX + 1],
                 struct outcome *out)
{
    struct maildir_root root = {.fd = fd, .rule = STR("%u")};
    struct address to = {.local = local, .domain = STR("here.test")};
    struct maildir_folder folder;
    bool good = maildir_find(&root, &to, &folder, out);
    if (good) {
        strcpy(user, folder.path);
        assert_int_equal(folder.made, strcmp(user, "postmaster") == 0);
    }
    return good;
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    strcpy(f->root, "/tmp/test_local.XXXXXX");
    assert_non_null(mkdtemp(f->root));
    f->fd = open(f->root, O_RDONLY | O_DIRECTORY);
    assert_true(f->fd >= 0);
    make(f, "ann");
    make(f, "bob");
    make(f, "bob+lists");
    make(f, "o'brien & co");
    make(f, "full");
    make(f, "linked-new");
    make(f, "linked-new/tmp");
    make(f, "linked-new/cur");
    make_link(f, "../ann", "linked-new/new");
    make_link(f, "ann", "alias");
    int file = openat(f->fd, "file", O_CREAT | O_WRONLY, 0600);
    assert_true(file >= 0);
    close(file);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    char command[128];
    close(f->fd);
    snprintf(command, sizeof command, "rm -rf '%s'", f->root);
    int rc = system(command);
    free(f);
    return rc;
}

/* --- names --- */

static void test_find(void **state)
{
    static const struct {
        const char *local;
        size_t len;
        const char *user; /* NULL: refused with */
        unsigned y, z;
    } cases[] = {
        {"ann", 0, "ann", 0, 0},
        {"Ann", 0, "ann", 0, 0},
        {"\"ann\"", 0, "ann", 0, 0},
        {"\"a\\nn\"", 0, "ann", 0, 0},
        {"ann+anything", 0, "ann", 0, 0},
        {"ann+a+b", 0, "ann", 0, 0},
        {"bob+lists", 0, "bob+lists", 0, 0},
        {"bob+other", 0, "bob", 0, 0},
        {"\"o'brien & co\"", 0, "o'brien & co", 0, 0},
        {"postmaster", 0, "postmaster", 0, 0},
        {"PostMaster", 0, "postmaster", 0, 0},
        {"postmaster+x", 0, "postmaster", 0, 0},
        {"nobody", 0, NULL, 1, 1},
        {"+ann", 0, NULL, 1, 1},
        {"file", 0, NULL, 1, 1},
        {"alias", 0, NULL, 1, 1},
        {"alias+x", 0, NULL, 1, 1},
        {"an", 0, NULL, 1, 1},
        {"ann ", 0, NULL, 1, 1},
        {"", 0, NULL, 1, 3},
        {"\"\"", 0, NULL, 1, 3},
        {".", 0, NULL, 1, 3},
        {"..", 0, NULL, 1, 3},
        {"../ann", 0, NULL, 1, 3},
        {"\"../ann\"", 0, NULL, 1, 3},
        {"\"\\../ann\"", 0, NULL, 1, 3},
        {"ann/new", 0, NULL, 1, 3},
        {"/etc", 0, NULL, 1, 3},
        {".hidden", 0, NULL, 1, 3},
        {"\".hidden\"", 0, NULL, 1, 3},
        {"an\nn", 0, NULL, 1, 3},
        {"ann\x7f", 0, NULL, 1, 3},
        {"\xc3\xa4nn", 0, NULL, 1, 3},
        {"ann\0x", 5, NULL, 1, 3},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char user[MAILDIR_FOLDER_MAX + 1];
        struct outcome out;
        outcome_init(&out);
        str local =
            str_n(cases[i].local, cases[i].len ? cases[i].len : strlen(cases[i].local));
        if (find(f->fd, local, user, &out) != (cases[i].user != NULL)) {
            fail_msg("'%s': %s", cases[i].local, out.text);
        }
        if (cases[i].user != NULL) {
            assert_string_equal(user, cases[i].user);
            continue;
        }
        assert_int_equal(out.class, OUTCOME_FAILED);
        assert_int_equal(out.code, 550);
        assert_int_equal(out.enhanced[1], cases[i].y);
        assert_int_equal(out.enhanced[2], cases[i].z);
    }
}

static void test_find_length(void **state)
{
    struct fixture *f = *state;
    char user[MAILDIR_FOLDER_MAX + 1], name[80];
    struct outcome out;
    memset(name, 'x', sizeof name);
    name[64] = '\0';
    make(f, name);
    assert_true(find(f->fd, str_n(name, 64), user, &out));
    assert_false(find(f->fd, str_n(name, 63), user, &out));
    assert_int_equal(out.enhanced[2], 1);
    name[64] = 'x';
    assert_false(find(f->fd, str_n(name, 65), user, &out));
    assert_int_equal(out.enhanced[2], 3);
}

static void test_find_by_rule(void **state)
{
    static const struct {
        const char *rule, *local, *domain, *folder; /* NULL: no such mailbox */
        unsigned made;
    } cases[] = {
        {"%d/%u", "Ann", "A.Test", "a.test/ann", 0},
        {"%d/%u", "ann", "b.test", NULL, 0},
        {"%d/%u", "ann+x", "a.test", "a.test/ann", 0},
        {"%d/%u", "carl+x", "a.test", "a.test/carl+x", 0},
        {"%d/%1u/%2u/%u/box", "bob", "a.test", "a.test/b/bo/bob/box", 0},
        {"%u/box", "dave", "a.test", "dave/box", 0},
        {"%u/box", "linked", "a.test", NULL, 0},
        {"%d/%u", "ann", "linked.test", NULL, 0},
        {"%d/%u", "ann", "[192.0.2.1]", NULL, 0},
        {"%d/%u", "ann", "", NULL, 0},
        {"x-%u", "y", "a.test", "x-y", 0},
        {"%u/box", "postmaster", "a.test", "postmaster/box", 2},
        {"%d/%u/box", "Postmaster", "a.test", "a.test/postmaster/box", 2},
        {"%d/%u/box", "postmaster", "no.test", NULL, 0},
        {"%u/%d", "postmaster", "a.test", NULL, 0},
        {"%u@%d", "postmaster", "a.test", NULL, 0},
    };
    static const char *const folders[] = {"a.test",
                                          "a.test/ann",
                                          "a.test/carl+x",
                                          "a.test/b",
                                          "a.test/b/bo",
                                          "a.test/b/bo/bob",
                                          "a.test/b/bo/bob/box",
                                          "dave",
                                          "dave/box",
                                          "x-y"};
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        make(f, folders[i]);
    }
    make_link(f, "dave", "linked");
    make_link(f, "a.test", "linked.test");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct maildir_root root = {.fd = f->fd, .rule = str_from(cases[i].rule)};
        struct address to = {.local = str_from(cases[i].local),
                             .domain = str_from(cases[i].domain)};
        struct maildir_folder folder;
        struct outcome out;
        outcome_init(&out);
        bool found = maildir_find(&root, &to, &folder, &out);
        if (found != (cases[i].folder != NULL) ||
            (found && strcmp(folder.path, cases[i].folder) != 0) ||
            (found && folder.made != cases[i].made)) {
            fail_msg("case %zu: %d %s %s", i, found, folder.path, out.text);
        }
        assert_true(found || out.class == OUTCOME_FAILED);
    }
}

/* No such folder can be: that is for good, and +detail falls back as with a missing one.
 */
static void test_find_name_too_long(void **state)
{
    static const struct {
        const char *rule, *local;
        bool long_domain;
        const char *folder; /* NULL: refused with 5.1.z */
        unsigned z;
    } cases[] = {
        {"%u-%d", "carl", true, NULL, 3},
        {"%u-%d", "carl+x", true, NULL, 3},
        {"%d-%u", "postmaster", true, NULL, 3},
        {"%u", "carl+x", true, "carl", 0},
        {"%u%u%u%u%u", "a+2345678901234567890123456789012345678901234567890123", false,
         "aaaaa", 0},
        {"%u%u%u%u%u", "b+2345678901234567890123456789012345678901234567890123", false,
         NULL, 1},
        {"%u/%u/%u/%u/%u/%u/%u/%u", "c+2345678901234567890123456789012345678901234567890",
         false, NULL, 1},
    };
    struct fixture *f = *state;
    char domain[253];
    memset(domain, 'x', sizeof domain);
    for (size_t i = 60; i < sizeof domain; i += 61) {
        domain[i] = '.';
    }
    make(f, "carl");
    make(f, "aaaaa");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct maildir_root root = {.fd = f->fd, .rule = str_from(cases[i].rule)};
        struct address to = {.local = str_from(cases[i].local),
                             .domain = cases[i].long_domain ? str_n(domain, sizeof domain)
                                                            : STR("a.test")};
        struct maildir_folder folder = {.path = ""};
        struct outcome out;
        outcome_init(&out);
        bool found = maildir_find(&root, &to, &folder, &out);
        if (found != (cases[i].folder != NULL) ||
            (found && strcmp(folder.path, cases[i].folder) != 0) ||
            (!found && (out.class != OUTCOME_FAILED || out.code != 550 ||
                        out.enhanced[1] != 1 || out.enhanced[2] != cases[i].z))) {
            fail_msg("case %zu: %d %s %u %s", i, found, folder.path, out.code, out.text);
        }
    }
}

static void test_find_unreadable_root(void **state)
{
    char user[MAILDIR_FOLDER_MAX + 1];
    struct outcome out;
    (void)state;
    assert_false(find(-1, STR("ann"), user, &out)); /* EBADF */
    assert_int_equal(out.class, OUTCOME_DEFERRED);
    assert_int_equal(out.code, 451);
}

/* --- delivering --- */

static void deliver_body(const struct fixture *f, const char *user, const char *sender,
                         const struct body *body, char *path, struct outcome *out)
{
    struct maildir_delivery m = {
        .body = body,
        .sender = str_from(sender),
        .message_id = STR("7F3K2"),
        .host = STR("mail/demo:test"),
        .serial = 3,
        .now_us = 1795220530000042,
    };
    outcome_init(out);
    struct maildir_root root = {.fd = f->fd, .rule = STR("%u")};
    struct maildir_folder folder = {.made = strcmp(user, "postmaster") == 0};
    strcpy(folder.path, user);
    maildir_deliver(&root, &folder, &m, path, out);
}

static void deliver_from(const struct fixture *f, const char *user, const char *sender,
                         str text, char *path, struct outcome *out)
{
    struct body *body = body_from_memory(text.ptr, text.len);
    deliver_body(f, user, sender, body, path, out);
    body_unref(&body);
}

static void deliver(const struct fixture *f, const char *user, str text, char *path,
                    struct outcome *out)
{
    deliver_from(f, user, "you@here.test", text, path, out);
}

static unsigned count_files(const struct fixture *f, const char *path)
{
    char whole[400];
    unsigned n = 0;
    snprintf(whole, sizeof whole, "%s/%s", f->root, path);
    DIR *dir = opendir(whole);
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        n += e->d_name[0] != '.';
    }
    closedir(dir);
    return n;
}

static void assert_file(const struct fixture *f, const char *path, str expected)
{
    static char got[300000];
    char whole[400];
    struct stat st;
    snprintf(whole, sizeof whole, "%s/%s", f->root, path);
    assert_int_equal(stat(whole, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    FILE *file = fopen(whole, "rb");
    assert_non_null(file);
    size_t n = fread(got, 1, sizeof got, file);
    fclose(file);
    assert_int_equal(n, expected.len);
    assert_memory_equal(got, expected.ptr, n);
}

static void test_deliver(void **state)
{
    struct fixture *f = *state;
    char path[MAILDIR_PATH_MAX], name[200];
    struct outcome out;
    deliver(f, "ann", STR("A: 1\r\n\r\nbody\rx\r\n\nz\r\r\n"), path, &out);
    assert_int_equal(out.class, OUTCOME_DELIVERED);
    snprintf(name, sizeof name, "ann/new/1795220530.M42P%ldQ7F3K2N3.mail_demo_test",
             (long)getpid());
    assert_string_equal(path, name);
    assert_file(f, path, STR("Return-Path: <you@here.test>\nA: 1\n\nbody\rx\n\nz\r\n"));
    assert_int_equal(count_files(f, "ann/tmp"), 0);
    assert_int_equal(count_files(f, "ann/new"), 1);
    assert_int_equal(count_files(f, "ann/cur"), 0);
    deliver_from(f, "bob", "", STR(""), path, &out);
    assert_int_equal(out.class, OUTCOME_DELIVERED);
    assert_file(f, path, STR("Return-Path: <>\n"));
    deliver_from(f, "bob+lists", "a\nb@x", STR("\r"), path, &out);
    assert_file(f, path, STR("Return-Path: <a?b@x>\n\r"));
}

/* A CRLF on every border of the pieces that are read. */
static void test_deliver_large(void **state)
{
    enum { LINES = 100000 };
    struct fixture *f = *state;
    static char text[LINES * 3], expected[100 + LINES * 2];
    char path[MAILDIR_PATH_MAX];
    struct outcome out;
    size_t n = (size_t)sprintf(expected, "Return-Path: <you@here.test>\n");
    for (size_t i = 0; i < LINES; i++) {
        memcpy(text + 3 * i, "x\r\n", 3);
        memcpy(expected + n + 2 * i, "x\n", 2);
    }
    for (size_t skip = 0; skip < 3; skip++) {
        deliver(f, "ann", str_n(text + skip, sizeof text - skip), path, &out);
        assert_int_equal(out.class, OUTCOME_DELIVERED);
        if (skip == 0) {
            assert_file(f, path, str_n(expected, n + 2 * LINES));
        }
    }
}

static void test_deliver_postmaster(void **state)
{
    struct fixture *f = *state;
    char path[MAILDIR_PATH_MAX];
    struct outcome out;
    deliver(f, "postmaster", STR("x\r\n"), path, &out);
    assert_int_equal(out.class, OUTCOME_DELIVERED);
    deliver(f, "postmaster", STR("y\r\n"), path, &out);
    assert_int_equal(out.class, OUTCOME_DELIVERED);
    struct stat st;
    assert_int_equal(fstatat(f->fd, "postmaster", &st, 0), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
}

enum { ROUNDS = 40, AT_ONCE = 4 };

struct racer {
    pthread_t thread;
    pthread_barrier_t *start;
    struct maildir_root root;
    unsigned serial;
    unsigned delivered;
};

static void *race(void *arg)
{
    struct racer *r = arg;
    struct body *body = body_from_memory("x\r\n", 3);
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct maildir_folder folder = {.made = 2};
        struct maildir_delivery m = {.body = body,
                                     .sender = STR("you@here.test"),
                                     .message_id = STR("7F3K2"),
                                     .host = STR("here.test"),
                                     .serial = r->serial};
        struct outcome out;
        char path[MAILDIR_PATH_MAX];
        snprintf(folder.path, sizeof folder.path, "round%u/postmaster", i);
        outcome_init(&out);
        pthread_barrier_wait(r->start);
        maildir_deliver(&r->root, &folder, &m, path, &out);
        r->delivered += out.class == OUTCOME_DELIVERED;
    }
    body_unref(&body);
    return NULL;
}

/* Each of them finds the folders missing, or half made. */
static void test_made_at_once(void **state)
{
    struct fixture *f = *state;
    struct racer racers[AT_ONCE];
    pthread_barrier_t start;
    struct maildir_known *known = maildir_known_new();
    assert_int_equal(pthread_barrier_init(&start, NULL, AT_ONCE), 0);
    for (unsigned i = 0; i < AT_ONCE; i++) {
        racers[i] = (struct racer){
            .start = &start, .root = {.fd = f->fd, .known = known}, .serial = i};
        assert_int_equal(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
    }
    for (unsigned i = 0; i < AT_ONCE; i++) {
        assert_int_equal(pthread_join(racers[i].thread, NULL), 0);
        assert_int_equal(racers[i].delivered, ROUNDS);
    }
    assert_int_equal(count_files(f, "round0/postmaster/new"), AT_ONCE);
    assert_int_equal(count_files(f, "round39/postmaster/new"), AT_ONCE);
    pthread_barrier_destroy(&start);
    maildir_known_free(&known);
}

static void test_deliver_refused(void **state)
{
    static const struct {
        const char *user;
        enum outcome_class class;
    } cases[] = {
        {"nobody", OUTCOME_FAILED},
        {"alias", OUTCOME_FAILED},
        {"file", OUTCOME_FAILED},
        {"linked-new", OUTCOME_DEFERRED},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char path[MAILDIR_PATH_MAX] = "";
        struct outcome out;
        deliver(f, cases[i].user, STR("x\r\n"), path, &out);
        assert_int_equal(out.class, cases[i].class);
        assert_string_equal(path, "");
    }
    struct stat st;
    assert_int_not_equal(fstatat(f->fd, "nobody", &st, 0), 0); /* not made */
    assert_int_not_equal(fstatat(f->fd, "ann/new", &st, 0), 0);
    assert_int_equal(count_files(f, "linked-new/tmp"), 0);
}

static void test_no_space(void **state)
{
    struct fixture *f = *state;
    static char text[100000];
    char path[MAILDIR_PATH_MAX] = "";
    struct outcome out;
    struct rlimit old, small;
    memset(text, 'x', sizeof text);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = 70000;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    deliver(f, "full", str_n(text, sizeof text), path, &out);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(out.class, OUTCOME_DEFERRED);
    assert_int_equal(out.enhanced[1], 3);
    assert_int_equal(out.enhanced[2], 1);
    assert_string_equal(path, "");
    assert_int_equal(count_files(f, "full/tmp"), 0);
    assert_int_equal(count_files(f, "full/new"), 0);
    deliver(f, "full", str_n(text, sizeof text), path, &out);
    assert_int_equal(out.class, OUTCOME_DELIVERED);
}

/* A file of the queue that lost its end must not pass for a whole message. */
static void test_body_cut_short(void **state)
{
    struct fixture *f = *state;
    char path[MAILDIR_PATH_MAX] = "", text[3000];
    struct outcome out;
    int error = 0;
    memset(text, 'x', sizeof text);
    make(f, "00");
    int fd = openat(f->fd, "00/large", O_CREAT | O_RDWR, 0600);
    assert_true(fd >= 0 && write(fd, text, sizeof text) == sizeof text);
    struct body *body = body_from_file(f->root, "00/large", &error);
    assert_non_null(body);
    assert_int_equal(ftruncate(fd, 1000), 0);
    close(fd);
    deliver_body(f, "ann", "you@here.test", body, path, &out);
    body_unref(&body);
    assert_int_equal(out.class, OUTCOME_DEFERRED);
    assert_string_equal(path, "");
    assert_int_equal(count_files(f, "ann/tmp"), 0);
    assert_int_equal(count_files(f, "ann/new"), 0);
}

/* --- the kind --- */

static bool prepare(const char *root, struct diags *d, void **kind_state)
{
    struct channel l = {.name = STR("l"), .type = CHANNEL_LOCAL};
    struct channel *channels[] = {&l};
    struct snapshot s = {.channels = channels, .channel_count = 1};
    s.options.maildir_root = str_from(root);
    s.options.maildir_folder = STR("%u");
    *kind_state = NULL;
    return kind_local.prepare(&s, NULL, kind_state, d);
}

static void test_prepare(void **state)
{
    struct fixture *f = *state;
    struct arena *a = arena_new();
    struct diags *d = diags_new(a, sources_new(a));
    char root[128];
    void *kind_state;
    struct outcome out;
    struct address ann = {.local = STR("ann"), .domain = STR("demo.test")};
    assert_true(prepare(f->root, d, &kind_state));
    assert_true(kind_local.verify(kind_state, NULL, &ann, &out));
    ann.local = STR("anne");
    assert_false(kind_local.verify(kind_state, NULL, &ann, &out));
    kind_local.retire(kind_state);

    snprintf(root, sizeof root, "%s/made", f->root);
    assert_true(prepare(root, d, &kind_state));
    struct stat st;
    assert_int_equal(stat(root, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    kind_local.retire(kind_state);
    assert_int_equal(diags_errors(d), 0);

    snprintf(root, sizeof root, "%s/not/there", f->root);
    assert_false(prepare(root, d, &kind_state));
    assert_null(kind_state);
    snprintf(root, sizeof root, "%s/file", f->root);
    assert_false(prepare(root, d, &kind_state));
    assert_int_equal(diags_errors(d), 2);
    str text = diags_first(d)->text;
    assert_string_equal(diags_first(d)->slug, "maildir-root");
    assert_true(
        str_iends(text, STR("/not/there' cannot be opened: No such file or directory")));
    arena_free(&a);
}

/* The router's side of a job, in place of router/job.c. */
static unsigned jobs_done;
static bool in_deliver;

void job_done(struct job *job)
{
    assert_non_null(job);
    assert_false(in_deliver);
    jobs_done++;
}

static void run_job(const struct channel_kind *kind, void *kind_state, struct job *job)
{
    struct daemon daemon = {.clock = &clock_system};
    struct worker w;
    assert_int_equal(worker_init(&w, &daemon, 0), 0);
    for (unsigned i = 0; i < job->recipient_count; i++) {
        outcome_init(&job->recipients[i].outcome);
    }
    jobs_done = 0;
    in_deliver = true;
    kind->deliver(&w, kind_state, job);
    in_deliver = false;
    while (jobs_done == 0) {
        uv_run(&w.loop, UV_RUN_ONCE);
    }
    assert_true(worker_free(&w));
    assert_int_equal(jobs_done, 1);
}

static void test_jobs(void **state)
{
    struct fixture *f = *state;
    struct arena *a = arena_new();
    struct diags *d = diags_new(a, sources_new(a));
    struct channel l = {.name = STR("l"), .type = CHANNEL_LOCAL};
    struct snapshot s = {.local_host = STR("mail.demo.test")};
    struct runtime runtime = {.snapshot = &s};
    struct job_recipient recipients[] = {
        {.address = STR("Ann@demo.test")},
        {.address = STR("nobody@demo.test")},
        {.address = STR("\"../ann\"@demo.test")},
        {.address = STR("@relay.test:postmaster@demo.test")},
        {.address = STR("not an address")},
    };
    static const enum outcome_class classes[] = {OUTCOME_DELIVERED, OUTCOME_FAILED,
                                                 OUTCOME_FAILED, OUTCOME_DELIVERED,
                                                 OUTCOME_FAILED};
    struct body *body = body_from_memory("x\r\n", 3);
    struct job job = {.runtime = &runtime,
                      .channel = &l,
                      .message_id = STR("7F3K2"),
                      .sender = STR("you@here.test"),
                      .body = body,
                      .recipients = recipients,
                      .recipient_count = 5};
    void *kind_state;
    assert_true(prepare(f->root, d, &kind_state));
    run_job(&kind_local, kind_state, &job);
    kind_local.retire(kind_state);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(recipients[i].outcome.class, classes[i]);
        assert_int_equal(recipients[i].outcome.code, 0);
    }
    assert_int_equal(count_files(f, "ann/new"), 1);
    assert_int_equal(count_files(f, "postmaster/new"), 1);
    assert_string_equal(job.peer, ""); /* several files: each is in its outcome's text */
    assert_memory_equal(recipients[0].outcome.text, "stored as ann/new/", 18);
    job.recipient_count = 1;
    assert_true(prepare(f->root, d, &kind_state));
    run_job(&kind_local, kind_state, &job);
    kind_local.retire(kind_state);
    assert_memory_equal(job.peer, "ann/new/", 8);
    assert_file(f, job.peer, STR("Return-Path: <you@here.test>\nx\n"));
    job.recipient_count = 5;

    run_job(&kind_bitbucket, NULL, &job);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(recipients[i].outcome.class, OUTCOME_DELIVERED);
    }
    body_unref(&body);
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_find, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_find_length, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_find_by_rule, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_find_name_too_long, set_up, tear_down),
        cmocka_unit_test(test_find_unreadable_root),
        cmocka_unit_test_setup_teardown(test_deliver, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_deliver_large, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_deliver_postmaster, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_made_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_deliver_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_body_cut_short, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_space, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_prepare, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_jobs, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
