/* record: see record.h. */
#include "tools/record.h"

#include <stdio.h>

#include "base/check.h"
#include "base/json.h"

/* A trace may be long: many passes, many rules with one pattern. */
enum { RECORD_MAX_BYTES = 1 << 30 };

void record_begin(struct record *r)
{
    buf_init(&r->out, RECORD_MAX_BYTES);
    buf_putc(&r->out, '{');
}

static void put_name(struct record *r, const char *name)
{
    char last = r->out.data[r->out.len - 1];

    if (last != '{' && last != '[') {
        buf_putc(&r->out, ',');
    }
    if (name) {
        buf_printf(&r->out, "\"%s\":", name);
    }
}

void record_str(struct record *r, const char *name, str value)
{
    if (!value.ptr) {
        record_null(r, name);
        return;
    }
    put_name(r, name);
    check(json_put_string(&r->out, value));
}

void record_uint(struct record *r, const char *name, uint64_t value)
{
    put_name(r, name);
    buf_printf(&r->out, "%llu", (unsigned long long)value);
}

void record_int(struct record *r, const char *name, int64_t value)
{
    put_name(r, name);
    buf_printf(&r->out, "%lld", (long long)value);
}

void record_bool(struct record *r, const char *name, bool value)
{
    put_name(r, name);
    buf_puts(&r->out, value ? "true" : "false");
}

void record_null(struct record *r, const char *name)
{
    put_name(r, name);
    buf_puts(&r->out, "null");
}

void record_place(struct record *r, const char *name, const struct sources *sources,
                  struct span at)
{
    struct place place = span_place(sources, at);

    if (at.source == 0) {
        record_null(r, name);
        return;
    }
    record_open(r, name, '{');
    record_str(r, "file", place.file);
    record_uint(r, "line", place.line);
    record_close(r, '}');
}

void record_open(struct record *r, const char *name, char bracket)
{
    put_name(r, name);
    buf_putc(&r->out, bracket);
}

void record_close(struct record *r, char bracket)
{
    buf_putc(&r->out, bracket);
}

void record_print(struct record *r)
{
    buf_puts(&r->out, "}\n");
    fwrite(r->out.data, 1, r->out.len, stdout);
    buf_free(&r->out);
}
