/* pipe_run: see pipe_run.h. The program's end is what counts: what it left unread of its
 * input, and who else still holds its output, is its own affair. */
#include "channels/pipe_run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include "base/buf.h"
#include "base/check.h"
#include "channels/local_text.h"
#include "channels/pipe_child.h"

enum {
    CHUNK = 65536,
    OUTPUT_KEPT = 4096,       /* of what it writes */
    OUTPUT_READ = 64 * 1024,  /* then nobody reads any more, and it gets SIGPIPE */
    KILL_AFTER_MS = 2000,     /* SIGKILL behind SIGTERM */
    STOP_AFTER_MS = 5 * 1000, /* what it is left when the daemon ends */
    HANDLES = 4
};

struct pipe_run {
    struct worker *worker;
    struct body *body;
    pipe_run_cb cb;
    void *arg;
    struct worker_session session; /* for the end of the daemon */
    struct pipe_child child;
    struct pipe_result result;
    struct task task; /* when it could not be started */

    uv_poll_t in, out, end;
    uv_timer_t timer;
    unsigned handles_open;
    bool in_open, out_open, ended, terminating;

    char *chunk; /* what it is to read next: [from, to) */
    size_t from, to;
    struct body_reader *reader;
    uint64_t offset;
    bool reading, cr;
    struct buf output;
    size_t output_seen;
};

static void feed(struct pipe_run *r);

/* ---- the end ----------------------------------------------------------------------- */

static void finish(struct pipe_run *r)
{
    r->result.output = buf_slice(&r->output);
    r->cb(&r->result, r->arg);
    buf_free(&r->output);
    free(r->chunk);
    free(r);
}

/* A read of the body that is outstanding goes into our buffer: it is waited for. */
static void finish_if_closed(struct pipe_run *r)
{
    if (r->handles_open == 0 && !r->reading) {
        body_reader_free(&r->reader);
        finish(r);
    }
}

static void on_handle_closed(uv_handle_t *h)
{
    struct pipe_run *r = h->data;
    r->handles_open--;
    finish_if_closed(r);
}

/* The handle ends before its descriptor: a connection that gets the same number next must
 * not be taken out of the loop when the program ends. */
static void poll_close(uv_poll_t *h, int fd)
{
    uv_close((uv_handle_t *)h, on_handle_closed);
    close(fd);
}

static void in_close(struct pipe_run *r)
{
    if (r->in_open) {
        r->in_open = false;
        pipe_child_order(&r->child, PIPE_ORDER_INPUT_ENDS);
        poll_close(&r->in, r->child.in);
    }
}

static void out_close(struct pipe_run *r)
{
    if (r->out_open) {
        r->out_open = false;
        poll_close(&r->out, r->child.out);
    }
}

static void take_output(struct pipe_run *r)
{
    char data[4096];
    while (r->out_open) {
        ssize_t n = read(r->child.out, data, sizeof data);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno == EAGAIN) {
            return;
        }
        if (n <= 0) {
            out_close(r);
            return;
        }
        size_t room = OUTPUT_KEPT - r->output.len;
        check(buf_append(&r->output, data, (size_t)n < room ? (size_t)n : room));
        r->output_seen += (size_t)n;
        if (r->output_seen >= OUTPUT_READ) {
            out_close(r);
        }
    }
}

static void on_end(uv_poll_t *h, int status, int events)
{
    struct pipe_run *r = h->data;
    (void)status;
    (void)events;
    if (r->ended) {
        return;
    }
    r->ended = true;
    take_output(r); /* what it wrote last */
    in_close(r);
    out_close(r);
    struct pipe_end how;
    pipe_child_reap(&r->child, &how);
    r->result.error = how.error;
    r->result.signal = WIFSIGNALED(how.status) ? WTERMSIG(how.status) : 0;
    r->result.status = WIFEXITED(how.status) ? WEXITSTATUS(how.status) : 0;
    poll_close(&r->end, r->child.pidfd);
    worker_session_remove(r->worker, &r->session);
    uv_close((uv_handle_t *)&r->timer, on_handle_closed);
}

/* ---- killing ----------------------------------------------------------------------- */

static void on_kill_timer(uv_timer_t *t)
{
    struct pipe_run *r = t->data;
    if (!r->ended) {
        pipe_child_order(&r->child, PIPE_ORDER_KILL);
    }
}

/* Its whole group is told to end, and then made to. */
static void terminate(struct pipe_run *r)
{
    if (r->ended || r->terminating) {
        return;
    }
    r->terminating = true;
    pipe_child_order(&r->child, PIPE_ORDER_TERM);
    check(uv_timer_start(&r->timer, on_kill_timer, KILL_AFTER_MS, 0) == 0);
}

static void on_timeout(uv_timer_t *t)
{
    struct pipe_run *r = t->data;
    r->result.timed_out = true;
    terminate(r);
}

static void on_stop_timer(uv_timer_t *t)
{
    struct pipe_run *r = t->data;
    r->result.stopped = true;
    terminate(r);
}

static void on_shut(struct worker *w, struct worker_session *s)
{
    struct pipe_run *r =
        (struct pipe_run *)((char *)s - offsetof(struct pipe_run, session));
    (void)w;
    bool soon = uv_is_active((uv_handle_t *)&r->timer) &&
                uv_timer_get_due_in(&r->timer) <= STOP_AFTER_MS;
    if (!soon) {
        check(uv_timer_start(&r->timer, on_stop_timer, STOP_AFTER_MS, 0) == 0);
    }
}

/* ---- its output -------------------------------------------------------------------- */

static void on_output(uv_poll_t *h, int status, int events)
{
    (void)status;
    (void)events;
    take_output(h->data);
}

/* ---- its input --------------------------------------------------------------------- */

static void on_input(uv_poll_t *h, int status, int events)
{
    struct pipe_run *r = h->data;
    (void)status;
    (void)events;
    uv_poll_stop(h);
    feed(r);
}

static void body_lost(struct pipe_run *r)
{
    r->result.body_failed = true;
    terminate(r); /* while its input is open: it must not see an end */
}

/* got octets were read behind a CR that was kept back. */
static void take_body(struct pipe_run *r, long got)
{
    size_t kept = r->cr ? 1 : 0;
    r->offset += (uint64_t)got;
    r->from = 0;
    if (got == 0) {
        r->to = kept;
        r->cr = false;
        return;
    }
    r->to = local_to_lf(r->chunk, kept + (size_t)got, &r->cr);
}

static void on_body(struct body_reader *reader, long got, void *arg)
{
    struct pipe_run *r = arg;
    (void)reader;
    r->reading = false;
    if (r->ended) {
        finish_if_closed(r);
        return;
    }
    if (got < 0 || (got == 0 && r->offset < body_size(r->body))) {
        body_lost(r);
        return;
    }
    take_body(r, got);
    feed(r);
}

/* More into the buffer. False: not now, or there is no more. */
static bool refill(struct pipe_run *r)
{
    if (r->offset >= body_size(r->body) && !r->cr) {
        in_close(r);
        return false;
    }
    size_t kept = r->cr ? 1 : 0;
    if (kept > 0) {
        r->chunk[0] = '\r';
    }
    if (r->offset >= body_size(r->body)) {
        take_body(r, 0);
        return true;
    }
    r->reading = true;
    long got = body_read(r->reader, r->chunk + kept, CHUNK - kept, r->offset, on_body, r);
    if (got < 0) {
        return false; /* on_body() comes */
    }
    r->reading = false;
    take_body(r, got);
    return true;
}

/* Writes as much as it takes. One that does not read any more is no failure. */
static void feed(struct pipe_run *r)
{
    while (r->in_open && !r->reading && !r->terminating) {
        if (r->from == r->to && !refill(r)) {
            return;
        }
        ssize_t n = write(r->child.in, r->chunk + r->from, r->to - r->from);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno == EAGAIN) {
            check(uv_poll_start(&r->in, UV_WRITABLE, on_input) == 0);
            return;
        }
        if (n < 0) {
            in_close(r);
            return;
        }
        r->from += (size_t)n;
    }
}

/* ---- the beginning ----------------------------------------------------------------- */

static void on_not_started(struct worker *w, struct task *t)
{
    (void)w;
    finish((struct pipe_run *)((char *)t - offsetof(struct pipe_run, task)));
}

static void poll_make(struct pipe_run *r, uv_poll_t *h, int fd)
{
    check(uv_poll_init(&r->worker->loop, h, fd) == 0);
    h->data = r;
    r->handles_open++;
}

static void begin(struct pipe_run *r, const struct pipe_options *limits)
{
    poll_make(r, &r->in, r->child.in);
    poll_make(r, &r->out, r->child.out);
    poll_make(r, &r->end, r->child.pidfd);
    check(uv_timer_init(&r->worker->loop, &r->timer) == 0);
    r->timer.data = r;
    r->handles_open++;
    r->in_open = r->out_open = true;
    r->session.shut = on_shut;
    worker_session_add(r->worker, &r->session);
    check(uv_timer_start(&r->timer, on_timeout, limits->timeout_s * 1000ULL, 0) == 0);
    check(uv_poll_start(&r->out, UV_READABLE, on_output) == 0);
    check(uv_poll_start(&r->end, UV_READABLE, on_end) == 0);
    feed(r);
}

void pipe_run(struct worker *w, const struct pipe_call *call,
              const struct pipe_options *limits, struct body *body, str sender,
              pipe_run_cb cb, void *arg)
{
    struct pipe_run *r = calloc(1, sizeof *r);
    check(r != NULL);
    r->worker = w;
    r->body = body;
    r->cb = cb;
    r->arg = arg;
    r->result.timeout_s = limits->timeout_s;
    buf_init(&r->output, OUTPUT_KEPT);
    r->result.error = pipe_child_start(call, limits, &r->child);
    if (r->result.error != 0) {
        r->task.run = on_not_started;
        worker_post(w, &r->task);
        return;
    }
    r->chunk = malloc(CHUNK);
    check(r->chunk != NULL);
    r->reader = body_reader_new(w, body);
    struct buf head;
    buf_init(&head, CHUNK);
    check(local_return_path(&head, sender) && head.len <= CHUNK);
    memcpy(r->chunk, head.data, head.len);
    r->to = head.len;
    buf_free(&head);
    begin(r, limits);
}
