/* local_text: see local_text.h. */
#include "channels/local_text.h"

bool local_return_path(struct buf *out, str sender)
{
    bool good = buf_puts(out, "Return-Path: <");
    for (size_t i = 0; i < sender.len; i++) {
        char c = sender.ptr[i];
        good = good && buf_putc(out, c >= ' ' && c <= '~' ? c : '?');
    }
    return good && buf_puts(out, ">\n");
}

size_t local_to_lf(char *data, size_t len, bool *cr)
{
    size_t out = 0;
    *cr = false;
    for (size_t i = 0; i < len; i++) {
        if (data[i] == '\r' && i + 1 == len) {
            *cr = true;
        } else if (data[i] != '\r' || data[i + 1] != '\n') {
            data[out++] = data[i];
        }
    }
    return out;
}
