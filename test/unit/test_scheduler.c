/* scheduler: limits, fairness between lanes, memory. */
#include "router/scheduler.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>
#include <uv.h>

enum { ITEMS = 400 };

struct fixture {
    struct scheduler *s;
    struct scheduler_item items[ITEMS];
    char host[ITEMS];
    bool started[ITEMS]; /* by start_all(), not ended by finish() */
    unsigned used;
};

static void start_up(struct fixture *f, unsigned per_lane, unsigned per_worker)
{
    struct scheduler_limits limits = {per_lane, per_worker, 100, 1000};
    *f = (struct fixture){.s = scheduler_new(&limits)};
}

/* One ready entry of a channel per letter; the letter is the host. */
static void add_to(struct fixture *f, const char *channel, const char *hosts,
                   const struct scheduler_rules *rules)
{
    for (; *hosts; hosts++) {
        assert_true(f->used < ITEMS);
        f->host[f->used] = *hosts;
        scheduler_add(f->s, &f->items[f->used], str_from(channel), str_n(hosts, 1),
                      rules);
        f->used++;
    }
}

static void add(struct fixture *f, const char *hosts)
{
    add_to(f, "tcp_local", hosts, NULL);
}

static char host_of(const struct fixture *f, const struct scheduler_item *item)
{
    return f->host[item - f->items];
}

/* Starts what may start; writes the hosts in the order in which they started. */
static const char *start_all(struct fixture *f, char *out)
{
    struct scheduler_item *item;
    size_t n = 0;
    while ((item = scheduler_start(f->s)) != NULL) {
        out[n++] = host_of(f, item);
        f->started[item - f->items] = true;
    }
    out[n] = '\0';
    return out;
}

/* Ends one running entry of a host. */
static void end_one(struct fixture *f, char host, const bool *waiting)
{
    for (unsigned i = 0; i < f->used; i++) {
        if (f->host[i] == host && f->items[i].lane != NULL && !waiting[i]) {
            scheduler_finish(f->s, &f->items[i]);
            return;
        }
    }
    fail_msg("nothing runs for %c", host);
}

/* Ends the first entry started of each host. */
static void finish(struct fixture *f, const char *hosts)
{
    for (; *hosts; hosts++) {
        unsigned i = 0;
        while (i < f->used && (!f->started[i] || f->host[i] != *hosts)) {
            i++;
        }
        assert_true(i < f->used);
        f->started[i] = false;
        scheduler_finish(f->s, &f->items[i]);
    }
}

static void clean_up(struct fixture *f)
{
    struct scheduler_item *item;
    while ((item = scheduler_drop(f->s)) != NULL) {
        assert_null(item->lane);
    }
    for (unsigned i = 0; i < f->used; i++) {
        if (f->items[i].lane != NULL) {
            scheduler_finish(f->s, &f->items[i]);
        }
    }
    scheduler_free(&f->s);
    assert_null(f->s);
}

static void test_order(void **state)
{
    static const struct {
        const char *name, *hosts, *started;
        unsigned per_lane, per_worker;
    } cases[] = {
        {"one host, in order, up to its limit", "aaaaa", "aaa", 3, 100},
        {"hosts take turns", "aaaabbbbc", "abcabab", 3, 100},
        {"hosts are compared case-blind", "aAaA", "aA", 2, 100},
        {"the worker's limit", "abcdefghijkl", "abcdefgh", 3, 8},
        {"a quarter is kept for hosts without any", "aaaabbbbcccc", "abcabc", 9, 8},
        {"the limit of one", "ab", "a", 1, 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture f;
        char out[ITEMS + 1];
        start_up(&f, cases[i].per_lane, cases[i].per_worker);
        add(&f, cases[i].hosts);
        if (strcmp(start_all(&f, out), cases[i].started) != 0) {
            fail_msg("%s: %s", cases[i].name, out);
        }
        assert_int_equal(scheduler_running(f.s), strlen(out));
        assert_int_equal(scheduler_ready(f.s), f.used - strlen(out));
        clean_up(&f);
    }
}

static void test_place_becomes_free(void **state)
{
    struct fixture f;
    char out[ITEMS + 1];
    bool waiting[ITEMS] = {false};
    (void)state;
    start_up(&f, 2, 100);
    add(&f, "aaaa");
    assert_string_equal(start_all(&f, out), "aa");
    assert_false(scheduler_can_start(f.s));
    scheduler_finish(f.s, &f.items[0]);
    assert_true(scheduler_can_start(f.s));
    assert_ptr_equal(scheduler_start(f.s), &f.items[2]);
    add(&f, "b");
    assert_string_equal(start_all(&f, out), "b");
    end_one(&f, 'b', waiting);
    clean_up(&f);
}

static void test_reserve(void **state)
{
    struct fixture f;
    char out[ITEMS + 1];
    (void)state;
    start_up(&f, 20, 8);
    add(&f, "aaaaaaaaaaaa");
    assert_string_equal(start_all(&f, out), "aaaaaa"); /* 8 less a quarter */
    add(&f, "bbc");
    assert_string_equal(start_all(&f, out), "bc"); /* the reserve, one each */
    assert_int_equal(scheduler_running(f.s), 8);
    clean_up(&f);
}

static void test_take(void **state)
{
    struct fixture f;
    char out[ITEMS + 1];
    (void)state;
    start_up(&f, 2, 100);
    add(&f, "aaab");
    assert_string_equal(start_all(&f, out), "aba");
    /* Over the lane's limit for a moment: the old one is finished next. */
    assert_ptr_equal(scheduler_take(f.s, &f.items[0]), &f.items[2]);
    assert_null(scheduler_take(f.s, &f.items[0])); /* none ready */
    scheduler_finish(f.s, &f.items[0]);
    assert_null(scheduler_take(f.s, &f.items[3])); /* nothing of another host */
    clean_up(&f);
}

/* A host with all places gives connections up, one within its share does not. */
static void test_take_owes(void **state)
{
    struct fixture f;
    char out[ITEMS + 1];
    (void)state;
    start_up(&f, 20, 8);
    add(&f, "aaaaaaaaaaaaaaaa");
    assert_string_equal(start_all(&f, out), "aaaaaa");
    assert_non_null(scheduler_take(f.s, &f.items[0])); /* nobody waits */
    scheduler_finish(f.s, &f.items[0]);
    add(&f, "bb");
    assert_string_equal(start_all(&f, out),
                        "b"); /* the other waits, in the shared part */
    assert_null(scheduler_take(f.s, &f.items[1]));
    scheduler_finish(f.s, &f.items[1]);
    scheduler_finish(f.s, &f.items[2]);
    assert_string_equal(start_all(&f, out), "a"); /* in turn */
    assert_null(scheduler_take(f.s, &f.items[3]));
    scheduler_finish(f.s, &f.items[3]);
    assert_string_equal(start_all(&f, out), "b");
    assert_non_null(scheduler_take(f.s, &f.items[4])); /* b got what it wanted */
    clean_up(&f);
}

static void test_memory(void **state)
{
    struct fixture f;
    (void)state;
    start_up(&f, 2, 10);                         /* 100 entries, 1000 octets */
    assert_true(scheduler_room(f.s, 500, 5000)); /* nothing held: anything */
    assert_int_equal(scheduler_space(f.s, 100), 10);
    assert_int_equal(scheduler_space(f.s, 1), 100);
    scheduler_hold(f.s, 90, 900);
    assert_true(scheduler_room(f.s, 10, 100));
    assert_false(scheduler_room(f.s, 11, 0));
    assert_false(scheduler_room(f.s, 1, 101));
    assert_int_equal(scheduler_space(f.s, 50), 2);
    scheduler_hold(f.s, 400, 4000); /* one large message */
    assert_int_equal(scheduler_space(f.s, 1), 0);
    assert_false(scheduler_room(f.s, 1, 0));
    scheduler_unhold(f.s, 490, 4900);
    assert_true(scheduler_room(f.s, 1, 1));
    clean_up(&f);
}

static void test_evict(void **state)
{
    struct fixture f;
    char out[ITEMS + 1];
    (void)state;
    start_up(&f, 2, 10); /* a large lane has 26 of 100 */
    add(&f, "bbbb");
    for (unsigned i = 0; i < 27; i++) {
        add(&f, "a");
    }
    assert_string_equal(start_all(&f, out), "baba");
    assert_null(scheduler_evict(f.s)); /* 25 left */
    add(&f, "a");
    struct scheduler_item *item = scheduler_evict(f.s);
    assert_non_null(item);
    assert_int_equal(host_of(&f, item), 'a');
    assert_null(item->lane);
    assert_null(scheduler_evict(f.s));
    clean_up(&f);
}

/* Lanes come and go without end: memory does not grow, nothing is mixed up. */
static void test_many_lanes(void **state)
{
    struct scheduler *s = scheduler_new(&scheduler_limits_default);
    struct scheduler_item items[200] = {{0}};
    (void)state;
    for (unsigned round = 0; round < 200; round++) {
        for (unsigned i = 0; i < 200; i++) {
            char host[40];
            snprintf(host, sizeof host, "mx%u.test", round * 200 + i);
            scheduler_add(s, &items[i], STR("tcp_local"), str_from(host), NULL);
        }
        for (unsigned i = 0; i < 200; i++) {
            assert_ptr_equal(scheduler_start(s), &items[i]);
        }
        assert_null(scheduler_start(s));
        for (unsigned i = 0; i < 200; i++) {
            scheduler_finish(s, &items[i]);
        }
    }
    scheduler_free(&s);
}

/* Lanes with so much in memory that no more of theirs is wanted. */
static void test_backlogs(void **state)
{
    struct fixture f;
    struct scheduler_item *first[2];
    (void)state;
    start_up(&f, 1, 1);
    add(&f, "aaabbbc");
    assert_int_equal(scheduler_backlogs(f.s, 4, first, 2), 0);
    assert_int_equal(scheduler_backlogs(f.s, 3, first, 2), 2);
    assert_int_equal(host_of(&f, first[0]) + host_of(&f, first[1]), 'a' + 'b');
    assert_int_equal(scheduler_backlogs(f.s, 1, first, 2), 2);
    assert_non_null(scheduler_start(f.s)); /* one of a runs */
    assert_int_equal(scheduler_backlogs(f.s, 3, first, 2), 1);
    clean_up(&f);
}

/* threaddepth: a connection takes so many messages before another one is worth it. */
static void test_depth(void **state)
{
    static const struct {
        unsigned depth, ready, per_lane, started;
    } cases[] = {{0, 5, 20, 5},           {1, 5, 20, 5},   {2, 5, 20, 3},
                 {10, 10, 20, 1},         {10, 11, 20, 2}, {3, 300, 20, 20},
                 {1000000000, 300, 20, 1}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        char out[ITEMS + 1];
        struct scheduler_rules rules = {.depth = cases[i].depth};
        start_up(&f, cases[i].per_lane, 100);
        for (unsigned n = 0; n < cases[i].ready; n++) {
            f.host[f.used] = 'a';
            scheduler_add(f.s, &f.items[f.used++], STR("tcp_local"), STR("a"), &rules);
        }
        assert_int_equal(strlen(start_all(&f, out)), cases[i].started);
        /* the others are for the same connections */
        if (cases[i].depth == 2) {
            assert_ptr_equal(scheduler_take(f.s, &f.items[0]), &f.items[3]);
            scheduler_finish(f.s, &f.items[0]);
            assert_null(scheduler_start(f.s));
        }
        clean_up(&f);
    }
}

/* maxjobs: one limit for a channel, whatever the hosts and workers; others go on. */
static void test_gate(void **state)
{
    struct scheduler_gate gate = {.limit = 3};
    struct scheduler_rules rules = {.gates = {&gate}};
    struct fixture f[2];
    char out[ITEMS + 1];
    (void)state;
    for (unsigned w = 0; w < 2; w++) {
        start_up(&f[w], 20, 100);
        add_to(&f[w], "tcp_gate", "abab", &rules);
    }
    assert_string_equal(start_all(&f[0], out), "aba");
    assert_string_equal(start_all(&f[1], out), "");
    assert_false(scheduler_can_start(f[1].s));
    add(&f[1], "cd"); /* another channel does not wait for it */
    assert_string_equal(start_all(&f[1], out), "cd");

    /* a message that takes over the connection takes over the place */
    assert_ptr_equal(scheduler_take(f[0].s, &f[0].items[1]), &f[0].items[3]);
    assert_int_equal(gate.running, 3);
    scheduler_finish(f[0].s, &f[0].items[1]);
    assert_false(scheduler_gate_freed(f[0].s));
    assert_int_equal(gate.running, 3);

    /* a place that becomes free is told to the one that waits, once */
    scheduler_finish(f[0].s, &f[0].items[3]);
    assert_true(scheduler_gate_freed(f[0].s));
    assert_false(scheduler_gate_freed(f[0].s));
    assert_string_equal(start_all(&f[1], out), "a");
    gate.limit = 5; /* the configuration was changed */
    assert_string_equal(start_all(&f[1], out), "ba");
    gate.limit = 0;
    assert_string_equal(start_all(&f[1], out), "b");
    clean_up(&f[0]);
    clean_up(&f[1]);
    assert_int_equal(gate.running, 0);
}

/* Threads that go in and out at once never find more than the limit inside. */
static struct scheduler_gate crowded = {.limit = 2};
static _Atomic unsigned inside, inside_max;

static void in_and_out(void *arg)
{
    for (unsigned i = 0; i < 20000; i++) {
        if (gate_enter(&crowded, arg)) {
            unsigned now = ++inside;
            if (now > inside_max) {
                inside_max = now;
            }
            sched_yield();
            inside--;
            gate_leave(&crowded, arg);
        }
    }
}

static void test_gate_and_threads(void **state)
{
    uv_thread_t threads[4];
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(uv_thread_create(&threads[i], in_and_out, &threads[i]), 0);
    }
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(uv_thread_join(&threads[i]), 0);
    }
    assert_in_range(inside_max, 1, 2);
    assert_int_equal(crowded.running, 0);
}

/* A place that another worker waits for is not taken again by the one that gave it up,
 * until that has had nothing else to start. */
static void test_gate_is_left_to_others(void **state)
{
    struct scheduler_gate gate = {.limit = 1};
    struct scheduler_rules rules = {.gates = {&gate}};
    struct fixture f[2];
    char out[ITEMS + 1];
    (void)state;
    for (unsigned w = 0; w < 2; w++) {
        start_up(&f[w], 20, 100);
        add_to(&f[w], "tcp_gate", "aab", &rules);
    }
    assert_string_equal(start_all(&f[0], out), "a");
    scheduler_finish(f[0].s, &f[0].items[0]); /* nobody else wants it */
    assert_false(scheduler_gate_freed(f[0].s));
    assert_string_equal(start_all(&f[0], out), "b");
    assert_string_equal(start_all(&f[1], out), "");

    scheduler_finish(f[0].s, &f[0].items[2]);
    assert_true(scheduler_gate_freed(f[0].s));
    add(&f[0], "c"); /* another channel is not concerned */
    assert_string_equal(start_all(&f[0], out), "c");
    assert_true(scheduler_can_start(f[0].s)); /* it may look again */
    assert_string_equal(start_all(&f[1], out), "a");
    assert_string_equal(start_all(&f[0], out), "");

    scheduler_finish(f[1].s, &f[1].items[0]);
    assert_string_equal(start_all(&f[1], out), "");
    assert_string_equal(start_all(&f[1], out), "b"); /* the other one did not come */
    clean_up(&f[0]);
    clean_up(&f[1]);
    assert_int_equal(gate.running, 0);
}

/* A connection ends when another worker waits for its place, and goes on without. */
static void test_gate_is_shared_by_workers(void **state)
{
    struct scheduler_gate gate = {.limit = 2};
    struct scheduler_rules rules = {.gates = {[SCHEDULER_POOL] = &gate}};
    struct fixture f[2];
    char out[ITEMS + 1];
    (void)state;
    start_up(&f[0], 20, 100);
    start_up(&f[1], 20, 100);
    add_to(&f[0], "tcp_a", "aaaaaa", &rules);
    assert_string_equal(start_all(&f[0], out), "aa");
    assert_ptr_equal(scheduler_take(f[0].s, &f[0].items[0]), &f[0].items[2]);
    scheduler_finish(f[0].s, &f[0].items[0]);

    add_to(&f[1], "tcp_b", "b", &rules);
    assert_string_equal(start_all(&f[1], out), "");
    assert_null(scheduler_take(f[0].s, &f[0].items[2])); /* one of two is enough */
    scheduler_finish(f[0].s, &f[0].items[2]);
    assert_string_equal(start_all(&f[0], out), "");
    assert_string_equal(start_all(&f[1], out), "b");
    assert_non_null(scheduler_take(f[0].s, &f[0].items[1]));
    clean_up(&f[0]);
    clean_up(&f[1]);
    assert_int_equal(gate.running, 0);
}

/* A channel behind a full gate has more than half of the memory, each host but a little:
 * it makes room for others, down to half. */
static void test_evict_blocked(void **state)
{
    static const char HOSTS[] = "abcdefghijklmnopqrstuvwxyz";
    struct scheduler_gate pool = {.limit = 2};
    struct scheduler_rules rules = {.gates = {[SCHEDULER_POOL] = &pool}};
    struct fixture f;
    char out[ITEMS + 1];
    str names[3];
    (void)state;
    start_up(&f, 20, 100);
    add_to(&f, "tcp_many", HOSTS, &rules);
    add_to(&f, "tcp_few", "ABC", &rules);
    add(&f, "123");
    scheduler_hold(f.s, f.used, 0);
    assert_false(scheduler_blocked(f.s)); /* it may start something */
    assert_int_equal(scheduler_blocked_channels(f.s, 1, names, 3), 0);
    assert_string_equal(start_all(&f, out), "aA123");

    assert_int_equal(scheduler_blocked_channels(f.s, 1, names, 3), 2);
    assert_int_equal(scheduler_blocked_channels(f.s, 3, names, 3), 1);
    assert_true(str_eq(names[0], STR("tcp_many")));
    for (char host = 'b'; scheduler_blocked(f.s); host++) {
        struct scheduler_item *item =
            host == 'b' ? scheduler_evict(f.s) : scheduler_evict_blocked(f.s);
        assert_int_equal(host_of(&f, item), host);
        assert_null(item->lane);
        scheduler_unhold(f.s, 1, 0);
    }
    assert_null(scheduler_evict(f.s));
    assert_int_equal(scheduler_ready(f.s), 7 + 2);
    finish(&f, "aA");
    assert_string_equal(start_all(&f, out), "tB");
    clean_up(&f);
}

/* JOB_LIMIT: one limit for the channels of a pool, besides those of their own. */
static void test_pool(void **state)
{
    struct scheduler_gate pool = {.limit = 4}, jobs = {.limit = 1};
    struct scheduler_rules many = {.gates = {[SCHEDULER_POOL] = &pool}};
    struct scheduler_rules one = {.gates = {&jobs, &pool}};
    struct fixture f;
    char out[ITEMS + 1];
    (void)state;
    start_up(&f, 20, 100);
    add_to(&f, "tcp_many", "abcdef", &many);
    add_to(&f, "tcp_one", "xyz", &one);
    add_to(&f, "tcp_more", "pq", &many);
    assert_string_equal(start_all(&f, out), "axpb"); /* channels take turns */
    assert_int_equal(pool.running, 4);
    assert_int_equal(jobs.running, 1);
    add(&f, "l"); /* in no pool */
    assert_string_equal(start_all(&f, out), "l");
    assert_false(scheduler_can_start(f.s));

    finish(&f, "a");
    assert_string_equal(start_all(&f, out), "q"); /* tcp_one has what it may have */
    finish(&f, "x");
    assert_string_equal(start_all(&f, out), "y");
    pool.limit = 6;
    jobs.limit = 2;
    assert_string_equal(start_all(&f, out), "cz");
    pool.limit = 0;
    assert_string_equal(start_all(&f, out), "def");
    finish(&f, "bcdefyzpql");
    assert_int_equal(pool.running, 0);
    assert_int_equal(jobs.running, 0);
    clean_up(&f);
}

/* One channel has filled the pool and has connections that could go on for long: they
 * end, one by one, when another channel waits, and the two share. */
static void test_pool_is_shared(void **state)
{
    struct scheduler_gate pool = {.limit = 2};
    struct scheduler_rules rules = {.gates = {[SCHEDULER_POOL] = &pool}};
    struct fixture f;
    char out[ITEMS + 1];
    (void)state;
    start_up(&f, 20, 100);
    add_to(&f, "tcp_a", "aaaaaaaa", &rules);
    assert_string_equal(start_all(&f, out), "aa");
    assert_ptr_equal(scheduler_take(f.s, &f.items[0]), &f.items[2]);
    scheduler_finish(f.s, &f.items[0]);
    add_to(&f, "tcp_b", "bb", &rules);
    assert_null(scheduler_take(f.s, &f.items[2]));
    scheduler_finish(f.s, &f.items[2]);
    assert_string_equal(start_all(&f, out), "b");
    assert_non_null(scheduler_take(f.s, &f.items[1])); /* one each */
    assert_non_null(scheduler_take(f.s, &f.items[8]));
    assert_int_equal(pool.running, 2);
    clean_up(&f);
    assert_int_equal(pool.running, 0);
}

static void new_rules(str channel, struct scheduler_rules *rules, void *arg)
{
    if (str_eq(channel, STR("tcp_a"))) {
        *rules = *(struct scheduler_rules *)arg;
    }
}

/* A reload changes what holds for entries that wait already. */
static void test_revise(void **state)
{
    struct scheduler_gate pool = {.limit = 1};
    struct scheduler_rules rules = {.gates = {[SCHEDULER_POOL] = &pool}};
    struct scheduler_rules deep = {.depth = 5};
    struct fixture f;
    char out[ITEMS + 1];
    (void)state;
    start_up(&f, 20, 100);
    add_to(&f, "tcp_a", "aaaaaa", NULL);
    add_to(&f, "tcp_b", "bb", NULL);
    scheduler_revise(f.s, new_rules, &rules);
    assert_string_equal(start_all(&f, out), "abb");
    scheduler_revise(f.s, new_rules, &deep);
    assert_string_equal(start_all(&f, out), "a"); /* five wait: two connections */
    finish(&f, "aabb");
    assert_int_equal(pool.running, 0);
    clean_up(&f);
}

/* Channels take turns, so that one with many hosts leaves places to one with few. */
static void test_channels_take_turns(void **state)
{
    struct fixture f;
    char out[ITEMS + 1];
    (void)state;
    start_up(&f, 20, 100);
    add(&f, "abcdef");
    f.host[f.used] = 'x';
    scheduler_add(f.s, &f.items[f.used++], STR("l"), STR("x"), NULL);
    f.host[f.used] = 'y';
    scheduler_add(f.s, &f.items[f.used++], STR("l"), STR("y"), NULL);
    assert_string_equal(start_all(&f, out), "axbycdef");
    clean_up(&f);
}

static bool is_b_or_c(const struct scheduler_item *item, void *arg)
{
    char host = host_of(arg, item);
    return host == 'b' || host == 'c';
}

static unsigned swept;
static void on_swept(struct scheduler_item *item, void *arg)
{
    assert_null(item->lane);
    assert_true(is_b_or_c(item, arg));
    swept++;
}

/* Those that run stay; those left start in the order in which they would have. */
static void test_sweep(void **state)
{
    (void)state;
    struct fixture f;
    char out[ITEMS];
    start_up(&f, 1, 3);
    add(&f, "abc");
    start_all(&f, out);
    add(&f, "abcabcd");
    swept = 0;
    scheduler_sweep(f.s, is_b_or_c, on_swept, &f);
    assert_int_equal(swept, 4);
    assert_int_equal(scheduler_ready(f.s), 3);
    assert_int_equal(scheduler_running(f.s), 3);
    for (unsigned i = 0; i < 3; i++) {
        scheduler_finish(f.s, &f.items[i]);
    }
    assert_string_equal(start_all(&f, out), "da");
    scheduler_sweep(f.s, is_b_or_c, on_swept, &f);
    assert_int_equal(swept, 4);
    scheduler_finish(f.s, &f.items[3]);
    scheduler_finish(f.s, &f.items[9]);
    assert_string_equal(start_all(&f, out), "a");
    scheduler_finish(f.s, &f.items[6]);
    scheduler_free(&f.s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_place_becomes_free),
        cmocka_unit_test(test_reserve),
        cmocka_unit_test(test_take),
        cmocka_unit_test(test_take_owes),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_evict),
        cmocka_unit_test(test_many_lanes),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_backlogs),
        cmocka_unit_test(test_gate),
        cmocka_unit_test(test_channels_take_turns),
        cmocka_unit_test(test_gate_and_threads),
        cmocka_unit_test(test_gate_is_left_to_others),
        cmocka_unit_test(test_gate_is_shared_by_workers),
        cmocka_unit_test(test_pool),
        cmocka_unit_test(test_pool_is_shared),
        cmocka_unit_test(test_revise),
        cmocka_unit_test(test_evict_blocked),
        cmocka_unit_test(test_sweep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
