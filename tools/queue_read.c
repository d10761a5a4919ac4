/* queue_read: a message as it would leave. A terminal gets no control characters: who
 * wrote the message must not be able to write to the terminal of its reader. */
#include <string.h>
#include <unistd.h>

#include "tools/queue_tool.h"
#include "tools/text.h"

struct reading {
    bool shown; /* on a terminal */
    bool good;
    bool cr;      /* the last octet was CR: a line end, or to be shown */
    char rest[4]; /* of a character that goes on in the next piece */
    size_t rest_len;
};

static void put_shown(struct reading *g, str text)
{
    while (text.len > 0) {
        size_t n = text_safe(text);
        if (g->cr && *text.ptr != '\n') {
            fputs("\\x0d", stdout);
        }
        g->cr = *text.ptr == '\r';
        if (n > 0) {
            fwrite(text.ptr, 1, n, stdout);
        } else if (*text.ptr == '\n' || *text.ptr == '\t') {
            putchar(*text.ptr);
        } else if (!g->cr) {
            printf("\\x%02x", (unsigned)(unsigned char)*text.ptr);
        }
        text = str_from_pos(text, n > 0 ? n : 1);
    }
}

/* How much of the end of text may be the beginning of a character. */
static size_t unfinished(str text)
{
    for (size_t n = 1; n <= 3 && n <= text.len; n++) {
        unsigned char c = (unsigned char)text.ptr[text.len - n];
        size_t wanted = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : c >= 0xC0 ? 2 : 1;
        if (wanted > 1) {
            return wanted > n ? n : 0;
        }
        if (c < 0x80) {
            return 0;
        }
    }
    return 0;
}

/* A character that is cut in two by the end of a piece is put together first. */
static void put_piece(struct reading *g, str text)
{
    while (g->rest_len > 0 && text.len > 0) {
        g->rest[g->rest_len++] = *text.ptr;
        text = str_from_pos(text, 1);
        str joined = str_n(g->rest, g->rest_len);
        if (g->rest_len == sizeof g->rest || unfinished(joined) == 0) {
            g->rest_len = 0;
            put_shown(g, joined);
        }
    }
    size_t cut = unfinished(text);
    put_shown(g, str_sub(text, 0, text.len - cut));
    memcpy(g->rest + g->rest_len, text.ptr + text.len - cut, cut);
    g->rest_len += cut;
}

static bool put(const void *data, size_t size, void *arg)
{
    struct reading *g = arg;

    if (g->shown) {
        put_piece(g, str_n(data, size));
    } else {
        fwrite(data, 1, size, stdout);
    }
    g->good = !ferror(stdout);
    return g->good;
}

int queue_read(struct queueing *q)
{
    const struct tool_options *o = &q->in->options;
    struct reading g = {.shown = !o->queue.raw && isatty(STDOUT_FILENO)};
    uint64_t number, entry = 0;
    char reason[QUEUE_REASON_MAX];

    if (!queue_id_word(q, q->words[0], &number)) {
        return TOOL_USAGE;
    }
    if (o->queue.entry && !str_u64(str_from(o->queue.entry), UINT32_MAX, &entry)) {
        return queue_complain(q, "--entry is a number that 'queue show' has");
    }
    int64_t position = o->queue.entry ? (int64_t)entry : -1;
    if (!queue_copy(q->directory, number, position, put, &g, reason, sizeof reason)) {
        fprintf(stderr, "pointsman: %s: %s: %.*s\n", q->name, q->words[0],
                STR_ARG(text_plain(q->arena, str_from(reason))));
        return TOOL_NO;
    }
    if (g.shown) {
        put_shown(&g, str_n(g.rest, g.rest_len));
        if (g.cr) {
            fputs("\\x0d\n", stdout);
        }
    }
    return TOOL_OK;
}
