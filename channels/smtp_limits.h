/* smtp_limits: the limits that a channel sets to what one session may ask (MS63 8.8):
 * what is counted, and when a count is too much. Pure; the server machine asks. A limit
 * of 0 is none. */
#ifndef CHANNELS_SMTP_LIMITS_H
#define CHANNELS_SMTP_LIMITS_H

#include <stdbool.h>

#include "tables/channel.h"

/* The keywords of the source channel; each is named as its field. Four of them have a
 * twin in the option file of the channel: the smaller one counts. */
struct smtp_limits {
    unsigned transactionlimit;           /* transactions of a session; 450 for more */
    unsigned disconnecttransactionlimit; /* then 421 at the next MAIL or RSET */
    unsigned recipientlimit;             /* accepted of a transaction; 452 for more */
    unsigned recipientcutoff;            /* offered in a transaction; 451 for all of it */
    unsigned deferralrejectlimit;        /* refused in a session; 450 for all others */
    unsigned disconnectrecipientlimit;   /* accepted in a session; then 421 */
    unsigned disconnectrejectlimit;      /* refused in a session; then 421 */
    unsigned disconnectbadcommandlimit;  /* bad commands of a session; 421 at the next */
    /* the number is that of the option */
    bool transactions_by_option, recipients_by_option, cutoff_by_option,
        rejects_by_option;
};
/* What the channel says. */
struct smtp_limits smtp_limits_of(const struct channel *c);

/* Of one session, whatever channels it has had. */
struct smtp_counts {
    unsigned transactions, recipients, rejects, bad_commands;
};

/* What to say, and which keyword or option says so. */
struct smtp_limit_hit {
    const char *keyword;
    unsigned code, enhanced[3]; /* 421: the session ends */
    const char *text;
};

/* Each is NULL when nothing is too much. `refused` and `accepted` are the recipients of
 * the transaction. */
const struct smtp_limit_hit *smtp_limits_mail(const struct smtp_limits *l,
                                              const struct smtp_counts *c);
const struct smtp_limit_hit *smtp_limits_rset(const struct smtp_limits *l,
                                              const struct smtp_counts *c);
const struct smtp_limit_hit *smtp_limits_rcpt(const struct smtp_limits *l,
                                              const struct smtp_counts *c);
/* Is there room for one more? Those for whom there is none are not counted as refused. */
const struct smtp_limit_hit *smtp_limits_room(const struct smtp_limits *l,
                                              unsigned accepted);
const struct smtp_limit_hit *smtp_limits_data(const struct smtp_limits *l,
                                              unsigned accepted, unsigned refused);
/* After the command was counted. */
const struct smtp_limit_hit *smtp_limits_bad_command(const struct smtp_limits *l,
                                                     const struct smtp_counts *c);

#endif
