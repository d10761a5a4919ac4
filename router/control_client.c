/* control_client: connect, send a line, read a line until the deadline. */
#include "router/control_client.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"

enum { REPLY_MAX = 2 * 1024 * 1024, READ_SIZE = 16384 };

static int64_t monotonic_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int open_client(str path, char *reason, size_t reason_size)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    if (path.len == 0 || path.len >= sizeof at.sun_path) {
        snprintf(reason, reason_size, "CONTROL_SOCKET is empty or longer than %zu bytes",
                 sizeof at.sun_path - 1);
        return -1;
    }
    memcpy(at.sun_path, path.ptr, path.len);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&at, sizeof at) == 0) {
        return fd;
    }
    const char *hint = errno == ENOENT || errno == ECONNREFUSED
                           ? "; is pointsmand running with this configuration?"
                       : errno == EACCES ? "; only root and the daemon's user may ask it"
                                         : "";
    snprintf(reason, reason_size, "cannot reach the daemon at %s: %s%s", at.sun_path,
             strerror(errno), hint);
    if (fd >= 0) {
        close(fd);
    }
    return -1;
}

static bool send_request(int fd, const struct control_request *r, char *reason,
                         size_t reason_size)
{
    struct buf b;
    buf_init(&b, 4096);
    bool good = buf_puts(&b, "{\"v\":1,\"command\":") &&
                json_put_string(&b, str_from(r->command)) && buf_str(&b, r->members) &&
                buf_puts(&b, "}\n") &&
                send(fd, b.data, b.len, MSG_NOSIGNAL) == (ssize_t)b.len;
    if (!good) {
        snprintf(reason, reason_size, "cannot send the request: %s", strerror(errno));
    }
    buf_free(&b);
    return good;
}

/* Waits for more, reads it. False at the end, on failure and at the deadline. */
static bool read_more(int fd, struct buf *in, int64_t until_ms, char *reason,
                      size_t reason_size)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int64_t left_ms = until_ms - monotonic_ms();
    int ready = left_ms > 0 ? poll(&p, 1, (int)left_ms) : 0;
    if (ready < 0 && errno == EINTR) {
        return true;
    }
    if (ready == 0) {
        snprintf(reason, reason_size, "the daemon did not answer in time");
        return false;
    }
    char *room = buf_reserve(in, READ_SIZE);
    ssize_t n = room == NULL || ready < 0 ? -1 : recv(fd, room, READ_SIZE, 0);
    if (n > 0) {
        in->len += (size_t)n;
        return true;
    }
    snprintf(reason, reason_size, "the daemon closed the connection without a reply");
    return false;
}

static bool read_reply(struct arena *a, int fd, int timeout_ms, struct control_reply *out,
                       char *reason, size_t reason_size)
{
    struct buf in;
    const char *why = NULL;
    int64_t until_ms = monotonic_ms() + timeout_ms;
    bool good = true;
    buf_init(&in, REPLY_MAX);
    while (good && (in.len == 0 || memchr(in.data, '\n', in.len) == NULL)) {
        good = read_more(fd, &in, until_ms, reason, reason_size);
    }
    out->line = arena_str(a, str_trim(buf_slice(&in)));
    buf_free(&in);
    if (!good) {
        return false;
    }
    good = json_parse(a, out->line, &out->object, &why);
    const struct json_member *ok = json_get(&out->object, "ok", JSON_BOOL);
    const struct json_member *text = json_get(&out->object, "text", JSON_STRING);
    if (!good || ok == NULL || text == NULL) {
        snprintf(reason, reason_size, "the daemon's reply is malformed: %s",
                 why != NULL ? why : "\"ok\" or \"text\" is missing");
        return false;
    }
    out->ok = ok->truth;
    out->text = text->text;
    return true;
}

bool control_ask(struct arena *a, str path, const struct control_request *request,
                 int timeout_ms, struct control_reply *out, char *reason,
                 size_t reason_size)
{
    *out = (struct control_reply){0};
    int fd = open_client(path, reason, reason_size);
    if (fd < 0) {
        return false;
    }
    bool good = send_request(fd, request, reason, reason_size) &&
                read_reply(a, fd, timeout_ms, out, reason, reason_size);
    close(fd);
    return good;
}
