/* worker: tasks run once, on the worker's thread, in the order posted, from whatever
 * thread; sessions can be listed, taken out and shut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "router/worker.h"

enum { POSTERS = 4, TASKS_EACH = 2000 };

struct record {
    struct task task;
    unsigned poster, number;
    struct site *site;
};

/* One worker on its own thread, and what its tasks saw. */
struct site {
    struct worker worker;
    unsigned next[POSTERS]; /* the number each poster's next task must have */
    unsigned wrong_order, wrong_thread, ran;
};

static int64_t fixed_now(const struct clock *c)
{
    (void)c;
    return 1234567;
}

static const struct clock fixed_clock = {fixed_now};

static void record_run(struct worker *w, struct task *t)
{
    struct record *r = (struct record *)t;
    struct site *site = r->site;
    uv_thread_t self = uv_thread_self();
    site->ran++;
    site->wrong_order += site->next[r->poster] != r->number;
    site->next[r->poster] = r->number + 1;
    site->wrong_thread += !uv_thread_equal(&self, &w->thread);
    free(r); /* the mailbox must not look at it again */
}

static struct record *record_new(struct site *site, unsigned poster, unsigned number)
{
    struct record *r = calloc(1, sizeof *r);
    assert_non_null(r);
    *r = (struct record){
        .task.run = record_run, .poster = poster, .number = number, .site = site};
    return r;
}

struct poster {
    uv_thread_t thread;
    struct site *site;
    unsigned index;
};

static void poster_main(void *arg)
{
    struct poster *p = arg;
    for (unsigned i = 0; i < TASKS_EACH; i++) {
        worker_post(&p->site->worker, &record_new(p->site, p->index, i)->task);
    }
}

static void end_run(struct worker *w, struct task *t)
{
    (void)t;
    uv_unref((uv_handle_t *)&w->wake);
}

static void worker_main(void *arg)
{
    struct site *site = arg;
    uv_run(&site->worker.loop, UV_RUN_DEFAULT);
}

static void test_many_posters(void **state)
{
    (void)state;
    struct daemon d = {.clock = &fixed_clock};
    struct site site = {0};
    struct poster posters[POSTERS];
    struct task end = {.run = end_run};
    assert_int_equal(worker_init(&site.worker, &d, 3), 0);
    assert_int_equal(site.worker.index, 3);
    assert_int_equal(worker_now_ms(&site.worker), 1234567);
    assert_int_equal(uv_thread_create(&site.worker.thread, worker_main, &site), 0);
    for (unsigned i = 0; i < POSTERS; i++) {
        posters[i].site = &site;
        posters[i].index = i;
        assert_int_equal(uv_thread_create(&posters[i].thread, poster_main, &posters[i]),
                         0);
    }
    for (unsigned i = 0; i < POSTERS; i++) {
        uv_thread_join(&posters[i].thread);
    }
    worker_post(&site.worker, &end);
    uv_thread_join(&site.worker.thread);
    assert_int_equal(site.ran, POSTERS * TASKS_EACH);
    assert_int_equal(site.wrong_order, 0);
    assert_int_equal(site.wrong_thread, 0);
    assert_true(worker_free(&site.worker));
}

/* A task that posts another: that one waits for the next turn of the loop. */
struct chain {
    struct task task;
    struct task second;
    unsigned turn, first_turn, second_turn;
    bool returned;
};

static void second_run(struct worker *w, struct task *t)
{
    struct chain *c = (struct chain *)((char *)t - offsetof(struct chain, second));
    (void)w;
    assert_true(c->returned);
    c->second_turn = c->turn;
}

static void first_run(struct worker *w, struct task *t)
{
    struct chain *c = (struct chain *)t;
    c->first_turn = c->turn;
    worker_post(w, &c->second);
    c->returned = true;
}

static void test_post_from_task(void **state)
{
    (void)state;
    struct daemon d = {.clock = &fixed_clock};
    struct worker w;
    struct chain c = {.task.run = first_run, .second.run = second_run, .turn = 1};
    assert_int_equal(worker_init(&w, &d, 0), 0);
    worker_post(&w, &c.task);
    assert_int_equal(c.first_turn, 0); /* never inside the call */
    uv_run(&w.loop, UV_RUN_NOWAIT);
    assert_int_equal(c.first_turn, 1);
    assert_int_equal(c.second_turn, 0);
    c.turn = 2;
    uv_run(&w.loop, UV_RUN_NOWAIT);
    assert_int_equal(c.second_turn, 2);
    assert_true(worker_free(&w));
}

/* Something left open is noticed, not freed under it. */
static void test_free_with_open_handle(void **state)
{
    (void)state;
    struct daemon d = {.clock = &fixed_clock};
    struct worker w;
    uv_timer_t timer;
    assert_int_equal(worker_init(&w, &d, 0), 0);
    assert_int_equal(uv_timer_init(&w.loop, &timer), 0);
    assert_false(worker_free(&w));
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&w.loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&w.loop), 0);
}

struct fake_session {
    struct worker_session link;
    unsigned shut;
};

static void fake_shut(struct worker *w, struct worker_session *s)
{
    (void)w;
    ((struct fake_session *)s)->shut++;
}

static void test_sessions(void **state)
{
    (void)state;
    struct daemon d = {.clock = &fixed_clock};
    struct worker w;
    struct fake_session s[4] = {0};
    assert_int_equal(worker_init(&w, &d, 0), 0);
    worker_shut_sessions(&w); /* none */
    for (int i = 0; i < 4; i++) {
        s[i].link.shut = fake_shut;
        worker_session_add(&w, &s[i].link);
    }
    worker_session_remove(&w, &s[1].link); /* middle */
    worker_session_remove(&w, &s[3].link); /* first in the list */
    worker_shut_sessions(&w);
    assert_int_equal(s[0].shut, 1);
    assert_int_equal(s[1].shut, 0);
    assert_int_equal(s[2].shut, 1);
    assert_int_equal(s[3].shut, 0);
    worker_session_remove(&w, &s[0].link); /* last in the list */
    worker_session_remove(&w, &s[2].link);
    assert_null(w.sessions);
    assert_true(worker_free(&w));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_posters),
        cmocka_unit_test(test_post_from_task),
        cmocka_unit_test(test_free_with_open_handle),
        cmocka_unit_test(test_sessions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
