/* retry: the two clocks of what could not be delivered yet. One says when it is tried
 * again (backoff words), the other, from the message's arrival, when its sender is told
 * that it is late and when it is given up (notices words). Neither moves the other.
 * Compiled for each channel and priority; the functions are pure, the time is given to
 * them. */
#ifndef TABLES_RETRY_H
#define TABLES_RETRY_H

#include <stdint.h>

#include "parser/keywords.h"

/* Which of the three rules a message goes by; stored as these numbers. */
enum retry_class { RETRY_NORMAL, RETRY_URGENT, RETRY_NONURGENT, RETRY_CLASSES };

struct retry_policy {
    int64_t backoff_ms[KEYWORD_PERIODS_MAX]; /* after attempt 1, 2, ...; last repeats */
    unsigned backoff_count;                  /* at least 1 */
    int64_t notice_ms[KEYWORD_AGES_MAX];     /* ages, increasing; the last: give up */
    unsigned notice_count;                   /* at least 1 */
};
/* What holds without any word: tried again after 1, 5, 15, 30 minutes, 1, 2, 4 hours,
 * then every 4 hours; told of after 3, 6 and 9 days, returned after 12 (PMDF 2.3.4.20).
 */
extern const struct retry_policy retry_policy_default;

/* The first clock: when to try again after `attempts` attempts in all (at least 1):
 * now plus the backoff, plus or minus up to a tenth of it as `random` says, so that what
 * failed together does not come back together. */
int64_t retry_next_try_ms(const struct retry_policy *p, unsigned attempts, int64_t now_ms,
                          uint32_t random);

enum retry_notice {
    RETRY_NOTICE_NONE,
    RETRY_NOTICE_WARN,  /* the sender is to be told that it is late */
    RETRY_NOTICE_RETURN /* it is given up */
};
/* Which notice is due for a message that came at created_ms and of which `sent` warnings
 * were sent. *passed, for a warning: what `sent` is once it went out; warnings that were
 * missed while nothing ran make one. A clock set back makes nothing due. */
enum retry_notice retry_notice_due(const struct retry_policy *p, int64_t created_ms,
                                   int64_t now_ms, unsigned sent, unsigned *passed);
/* When the first notice after now_ms falls due; 0 when none is left. */
int64_t retry_next_notice_ms(const struct retry_policy *p, int64_t created_ms,
                             int64_t now_ms);
/* When to look at what stays again: at the next try, or sooner at the next notice, which
 * is preceded by an attempt, so that nobody is told of a trouble that is over. */
int64_t retry_wake_ms(const struct retry_policy *p, unsigned attempts, int64_t created_ms,
                      int64_t now_ms, uint32_t random);
/* How old a message gets before it is given up. */
int64_t retry_give_up_ms(const struct retry_policy *p);

struct compile;
/* Fills in the policies of all channels, when option.dat is read: its RETURN_UNITS and
 * DIALECT count (Sun and Oracle have other built-in periods). */
void retry_compile(struct compile *c);

#endif
