/* dispatch_fixture: messages from the real queue through drivers made for the test, one
 * loop, a clock that the test sets. The driver does what the recipient's name says:
 * "ok...", "fail...", "defer...", "pass..." and "hand..." (delivered, but see enum
 * job_success); "wait..." waits until the test ends it. Used with cmocka. */
#ifndef TEST_UNIT_DISPATCH_FIXTURE_H
#define TEST_UNIT_DISPATCH_FIXTURE_H

#include "router/body.h"
#include "router/channel.h"
#include "router/dispatch_state.h"
#include "router/runtime.h"

/* Turns the loop until cond holds. */
#define RUN_UNTIL(cond)                                                                  \
    for (uint64_t end = uv_hrtime() + 20000000000u; !(cond); turn()) {                   \
        if (uv_hrtime() > end) {                                                         \
            fail_msg("never: %s", #cond);                                                \
        }                                                                                \
    }

#define MINUTE INT64_C(60000)
#define DAY    (24 * 60 * MINUTE)
#define TEXT   "Subject: hello\r\n\r\nbody\r\n"

struct fake_clock {
    struct clock clock; /* first */
    _Atomic int64_t now_ms;
};

enum { SEEN_MAX = 3000, TEXT_MAX = 80000 };

/* What a driver was given. */
struct seen {
    char channel[32], host[64], recipients[200], sender[64];
    unsigned attempts;
};

struct bench {
    struct fake_clock clock;
    struct daemon daemon;
    struct worker worker;
    char directory[64];
    char reason[300];
    int log_fd;
    bool idle;
    struct queue_counts counts;
    unsigned answers; /* commits and counts */
    struct seen seen[SEEN_MAX];
    unsigned seen_count, running, most_running, reused;
    char text[TEXT_MAX]; /* what was last delivered by l */
    struct job *waiting[100];
    unsigned waiting_count;
    bool reuse;         /* the driver asks for the next job */
    enum queue_ret ret; /* of what is sent */
    const char *too_large;
};

extern struct bench *bench; /* of the test that runs */

/* For cmocka: *state is the bench. */
int set_up(void **state);
int tear_down(void **state);
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* One turn of the loop. */
void turn(void);
/* Opens the queue of the bench. */
void open_queue(void);
/* A runtime of that main file; the caller's. */
struct runtime *make_runtime(const char *config);
/* From now on a configuration in which these are the words of tcp_local. */
void configure(const char *words);
/* For dispatch_stop(): sets bench->idle. */
void on_idle(struct worker *w);
/* Stops and frees the dispatch of the bench. */
void stop_dispatch(void);
/* Dies and comes back: what was not stored is gone. */
void restart(void);
/* Commits a message with one entry for each "channel host recipient ..." line; a
 * recipient may be "address|NOTIFY|ORCPT". The body is taken. */
void send_body(const char *sender, const char *entries, struct body *body);
void send_text(const char *sender, const char *entries, const char *text);
/* The job has the outcomes its recipients' names say. */
void end_job(struct job *job);
/* Are so many entries in the queue, and so many of them held? */
bool queue_holds(int64_t entries, int64_t held);
/* Sets the clock forward, and has the queue looked at. */
void pass_time(int64_t ms);
/* All of the log; static. */
const char *log_text(void);
void assert_logged(const char *part);
/* What the drivers were given as number i. */
void assert_seen(unsigned i, const char *channel, const char *host,
                 const char *recipients);

#endif
