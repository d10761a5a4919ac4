/* urgency: see urgency.h. */
#include "router/urgency.h"

#include "base/clock.h"
#include "router/header_fields.h"

enum { VALUE_MAX = 200 }; /* of a field that is looked at here */

/* One line of it, without its folds, as much as there is room for. */
static str unfolded(str value, char *out, size_t size)
{
    size_t n = value.len < size ? value.len : size;
    for (size_t i = 0; i < n; i++) {
        char c = value.ptr[i];
        out[i] = c == '\r' || c == '\n' ? ' ' : c;
    }
    return str_n(out, n);
}

static bool word_urgency(str value, enum urgency *out)
{
    char line[VALUE_MAX];
    static const struct {
        const char *word;
        enum urgency urgency;
    } WORDS[] = {{"emergency", URGENCY_URGENT},       {"urgent", URGENCY_URGENT},
                 {"normal", URGENCY_NORMAL},          {"non-urgent", URGENCY_NONURGENT},
                 {"nonurgent", URGENCY_NONURGENT},    {"second-class", URGENCY_NONURGENT},
                 {"third-class", URGENCY_THIRD_CLASS}};
    str word;
    value = unfolded(value, line, sizeof line);
    if (!str_word(&value, &word)) {
        return false;
    }
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++) {
        if (str_ieq(word, str_from(WORDS[i].word))) {
            *out = WORDS[i].urgency;
            return true;
        }
    }
    return false;
}

enum urgency urgency_of_header(str header)
{
    struct header_field f;
    enum urgency u;
    while (header_field_next(&header, &f)) {
        if (str_ieq(f.name, STR("Priority")) && word_urgency(f.value, &u)) {
            return u;
        }
    }
    return URGENCY_NORMAL;
}

enum urgency urgency_by_size(enum urgency u, const struct snapshot *s,
                             const struct channel *c, const struct message_size *size)
{
    const struct site_options *site = &s->options;
    const struct channel_opts *o = &c->opts;
    const struct {
        enum urgency of;
        unsigned channel, site;
    } limits[] = {
        {URGENCY_URGENT, o->urgentblocklimit, site->urgent_block_limit},
        {URGENCY_NORMAL, o->normalblocklimit, site->normal_block_limit},
        {URGENCY_NONURGENT, o->nonurgentblocklimit, site->nonurgent_block_limit}};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        if (u == limits[i].of && (message_over_blocks(s, limits[i].channel, size) ||
                                  message_over_blocks(s, limits[i].site, size))) {
            u--;
        }
    }
    return u;
}

enum retry_class urgency_class(enum urgency u)
{
    return u == URGENCY_URGENT   ? RETRY_URGENT
           : u == URGENCY_NORMAL ? RETRY_NORMAL
                                 : RETRY_NONURGENT;
}

int64_t deferred_delivery_ms(str header)
{
    char line[VALUE_MAX];
    struct header_field f;
    int64_t ms;
    while (header_field_next(&header, &f)) {
        if (str_ieq(f.name, STR("Deferred-delivery")) &&
            clock_rfc5322_read(unfolded(f.value, line, sizeof line), &ms)) {
            return ms > 0 ? ms : 0;
        }
    }
    return 0;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

int64_t first_try_ms(const struct first_try *f)
{
    const struct channel_opts *from = &f->source->opts, *to = &f->channel->opts;
    const struct retry_policy *p = &f->channel->retry[urgency_class(f->urgency)];
    bool deferred = from->deferred == DEFERRED_SOURCE ||
                    from->deferred == DEFERRED_BOTH ||
                    to->deferred == DEFERRED_DESTINATION || to->deferred == DEFERRED_BOTH;
    int64_t at = f->now_ms;
    if ((unsigned)f->urgency < (unsigned)to->immediate) {
        at = later(at, f->now_ms + p->backoff_ms[0]);
    }
    at = later(at, f->now_ms + (int64_t)to->after * 1000);
    if (deferred) {
        int64_t most = f->now_ms + retry_give_up_ms(p);
        at = later(at, f->deferred_ms < most ? f->deferred_ms : most);
    }
    return at > f->now_ms ? at : 0;
}
