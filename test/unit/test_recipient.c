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

static enum recipient_verdict ask_as(struct rig *r, const char *sender, const char *to,
                                     bool trusted)
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
    struct address given;
    assert_null(address_parse(str_from(to), &q.to));
    assert_null(address_parse(str_from(sender), &given));
    access_sender(r->s, q.source, &given, r->arena, &q.sender);
    return recipient_resolve(&q, r->arena, &r->answer);
}

static enum recipient_verdict ask(struct rig *r, const char *to, bool trusted)
{
    return ask_as(r, "sue@x.test", to, trusted);
}

static enum recipient_verdict ask_from(struct rig *r, const char *sender, const char *to)
{
    return ask_as(r, sender, to, false);
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

/* What the client writes may be spelled in many ways, and is never read again. */

static const char others[] = "ORIG_SEND_ACCESS\n\n"
                             "  *|*|*|secret@*  $Nno\n"
                             "\nFORWARD\n\n"
                             "  gone@here.test  $Ynew@ours.test\n"
                             "  *fx*@here.test  $Y$0fx$1@far.test\n"
                             "  ph+*@here.test  $Y$0@far.test\n"
                             "  *+*@here.test   $Y$1@far.test\n"
                             "!== aliases\n"
                             "secret: x@ours.test\n"
                             "self:   self+*@here.test\n"
                             "out:    out+*@far.test\n";

static str leaf_of(const struct rig *r)
{
    const struct recipient_answer *answer = &r->answer;
    assert_int_equal(answer->leaf_count, 1);
    return address_print(r->arena, &answer->leaves[0].route.address);
}

static void check_leaf(struct rig *r, const char *to, const char *leaf)
{
    assert_int_equal(ask(r, to, false), RECIPIENT_TAKEN);
    if (!str_eq(leaf_of(r), str_from(leaf))) {
        fail_msg("%s becomes '%.*s'", to, STR_ARG(leaf_of(r)));
    }
}

static void test_spellings(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, others);
    assert_int_equal(ask(&r, "secret@here.test", false), RECIPIENT_ACCESS);
    assert_int_equal(ask(&r, "\"s\\ecret\"@here.test", false), RECIPIENT_ACCESS);
    check_leaf(&r, "\"\\\"secret\\\"\"@here.test", "\"\\\"secret\\\"\"@here.test");
    check_leaf(&r, "gone@here.test", "new@ours.test");
    check_leaf(&r, "\"gone\"@here.test", "new@ours.test");
    check_leaf(&r, "\"g\\one\"@here.test", "new@ours.test");
    rig_close(&r);
}

static void test_subaddresses(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, others);
    check_leaf(&r, "out+a.b@here.test", "out+a.b@far.test");
    check_leaf(&r, "\"out+a b\"@here.test", "\"out+a b\"@far.test");
    check_leaf(&r, "\"out+a..b\"@here.test", "\"out+a..b\"@far.test");
    rig_close(&r);
}

static void test_no_other_hosts_in_what_it_stands_for(void **state)
{
    static const char *const hidden[] = {
        "\"self+x%far.test\"@here.test",   "\"self+far.test!x\"@here.test",
        "\"self+x@far.test\"@here.test",   "\"out+x%evil.test\"@here.test",
        "\"out+evil.test!x\"@here.test",   "\"fxx%evil.test\"@here.test",
        "\"fxx@evil.test\"@here.test",     "\"fxevil.test!x\"@here.test",
        "\"a+<x@evil.test>(\"@here.test",  "\"ph+x@evil.test\"@here.test",
        "\"ph+<x@evil.test>(\"@here.test", "\"ph+x%evil.test\"@here.test",
    };
    struct rig r;
    (void)state;
    rig_open(&r, others);
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++) {
        if (ask(&r, hidden[i], false) == RECIPIENT_TAKEN &&
            !r.answer.leaves[0].route.channel->final) {
            fail_msg("%s is sent to %.*s", hidden[i], STR_ARG(leaf_of(&r)));
        }
    }
    check_leaf(&r, "\"fxx%ours.test\"@here.test", "\"fxx%ours.test\"@far.test");
    rig_close(&r);
}

/* The sender has many spellings, too. */
static void test_senders(void **state)
{
    static const char *const written[] = {"spam@bad.test", "SPAM@bad.test",
                                          "\"spam\"@bad.test", "\"sp\\am\"@bad.test",
                                          "@a.test,@b.test:spam@bad.test"};
    static const char tables[] = "SENDERS\n\n"
                                 "  spam@bad.test  $Y\n"
                                 "\nORIG_SEND_ACCESS\n\n"
                                 "  *|spam@bad.test|*|no@here.test  $N\n"
                                 "!== aliases\n"
                                 "list: [CANT_MAPPING] SENDERS, x@here.test\n";
    struct rig r;
    (void)state;
    rig_open(&r, tables);
    for (size_t i = 0; i < sizeof written / sizeof *written; i++) {
        assert_int_equal(ask_from(&r, written[i], "no@here.test"), RECIPIENT_ACCESS);
        assert_int_equal(ask_from(&r, written[i], "list@here.test"), RECIPIENT_ALIAS);
    }
    assert_int_equal(ask_from(&r, "sue@x.test", "list@here.test"), RECIPIENT_TAKEN);
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
        cmocka_unit_test(test_spellings),
        cmocka_unit_test(test_subaddresses),
        cmocka_unit_test(test_senders),
        cmocka_unit_test(test_no_other_hosts_in_what_it_stands_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
