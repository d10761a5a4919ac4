/* log: one event a line, key=value; LOG_FORMAT=5 writes the same fields as JSON.
 * Every event name is a row below and is described in docs/log.md (compared by a
 * test). Lines are written with one write() each, so loops may share a log.
 * Values from peers are encoded: a line never holds a control byte. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

/* Rows: enum suffix, name in the log, what it says. */
#define LOG_EVENTS(X)                                                                    \
    X(START, "start", "the daemon is up: version, workers, configuration file")          \
    X(STOP, "stop", "the daemon ends")                                                   \
    X(LISTEN, "listen", "a socket is open: service, address, channel, implicit TLS")     \
    X(RELOAD, "reload", "a configuration was loaded and is in force, or was refused")    \
    X(RENEW, "renew", "certificates were read again, or a broken one was refused")       \
    X(CERTIFICATE, "certificate", "a certificate expires soon, or has expired")          \
    X(CONFIG, "config", "one message about the configuration")                           \
    X(CONNECT, "connect", "a client connected")                                          \
    X(IDENT, "ident", "the name of a client was looked up")                              \
    X(SWITCH, "switch", "a session changed its source channel, and why")                 \
    X(TLS, "tls", "a TLS handshake ended: side, version, cipher, or the error")          \
    X(ACCESS, "access", "an access table refused, held, discarded or logged")            \
    X(REFUSE, "refuse", "a command was refused: reply and reason")                       \
    X(ROUTE, "route", "a recipient was accepted: channel, rewritten address, rule")      \
    X(ENQUEUE, "enqueue", "a message was committed to the queue")                        \
    X(DISCONNECT, "disconnect", "a client session ended, and why")                       \
    X(ATTEMPT, "attempt", "a connection to a next hop was made, or failed")              \
    X(INJECTION, "starttls_response_injection", "a reply came in clear behind STARTTLS") \
    X(DOWNGRADE, "tls_downgrade", "delivery goes on in clear after TLS failed")          \
    X(STRIPPED, "tls_stripped", "a host that had TLS lately has none; nothing is sent")  \
    X(DELIVER, "deliver", "a recipient's outcome: delivered, deferred or failed")        \
    X(MEMBER, "member", "a member of a list cannot get a message that others get")       \
    X(BOUNCE, "bounce", "a notification was queued for a failed message")                \
    X(DISCARD, "discard", "a message was accepted and thrown away, and why")             \
    X(HOLD, "hold", "a message was set aside, and why")                                  \
    X(QUEUE, "queue", "the store reports: opened, error, recovery, orphan removed")      \
    X(CONTROL, "control", "a request came over the control socket")                      \
    X(ERROR, "error", "something an operator should look at")

enum log_event {
#define LOG_ROW(id, name, text) LOG_##id,
    LOG_EVENTS(LOG_ROW)
#undef LOG_ROW
        LOG_EVENT_COUNT
};
/* The second and the third column of its row. */
const char *log_event_name(enum log_event e);
const char *log_event_text(enum log_event e);

enum log_format { LOG_KEYVALUE = 1, LOG_JSON = 5 };

/* Shared by all threads; immutable but for `format`, which is read atomically. */
struct log;
/* Logs to fd (not closed by log_free). */
struct log *log_new(int fd, enum log_format format);
void log_free(struct log **l);
void log_set_format(struct log *l, enum log_format format);

/* A line being built, on the stack of its writer; never allocates. Over-long values
 * are cut and marked. Usage:
 *   struct log_line line; log_begin(&line, log, LOG_SWITCH);
 *   log_str(&line, "from", a); log_end(&line);                                       */
struct log_line {
    struct log *log;
    enum log_format format;
    bool cut; /* a value was shortened or a field left out: the line says cut=1 */
    size_t len;
    char text[4096];
};
/* Begins a line with the time and the event. */
void log_begin(struct log_line *line, struct log *log, enum log_event event);
void log_str(struct log_line *line, const char *key, str value);
void log_cstr(struct log_line *line, const char *key,
              const char *value); /* NULL: skipped */
void log_int(struct log_line *line, const char *key, int64_t value);
/* A time given in nanoseconds as milliseconds with one decimal; a number in JSON too. */
void log_duration_ms(struct log_line *line, const char *key, uint64_t nanoseconds);
void log_fmt(struct log_line *line, const char *key, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Writes the line. What cannot be written is lost: nobody waits for the log. */
void log_end(struct log_line *line);

#endif
