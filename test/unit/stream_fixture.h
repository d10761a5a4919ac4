/* stream_fixture: a worker, a listener on loopback and ends of connections that note
 * all they hear, for test_stream.c and test_stream_tls.c. */
#ifndef TEST_UNIT_STREAM_FIXTURE_H
#define TEST_UNIT_STREAM_FIXTURE_H

#include <netinet/in.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdlib.h>
#include <sys/types.h>

#include <cmocka.h>

#include "channels/stream.h"
#include "test/unit/tls_fixture.h"

enum { WAIT_MS = 20000, BULK_BYTES = 10 * 1024 * 1024, HIGH_WATER = 256 * 1024 };

/* One end and all that was heard from it. */
struct end {
    struct world *world;
    struct stream *stream; /* NULL when closed */
    struct buf got;
    bool inside; /* a call into the stream is in progress: no event may come */
    bool connected, tls_ok, tls_failed, ended, closed;
    unsigned drained;
    char reason[300], tls_error[300];
    /* what it does by itself */
    bool echo, close_on_end, pause_each;
    size_t counted; /* bytes, instead of keeping them */
    bool count_only;
    size_t to_send, pending_peak;
};

struct world {
    struct worker worker;
    struct tls_fixture tls;
    int listener;
    struct sockaddr_in at;
    uv_timer_t tick;
    int raw; /* the misbehaving peer */
};

/* cmocka's setup and teardown; the latter fails when a stream was left open. */
int world_setup(void **state);
int world_teardown(void **state);

/* Turns the loop until the condition holds (a macro, to say which one did not). */
#define wait_for(w, condition)                                                           \
    do {                                                                                 \
        uint64_t until_ms = uv_hrtime() / 1000000 + WAIT_MS;                             \
        while (!(condition)) {                                                           \
            if (uv_hrtime() / 1000000 > until_ms) {                                      \
                fail_msg("waited in vain for %s", #condition);                           \
            }                                                                            \
            uv_run(&(w)->worker.loop, UV_RUN_ONCE);                                      \
        }                                                                                \
    } while (0)

void turn_for(struct world *w, unsigned ms);

/* Notes everything in its struct end and checks that nothing comes inside a call. */
extern const struct stream_events end_events;

void end_init(struct end *e, struct world *w);
void end_connect(struct end *e);
void end_accept(struct end *e);
void end_start_tls(struct end *e, bool server);
void end_write(struct end *e, const char *text);
/* Writes zeros until `to_send` are written or enough is pending; goes on by itself. */
void end_send_more(struct end *e);
void end_close(struct end *e, unsigned linger_ms);
bool end_has(const struct end *e, const char *text);

/* Both ends established, reading. */
void ends_join(struct world *w, struct end *client, struct end *server);
void ends_start_tls(struct world *w, struct end *client, struct end *server);
/* 10 MiB there and back, with bounded memory. */
void ends_bulk(struct world *w, bool tls);
/* Closes and forgets both. */
void ends_part(struct world *w, struct end *a, struct end *b);

/* A raw socket connected to the listener; the accepted side becomes e. */
void raw_join(struct world *w, struct end *e);
void raw_send(struct world *w, const char *text);
void raw_close(struct world *w);
/* Reads what is there to the end; returns the number of bytes, -1 after a reset. */
ssize_t raw_read_all(struct world *w, char *out, size_t size);

#endif
