/* Routing decisions: the relay rule, the IP switch, the TLS switch, the next hop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "tables/recipient.h"
#include "test/unit/route_fixture.h"

/* here.test is delivered here; ours.test and sub.zone.test are relayed inside; moved.test
 * is rewritten to the outside, alias.test from the outside to the inside. */
static const char site[] = "ours.test           $U%$D@tcp-inner\n"
                           "second.test         $U%$D@tcp-inner\n"
                           ".zone.test          $U%$H$D@tcp-inner\n"
                           "zone.test           $U%$D@tcp-inner\n"
                           "inner.test          $U%$D@tcp-inner\n"
                           "moved.test          $U%outside.example@tcp-out\n"
                           "alias.test          $U%ours.test@tcp-inner\n"
                           "twice.test          $U%ours.test\n"
                           "hack.test           $U$%evil.test%ours.test@tcp-inner\n"
                           "sink.test           $U%$D@bin.test\n"
                           "pipe.test           $U%$D@pipe-host\n"
                           "[10.]               $E$R$U%[10.$L]@tcp-inner\n"
                           "[192.0.2.7]         $E$R$U%$D@tcp-inner\n"
                           "[192.0.2.8]         $E$R$U%$D@tcp-closed\n"
                           "[192.0.2.9]         $E$R$U%$D@tcp-out\n"
                           "[192.0.2.10]        $B$U%$D@tcp-inner\n"
                           "[192.0.2.11]        $F$U%$D@tcp-inner\n"
                           "[192.0.2.12]        $E$R$U%$D@nowhere\n"
                           "[192.0.2.13]        $U%friend.test\n"
                           "[192.0.2.14]        $U%stranger.test\n"
                           "[192.0.2.15]        $E$R$U%[$L]@tcp-inner\n"
                           "[192.0.2.16]        $E$R$U%[$L]\n"
                           "[IPv6:2001:db8::7]  $E$R$U%$D@tcp-inner\n"
                           "friend.test         $U%$D@tcp-inner\n"
                           ".                   $U%$H@tcp-out\n"
                           "\n"
                           "l\n"
                           "here.test\n"
                           "\n"
                           "tcp_local switchchannel tls=tcp_tls\n"
                           "tcp-local\n"
                           "\n"
                           "tcp_tls tls=tcp_inner\n"
                           "tcp-tls\n"
                           "\n"
                           "tcp_inner\n"
                           "tcp-inner\n"
                           "pier.zone.test p1.elsewhere.example\n"
                           "\n"
                           "tcp_out\n"
                           "tcp-out\n"
                           "\n"
                           "tcp_closed noswitchchannel\n"
                           "tcp-closed\n"
                           "\n"
                           "bitbucket\n"
                           "bin.test\n"
                           "\n"
                           "pipe\n"
                           "pipe-host\n";
static const char domains[] = "ours.test second.test .zone.test moved.test outside2.test "
                              "alias.test twice.test hack.test pipe.test [10.1.1.1]";

struct relay_case {
    const char *address;
    char untrusted, trusted; /* A accepted, R relay, N no route */
    const char *result;      /* of the trusted one, if accepted */
};

static enum recipient_verdict resolve(const struct fixture *f, bool trusted,
                                      const struct address *to,
                                      struct recipient_answer *r)
{
    struct recipient_request q = {.snapshot = f->s,
                                  .source = fixture_channel(f, "tcp_local"),
                                  .trusted = trusted,
                                  .to = *to};
    return recipient_resolve(&q, f->arena, r);
}

static char verdict_letter(enum recipient_verdict verdict)
{
    switch (verdict) {
    case RECIPIENT_TAKEN:
        return 'A';
    case RECIPIENT_NO_ROUTE:
        return 'N';
    case RECIPIENT_RELAY:
        return 'R';
    case RECIPIENT_ALIAS:
        return 'L';
    case RECIPIENT_ACCESS:
        return 'X';
    }
    return '?';
}

static void check_relay(const struct fixture *f, const struct relay_case *c)
{
    struct address addr = fixture_address(c->address);
    struct recipient_answer r;
    char got = verdict_letter(resolve(f, false, &addr, &r));

    if (got != c->untrusted) {
        fail_msg("%s untrusted: %c, expected %c (%.*s)", c->address, got, c->untrusted,
                 STR_ARG(r.reply.text));
    }
    if (got == 'R') {
        assert_int_equal(r.reply.code, 550);
        assert_int_equal(r.reply.status[0], 5);
        assert_int_equal(r.reply.status[1], 7);
        assert_int_equal(r.reply.status[2], 1);
        assert_true(r.reply.text.len > 0);
        assert_non_null(r.route.channel);
    }
    if (got == 'N') {
        assert_null(r.route.channel);
    }
    got = verdict_letter(resolve(f, true, &addr, &r));
    if (got != c->trusted) {
        fail_msg("%s trusted: %c, expected %c", c->address, got, c->trusted);
    }
    if (got == 'A' && c->result) {
        str line = arena_printf(f->arena, "%.*s %.*s",
                                STR_ARG(address_print(f->arena, &r.route.address)),
                                STR_ARG(r.route.channel->name));
        assert_string_equal(line.ptr, c->result);
    }
}

static void relay_rule(void **state)
{
    static const struct relay_case cases[] = {
        /* final kinds are ours, whatever localdomains says */
        {"u@here.test", 'A', 'A', "u@here.test l"},
        {"u@HERE.TEST", 'A', 'A', NULL},
        {"u@bin.test", 'A', 'A', "u@bin.test bitbucket"},
        {"u@sink.test", 'A', 'A', "u@sink.test bitbucket"},
        {"postmaster", 'A', 'A', "postmaster@here.test l"},
        {"PostMaster", 'A', 'A', NULL},
        {"bare", 'A', 'A', "bare@here.test l"},
        /* relayed, in localdomains */
        {"u@ours.test", 'A', 'A', "u@ours.test tcp_inner"},
        {"u@OURS.Test", 'A', 'A', "u@OURS.Test tcp_inner"},
        {"u@sub.zone.test", 'A', 'A', "u@sub.zone.test tcp_inner"},
        {"u@a.SUB.Zone.test", 'A', 'A', NULL},
        {"u@outside2.test", 'A', 'A', "u@outside2.test tcp_out"},
        {"u@[10.1.1.1]", 'A', 'A', "u@[10.1.1.1] tcp_out"},
        {"u@[IPv6:::FFFF:10.1.1.1]", 'A', 'A', "u@[10.1.1.1] tcp_out"},
        /* ".zone.test" is subdomains only */
        {"u@zone.test", 'R', 'A', "u@zone.test tcp_inner"},
        {"u@xzone.test", 'R', 'A', "u@xzone.test tcp_out"},
        /* not in localdomains */
        {"u@inner.test", 'R', 'A', "u@inner.test tcp_inner"},
        {"u@evil.test", 'R', 'A', "u@evil.test tcp_out"},
        {"u@ours.test.evil.test", 'R', 'A', NULL},
        {"u@sub.ours.test", 'R', 'A', NULL},
        {"u@xours.test", 'R', 'A', NULL},
        {"u@test", 'R', 'A', NULL},
        {"u@[10.1.1.2]", 'R', 'A', "u@[10.1.1.2] tcp_out"},
        {"u@[IPv6:2001:db8::7]", 'R', 'A', NULL},
        /* given ours, rewritten to the outside; the other way round; both ours */
        {"u@moved.test", 'R', 'A', "u@outside.example tcp_out"},
        {"u@friend.test", 'R', 'A', NULL},
        {"u@alias.test", 'A', 'A', "u@ours.test tcp_inner"},
        {"u@twice.test", 'A', 'A', "u@ours.test tcp_inner"},
        /* an administrator's rule that puts the relay into the local part */
        {"u@hack.test", 'R', 'A', NULL},
        /* a proper name is given after the decision */
        {"u@pier.zone.test", 'A', 'A', "u@pier.zone.test tcp_inner"},
        /* percent */
        {"u%evil.test@here.test", 'R', 'A', "u@evil.test tcp_out"},
        {"u%evil.test@ours.test", 'R', 'A', "u%evil.test@ours.test tcp_inner"},
        {"u%EVIL.test@OURS.test", 'R', 'A', NULL},
        {"u%ours.test@second.test", 'A', 'A', NULL},
        {"u%evil.test%ours.test@second.test", 'R', 'A', NULL},
        {"u%ours.test%evil.test@second.test", 'R', 'A', NULL},
        {"u%%evil.test@ours.test", 'R', 'A', "u%%evil.test@ours.test tcp_inner"},
        {"u%@ours.test", 'R', 'A', NULL},
        {"%@ours.test", 'R', 'A', NULL},
        {"u%evil.test", 'R', 'A', "u@evil.test tcp_out"},
        {"u%ours.test@evil.test", 'R', 'A', NULL},
        {"\"u%[192.0.2.99]\"@ours.test", 'R', 'A', NULL},
        {"u%@here.test", 'N', 'N', NULL},
        {"u%ev{il@here.test", 'N', 'N', NULL},
        /* bang */
        {"evil.test!u@here.test", 'R', 'A', "u@evil.test tcp_out"},
        {"evil.test!u@ours.test", 'R', 'A', "evil.test!u@ours.test tcp_inner"},
        {"evil!u@ours.test", 'R', 'A', NULL},
        {"ours.test!evil.test!u@second.test", 'R', 'A', NULL},
        {"ours.test!second.test!u@second.test", 'A', 'A', NULL},
        {"evil.test!u%ours.test@second.test", 'R', 'A', NULL},
        {"ours.test!u%evil.test@second.test", 'R', 'A', NULL},
        {"evil.test!u", 'R', 'A', NULL},
        {"!u@ours.test", 'R', 'A', NULL},
        /* source routes */
        {"@ours.test:u@evil.test", 'R', 'A', "@ours.test:u@evil.test tcp_inner"},
        {"@evil.test:u@ours.test", 'R', 'A', "@evil.test:u@ours.test tcp_out"},
        {"@here.test:u@evil.test", 'R', 'A', "u@evil.test tcp_out"},
        {"@here.test:u@here.test", 'A', 'A', "u@here.test l"},
        {"@ours.test,@evil.test:u@second.test", 'R', 'A', NULL},
        {"@ours.test:u@second.test", 'A', 'A', NULL},
        {"@ours.test:u%evil.test@second.test", 'R', 'A', NULL},
        {"@here.test,@HERE.test:u%evil.test@here.test", 'R', 'A', NULL},
        /* quoted: data for routing, but the next hop may see it otherwise */
        {"\"u@evil.test\"@here.test", 'A', 'A', "\"u@evil.test\"@here.test l"},
        {"\"u%evil.test\"@here.test", 'A', 'A', "\"u%evil.test\"@here.test l"},
        {"\"u@evil.test\"@ours.test", 'R', 'A', "\"u@evil.test\"@ours.test tcp_inner"},
        {"\"u%evil.test\"@ours.test", 'R', 'A', NULL},
        {"\"evil.test!u\"@ours.test", 'R', 'A', NULL},
        {"\"u\\@evil.test\"@ours.test", 'R', 'A', NULL},
        {"\"u\\%evil.test\"@ours.test", 'R', 'A', NULL},
        {"\"@evil.test:u\"@ours.test", 'R', 'A', NULL},
        {"\"u@second.test\"@ours.test", 'A', 'A', NULL},
        {"\"a b\"@ours.test", 'A', 'A', "\"a b\"@ours.test tcp_inner"},
        {"\"u@ours.test\"@evil.test", 'R', 'A', NULL},
        /* a kind that is not served */
        {"u@pipe.test", 'N', 'N', NULL},
        {"u@pipe-host", 'N', 'N', NULL},
    };
    struct fixture f = fixture_new(site, domains);

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        check_relay(&f, &cases[i]);
    }
    fixture_free(&f);
    (void)state;
}

/* Without a file localdomains nothing but final kinds is ours. */
static void relay_without_localdomains(void **state)
{
    struct fixture f = fixture_new(site, NULL);
    static const struct relay_case cases[] = {
        {"u@here.test", 'A', 'A', NULL},
        {"u@ours.test", 'R', 'A', NULL},
        {"u@evil.test", 'R', 'A', NULL},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        check_relay(&f, &cases[i]);
    }
    fixture_free(&f);
    (void)state;
}

static void recipient_without_local_part(void **state)
{
    struct fixture f = fixture_new(site, domains);
    struct address null = {STR(""), STR(""), STR("")};
    struct recipient_answer r;

    assert_int_equal(resolve(&f, true, &null, &r), RECIPIENT_NO_ROUTE);
    assert_int_equal(r.reply.status[0], 5);
    assert_true(r.reply.text.len > 0);
    fixture_free(&f);
    (void)state;
}

static void recipient_proper_name(void **state)
{
    struct fixture f = fixture_new("\nl\nhere.test\n\ntcp_a\nhub.test\n"
                                   "pier1.test p1.inner.example\npier2.test\n",
                                   "pier1.test pier2.test");
    struct recipient_request q = {.snapshot = f.s,
                                  .source = fixture_channel(&f, "tcp_a")};
    struct recipient_answer r;

    /* ours by the name in localdomains, then the proper name goes out */
    q.to = fixture_address("u@pier1.test");
    assert_int_equal(recipient_resolve(&q, f.arena, &r), RECIPIENT_TAKEN);
    assert_true(str_eq(r.route.address.domain, STR("p1.inner.example")));
    assert_int_equal(span_place(f.s->sources, r.route.host).line, 7);
    assert_int_equal(r.route.rule.source, 0);
    q.to = fixture_address("u@pier2.test");
    assert_int_equal(recipient_resolve(&q, f.arena, &r), RECIPIENT_TAKEN);
    assert_true(str_eq(r.route.address.domain, STR("hub.test")));
    fixture_free(&f);
    (void)state;
}

struct switch_case {
    const char *from, *ip, *to;
    unsigned line; /* of the deciding rule, 0: none */
};

static void ip_switch(void **state)
{
    static const struct switch_case cases[] = {
        {"tcp_local", "10.9.1.2", "tcp_inner", 12},
        {"tcp_local", "11.9.1.2", "tcp_local", 0},
        {"tcp_local", "192.0.2.7", "tcp_inner", 13},
        {"tcp_local", "192.0.2.70", "tcp_local", 0},
        /* the target forbids it, is the channel itself, or is not there */
        {"tcp_local", "192.0.2.8", "tcp_local", 0},
        {"tcp_local", "192.0.2.9", "tcp_out", 15},
        {"tcp_local", "192.0.2.12", "tcp_local", 0},
        /* rules for headers and recipients do not count */
        {"tcp_local", "192.0.2.10", "tcp_local", 0},
        {"tcp_local", "192.0.2.11", "tcp_local", 0},
        /* by a repeat rule; one that ends at "." */
        {"tcp_local", "192.0.2.13", "tcp_inner", 24},
        {"tcp_local", "192.0.2.14", "tcp_out", 25},
        /* what the rule makes of the address does not matter, but where it leads */
        {"tcp_local", "192.0.2.15", "tcp_inner", 21},
        {"tcp_local", "192.0.2.16", "tcp_local", 0},
        /* IPv6, also mapped, with a zone, in other spellings */
        {"tcp_local", "2001:db8::7", "tcp_inner", 23},
        {"tcp_local", "2001:0DB8:0:0::7", "tcp_inner", 23},
        {"tcp_local", "2001:db8::8", "tcp_local", 0},
        {"tcp_local", "::ffff:10.9.1.2", "tcp_inner", 12},
        {"tcp_local", "::FFFF:c000:207", "tcp_inner", 13},
        {"tcp_local", "fe80::1%eth0", "tcp_local", 0},
        /* only from a channel with switchchannel */
        {"tcp_out", "10.9.1.2", "tcp_out", 0},
        {"tcp_closed", "10.9.1.2", "tcp_closed", 0},
        /* no address at all */
        {"tcp_local", "", "tcp_local", 0},
        {"tcp_local", "10.9.1", "tcp_local", 0},
        {"tcp_local", "10.9.1.2]x", "tcp_local", 0},
    };
    struct fixture f = fixture_new(site, domains);

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct span rule;
        const struct channel *got =
            route_ip_switch(f.s, fixture_channel(&f, cases[i].from),
                            str_from(cases[i].ip), f.arena, &rule);
        if (!str_eq(got->name, str_from(cases[i].to)) ||
            span_place(f.s->sources, rule).line != cases[i].line) {
            fail_msg("%s from %s: %.*s by line %u", cases[i].ip, cases[i].from,
                     STR_ARG(got->name), span_place(f.s->sources, rule).line);
        }
    }
    fixture_free(&f);
    (void)state;
}

/* Rules that match everybody must not make everybody trusted, by themselves or with the
 * help of tags. */
static void ip_switch_not_by_match_all(void **state)
{
    static const struct {
        const char *rules;
        bool switches;
    } cases[] = {
        {". $U%$H@tcp-out", false},
        {"$* $U%$H@tcp-out", false},
        {"$* $E$R$U%$H@tcp-out", false},
        {"$* $U%$H$Tx|$Mtcp_local\nx|. $U%$H@tcp-out", false},
        {"$* $U%$H$Tx|$Mtcp_local\nx|$* $U%$H@tcp-out", false},
        {"[] $U%[$L]$Tx|\nx|. $U%$H@tcp-out", false},
        {"[*.*.*.*] $U%[$L]$Tx|\nx|. $U%$H@tcp-out", false},
        {"[192.0.] $U%[192.0.$L]$Tx|\nx|. $U%$H@tcp-out", true},
        /* a name that everybody is given says nothing */
        {". $U%gate.test\ngate.test $U%$D@tcp-out", false},
        {"$* $U%gate.test$Tx|\nx|gate.test $U%$D@tcp-out", false},
        {"[] $U%gate.test\ngate.test $U%$D@tcp-out", false},
        {". $U%[10.0.0.1]\n[10.] $U%[10.$L]@tcp-out", false},
        {"[192.0.] $U%gate.test\ngate.test $U%$D@tcp-out", true},
        {"$* $U%$H$Tx|\nx|[192.0.] $U%$H@tcp-out", true},
        {"[] $U%[$L]@tcp-out", true}, /* written for clients, and warned about */
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char config[256];
        struct span rule;
        snprintf(config, sizeof config,
                 "%s\n\nl\nhere.test\n\ntcp_local switchchannel\ntcp-local\n\n"
                 "tcp_out\ntcp-out\n",
                 cases[i].rules);
        struct fixture f = fixture_new(config, NULL);
        const struct channel *from = fixture_channel(&f, "tcp_local");
        const struct channel *to =
            route_ip_switch(f.s, from, STR("192.0.2.1"), f.arena, &rule);
        if ((to != from) != cases[i].switches || (rule.source != 0) != (to != from)) {
            fail_msg("%s: %.*s", cases[i].rules, STR_ARG(to->name));
        }
        fixture_free(&f);
    }
    (void)state;
}

/* A literal can be a host of the channel table. */
static void ip_switch_by_host_table(void **state)
{
    struct fixture f = fixture_new("\nl\nhere.test\n\n"
                                   "tcp_local switchchannel\ntcp-local\n\n"
                                   "tcp_in\ntcp-in\n[192.0.2.1]\n",
                                   NULL);
    struct span rule;

    assert_ptr_equal(route_ip_switch(f.s, fixture_channel(&f, "tcp_local"),
                                     STR("192.0.2.1"), f.arena, &rule),
                     fixture_channel(&f, "tcp_in"));
    assert_int_equal(span_place(f.s->sources, rule).line, 10);
    fixture_free(&f);
    (void)state;
}

static const char names_site[] =
    ".in.test $U%$H$D@inner\n"
    "shut.test $U%$D@closed\n"
    "back.test $U%$D@tcp-local\n"
    "mail.test $F$U%$D@inner\n"
    "head.test $B$U%$D@inner\n"
    "only.test $E$R$U%$D@inner\n"
    "lost.test $U%$D@nowhere\n"
    "[10.1.] $E$R$U%[10.1.$L]@inner\n"
    "[10.2.] $E$R$U%[10.2.$L]@closed\n"
    "[10.3.] $E$R$U%[10.3.$L]@tcp-local\n"
    ". $U%$H@outer\n"
    "\n"
    "l\nhere.test\n\n"
    "tcp_local switchchannel\ntcp-local\n\n"
    "tcp_limited switchchannel identnonelimited\nlimited\n\n"
    "tcp_numeric switchchannel identnonenumeric\nnumeric\n\n"
    "tcp_symbolic switchchannel identnonesymbolic\nsymbolic\n\n"
    "tcp_inner\ninner\nlisted.test\n\n"
    "tcp_closed noswitchchannel\nclosed\n\n"
    "tcp_outer\nouter\n\n"
    "bitbucket\nbucket.test\n";

static void name_switches(void **state)
{
    static const struct {
        const char *name, *to;
        unsigned line;
    } cases[] = {
        {"a.in.test", "tcp_inner", 1},
        {"A.B.In.Test", "tcp_inner", 1},
        {"only.test", "tcp_inner", 6},
        {"listed.test", "tcp_inner", 30},
        {"in.test", "tcp_local", 0},     /* only "." */
        {"shut.test", "tcp_local", 0},   /* noswitchchannel */
        {"back.test", "tcp_local", 0},   /* it is there */
        {"mail.test", "tcp_local", 0},   /* not for backward addresses */
        {"head.test", "tcp_local", 0},   /* not for envelope addresses */
        {"lost.test", "tcp_local", 0},   /* no such channel */
        {"here.test", "tcp_local", 0},   /* the local channel has no sessions */
        {"bucket.test", "tcp_local", 0}, /* neither has this one */
        {"", "tcp_local", 0},
        {"a b.in.test", "tcp_local", 0},
        {"[10.1.0.1]", "tcp_local", 0}, /* no name: "[10.1.]" would trust it */
    };
    struct fixture f = fixture_new(names_site, NULL);

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct span rule;
        const struct channel *got =
            route_name_switch(f.s, fixture_channel(&f, "tcp_local"),
                              str_from(cases[i].name), f.arena, &rule);
        if (!str_eq(got->name, str_from(cases[i].to)) ||
            span_place(f.s->sources, rule).line != cases[i].line) {
            fail_msg("%s: %.*s by line %u", cases[i].name, STR_ARG(got->name),
                     span_place(f.s->sources, rule).line);
        }
    }
    fixture_free(&f);
    (void)state;
}

/* The name is asked for only where it can make a difference. */
static void name_counts(void **state)
{
    static const struct {
        const char *from, *ip;
        bool counts;
    } cases[] = {
        {"tcp_local", "192.0.2.1", true},    /* only "." */
        {"tcp_symbolic", "192.0.2.1", true}, /* shown alone, but counts */
        {"tcp_limited", "192.0.2.1", false},
        {"tcp_numeric", "192.0.2.1", false},
        {"tcp_inner", "192.0.2.1", false}, /* no switchchannel */
        {"tcp_closed", "192.0.2.1", false},
        {"tcp_local", "10.1.0.1", false},    /* the address leads somewhere */
        {"tcp_local", "10.2.0.1", false},    /* even where it may not go */
        {"tcp_local", "10.3.0.1", true},     /* where it is already */
        {"tcp_local", "fe80::1%eth0", true}, /* no literal */
    };
    struct fixture f = fixture_new(names_site, NULL);

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (route_name_counts(f.s, fixture_channel(&f, cases[i].from),
                              str_from(cases[i].ip), f.arena) != cases[i].counts) {
            fail_msg("%s from %s", cases[i].ip, cases[i].from);
        }
    }
    fixture_free(&f);
    (void)state;
}

static void switch_everybody_warning(void **state)
{
    static const struct {
        const char *rule, *target;
        bool warned;
    } cases[] = {
        {"[] $U%[$L]@tcp-in", "", true},
        {"[] $E$R$U%[$L]@tcp-in", "", true},
        {"[] $F$U%[$L]@tcp-in", "", false},
        {"[] $B$U%[$L]@tcp-in", "", false},
        {"[10.] $U%[$L]@tcp-in", "", false},
        {"[] $U%[$L]@tcp-in", " noswitchchannel", false},
        {"[] $U%[$L]@tcp-local", "", false},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char config[256];
        snprintf(config, sizeof config,
                 "%s\n\nl\nhere.test\n\ntcp_local switchchannel\ntcp-local\n\n"
                 "tcp_in%s\ntcp-in\n",
                 cases[i].rule, cases[i].target);
        struct fixture f = fixture_new(config, NULL);
        bool warned = strstr(fixture_messages(&f), "[switch-everybody]") != NULL;
        if (warned != cases[i].warned) {
            fail_msg("%s%s: %s", cases[i].rule, cases[i].target, fixture_messages(&f));
        }
        fixture_free(&f);
    }
    (void)state;
}

static void next_hop(void **state)
{
    static const struct {
        const char *channel, *address, *expect;
    } cases[] = {
        {"tcp_plain", "u@x.test", "x.test"},
        {"tcp_plain", "u@[192.0.2.1]", "[192.0.2.1]"},
        {"tcp_plain", "@hop.test:u@x.test", "hop.test"},
        {"tcp_plain", "@hop.test,@b.test:u@x.test", "hop.test"},
        {"tcp_named", "u@x.test", "relay.test"},
        {"tcp_named", "@hop.test:u@x.test", "relay.test"},
        {"tcp_ip", "u@x.test", "[127.0.0.1]"},
        {"tcp_router", "@hop.test:u@x.test", "official.test"},
        {"l", "u@x.test", ""},
        {"bitbucket", "u@x.test", ""},
    };
    struct fixture f = fixture_new("\nl\nhere.test\n\ntcp_plain\nplain\n\n"
                                   "tcp_named daemon=relay.test\nnamed\n\n"
                                   "tcp_ip daemon=[127.0.0.1]\nip\n\n"
                                   "tcp_router daemon=Router\nofficial.test\n\n"
                                   "bitbucket\nbin\n",
                                   NULL);

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct address addr = fixture_address(cases[i].address);
        str got = route_next_hop(fixture_channel(&f, cases[i].channel), &addr);
        if (!str_eq(got, str_from(cases[i].expect))) {
            fail_msg("%s %s: %.*s", cases[i].channel, cases[i].address, STR_ARG(got));
        }
    }
    fixture_free(&f);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(relay_rule),
        cmocka_unit_test(relay_without_localdomains),
        cmocka_unit_test(recipient_without_local_part),
        cmocka_unit_test(recipient_proper_name),
        cmocka_unit_test(ip_switch),
        cmocka_unit_test(ip_switch_not_by_match_all),
        cmocka_unit_test(ip_switch_by_host_table),
        cmocka_unit_test(name_switches),
        cmocka_unit_test(name_counts),
        cmocka_unit_test(switch_everybody_warning),
        cmocka_unit_test(next_hop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
