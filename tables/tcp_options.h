/* tcp_options: what the option file of a channel that speaks SMTP says,
 * `<channel>_option` beside the main file (PMDF 23.1.2). Names and what becomes of each
 * stand in parser/options.def; which field an honoured one sets stands here. */
#ifndef TABLES_TCP_OPTIONS_H
#define TABLES_TCP_OPTIONS_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/diag.h"
#include "base/str.h"

/* Rows: option, field. TIME: minutes or a period; milliseconds, 0: not given. COUNT: 0:
 * no limit, or not given. FLAG: 0 or 1; and what holds if it is not given. TEXT, HOST:
 * empty: not given. */
#define TCP_OPTIONS(TIME, COUNT, FLAG, TEXT, HOST)                                       \
    /* server: for a command, and for each piece of a message */                         \
    TIME(COMMAND_RECEIVE_TIME, command_receive_ms)                                       \
    TIME(DATA_RECEIVE_TIME, data_receive_ms)                                             \
    COUNT(ALLOW_RECIPIENTS_PER_TRANSACTION, allow_recipients)                            \
    COUNT(REJECT_RECIPIENTS_PER_TRANSACTION, reject_recipients)                          \
    COUNT(ALLOW_TRANSACTIONS_PER_SESSION, allow_transactions)                            \
    COUNT(ALLOW_REJECTIONS_BEFORE_DEFERRAL, allow_rejections)                            \
    COUNT(MAX_HELO_DOMAIN_LENGTH, max_helo_length)                                       \
    FLAG(CHECK_SOURCE, check_source, true)                                               \
    TEXT(BANNER_ADDITION, banner_addition)                                               \
    /* both sides: the name in greeting and EHLO */                                      \
    HOST(BANNER_HOST, banner_host)                                                       \
    /* client: for each reply, for a piece of a message to be sent */                    \
    TIME(STATUS_RECEIVE_TIME, status_receive_ms)                                         \
    TIME(STATUS_MAIL_RECEIVE_TIME, status_mail_receive_ms)                               \
    TIME(STATUS_RCPT_RECEIVE_TIME, status_rcpt_receive_ms)                               \
    TIME(STATUS_DATA_RECEIVE_TIME, status_data_receive_ms)                               \
    TIME(STATUS_DATA_RECV_PER_ADDR_TIME, per_address_ms)                                 \
    TIME(STATUS_DATA_RECV_PER_BLOCK_TIME, per_block_ms)                                  \
    TIME(STATUS_DATA_RECV_PER_ADDR_PER_BLOCK_TIME, per_address_block_ms)                 \
    TIME(DATA_TRANSMIT_TIME, data_transmit_ms)                                           \
    COUNT(ATTEMPT_TRANSACTIONS_PER_SESSION, attempt_transactions)                        \
    TIME(CONNECTION_IDLE_TIME, connection_idle_ms)

/* One field for each row, and <field>_at: where it was written, SPAN_NONE if not. */
struct tcp_options {
#define TCP_OPTION_NUMBER(option, field)                                                 \
    unsigned field;                                                                      \
    struct span field##_at;
#define TCP_OPTION_FLAG(option, field, initial)                                          \
    bool field;                                                                          \
    struct span field##_at;
#define TCP_OPTION_STR(option, field)                                                    \
    str field;                                                                           \
    struct span field##_at;
    TCP_OPTIONS(TCP_OPTION_NUMBER, TCP_OPTION_NUMBER, TCP_OPTION_FLAG, TCP_OPTION_STR,
                TCP_OPTION_STR)
#undef TCP_OPTION_NUMBER
#undef TCP_OPTION_FLAG
#undef TCP_OPTION_STR
};

/* What holds without a file. */
void tcp_options_init(struct tcp_options *o);
/* Writes what was given, a line each; reads back to equal values. */
void tcp_options_print(const struct tcp_options *o, struct buf *out);

struct compile;
struct inputs;
/* Reads the option files of all channels into them; those of pipes by pipe_options.h. */
void tcp_options_compile(struct compile *c, const struct inputs *in);

#endif
