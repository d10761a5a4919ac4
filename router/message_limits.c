/* message_limits: see message_limits.h. */
#include "router/message_limits.h"

void message_size_add(struct message_size *size, str data)
{
    size->bytes += data.len;
    while (data.len > 0) {
        ptrdiff_t end = str_find(data, '\n');
        if (end < 0) {
            break;
        }
        size->lines++;
        data = str_from_pos(data, (size_t)end + 1);
    }
}

static bool over_blocks(const struct snapshot *s, unsigned blocks, uint64_t bytes)
{
    return blocks > 0 && bytes > (uint64_t)blocks * s->options.block_size;
}

bool message_over_blocks(const struct snapshot *s, unsigned blocks,
                         const struct message_size *size)
{
    return over_blocks(s, blocks, size->bytes);
}

static bool over_lines(unsigned limit, uint64_t lines)
{
    return limit > 0 && lines > limit;
}

const char *message_over_site(const struct snapshot *s, const struct message_size *size)
{
    return over_blocks(s, s->options.block_limit, size->bytes) ? "BLOCK_LIMIT"
           : over_lines(s->options.line_limit, size->lines)    ? "LINE_LIMIT"
                                                               : NULL;
}

const char *message_over_channel(const struct snapshot *s, const struct channel *c,
                                 const struct message_size *size)
{
    return over_blocks(s, c->opts.blocklimit, size->bytes) ? "blocklimit"
           : over_lines(c->opts.linelimit, size->lines)    ? "linelimit"
                                                           : NULL;
}

const char *message_over_list(const struct snapshot *s, unsigned blocks, unsigned lines,
                              const struct message_size *size)
{
    return over_blocks(s, blocks, size->bytes) ? "BLOCKLIMIT"
           : over_lines(lines, size->lines)    ? "LINELIMIT"
                                               : NULL;
}
