/* What decides about one recipient, and in which order: route, access tables for what the
 * client gave, relay rule, access tables for what came of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tables/recipient.h"
#include "test/config/memory_loader.h"

static const char config[] = "far.test  $U%$D@tcp-far\n"
                             "lost.test $U%$D@nobody-has-this\n"
                             ". $U%$H@tcp-daemon\n\n"
                             "l\nhere.test\n\n"
                             "tcp_local smtp mx\ntcp-daemon\n\n"
                             "tcp_far smtp mx\ntcp-far\n"
                             "!== localdomains\nhere.test\nours.test\n";

struct rig {
    struct arena *arena;
    struct snapshot *s;
    struct recipient_answer answer;
};

static void rig_open(struct rig *r, const char *mappings)
{
    struct memory_loader memory;
    struct snapshot_request request = {.path = STR(MEMORY_LOADER_MAIN),
                                       .loader = &memory.loader};
    struct diags *diags;
    bool unreadable;

    r->arena = arena_new();
    memory_loader_init(&memory,
                       arena_printf(r->arena, "%s!== mappings\n%s", config, mappings));
    r->s = snapshot_load(&request, r->arena, &diags, &unreadable);
    assert_non_null(r->s);
}

static void rig_close(struct rig *r)
{
    snapshot_unref(&r->s);
    arena_free(&r->arena);
}

static enum recipient_verdict ask(struct rig *r, const char *to, bool trusted)
{
    struct access_peer peer = {.server_ip = STR("192.0.2.1"),
                               .server_port = 25,
                               .client_ip = STR("198.51.100.1"),
                               .client_port = 4711,
                               .helo = STR("client.test"),
                               .esmtp = true};
    struct recipient_request q = {.snapshot = r->s,
                                  .source = snapshot_channel(r->s, STR("tcp_local")),
                                  .trusted = trusted,
                                  .peer = &peer};
    assert_null(address_parse(str_from(to), &q.to));
    assert_null(address_parse(STR("sue@x.test"), &q.sender));
    return recipient_resolve(&q, r->arena, &r->answer);
}

static void check_reply(const struct rig *r, unsigned code, const char *text)
{
    assert_int_equal(r->answer.reply.code, code);
    if (!str_eq(r->answer.reply.text, str_from(text))) {
        fail_msg("reply is '%.*s'", STR_ARG(r->answer.reply.text));
    }
}

static unsigned asked(const struct rig *r)
{
    unsigned n = 0;
    for (const struct recipient_access *a = r->answer.access; a != NULL; a = a->next) {
        n++;
    }
    return n;
}

static void test_without_tables(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, "");
    assert_int_equal(ask(&r, "ann@here.test", false), RECIPIENT_TAKEN);
    assert_int_equal(ask(&r, "ann@far.test", true), RECIPIENT_TAKEN);
    assert_int_equal(ask(&r, "ann@far.test", false), RECIPIENT_RELAY);
    check_reply(&r, 550, "relaying to far.test is not allowed");
    assert_int_equal(asked(&r), 0);
    rig_close(&r);
}

static void test_a_table_decides_before_the_relay_rule(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, "ORIG_SEND_ACCESS\n\n"
                 "  *|*|tcp_far|yes@*  $Y\n  *|*|tcp_far|hold@*  $H\n"
                 "  *|*|tcp_far|bin@*  $B\n  *|*|tcp_far|log@*  $<seen\n"
                 "  *|*|tcp_far|no@*  $Nnot$ this$ one\n"
                 "  *|*|tcp_far|fault@*  $X7.7.7$N\n  *|*|*|lost@*  $Y\n");
    assert_int_equal(ask(&r, "yes@far.test", false), RECIPIENT_TAKEN);
    assert_true(r.answer.decided && !r.answer.leaves[0].discard);
    assert_int_equal(ask(&r, "hold@far.test", false), RECIPIENT_TAKEN);
    assert_int_equal(ask(&r, "bin@far.test", false), RECIPIENT_TAKEN);
    assert_true(r.answer.leaves[0].discard);
    assert_int_equal(ask(&r, "log@far.test", false), RECIPIENT_RELAY);
    assert_int_equal(ask(&r, "other@far.test", false), RECIPIENT_RELAY);
    assert_int_equal(ask(&r, "no@far.test", true), RECIPIENT_ACCESS);
    check_reply(&r, 550, "not this one");
    assert_int_equal(ask(&r, "fault@far.test", false), RECIPIENT_ACCESS);
    assert_int_equal(r.answer.reply.code, 451);
    assert_false(r.answer.decided);
    assert_int_equal(ask(&r, "lost@lost.test", true), RECIPIENT_NO_ROUTE);
    rig_close(&r);
}

static void test_both_tables_before_have_a_say(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, "ORIG_SEND_ACCESS\n\n  *|*|tcp_far|*  $Y\n  *|*|*|one@*  $N\n\n"
                 "ORIG_MAIL_ACCESS\n\n  *|two@*  $Nnot$ two\n  *|*|*|three@*  $Y\n");
    assert_int_equal(ask(&r, "two@far.test", false), RECIPIENT_ACCESS);
    check_reply(&r, 550, "not two");
    assert_int_equal(asked(&r), 2);
    assert_int_equal(ask(&r, "one@here.test", false), RECIPIENT_ACCESS);
    assert_int_equal(asked(&r), 1);
    assert_int_equal(ask(&r, "three@else.test", false), RECIPIENT_TAKEN);
    rig_close(&r);
}

static void test_tables_behind_the_relay_rule(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, "SEND_ACCESS\n\n  *|*|tcp_far|yes@*  $Y\n  *|*|*|no@*  $N\n\n"
                 "MAIL_ACCESS\n\n  *|*|mail@*  $Y\n  *|later@*  $X4.2.1|wait$N\n");
    assert_int_equal(ask(&r, "yes@far.test", false), RECIPIENT_TAKEN);
    assert_true(r.answer.relay_open && r.answer.decided);
    assert_int_equal(ask(&r, "mail@far.test", false), RECIPIENT_TAKEN);
    assert_int_equal(ask(&r, "other@far.test", false), RECIPIENT_RELAY);
    assert_int_equal(ask(&r, "no@far.test", false), RECIPIENT_ACCESS);
    check_reply(&r, 550, "you may not send to this address");
    assert_true(r.answer.access->dropped);
    assert_int_equal(ask(&r, "no@here.test", false), RECIPIENT_ACCESS);
    assert_int_equal(r.answer.leaf_count, 0);
    assert_int_equal(ask(&r, "later@here.test", false), RECIPIENT_ACCESS);
    check_reply(&r, 450, "wait");
    assert_int_equal(ask(&r, "ann@here.test", false), RECIPIENT_TAKEN);
    assert_false(r.answer.relay_open);
    assert_int_equal(asked(&r), 2);
    rig_close(&r);
}

/* The relay rule is for what the client gave, whatever other tables say. */
static void test_from_access_decides_no_recipient(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, "FROM_ACCESS\n\n  *  $Y\n\nPORT_ACCESS\n\n  *  $Y\n");
    assert_int_equal(ask(&r, "ann@far.test", false), RECIPIENT_RELAY);
    assert_int_equal(asked(&r), 0);
    rig_close(&r);
}

static void test_without_a_connection(void **state)
{
    struct rig r;
    struct recipient_request q = {0};
    (void)state;
    rig_open(&r, "ORIG_MAIL_ACCESS\n\n  ||MAIL|l||l|ann@here.test  $Nseen\n");
    q.snapshot = r.s;
    q.source = snapshot_channel(r.s, STR("l"));
    assert_null(address_parse(STR("ann@here.test"), &q.to));
    assert_int_equal(recipient_resolve(&q, r.arena, &r.answer), RECIPIENT_ACCESS);
    check_reply(&r, 550, "seen");
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_tables),
        cmocka_unit_test(test_a_table_decides_before_the_relay_rule),
        cmocka_unit_test(test_both_tables_before_have_a_say),
        cmocka_unit_test(test_tables_behind_the_relay_rule),
        cmocka_unit_test(test_from_access_decides_no_recipient),
        cmocka_unit_test(test_without_a_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
