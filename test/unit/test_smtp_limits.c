/* Tests of the limits of a session: every keyword at its edge, and which of two counts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "channels/smtp_limits.h"
#include "parser/channel_opts.h"

static void assert_hit(const struct smtp_limit_hit *hit, const char *keyword)
{
    if (keyword == NULL) {
        assert_null(hit);
        return;
    }
    assert_non_null(hit);
    assert_string_equal(hit->keyword, keyword);
    assert_int_equal(hit->enhanced[0], 4); /* all of them are for the time being */
    assert_int_equal(hit->code / 100, 4);
}

static void mail_and_rset(void **state)
{
    static const struct {
        struct smtp_limits limits;
        struct smtp_counts counts;
        const char *mail, *rset;
    } cases[] = {
        {{0}, {1000000, 1000000, 1000000, 1000000}, NULL, NULL},
        {{.transactionlimit = 2}, {.transactions = 1}, NULL, NULL},
        {{.transactionlimit = 2}, {.transactions = 2}, "transactionlimit", NULL},
        {{.disconnecttransactionlimit = 2}, {.transactions = 1}, NULL, NULL},
        {{.disconnecttransactionlimit = 2},
         {.transactions = 2},
         "disconnecttransactionlimit",
         "disconnecttransactionlimit"},
        {{.transactionlimit = 1, .disconnecttransactionlimit = 2},
         {.transactions = 2},
         "disconnecttransactionlimit",
         "disconnecttransactionlimit"},
        {{.disconnectrecipientlimit = 3}, {.recipients = 2}, NULL, NULL},
        {{.disconnectrecipientlimit = 3},
         {.recipients = 3},
         "disconnectrecipientlimit",
         "disconnectrecipientlimit"},
        {{.disconnectrejectlimit = 1}, {.rejects = 0}, NULL, NULL},
        {{.disconnectrejectlimit = 1},
         {.rejects = 1},
         "disconnectrejectlimit",
         "disconnectrejectlimit"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_hit(smtp_limits_mail(&cases[i].limits, &cases[i].counts), cases[i].mail);
        assert_hit(smtp_limits_rset(&cases[i].limits, &cases[i].counts), cases[i].rset);
    }
}

static void recipients(void **state)
{
    struct smtp_limits two = {.recipientlimit = 2}, cut = {.recipientcutoff = 2};
    struct smtp_limits reject = {.deferralrejectlimit = 2, .recipientlimit = 1};
    struct smtp_counts none = {0}, refused = {.rejects = 2};
    (void)state;
    assert_hit(smtp_limits_rcpt(&two, &refused), NULL);
    assert_hit(smtp_limits_room(&two, 1), NULL);
    assert_hit(smtp_limits_room(&two, 2), "recipientlimit");
    assert_hit(smtp_limits_rcpt(&reject, &none), NULL);
    assert_hit(smtp_limits_rcpt(&reject, &refused), "deferralrejectlimit");
    assert_hit(smtp_limits_room(&reject, 1), "recipientlimit");
    assert_hit(smtp_limits_data(&cut, 2, 0), NULL);
    assert_hit(smtp_limits_data(&cut, 2, 1), "recipientcutoff");
    assert_hit(smtp_limits_data(&two, 100, 100), NULL);
}

static void bad_commands(void **state)
{
    struct smtp_limits limits = {.disconnectbadcommandlimit = 2};
    struct smtp_counts counts = {.bad_commands = 2};
    (void)state;
    assert_hit(smtp_limits_bad_command(&limits, &counts), NULL);
    counts.bad_commands++;
    assert_hit(smtp_limits_bad_command(&limits, &counts), "disconnectbadcommandlimit");
    limits.disconnectbadcommandlimit = 0;
    assert_hit(smtp_limits_bad_command(&limits, &counts), NULL);
}

static void from_the_channel(void **state)
{
    struct channel c = {0};
    struct channel_opts *o = &c.opts;
    (void)state;
    channel_opts_init(o);
    tcp_options_init(&c.tcp);
    struct smtp_limits none = smtp_limits_of(&c);
    assert_int_equal(none.transactionlimit + none.disconnecttransactionlimit +
                         none.recipientlimit + none.recipientcutoff +
                         none.deferralrejectlimit + none.disconnectrecipientlimit +
                         none.disconnectrejectlimit + none.disconnectbadcommandlimit,
                     0);
    o->transactionlimit = 1;
    o->disconnecttransactionlimit = 2;
    o->recipientlimit = 3;
    o->recipientcutoff = 4;
    o->deferralrejectlimit = 5;
    o->disconnectrecipientlimit = 6;
    o->disconnectrejectlimit = 7;
    o->disconnectbadcommandlimit = 8;
    struct smtp_limits all = smtp_limits_of(&c);
    assert_int_equal(all.transactionlimit, 1);
    assert_int_equal(all.disconnecttransactionlimit, 2);
    assert_int_equal(all.recipientlimit, 3);
    assert_int_equal(all.recipientcutoff, 4);
    assert_int_equal(all.deferralrejectlimit, 5);
    assert_int_equal(all.disconnectrecipientlimit, 6);
    assert_int_equal(all.disconnectrejectlimit, 7);
    assert_int_equal(all.disconnectbadcommandlimit, 8);
}

/* Of a keyword and its twin in the option file the smaller one counts, and is named. */
static void from_the_option_file(void **state)
{
    struct channel c = {0};
    struct smtp_counts many = {.transactions = 100, .rejects = 0};
    (void)state;
    channel_opts_init(&c.opts);
    tcp_options_init(&c.tcp);
    c.tcp.allow_transactions = 5;
    c.tcp.allow_recipients = 7;
    c.tcp.reject_recipients = 9;
    c.tcp.allow_rejections = 11;
    for (unsigned keyword = 0; keyword <= 20; keyword += 10) {
        c.opts.transactionlimit = c.opts.recipientlimit = c.opts.recipientcutoff =
            c.opts.deferralrejectlimit = keyword;
        struct smtp_limits l = smtp_limits_of(&c);
        bool rejects = keyword == 10;
        assert_int_equal(l.transactionlimit, 5);
        assert_int_equal(l.recipientlimit, 7);
        assert_int_equal(l.recipientcutoff, 9);
        assert_int_equal(l.deferralrejectlimit, rejects ? 10 : 11);
        assert_hit(smtp_limits_mail(&l, &many), "ALLOW_TRANSACTIONS_PER_SESSION");
        assert_hit(smtp_limits_room(&l, 7), "ALLOW_RECIPIENTS_PER_TRANSACTION");
        assert_hit(smtp_limits_data(&l, 5, 5), "REJECT_RECIPIENTS_PER_TRANSACTION");
        many.rejects = 11;
        assert_hit(smtp_limits_rcpt(&l, &many),
                   rejects ? "deferralrejectlimit" : "ALLOW_REJECTIONS_BEFORE_DEFERRAL");
        many.rejects = 0;
    }
    c.opts.transactionlimit = 4;
    struct smtp_limits l = smtp_limits_of(&c);
    assert_int_equal(l.transactionlimit, 4);
    assert_hit(smtp_limits_mail(&l, &many), "transactionlimit");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mail_and_rset),        cmocka_unit_test(recipients),
        cmocka_unit_test(bad_commands),         cmocka_unit_test(from_the_channel),
        cmocka_unit_test(from_the_option_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
