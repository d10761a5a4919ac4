/* smtp_limits: see smtp_limits.h. */
#include "channels/smtp_limits.h"

#include <stddef.h>

static const struct smtp_limit_hit transactions = {
    "transactionlimit", 450, {4, 5, 3}, "Too many messages in one session"};
static const struct smtp_limit_hit transactions_option = {
    "ALLOW_TRANSACTIONS_PER_SESSION", 450, {4, 5, 3}, "Too many messages in one session"};
static const struct smtp_limit_hit transactions_end = {
    "disconnecttransactionlimit",
    421,
    {4, 5, 3},
    "Too many messages in one session, closing the connection"};
static const struct smtp_limit_hit recipients = {
    "recipientlimit", 452, {4, 5, 3}, "Too many recipients"};
static const struct smtp_limit_hit recipients_option = {
    "ALLOW_RECIPIENTS_PER_TRANSACTION", 452, {4, 5, 3}, "Too many recipients"};
static const struct smtp_limit_hit recipients_all = {
    "recipientcutoff", 451, {4, 5, 3}, "Too many recipients for one message"};
static const struct smtp_limit_hit recipients_all_option = {
    "REJECT_RECIPIENTS_PER_TRANSACTION",
    451,
    {4, 5, 3},
    "Too many recipients for one message"};
static const struct smtp_limit_hit recipients_end = {
    "disconnectrecipientlimit",
    421,
    {4, 5, 3},
    "Too many recipients in one session, closing the connection"};
static const struct smtp_limit_hit rejects = {
    "deferralrejectlimit", 450, {4, 7, 0}, "Too many recipients were refused"};
static const struct smtp_limit_hit rejects_option = {"ALLOW_REJECTIONS_BEFORE_DEFERRAL",
                                                     450,
                                                     {4, 7, 0},
                                                     "Too many recipients were refused"};
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

/* The smaller one of two limits. True: that is the second. */
static bool take_smaller(unsigned *limit, unsigned other)
{
    bool smaller = other > 0 && (*limit == 0 || other < *limit);
    *limit = smaller ? other : *limit;
    return smaller;
}

struct smtp_limits smtp_limits_of(const struct channel *c)
{
    const struct channel_opts *o = &c->opts;
    struct smtp_limits l = {
        .transactionlimit = o->transactionlimit,
        .disconnecttransactionlimit = o->disconnecttransactionlimit,
        .recipientlimit = o->recipientlimit,
        .recipientcutoff = o->recipientcutoff,
        .deferralrejectlimit = o->deferralrejectlimit,
        .disconnectrecipientlimit = o->disconnectrecipientlimit,
        .disconnectrejectlimit = o->disconnectrejectlimit,
        .disconnectbadcommandlimit = o->disconnectbadcommandlimit,
    };
    l.transactions_by_option =
        take_smaller(&l.transactionlimit, c->tcp.allow_transactions);
    l.recipients_by_option = take_smaller(&l.recipientlimit, c->tcp.allow_recipients);
    l.cutoff_by_option = take_smaller(&l.recipientcutoff, c->tcp.reject_recipients);
    l.rejects_by_option = take_smaller(&l.deferralrejectlimit, c->tcp.allow_rejections);
    return l;
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
    const struct smtp_limit_hit *hit =
        l->transactions_by_option ? &transactions_option : &transactions;
    return end != NULL ? end : over ? hit : NULL;
}

const struct smtp_limit_hit *smtp_limits_rcpt(const struct smtp_limits *l,
                                              const struct smtp_counts *c)
{
    const struct smtp_limit_hit *hit = l->rejects_by_option ? &rejects_option : &rejects;
    return reached(c->rejects, l->deferralrejectlimit) ? hit : NULL;
}

const struct smtp_limit_hit *smtp_limits_room(const struct smtp_limits *l,
                                              unsigned accepted)
{
    const struct smtp_limit_hit *hit =
        l->recipients_by_option ? &recipients_option : &recipients;
    return reached(accepted, l->recipientlimit) ? hit : NULL;
}

const struct smtp_limit_hit *smtp_limits_data(const struct smtp_limits *l,
                                              unsigned accepted, unsigned refused)
{
    bool over = l->recipientcutoff > 0 && accepted + refused > l->recipientcutoff;
    return !over ? NULL : l->cutoff_by_option ? &recipients_all_option : &recipients_all;
}

const struct smtp_limit_hit *smtp_limits_bad_command(const struct smtp_limits *l,
                                                     const struct smtp_counts *c)
{
    bool over = l->disconnectbadcommandlimit > 0 &&
                c->bad_commands > l->disconnectbadcommandlimit;
    return over ? &bad_commands : NULL;
}
