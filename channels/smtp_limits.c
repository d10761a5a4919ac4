/* smtp_limits: see smtp_limits.h. */
#include "channels/smtp_limits.h"

#include <stddef.h>

static const struct smtp_limit_hit transactions = {
    "transactionlimit", 450, {4, 5, 3}, "Too many messages in one session"};
static const struct smtp_limit_hit transactions_end = {
    "disconnecttransactionlimit",
    421,
    {4, 5, 3},
    "Too many messages in one session, closing the connection"};
static const struct smtp_limit_hit recipients = {
    "recipientlimit", 452, {4, 5, 3}, "Too many recipients"};
static const struct smtp_limit_hit recipients_all = {
    "recipientcutoff", 451, {4, 5, 3}, "Too many recipients for one message"};
static const struct smtp_limit_hit recipients_end = {
    "disconnectrecipientlimit",
    421,
    {4, 5, 3},
    "Too many recipients in one session, closing the connection"};
static const struct smtp_limit_hit rejects = {
    "deferralrejectlimit", 450, {4, 7, 0}, "Too many recipients were refused"};
static const struct smtp_limit_hit rejects_end = {
    "disconnectrejectlimit",
    421,
    {4, 7, 0},
    "Too many recipients were refused, closing the connection"};
static const struct smtp_limit_hit bad_commands = {
    "disconnectbadcommandlimit",
    421,
    {4, 7, 0},
    "Too many errors, closing the connection"};

struct smtp_limits smtp_limits_of(const struct channel_opts *o)
{
    return (struct smtp_limits){
        .transactionlimit = o->transactionlimit,
        .disconnecttransactionlimit = o->disconnecttransactionlimit,
        .recipientlimit = o->recipientlimit,
        .recipientcutoff = o->recipientcutoff,
        .deferralrejectlimit = o->deferralrejectlimit,
        .disconnectrecipientlimit = o->disconnectrecipientlimit,
        .disconnectrejectlimit = o->disconnectrejectlimit,
        .disconnectbadcommandlimit = o->disconnectbadcommandlimit,
    };
}

/* Has the count used the limit up? */
static bool reached(unsigned count, unsigned limit)
{
    return limit > 0 && count >= limit;
}

const struct smtp_limit_hit *smtp_limits_rset(const struct smtp_limits *l,
                                              const struct smtp_counts *c)
{
    return reached(c->transactions, l->disconnecttransactionlimit) ? &transactions_end
           : reached(c->recipients, l->disconnectrecipientlimit)   ? &recipients_end
           : reached(c->rejects, l->disconnectrejectlimit)         ? &rejects_end
                                                                   : NULL;
}

const struct smtp_limit_hit *smtp_limits_mail(const struct smtp_limits *l,
                                              const struct smtp_counts *c)
{
    const struct smtp_limit_hit *end = smtp_limits_rset(l, c);
    bool over = reached(c->transactions, l->transactionlimit);
    return end != NULL ? end : over ? &transactions : NULL;
}

const struct smtp_limit_hit *smtp_limits_rcpt(const struct smtp_limits *l,
                                              const struct smtp_counts *c)
{
    return reached(c->rejects, l->deferralrejectlimit) ? &rejects : NULL;
}

const struct smtp_limit_hit *smtp_limits_room(const struct smtp_limits *l,
                                              unsigned accepted)
{
    return reached(accepted, l->recipientlimit) ? &recipients : NULL;
}

const struct smtp_limit_hit *smtp_limits_data(const struct smtp_limits *l,
                                              unsigned accepted, unsigned refused)
{
    bool over = l->recipientcutoff > 0 && accepted + refused > l->recipientcutoff;
    return over ? &recipients_all : NULL;
}

const struct smtp_limit_hit *smtp_limits_bad_command(const struct smtp_limits *l,
                                                     const struct smtp_counts *c)
{
    bool over = l->disconnectbadcommandlimit > 0 &&
                c->bad_commands > l->disconnectbadcommandlimit;
    return over ? &bad_commands : NULL;
}
