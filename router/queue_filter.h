/* queue_filter: which entries of the queue an operator means. Pure. */
#ifndef ROUTER_QUEUE_FILTER_H
#define ROUTER_QUEUE_FILTER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

/* All that is given must hold. */
struct queue_filter {
    uint64_t number;           /* of the message; 0: any */
    str channel, host;         /* exact, case-blind; ptr NULL: any */
    str from, to;              /* patterns, see queue_pattern(); ptr NULL: any */
    bool either;               /* one of from and to is enough */
    bool held;                 /* held ones only */
    int64_t created_before_ms; /* older messages only; 0: any */
};

/* What is looked at of an entry. */
struct queue_filter_entry {
    uint64_t number;
    bool held;
    int64_t created_ms;
    str channel, host;
    str sender; /* as received */
    const str *recipients;
    unsigned recipient_count;
};

/* Does the entry pass? */
bool queue_filter_matches(const struct queue_filter *f,
                          const struct queue_filter_entry *e);

/* Does text match the pattern, in which '*' stands for any text and '?' for one octet?
 * Case-blind. Takes at most the product of the lengths. */
bool queue_pattern(str pattern, str text);

#endif
