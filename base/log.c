/* log: builds a line in the writer's own storage and hands it to the kernel in one
 * write(). Values are encoded here and nowhere else. */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"

enum {
    LINE_TAIL = 16,   /* kept free for the mark of a cut line, closing, end of line */
    VALUE_MAX = 1024, /* encoded bytes of one value; one peer's text is not all */
    UNIT_MAX = 12     /* the longest encoding of one character */
};

struct log {
    int fd;
    atomic_int format;
};

static const struct {
    const char *name, *text;
} EVENTS[] = {
#define LOG_ROW(id, name, text) {name, text},
    LOG_EVENTS(LOG_ROW)
#undef LOG_ROW
};

const char *log_event_name(enum log_event e)
{
    check((unsigned)e < LOG_EVENT_COUNT);
    return EVENTS[e].name;
}

const char *log_event_text(enum log_event e)
{
    check((unsigned)e < LOG_EVENT_COUNT);
    return EVENTS[e].text;
}

struct log *log_new(int fd, enum log_format format)
{
    struct log *l = malloc(sizeof *l);
    check(l != NULL);
    l->fd = fd;
    atomic_init(&l->format, (int)format);
    return l;
}

void log_free(struct log **l)
{
    free(*l);
    *l = NULL;
}

void log_set_format(struct log *l, enum log_format format)
{
    atomic_store(&l->format, (int)format);
}

static size_t line_room(const struct log_line *line)
{
    return sizeof line->text - LINE_TAIL - line->len;
}

static void put_bytes(struct log_line *line, const char *text, size_t len)
{
    memcpy(line->text + line->len, text, len);
    line->len += len;
}

static void put_text(struct log_line *line, const char *text)
{
    put_bytes(line, text, strlen(text));
}

/* Writes `,"key":` or ` key=`; false, marking the line as cut, when there is no room
 * for it and a short value. */
static bool put_key(struct log_line *line, const char *key)
{
    bool json = line->format == LOG_JSON;
    if (strlen(key) + 48 > line_room(line)) {
        line->cut = true;
        return false;
    }
    if (json) {
        put_text(line, line->len > 0 ? ",\"" : "{\"");
    } else if (line->len > 0) {
        put_text(line, " ");
    }
    put_text(line, key);
    put_text(line, json ? "\":" : "=");
    return true;
}

static bool is_control(uint32_t code)
{
    return code < 0x20 || (code >= 0x7F && code < 0xA0);
}

/* One character of a JSON string (RFC 8259 section 7); what is not UTF-8 becomes
 * U+FFFD, as a JSON text cannot hold it. */
static size_t encode_json(str *rest, char *out)
{
    uint32_t code;
    size_t len = str_utf8(*rest, &code);
    const char *from = rest->ptr;
    *rest = str_from_pos(*rest, len > 0 ? len : 1);
    if (len == 0) {
        return (size_t)sprintf(out, "\\ufffd");
    }
    if (is_control(code) || code == 0x2028 || code == 0x2029) {
        return (size_t)sprintf(out, "\\u%04x", (unsigned)code);
    }
    if (code == '"' || code == '\\') {
        return (size_t)sprintf(out, "\\%c", (char)code);
    }
    memcpy(out, from, len);
    return len;
}

/* One character of a quoted key=value string. */
static size_t encode_quoted(str *rest, char *out)
{
    uint32_t code;
    size_t len = str_utf8(*rest, &code), n = 0;
    str from = *rest;
    bool hex = len == 0 || is_control(code) || code == 0x2028 || code == 0x2029;
    *rest = str_from_pos(*rest, len > 0 ? len : 1);
    if (!hex && (code == '"' || code == '\\')) {
        return (size_t)sprintf(out, "\\%c", (char)code);
    }
    if (!hex) {
        memcpy(out, from.ptr, len);
        return len;
    }
    for (size_t i = 0; i < (len > 0 ? len : 1); i++) {
        n += (size_t)sprintf(out + n, "\\x%02x", (unsigned char)from.ptr[i]);
    }
    return n;
}

static bool needs_quotes(str value)
{
    for (size_t i = 0; i < value.len; i++) {
        char c = value.ptr[i];
        if (c <= ' ' || c > '~' || c == '"' || c == '=' || c == '\\') {
            return true;
        }
    }
    return value.len == 0;
}

static void put_value(struct log_line *line, str value)
{
    bool json = line->format == LOG_JSON;
    bool quotes = json || needs_quotes(value);
    size_t room = line_room(line) - 5; /* quotes and dots */
    size_t end = line->len + (room < VALUE_MAX ? room : VALUE_MAX);
    if (quotes) {
        put_text(line, "\"");
    }
    while (value.len > 0) {
        char unit[UNIT_MAX + 1];
        size_t n = json ? encode_json(&value, unit) : encode_quoted(&value, unit);
        if (line->len + n > end) {
            put_text(line, "...");
            line->cut = true;
            break;
        }
        put_bytes(line, unit, n);
    }
    if (quotes) {
        put_text(line, "\"");
    }
}

void log_begin(struct log_line *line, struct log *log, enum log_event event)
{
    char now[40];
    line->log = log;
    line->format = (enum log_format)atomic_load(&log->format);
    line->cut = false;
    line->len = 0;
    clock_rfc3339(clock_now_ms(&clock_system), now, sizeof now);
    log_cstr(line, "ts", now);
    log_cstr(line, "event", log_event_name(event));
}

void log_str(struct log_line *line, const char *key, str value)
{
    if (put_key(line, key)) {
        put_value(line, value);
    }
}

void log_cstr(struct log_line *line, const char *key, const char *value)
{
    if (value != NULL) {
        log_str(line, key, str_from(value));
    }
}

static void put_number(struct log_line *line, const char *key, const char *digits)
{
    if (put_key(line, key)) {
        put_text(line, digits);
    }
}

void log_int(struct log_line *line, const char *key, int64_t value)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%lld", (long long)value);
    put_number(line, key, digits);
}

void log_duration_ms(struct log_line *line, const char *key, uint64_t nanoseconds)
{
    char digits[32];
    uint64_t tenths = (nanoseconds + 50000) / 100000;
    snprintf(digits, sizeof digits, "%llu.%u", (unsigned long long)(tenths / 10),
             (unsigned)(tenths % 10));
    put_number(line, key, digits);
}

void log_fmt(struct log_line *line, const char *key, const char *fmt, ...)
{
    char text[VALUE_MAX + 1];
    va_list ap;
    va_start(ap, fmt);
    int len = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    check(len >= 0);
    if ((size_t)len < sizeof text) {
        log_str(line, key, str_n(text, (size_t)len));
    } else {
        memcpy(text + sizeof text - 4, "...", 4);
        line->cut = true;
        log_str(line, key, str_n(text, sizeof text - 1));
    }
}

void log_end(struct log_line *line)
{
    bool json = line->format == LOG_JSON;
    if (line->cut) {
        put_text(line, json ? ",\"cut\":1" : " cut=1");
    }
    put_text(line, json ? "}\n" : "\n");
    for (size_t sent = 0; sent < line->len;) {
        ssize_t n = write(line->log->fd, line->text + sent, line->len - sent);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return; /* a log that cannot be written must not stop the mail */
        }
        sent += (size_t)n;
    }
}
