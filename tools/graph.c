/* graph: writing dot; see graph.h. */
#include "tools/graph.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/buf.h"

enum { LABEL_LINE_MAX = 4096 };

/* Escaped as the inside of a quoted string. */
static void put_escaped(str text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c == '"' || c == '\\') {
            putchar('\\');
        }
        putchar(c < ' ' || c == 0x7f ? '?' : c);
    }
}

void graph_quote(str text)
{
    putchar('"');
    put_escaped(text);
    putchar('"');
}

void graph_node(const char *kind, str name)
{
    printf("\"%s ", kind);
    put_escaped(name);
    putchar('"');
}

void graph_label_begin(void)
{
    fputs("label=\"", stdout);
}

void graph_label_line(const char *fmt, ...)
{
    struct buf line;
    va_list ap;

    buf_init(&line, LABEL_LINE_MAX);
    va_start(ap, fmt);
    buf_vprintf(&line, fmt, ap);
    va_end(ap);
    put_escaped(buf_slice(&line));
    fputs("\\l", stdout);
    buf_free(&line);
}

void graph_label_end(void)
{
    putchar('"');
}
