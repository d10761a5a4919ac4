/* queue_filter: see queue_filter.h. */
#include "router/queue_filter.h"

#include <ctype.h>
#include <stddef.h>

static bool octet_matches(char pattern, char text)
{
    return pattern == '?' ||
           tolower((unsigned char)pattern) == tolower((unsigned char)text);
}

/* The last star takes one octet more whenever what follows it does not fit: earlier ones
 * need not be tried again. */
bool queue_pattern(str pattern, str text)
{
    size_t p = 0, t = 0, star = pattern.len, taken = 0;
    while (t < text.len) {
        if (p < pattern.len && pattern.ptr[p] == '*') {
            star = p++;
            taken = t;
        } else if (p < pattern.len && octet_matches(pattern.ptr[p], text.ptr[t])) {
            p++;
            t++;
        } else if (star < pattern.len) {
            p = star + 1;
            t = ++taken;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.ptr[p] == '*') {
        p++;
    }
    return p == pattern.len;
}

static bool is_name(str wanted, str name)
{
    return wanted.ptr == NULL || str_ieq(wanted, name);
}

static bool to_matches(str pattern, const struct queue_filter_entry *e)
{
    for (unsigned i = 0; i < e->recipient_count; i++) {
        if (queue_pattern(pattern, e->recipients[i])) {
            return true;
        }
    }
    return false;
}

static bool addresses_match(const struct queue_filter *f,
                            const struct queue_filter_entry *e)
{
    bool from = f->from.ptr == NULL || queue_pattern(f->from, e->sender);
    bool to = f->to.ptr == NULL || to_matches(f->to, e);
    if (f->either && f->from.ptr != NULL && f->to.ptr != NULL) {
        return from || to;
    }
    return from && to;
}

bool queue_filter_matches(const struct queue_filter *f,
                          const struct queue_filter_entry *e)
{
    return (f->number == 0 || f->number == e->number) && (!f->held || e->held) &&
           (f->created_before_ms == 0 || e->created_ms < f->created_before_ms) &&
           is_name(f->channel, e->channel) && is_name(f->host, e->host) &&
           addresses_match(f, e);
}
