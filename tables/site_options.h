/* site_options: the options of option.dat that are numbers, for reading them and for
 * writing them down: what has no row here or a line of its own in tables/dump.c is lost
 * to `pointsman print` and `pointsman diff`. */
#ifndef TABLES_SITE_OPTIONS_H
#define TABLES_SITE_OPTIONS_H

#include <stdint.h>

#include "tables/alias.h"

enum { SITE_WORKERS_MAX = 1024, SITE_RETURN_BLOCKS_MAX = 16384 };

/* Rows: name in the file, field of struct site_options (and of where it was said, with
 * "_at" behind), the largest value. */
#define SITE_NUMBERS(X)                                                                  \
    X(WORKERS, workers, SITE_WORKERS_MAX)                                                \
    X(BLOCK_LIMIT, block_limit, INT32_MAX)                                               \
    X(LINE_LIMIT, line_limit, INT32_MAX)                                                 \
    X(MAX_RECEIVED_LINES, max_received_lines, INT32_MAX)                                 \
    X(MAX_TOTAL_RECEIVED_LINES, max_total_received_lines, INT32_MAX)                     \
    X(URGENT_BLOCK_LIMIT, urgent_block_limit, INT32_MAX)                                 \
    X(NORMAL_BLOCK_LIMIT, normal_block_limit, INT32_MAX)                                 \
    X(NON_URGENT_BLOCK_LIMIT, nonurgent_block_limit, INT32_MAX)                          \
    X(CONTENT_RETURN_BLOCK_LIMIT, content_return_block_limit, SITE_RETURN_BLOCKS_MAX)    \
    X(BOUNCE_BLOCK_LIMIT, bounce_block_limit, SITE_RETURN_BLOCKS_MAX)                    \
    X(HISTORY_TO_RETURN, history_to_return, 200)                                         \
    X(RETURN_DELIVERY_HISTORY, return_delivery_history, 1)                               \
    X(LINES_TO_RETURN, lines_to_return, 1000)                                            \
    X(RETURN_UNITS, return_units, 1)                                                     \
    X(ACCESS_ERRORS, access_errors, 1)                                                   \
    X(ACCESS_ORCPT, access_orcpt, 31) /* Oracle's bits */                                \
    X(REVERSE_ENVELOPE, reverse_envelope, 1)                                             \
    X(EXPROUTE_FORWARD, exproute_forward, 1)                                             \
    X(IMPROUTE_FORWARD, improute_forward, 1)                                             \
    X(PERCENT_BANG_LOCAL, percent_bang_local, 1)                                         \
    X(ALIAS_DOMAINS, alias_domains, 7)                                                   \
    X(MAX_ALIAS_LEVELS, alias_levels, ALIAS_LEVELS_MAX)                                  \
    X(OR_CLAUSES, or_clauses, 1)

/* Those of which not every number will do. */
#define SITE_OTHER_NUMBERS(X)                                                            \
    X(BLOCK_SIZE, block_size, )                                                          \
    X(LOG_FORMAT, log_format, )                                                          \
    X(USE_REVERSE_DATABASE, use_reverse_database, )                                      \
    X(USE_FORWARD_DATABASE, forward_bits, )

#endif
