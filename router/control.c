/* control: see control.h. A request line is read whole, then answered whole; nothing is
 * read while the answer is being made. What the commands say is in control_status.c. */
#include "router/control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "router/control_order.h"
#include "router/control_status.h"
#include "router/control_tls.h"
#include "router/runtime.h"
#include "base/json.h"

enum {
    CONNECTIONS_MAX = 32,
    TIMEOUT_MS = 10000, /* for the request, and again for taking the reply */
    BACKLOG = 16,
    REPLY_MAX = 1024 * 1024
};

struct connection {
    struct control *control;
    uv_pipe_t pipe;
    uv_timer_t timer;
    uv_write_t write;
    unsigned handles_open;
    bool closing;
    bool busy; /* a command is being carried out; its answer comes */
    unsigned uid;
    long pid;
    char request[CONTROL_REQUEST_MAX];
    size_t request_len;
    struct buf reply;
    struct connection *next, **prev;
};

struct control {
    struct control_setup setup;
    char *path;
    dev_t device; /* of the socket's file, to remove only our own */
    ino_t inode;
    uv_pipe_t pipe;
    bool stopped;       /* the listening handle is closed or closing */
    bool freed;         /* control_free() was called */
    bool listener_gone; /* it is closed */
    unsigned count;
    struct connection *connections;
};

/* --- end of a connection --- */

static void control_release(struct control *c)
{
    if (c->freed && c->listener_gone && c->connections == NULL) {
        free(c->path);
        free(c);
    }
}

static void connection_release(struct connection *x)
{
    if (x->handles_open > 0 || x->busy) {
        return;
    }
    struct control *c = x->control;
    *x->prev = x->next;
    if (x->next != NULL) {
        x->next->prev = x->prev;
    }
    c->count--;
    buf_free(&x->reply);
    free(x);
    control_release(c);
}

static void on_handle_closed(uv_handle_t *h)
{
    struct connection *x = h->data;
    x->handles_open--;
    connection_release(x);
}

static void connection_close(struct connection *x)
{
    if (!x->closing) {
        x->closing = true;
        uv_close((uv_handle_t *)&x->pipe, on_handle_closed);
        uv_close((uv_handle_t *)&x->timer, on_handle_closed);
    }
}

static void on_timeout(uv_timer_t *timer)
{
    connection_close(timer->data);
}

/* --- the reply --- */

static void on_written(uv_write_t *write, int status)
{
    (void)status; /* who does not read the reply has had it */
    connection_close(write->data);
}

/* Sends x->reply. */
static void connection_send(struct connection *x)
{
    x->busy = false;
    if (x->closing) {
        connection_release(x);
        return;
    }
    uv_buf_t out = uv_buf_init(x->reply.data, (unsigned)x->reply.len);
    x->write.data = x;
    if (uv_write(&x->write, (uv_stream_t *)&x->pipe, &out, 1, on_written) != 0) {
        connection_close(x);
        return;
    }
    check(uv_timer_start(&x->timer, on_timeout, TIMEOUT_MS, 0) == 0);
}

/* Replies with ok, the text, and `fields` (",\"name\":value" each, may be empty). */
static void connection_reply(struct connection *x, bool ok, str text, str fields)
{
    struct buf *b = &x->reply;
    bool good = buf_printf(b, "{\"v\":%d,\"ok\":%s,\"text\":", CONTROL_VERSION,
                           ok ? "true" : "false") &&
                json_put_string(b, text) && buf_str(b, fields) && buf_puts(b, "}\n");
    check(good); /* texts and fields are bounded far below REPLY_MAX */
    connection_send(x);
}

static void connection_refuse(struct connection *x, const char *fmt, const char *detail)
{
    char text[256];
    snprintf(text, sizeof text, fmt, detail);
    connection_reply(x, false, str_from(text), STR_NONE);
}

/* --- the commands --- */

static void on_reloaded(bool ok, str text, void *arg)
{
    connection_reply(arg, ok, text, STR_NONE);
}

static void command_reload(struct connection *x)
{
    reload_request(x->control->setup.reload, "control", on_reloaded, x);
}

static void command_tls_reload(struct connection *x)
{
    renewal_request(x->control->setup.renewal, "control", on_reloaded, x);
}

static void command_tls_contexts(struct connection *x)
{
    struct buf text, fields;
    buf_init(&text, CONTROL_TLS_MAX);
    buf_init(&fields, CONTROL_TLS_MAX);
    control_tls(x->control->setup.renewal, worker_now_ms(x->control->setup.main), &text,
                &fields);
    connection_reply(x, true, buf_slice(&text), buf_slice(&fields));
    buf_free(&text);
    buf_free(&fields);
}

static void command_stop(struct connection *x)
{
    struct control_setup *s = &x->control->setup;
    connection_reply(x, true, STR("stopping\n"), STR_NONE);
    s->stop(s->arg);
}

static void on_counted(struct worker *w, const struct queue_counts *counts,
                       const struct queue_result *r, void *arg)
{
    struct connection *x = arg;
    const struct control_setup *setup = &x->control->setup;
    struct buf text, fields;
    (void)w;
    buf_init(&text, CONTROL_STATUS_MAX);
    buf_init(&fields, CONTROL_STATUS_MAX);
    control_status(setup, r->ok ? counts : NULL, r->reason, &text, &fields);
    connection_reply(x, true, buf_slice(&text), buf_slice(&fields));
    buf_free(&text);
    buf_free(&fields);
}

static void command_status(struct connection *x)
{
    struct worker *main = x->control->setup.main;
    queue_count(main->daemon->queue, main, on_counted, x);
}

static void on_ordered(bool ok, str text, str fields, void *arg)
{
    connection_reply(arg, ok, text, fields);
}

/* Takes over the arena, in which the request is. */
static void order_run(struct connection *x, struct arena *a, enum queue_action action,
                      const struct json_object *members)
{
    struct control *c = x->control;
    const struct control_order order = {
        .main = c->setup.main,
        .runtime = reload_runtime(c->setup.reload),
        .arena = a,
        .action = action,
        .members = members,
    };
    control_order_run(&order, on_ordered, x);
}

static const struct command {
    const char *name;
    void (*run)(struct connection *x);
} COMMANDS[] = {
    {"status", command_status},
    {"reload", command_reload},
    {"stop", command_stop},
    {"tls contexts", command_tls_contexts},
    {"tls reload", command_tls_reload},
};

static const struct command *command_find(str name)
{
    for (size_t i = 0; i < sizeof COMMANDS / sizeof COMMANDS[0]; i++) {
        if (str_eq(name, str_from(COMMANDS[i].name))) {
            return &COMMANDS[i];
        }
    }
    return NULL;
}

/* A request, taken apart. */
struct request {
    str name, id, channel;
    const struct command *command; /* NULL: there is none of that name */
    enum queue_action action;      /* of the queue; QUEUE_ACTIONS: none */
    struct json_object object;
};

static str member_text(const struct json_object *o, const char *name)
{
    const struct json_member *m = json_get(o, name, JSON_STRING);
    return m != NULL ? m->text : STR_NONE;
}

static void log_request(struct connection *x, const struct request *r, const char *error)
{
    struct log_line line;
    log_begin(&line, x->control->setup.main->daemon->log, LOG_CONTROL);
    log_str(&line, "command", r->name);
    if (r->id.ptr != NULL) {
        log_str(&line, "id", r->id);
    }
    if (r->channel.ptr != NULL) {
        log_str(&line, "channel", r->channel);
    }
    log_int(&line, "uid", x->uid);
    log_int(&line, "pid", x->pid);
    log_cstr(&line, "error", error);
    log_end(&line);
}

/* NULL when it is well-formed, else what is wrong. */
static const char *parse_request(struct arena *a, str line, struct request *out)
{
    struct json_object *o = &out->object;
    const char *reason = NULL;
    if (!json_parse(a, line, o, &reason)) {
        return reason;
    }
    const struct json_member *v = json_get(o, "v", JSON_INTEGER);
    out->name = member_text(o, "command");
    if (v == NULL || v->integer != CONTROL_VERSION) {
        return "this daemon speaks version 1: \"v\":1";
    }
    if (str_empty(out->name)) {
        return "\"command\" is missing";
    }
    out->command = command_find(out->name);
    out->action = control_order_action(out->name);
    if (out->action < QUEUE_ACTIONS) {
        out->id = member_text(o, "id");
        out->channel = member_text(o, "channel");
    }
    return out->command == NULL || o->count == 2 ? NULL : "there are members too many";
}

static void connection_run(struct connection *x, str line)
{
    struct arena *a = arena_new();
    struct request r = {.action = QUEUE_ACTIONS};
    x->busy = true;
    uv_timer_stop(&x->timer);
    const char *reason = parse_request(a, line, &r);
    bool known = r.command != NULL || r.action < QUEUE_ACTIONS;
    log_request(x, &r, reason != NULL ? reason : known ? NULL : "unknown command");
    if (reason != NULL) {
        connection_refuse(x, "malformed request: %s\n", reason);
    } else if (!known) {
        connection_refuse(x,
                          "unknown command; there are status, reload, stop, queue with "
                          "an action, tls contexts and tls reload%s\n",
                          "");
    } else if (x->control->stopped) {
        connection_refuse(x, "the daemon is stopping%s\n", "");
    } else if (r.command != NULL) {
        r.command->run(x);
    } else {
        order_run(x, a, r.action, &r.object);
        return;
    }
    arena_free(&a);
}

/* --- reading --- */

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *out)
{
    struct connection *x = h->data;
    (void)suggested;
    *out = uv_buf_init(x->request + x->request_len,
                       (unsigned)(sizeof x->request - x->request_len));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *in)
{
    struct connection *x = stream->data;
    (void)in;
    if (n < 0 && n != UV_ENOBUFS) {
        connection_close(x);
        return;
    }
    x->request_len += n > 0 ? (size_t)n : 0;
    char *end = memchr(x->request, '\n', x->request_len);
    if (end == NULL && x->request_len < sizeof x->request) {
        return;
    }
    uv_read_stop(stream);
    if (end == NULL) {
        x->busy = true;
        log_request(x, &(struct request){0}, "too long");
        connection_refuse(x, "malformed request: longer than 4096 bytes%s\n", "");
        return;
    }
    connection_run(x, str_n(x->request, (size_t)(end - x->request)));
}

/* --- accepting --- */

/* The mode keeps others out already; this holds if someone opens it up by hand. */
static bool peer_allowed(struct connection *x)
{
    struct ucred peer = {0};
    socklen_t size = sizeof peer;
    uv_os_fd_t fd;
    if (uv_fileno((uv_handle_t *)&x->pipe, &fd) != 0 ||
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
        return false;
    }
    x->uid = peer.uid;
    x->pid = peer.pid;
    return peer.uid == 0 || peer.uid == geteuid();
}

static struct connection *connection_new(struct control *c)
{
    struct connection *x = calloc(1, sizeof *x);
    check(x != NULL);
    x->control = c;
    buf_init(&x->reply, REPLY_MAX);
    check(uv_pipe_init(&c->setup.main->loop, &x->pipe, 0) == 0);
    check(uv_timer_init(&c->setup.main->loop, &x->timer) == 0);
    x->pipe.data = x;
    x->timer.data = x;
    x->handles_open = 2;
    x->next = c->connections;
    x->prev = &c->connections;
    if (x->next != NULL) {
        x->next->prev = &x->next;
    }
    c->connections = x;
    c->count++;
    return x;
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct control *c = listener->data;
    if (status != 0) {
        return;
    }
    struct connection *x = connection_new(c);
    if (uv_accept(listener, (uv_stream_t *)&x->pipe) != 0 || c->count > CONNECTIONS_MAX) {
        connection_close(x);
        return;
    }
    if (!peer_allowed(x)) {
        log_request(x, &(struct request){0}, "not allowed");
        connection_close(x);
        return;
    }
    check(uv_timer_start(&x->timer, on_timeout, TIMEOUT_MS, 0) == 0);
    check(uv_read_start((uv_stream_t *)&x->pipe, on_alloc, on_read) == 0);
}

/* --- life --- */

/* Removes a socket nobody answers on. The lock on the queue says that no daemon of this
 * queue runs; one of another queue may have been given the same path. */
static bool remove_stale(const struct sockaddr_un *at, char *reason, size_t reason_size)
{
    struct stat st;
    if (lstat(at->sun_path, &st) != 0) {
        return true; /* not there, or bind() will say what is wrong */
    }
    if (!S_ISSOCK(st.st_mode)) {
        snprintf(reason, reason_size, "%s exists and is not a socket", at->sun_path);
        return false;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool answered =
        fd >= 0 &&
        (connect(fd, (const struct sockaddr *)at, sizeof *at) == 0 || errno == EAGAIN);
    if (fd >= 0) {
        close(fd);
    }
    if (answered) {
        snprintf(reason, reason_size, "another process answers on %s", at->sun_path);
        return false;
    }
    if (unlink(at->sun_path) != 0) {
        snprintf(reason, reason_size, "cannot replace %s: %s", at->sun_path,
                 strerror(errno));
        return false;
    }
    return true;
}

/* A listening socket whose file has mode 0600 from the beginning (fchmod before bind
 * sets what bind creates: unix(7)), or -1. */
static int open_socket(struct control *c, char *reason, size_t reason_size)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    struct stat st;
    if (strlen(c->path) >= sizeof at.sun_path) {
        snprintf(reason, reason_size, "CONTROL_SOCKET is longer than %zu bytes",
                 sizeof at.sun_path - 1);
        return -1;
    }
    memcpy(at.sun_path, c->path, strlen(c->path) + 1);
    if (!remove_stale(&at, reason, reason_size)) {
        return -1;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || fchmod(fd, 0600) != 0 ||
        bind(fd, (const struct sockaddr *)&at, sizeof at) != 0 ||
        lstat(c->path, &st) != 0) {
        snprintf(reason, reason_size, "cannot open the control socket %s: %s", c->path,
                 strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    c->device = st.st_dev;
    c->inode = st.st_ino;
    return fd;
}

static void on_listener_closed(uv_handle_t *h)
{
    struct control *c = h->data;
    c->listener_gone = true;
    control_release(c);
}

struct control *control_new(const struct control_setup *setup, char *reason,
                            size_t reason_size)
{
    struct control *c = calloc(1, sizeof *c);
    check(c != NULL);
    c->setup = *setup;
    c->path = strndup(setup->path.ptr, setup->path.len);
    check(c->path != NULL);
    int fd = open_socket(c, reason, reason_size);
    if (fd < 0) {
        free(c->path);
        free(c);
        return NULL;
    }
    check(uv_pipe_init(&setup->main->loop, &c->pipe, 0) == 0);
    c->pipe.data = c;
    int rc = uv_pipe_open(&c->pipe, fd);
    if (rc == 0) {
        rc = uv_listen((uv_stream_t *)&c->pipe, BACKLOG, on_connection);
    } else {
        close(fd);
    }
    if (rc != 0) {
        snprintf(reason, reason_size, "cannot open the control socket %s: %s", c->path,
                 uv_strerror(rc));
        control_stop(c);
        control_free(&c);
    }
    return c;
}

void control_stop(struct control *c)
{
    struct stat st;
    if (c->stopped) {
        return;
    }
    c->stopped = true;
    if (lstat(c->path, &st) == 0 && st.st_dev == c->device && st.st_ino == c->inode) {
        unlink(c->path);
    }
    uv_close((uv_handle_t *)&c->pipe, on_listener_closed);
}

bool control_idle(const struct control *c)
{
    for (const struct connection *x = c->connections; x != NULL; x = x->next) {
        if (x->busy) {
            return false;
        }
    }
    return true;
}

void control_free(struct control **c)
{
    struct control *gone = *c;
    *c = NULL;
    check(gone->stopped);
    gone->freed = true;
    for (struct connection *x = gone->connections; x != NULL; x = x->next) {
        connection_close(x);
    }
    control_release(gone);
}
