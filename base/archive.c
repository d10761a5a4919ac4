/* archive: see archive.h. Numbers stand in the byte order of the machine; who keeps an
 * archive in a file notes which one that is. */
#include "base/archive.h"

enum { STR_NULL = -1, NODE_END = 0, NODE_MORE = 1 };

void archive_write_to(struct archive *ar, struct buf *out)
{
    *ar = (struct archive){.out = out};
}

void archive_read_from(struct archive *ar, str in, struct arena *a)
{
    *ar = (struct archive){.in = in, .arena = a};
}

bool archive_reading(const struct archive *ar)
{
    return ar->out == NULL;
}

static void archive_bytes(struct archive *ar, void *value, size_t size)
{
    if (ar->out != NULL) {
        ar->failed = ar->failed || !buf_append(ar->out, value, size);
    } else if (ar->failed || ar->in.len < size) {
        ar->failed = true;
        memset(value, 0, size);
    } else {
        memcpy(value, ar->in.ptr, size);
        ar->in = str_from_pos(ar->in, size);
    }
}

void archive_u32(struct archive *ar, uint32_t *value)
{
    archive_bytes(ar, value, sizeof *value);
}

void archive_u64(struct archive *ar, uint64_t *value)
{
    archive_bytes(ar, value, sizeof *value);
}

void archive_i64(struct archive *ar, int64_t *value)
{
    archive_bytes(ar, value, sizeof *value);
}

void archive_str(struct archive *ar, str *value)
{
    uint32_t len = value->ptr != NULL ? (uint32_t)value->len : (uint32_t)STR_NULL;
    archive_u32(ar, &len);
    if (!archive_reading(ar)) {
        ar->failed = ar->failed || (value->ptr != NULL && !buf_str(ar->out, *value));
        return;
    }
    *value = STR_NONE;
    if (len == (uint32_t)STR_NULL) {
        return;
    }
    if (ar->failed || ar->in.len < len) {
        ar->failed = true;
        *value = STR("");
        return;
    }
    *value = str_sub(ar->in, 0, len);
    ar->in = str_from_pos(ar->in, len);
}

void archive_span(struct archive *ar, struct span *value)
{
    archive_u32(ar, &value->source);
    archive_u32(ar, &value->offset);
    archive_u32(ar, &value->length);
}

void archive_choice(struct archive *ar, unsigned limit, unsigned *value)
{
    uint32_t number = *value;
    archive_u32(ar, &number);
    ar->failed = ar->failed || number >= limit;
    *value = ar->failed ? 0 : number;
}

void *archive_node(struct archive *ar, void *node, size_t size)
{
    unsigned more = node != NULL ? NODE_MORE : NODE_END;
    archive_choice(ar, NODE_MORE + 1, &more);
    if (!archive_reading(ar)) {
        return node;
    }
    return more == NODE_MORE && !ar->failed ? arena_alloc(ar->arena, size) : NULL;
}
