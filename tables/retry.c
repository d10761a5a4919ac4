/* retry: see retry.h. */
#include "tables/retry.h"

#include "base/check.h"
#include "tables/compile.h"

#define MINUTES(n) ((int64_t)(n)*60 * 1000)
#define HOURS(n)   (MINUTES(n) * 60)
#define DAYS(n)    (HOURS(n) * 24)

#define DEFAULT_NOTICES                                                                  \
    .notice_ms = {DAYS(3), DAYS(6), DAYS(9), DAYS(12)}, .notice_count = 4

const struct retry_policy retry_policy_default = {
    .backoff_ms = {MINUTES(1), MINUTES(5), MINUTES(15), MINUTES(30), HOURS(1), HOURS(2),
                   HOURS(4)},
    .backoff_count = 7,
    DEFAULT_NOTICES,
};

/* What Sun and Oracle do without a word. */
static const struct retry_policy SUN_POLICIES[RETRY_CLASSES] = {
    [RETRY_URGENT] = {{MINUTES(30), HOURS(1), HOURS(1), HOURS(2), HOURS(2), HOURS(2),
                       HOURS(4)},
                      7,
                      DEFAULT_NOTICES},
    [RETRY_NORMAL] = {{HOURS(1), HOURS(2), HOURS(2), HOURS(4), HOURS(4), HOURS(4),
                       HOURS(8)},
                      7,
                      DEFAULT_NOTICES},
    [RETRY_NONURGENT] = {{HOURS(2), HOURS(4), HOURS(4), HOURS(8), HOURS(8), HOURS(8),
                          HOURS(16)},
                         7,
                         DEFAULT_NOTICES},
};

/* --- the clocks --- */

int64_t retry_next_try_ms(const struct retry_policy *p, unsigned attempts, int64_t now_ms,
                          uint32_t random)
{
    check(p->backoff_count > 0 && p->backoff_count <= KEYWORD_PERIODS_MAX);
    unsigned i = attempts > 0 ? attempts - 1 : 0;
    int64_t wait_ms = p->backoff_ms[i < p->backoff_count ? i : p->backoff_count - 1];
    int64_t tenth = wait_ms / 10;
    return now_ms + wait_ms + (int64_t)(random % (uint64_t)(2 * tenth + 1)) - tenth;
}

int64_t retry_give_up_ms(const struct retry_policy *p)
{
    check(p->notice_count > 0 && p->notice_count <= KEYWORD_AGES_MAX);
    return p->notice_ms[p->notice_count - 1];
}

enum retry_notice retry_notice_due(const struct retry_policy *p, int64_t created_ms,
                                   int64_t now_ms, unsigned sent, unsigned *passed)
{
    int64_t age_ms = now_ms - created_ms;
    unsigned n = 0;
    *passed = sent;
    if (age_ms >= retry_give_up_ms(p)) {
        return RETRY_NOTICE_RETURN;
    }
    while (p->notice_ms[n] <= age_ms) { /* the last is not, see above */
        n++;
    }
    if (n <= sent) {
        return RETRY_NOTICE_NONE;
    }
    *passed = n;
    return RETRY_NOTICE_WARN;
}

int64_t retry_next_notice_ms(const struct retry_policy *p, int64_t created_ms,
                             int64_t now_ms)
{
    for (unsigned i = 0; i < p->notice_count; i++) {
        if (created_ms + p->notice_ms[i] > now_ms) {
            return created_ms + p->notice_ms[i];
        }
    }
    return 0;
}

int64_t retry_wake_ms(const struct retry_policy *p, unsigned attempts, int64_t created_ms,
                      int64_t now_ms, uint32_t random)
{
    int64_t at = retry_next_try_ms(p, attempts, now_ms, random);
    int64_t notice = retry_next_notice_ms(p, created_ms, now_ms);
    return notice > 0 && notice < at ? notice : at;
}

/* --- from the words --- */

static void take_periods(struct retry_policy *p, const struct keyword_periods *words)
{
    for (unsigned i = 0; i < words->count; i++) {
        p->backoff_ms[i] = (int64_t)words->s[i] * 1000;
    }
    p->backoff_count = words->count > 0 ? words->count : p->backoff_count;
}

/* The words of the channel, or else those of the local one. */
static void take_ages(struct retry_policy *p, const struct keyword_ages *own,
                      const struct keyword_ages *local, bool hours)
{
    const struct keyword_ages *words = own->count > 0 ? own : local;
    for (unsigned i = 0; i < words->count; i++) {
        p->notice_ms[i] = hours ? HOURS(words->age[i]) : DAYS(words->age[i]);
    }
    p->notice_count = words->count > 0 ? words->count : p->notice_count;
}

void retry_compile(struct compile *c)
{
    const struct snapshot *s = c->s;
    bool sun = s->options.dialect == DIALECT_IMTA, hours = s->options.return_units == 1;
    for (unsigned i = 0; i < s->channel_count; i++) {
        struct channel *ch = s->channels[i];
        const struct channel_opts *o = &ch->opts, *l = &s->channels[0]->opts;
        for (unsigned j = 0; j < RETRY_CLASSES; j++) {
            ch->retry[j] = sun ? SUN_POLICIES[j] : retry_policy_default;
        }
        take_periods(&ch->retry[RETRY_URGENT], &o->urgentbackoff);
        take_periods(&ch->retry[RETRY_NORMAL], &o->normalbackoff);
        take_periods(&ch->retry[RETRY_NONURGENT], &o->nonurgentbackoff);
        take_ages(&ch->retry[RETRY_URGENT], &o->urgentnotices, &l->urgentnotices, hours);
        take_ages(&ch->retry[RETRY_NORMAL], &o->normalnotices, &l->normalnotices, hours);
        take_ages(&ch->retry[RETRY_NONURGENT], &o->nonurgentnotices, &l->nonurgentnotices,
                  hours);
    }
}
