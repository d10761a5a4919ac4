/* Rewrite rules: patterns, probes, templates, controls, iteration, and what is said
 * against rules at load time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/unit/route_fixture.h"

struct routing_case {
    const char *source, *address, *expect;
};

static void check_cases(const struct fixture *f, const struct routing_case *cases,
                        size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *got = fixture_route(f, cases[i].source, cases[i].address);
        if (strcmp(got, cases[i].expect) != 0) {
            fail_msg("%s from %s: got '%s', expected '%s'", cases[i].address,
                     cases[i].source, got, cases[i].expect);
        }
    }
}
#define CHECK_CASES(f, cases) check_cases(&(f), cases, sizeof(cases) / sizeof *(cases))

/* The example of the language reference, but for its wildcard and source route rules. */
static const char example[] = "pier.test              $U%$D@pier-daemon\n"
                              ".pier.test             $U%$H$D@pier-daemon\n"
                              "old.test               $U%pier.test\n"
                              "[10.9.]                $E$R$U%[10.9.$L]@tcp-in\n"
                              "mill.test              $U%$D@mill-in$Mtcp_in\n"
                              "mill.test              $U%$D@mill-out\n"
                              ".                      $U%$H@tcp-out\n"
                              "\n"
                              "l\n"
                              "here.test\n"
                              "\n"
                              "tcp_pier\n"
                              "pier-daemon\n"
                              "\n"
                              "tcp_in\n"
                              "tcp-in\n"
                              "\n"
                              "tcp_out switchchannel\n"
                              "tcp-out\n"
                              "\n"
                              "tcp_mill_in\n"
                              "mill-in\n"
                              "\n"
                              "tcp_mill_out\n"
                              "mill-out\n";

static void reference_example(void **state)
{
    static const struct routing_case cases[] = {
        {"tcp_out", "u@pier.test", "u@pier.test tcp_pier"},
        {"tcp_out", "u@PIER.Test", "u@PIER.Test tcp_pier"},
        {"tcp_out", "u@a.b.pier.test", "u@a.b.pier.test tcp_pier"},
        {"tcp_out", "u@old.test", "u@pier.test tcp_pier"},
        {"tcp_in", "u@mill.test", "u@mill.test tcp_mill_in"},
        {"l", "u@mill.test", "u@mill.test tcp_mill_out"},
        {"tcp_out", "u@here.test", "u@here.test l"},
        {"tcp_out", "u%pier.test@here.test", "u@pier.test tcp_pier"},
        {"tcp_out", "u@[10.9.1.2]", "u@[10.9.1.2] tcp_out"},
        {"tcp_out", "u@elsewhere.test", "u@elsewhere.test tcp_out"},
    };
    struct fixture f = fixture_new(example, NULL);
    struct span rule;

    CHECK_CASES(f, cases);
    assert_string_equal(fixture_messages(&f), "");
    assert_ptr_equal(route_ip_switch(f.s, fixture_channel(&f, "tcp_out"), STR("10.9.1.2"),
                                     f.arena, &rule),
                     fixture_channel(&f, "tcp_in"));
    assert_int_equal(span_place(f.s->sources, rule).line, 4);
    fixture_free(&f);
    (void)state;
}

#define CHANNELS                                                                         \
    "\nl\nhere.test\nthere.test\nalso.test proper.test\n"                                \
    "\ntcp_out\ntcp-out\nhub.test p1.inner.test\nnode.test\n"                            \
    "\ntcp_two\ntcp-two\n"                                                               \
    "\nbitbucket\nbin.test\n"

static void extraction_order(void **state)
{
    static const struct routing_case cases[] = {
        /* route, then @, then the last single %, then the first ! */
        {"l", "@here.test:u@out.test", "u@out.test tcp_out"},
        {"l", "@here.test,@out.test:u@x.test", "@out.test:u@x.test tcp_out"},
        {"l", "@out.test:u@here.test", "@out.test:u@here.test tcp_out"},
        {"l", "@HERE.test,@there.TEST:u@here.test", "u@here.test l"},
        {"l", "a%b.test@out.test", "a%b.test@out.test tcp_out"},
        {"l", "a%b.test@here.test", "a@b.test tcp_out"},
        {"l", "a%b.test%c.test@here.test", "a%b.test@c.test tcp_out"},
        {"l", "a%b.test%there.test@here.test", "a@b.test tcp_out"},
        {"l", "x.test!y@here.test", "y@x.test tcp_out"},
        {"l", "x.test!y!z@here.test", "y!z@x.test tcp_out"},
        {"l", "here.test!x.test!z@here.test", "z@x.test tcp_out"},
        {"l", "x.test!y%z.test@here.test", "x.test!y@z.test tcp_out"},
        {"l", "x.test!y%there.test@here.test", "y@x.test tcp_out"},
        {"l", "x.test!y@z.test", "x.test!y@z.test tcp_out"},
        {"l", "here.test!u@there.test", "u@here.test l"},
        /* %% is no separator */
        {"l", "a%%b.test@here.test", "a%%b.test@here.test l"},
        {"l", "a%%b%c.test@here.test", "a%%b@c.test tcp_out"},
        /* quoted: data */
        {"l", "\"a%b.test\"@here.test", "\"a%b.test\"@here.test l"},
        {"l", "\"b.test!a\"@here.test", "\"b.test!a\"@here.test l"},
        {"l", "\"a@b.test\"@here.test", "\"a@b.test\"@here.test l"},
        {"l", "\"a\\\"%b.test\"@here.test", "\"a\\\"%b.test\"@here.test l"},
        {"l", "\"a b\"@x.test", "\"a b\"@x.test tcp_out"},
        /* bare local part */
        {"l", "postmaster", "postmaster@here.test l"},
        {"l", "a%b.test", "a@b.test tcp_out"},
        /* a local part that names no host */
        {"l", "a%@here.test",
         "- 5.1.2 illegal host/domain specified: '' in the local part"},
        {"l", "!a@here.test",
         "- 5.1.2 illegal host/domain specified: '' in the local part"},
        {"l", "a%b_{}@here.test",
         "- 5.1.2 illegal host/domain specified: 'b_{}' in the local part"},
        {"l", "%b.test@here.test",
         "- 5.3.5 rewrite rule t.cnf:1 made no address: its local part is empty"},
    };
    struct fixture f = fixture_new(". $U%$H@tcp-out\n" CHANNELS, NULL);

    CHECK_CASES(f, cases);
    fixture_free(&f);
    (void)state;
}

/* Without "." nothing catches an unknown host: a percent or bang host least of all. */
static void relay_hole_refused(void **state)
{
    static const struct routing_case cases[] = {
        {"l", "a%evil.test@here.test",
         "- 5.1.2 illegal host/domain specified: 'evil.test' in the local part"},
        {"l", "evil.test!a@here.test",
         "- 5.1.2 illegal host/domain specified: 'evil.test' in the local part"},
        {"l", "a@evil.test", "- 5.1.2 illegal host/domain specified: 'evil.test'"},
        {"l", "@here.test:a@evil.test",
         "- 5.1.2 illegal host/domain specified: 'evil.test'"},
        {"l", "a@[192.0.2.1]", "- 5.1.2 illegal host/domain specified: '[192.0.2.1]'"},
        {"l", "a%50@here.test",
         "- 5.1.2 illegal host/domain specified: '50' in the local part"},
        {"l", "a@lost.test",
         "- 5.1.2 illegal host/domain specified: 'nowhere' (for 'lost.test')"},
        {"l", "a@here.test", "a@here.test l"},
    };
    struct fixture f = fixture_new("lost.test $U%$D@nowhere\n" CHANNELS, NULL);

    CHECK_CASES(f, cases);
    fixture_free(&f);
    (void)state;
}

static void probe_order(void **state)
{
    static const struct routing_case cases[] = {
        {"l", "u@a.b.c.test", "exact@x tcp_out"},
        {"l", "u@A.B.C.TEST", "exact@x tcp_out"},
        {"l", "u@z.b.c.test", "bc@x tcp_out"},
        {"l", "u@z.a.b.c.test", "bc@x tcp_out"},
        {"l", "u@b.c.test", "c@x tcp_out"},
        {"l", "u@c.test", "test@x tcp_out"},
        {"l", "u@test", "all@x tcp_out"},
        {"l", "u@other", "all@x tcp_out"},
        {"l", "u@other.net", "net@x tcp_out"},
        /* a host of the channel table is not swallowed by ".", but by ".net" */
        {"l", "u@hub.net", "net@x tcp_out"},
        {"l", "u@node", "u@tcp-out tcp_out"},
        /* literals */
        {"l", "u@[7.8.9.1]", "l4@x tcp_out"},
        {"l", "u@[7.8.9.2]", "l3@x tcp_out"},
        {"l", "u@[7.8.1.1]", "l2@x tcp_out"},
        {"l", "u@[7.88.1.1]", "l1@x tcp_out"},
        {"l", "u@[77.8.9.1]", "l0@x tcp_out"},
        {"l", "u@[IPv6:2001:db8::1]", "v6@x tcp_out"},
        {"l", "u@[IPv6:2001:DB8:0:0:0:0:0:1]", "v6@x tcp_out"},
        {"l", "u@[IPv6:2001:db8::2]", "l0@x tcp_out"},
        {"l", "u@[IPv6:::ffff:7.8.9.1]", "l4@x tcp_out"},
    };
    struct fixture f = fixture_new("a.b.c.test exact%x@tcp-out\n"
                                   ".b.c.test bc%x@tcp-out\n"
                                   ".c.test c%x@tcp-out\n"
                                   ".test test%x@tcp-out\n"
                                   ".net $Ffail%x@nowhere$R\n"
                                   ".net net%x@tcp-out\n"
                                   "[7.8.9.1] l4%x@tcp-out\n"
                                   "[7.8.9.] l3%x@tcp-out\n"
                                   "[7.8.] l2%x@tcp-out\n"
                                   "[7.] l1%x@tcp-out\n"
                                   "[] l0%x@tcp-out\n"
                                   "[ipv6:2001:0db8:0::1] v6%x@tcp-out\n"
                                   ". all%x@tcp-out\n"
                                   "\nl\nhere.test\n"
                                   "\ntcp_out\ntcp-out\nhub.net\nnode\n",
                                   NULL);

    CHECK_CASES(f, cases);
    fixture_free(&f);
    (void)state;
}

static void substitutions(void **state)
{
    static const struct routing_case cases[] = {
        {"l", "u@a.b.h.test", "u@a.b.h.test tcp_out"},
        {"l", "u@a.b.d.test", "u@x.d.test tcp_out"},
        {"l", "u@a.b.h1.test", "u@b.h1.test tcp_out"},
        {"l", "u@a.b.h0.test", "u@a.b tcp_out"},
        {"l", "u@a.b.h9.test", "- 5.3.5 rewrite rule t.cnf:5 made an empty domain"},
        {"l", "u@a.d1.test", "u@a.test tcp_out"},
        {"l", "u@x.y.test", "u@y.test tcp_out"},
        {"l", "u@a.b.c.left.test", "u@a-c tcp_out"},
        {"l", "u@a.b.left.test", "u@fallback tcp_out"},
        {"l", "u@a.b.c.right.test", "u@c-a tcp_out"},
        {"l", "u@a.matched.test", "u@matched-test tcp_out"},
        {"l", "u+sub@sub.test", "u.sub@x tcp_out"},
        {"l", "u@sub.test",
         "- 5.3.5 rewrite rule t.cnf:12 made no address: has an empty word between dots "
         "in its local part"},
        {"l", "u+a+b@sub.test", "u.a+b@x tcp_out"},
        {"l", "\"u+v\"@plus.test", "\"u+v\"@x tcp_out"},
        {"l", "u@lower.test", "u@lower.test tcp_out"},
        {"l", "u@dollar.test", "u$%a@x tcp_out"},
        {"l", "u@[10.1.2.3]", "u@r-3 tcp_out"},
        {"l", "u@[11.1.2.3]",
         "- 5.3.5 rewrite rule t.cnf:17 made a domain that is no host name"},
        {"l", "u@[IPv6:2001:db8::1]", "u@[IPv6:2001:db8::1] tcp_out"},
        {"l", "u@[12.1.2.3]", "u@[12.1.2.3] tcp_out"},
        {"l", "u@short.test", "u@tcp-two tcp_two"},
        {"l", "u@any.where",
         "- 5.3.5 rewrite rule t.cnf:20 made a domain that is no host name"},
    };
    struct fixture f = fixture_new(".h.test $U%$H$D@tcp-out\n"
                                   ".d.test $U%x$D@tcp-out\n"
                                   ".h1.test $U%$1H$D@tcp-out\n"
                                   ".h0.test $U%$0H@tcp-out\n"
                                   ".h9.test $U%$9H@tcp-out\n"
                                   ".d1.test $U%$H$1D@tcp-out\n"
                                   "x.y.test $U%$1D@tcp-out\n"
                                   ".left.test $U%$&0-$&2@tcp-out\n"
                                   ".left.test $U%fallback@tcp-out\n"
                                   ".right.test $U%$!0-$!2@tcp-out\n"
                                   ".matched.test $U%$*0-$#0@tcp-out\n"
                                   "sub.test $0U.$1U%x@tcp-out\n"
                                   "plus.test $0U$1U%x@tcp-out\n"
                                   "lower.test $u%$d@tcp-out\n"
                                   "dollar.test $U$$$%a%x@tcp-out\n"
                                   "[10.1.2.] $U%r-$L@tcp-out\n"
                                   "[11.1.2.3] $U%r$L.$D@tcp-out\n"
                                   "[] $U%[$L]@tcp-out\n"
                                   "short.test $U@tcp-two\n"
                                   ". $U%$H$D@tcp-out\n" CHANNELS,
                                   NULL);

    CHECK_CASES(f, cases);
    fixture_free(&f);
    (void)state;
}

struct control_case {
    enum route_form form;
    enum route_direction direction;
    const char *expect; /* local part of the result */
};

static void direction_and_form(void **state)
{
    static const struct control_case cases[] = {
        {ROUTE_ENVELOPE, ROUTE_FORWARD, "ef"},
        {ROUTE_ENVELOPE, ROUTE_BACKWARD, "er"},
        {ROUTE_HEADER, ROUTE_FORWARD, "bf"},
        {ROUTE_HEADER, ROUTE_BACKWARD, "br"},
    };
    struct fixture f = fixture_new("x.test $E$Fef%$D@tcp-out\n"
                                   "x.test er%$D@tcp-out$e$r\n"
                                   "x.test $Fbf$B%$D@tcp-out\n"
                                   "x.test br%$D@tcp-out\n" CHANNELS,
                                   NULL);
    struct address addr = fixture_address("u@x.test");

    assert_string_equal(fixture_messages(&f), "");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rewrite_context ctx = {NULL, cases[i].direction, cases[i].form, NULL};
        struct route r;
        route_rewrite(f.s, &ctx, &addr, false, f.arena, &r);
        assert_non_null(r.channel);
        assert_true(str_eq(r.address.local, str_from(cases[i].expect)));
        assert_int_equal(span_place(f.s->sources, r.rule).line, i + 1);
    }
    fixture_free(&f);
    (void)state;
}

static void location_and_source(void **state)
{
    static const struct routing_case cases[] = {
        {"l", "u@x.test", "at@x.test tcp_out"},
        {"l", "u%x.test@here.test", "percent@x.test tcp_out"},
        {"l", "x.test!u@here.test", "bang@x.test tcp_out"},
        {"l", "@x.test:u@y.test", "@x.test:u@y.test tcp_two"},
        {"l", "u@or.test", "or@x tcp_out"},
        {"l", "u%or.test@here.test", "or@x tcp_out"},
        {"l", "or.test!u@here.test", "not@x tcp_out"},
        {"l", "u@m.test", "other@x tcp_out"},
        {"tcp_two", "u@m.test", "two@x tcp_out"},
        {"tcp_out", "u@m.test", "two@x tcp_out"},
        {"tcp_two", "u@n.test", "neither@x tcp_out"},
        {"tcp_out", "u@n.test", "neither@x tcp_out"},
        {"l", "u@n.test", "others@x tcp_out"},
    };
    struct fixture f = fixture_new("x.test $Aat%$D@tcp-out\n"
                                   "x.test $Ppercent%$D@tcp-out\n"
                                   "x.test $Xbang%$D@tcp-out\n"
                                   "x.test $S$U%$D@tcp-two\n"
                                   "or.test or%x@tcp-out$A$P\n"
                                   "or.test not%x@tcp-out\n"
                                   "m.test two%x@tcp-out$Mtcp_two$MTCP_OUT\n"
                                   "m.test other%x@tcp-out\n"
                                   "n.test others%x@tcp-out$Ntcp_two$Ntcp_out\n"
                                   "n.test neither%x@tcp-out\n" CHANNELS,
                                   NULL);

    assert_string_equal(fixture_messages(&f), "");
    CHECK_CASES(f, cases);
    fixture_free(&f);
    (void)state;
}

static void repeat_and_loops(void **state)
{
    static const struct routing_case cases[] = {
        {"l", "u@one.test", "u@three.test tcp_two"},
        {"l", "u@swap.test", "x@other.test tcp_out"},
        {"l", "u@home.test", "u@here.test l"},
        {"l", "a%b.test@home.test", "a@b.test tcp_out"},
        {"l", "u@hack.test", "u@b.test tcp_out"},
        {"l", "u@ping.test",
         "- 5.4.6 rewrite rules loop: no end after 32 passes (t.cnf:6, t.cnf:7)"},
        /* 31 passes are fine */
        {"l",
         "@here.test,@here.test,@here.test,@here.test,@here.test,@here.test,@here.test,"
         "@here.test,@here.test,@here.test:u@b.test",
         "u@b.test tcp_out"},
    };
    struct fixture f = fixture_new("one.test $U%two.test\n"
                                   "two.test $U%three.test\n"
                                   "three.test $U%$D@tcp-two\n"
                                   "swap.test x%other.test\n"
                                   "home.test $U%here.test\n"
                                   "ping.test $U%pong.test\n"
                                   "pong.test $U%ping.test\n"
                                   "hack.test $U$%b.test%here.test\n"
                                   ". $U%$H@tcp-out\n" CHANNELS,
                                   NULL);

    assert_string_equal(fixture_messages(&f),
                        "6:1: warning: this rule leads to its own pattern again by way "
                        "of others: mail for 'ping.test' is refused [rewrite-loop]\n");
    CHECK_CASES(f, cases);
    fixture_free(&f);
    (void)state;
}

static void proper_names(void **state)
{
    static const struct routing_case cases[] = {
        {"l", "u@hub.test", "u@p1.inner.test tcp_out"},
        {"l", "u@HUB.test", "u@p1.inner.test tcp_out"},
        {"l", "u@node.test", "u@tcp-out tcp_out"},
        {"l", "u@tcp-two", "u@tcp-two tcp_two"},
        {"l", "u@there.test", "u@here.test l"},
        {"l", "u@also.test", "u@proper.test l"},
        {"l", "@hub.test:u@b.test", "@p1.inner.test:u@b.test tcp_out"},
        {"l", "@hub.test,@c.test:u@b.test", "@p1.inner.test,@c.test:u@b.test tcp_out"},
        {"l", "u@by.test", "u@by.test tcp_out"},
    };
    struct fixture f = fixture_new("by.test $U%$D@hub.test\n" CHANNELS, NULL);
    struct address addr = fixture_address("u@hub.test");
    struct rewrite_context header = {NULL, ROUTE_FORWARD, ROUTE_HEADER, NULL};
    struct rewrite_context from = {NULL, ROUTE_BACKWARD, ROUTE_ENVELOPE, NULL};
    struct route r;

    CHECK_CASES(f, cases);
    /* header addresses and envelope From keep the host */
    route_rewrite(f.s, &header, &addr, false, f.arena, &r);
    assert_true(str_eq(r.address.domain, STR("hub.test")));
    route_rewrite(f.s, &from, &addr, false, f.arena, &r);
    assert_true(str_eq(r.address.domain, STR("hub.test")));
    fixture_free(&f);
    (void)state;
}

/* What a rule must not make of an address. */
static void bad_results(void **state)
{
    static const struct routing_case cases[] = {
        {"l", "u@h.test", "- 5.3.5 rewrite rule t.cnf:1 made an empty domain"},
        {"l", "u@host.test", "- 5.3.5 rewrite rule t.cnf:2 made an empty routing host"},
        {"l", "\"a b\"@q.test", "- 5.3.5 rewrite rule t.cnf:3 made no address: "},
        {"l", "u@name.test",
         "- 5.3.5 rewrite rule t.cnf:4 made a domain that is no host name"},
        {"l", "u@route.test",
         "- 5.3.5 rewrite rule t.cnf:6 made no address: its local part reads like a "
         "source "
         "route"},
        {"l", "u@quote.test",
         "- 5.3.5 rewrite rule t.cnf:5 made a local part with a blank, a control "
         "character or an open quote"},
    };
    struct fixture f = fixture_new("h.test $U%$H@tcp-out\n"
                                   "host.test $U%$D@$H\n"
                                   "q.test x$U%$D@tcp-out\n"
                                   "name.test $U%-$D-@tcp-out\n"
                                   "quote.test \"$U%$D@tcp-out\n"
                                   "route.test $@here.test:$U%$D@tcp-out\n" CHANNELS,
                                   NULL);

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *got = fixture_route(&f, "l", cases[i].address);
        if (!str_starts(str_from(got), str_from(cases[i].expect))) {
            fail_msg("%s: got '%s'", cases[i].address, got);
        }
    }
    fixture_free(&f);
    (void)state;
}

static void long_results(void **state)
{
    char config[3000] = "x.test $U", local[65];
    size_t n = strlen(config);
    struct route r;
    struct rewrite_context ctx = {NULL, ROUTE_FORWARD, ROUTE_ENVELOPE, NULL};

    memset(local, 'a', 64);
    local[64] = '\0';
    for (int i = 0; i < 600; i++) {
        n += (size_t)sprintf(config + n, "$U");
    }
    strcpy(config + n, "%$D@tcp-out\n" CHANNELS);
    struct fixture f = fixture_new(config, NULL);
    struct address addr = {STR(""), str_from(local), STR("x.test")};
    route_rewrite(f.s, &ctx, &addr, true, f.arena, &r);
    assert_null(r.channel);
    assert_true(
        str_eq(r.error, STR("rewrite rule t.cnf:1 made a text that is too long")));
    assert_true(str_eq(r.steps->outcome, STR("failed: too long")));
    fixture_free(&f);
    (void)state;
}

struct load_case {
    const char *rule, *message;
};

static void load_errors(void **state)
{
    static const struct load_case cases[] = {
        /* of the language, not supported yet: never a silent mismatch */
        /* what is good says nothing */
        {"*.quay.test $U%$H@tcp-out", ""},
        {"* $U%$H@tcp-out", ""},
        {"[*.*.*.*] $F$U@tcp-out", ""},
        {"$* $F$U@tcp-out", ""},
        {"$% $U@tcp-out", ""},
        {"$! $U@tcp-out", ""},
        {"tag|a.test $U@tcp-out", ""},
        {"a.test $U@b.test@tcp-out", ""},
        {"a.test $U@b.test@hop.test@tcp-out", ""},
        {"a.test $U%$D@tcp-out$Qtcp_out", ""},
        {"a.test $U%$D@tcp-out$Ttag|", ""},
        {"a.test $?sorry", ""},
        {"a.test $4004003?x", ""},
        {"a.test $U%$D@tcp-out$1M", ""},
        {"a.test $U%$\\$D@tcp-out", ""},
        {"a.test $U%$(k-$H)@tcp-out", ""},
        /* what is not done says so */
        {"a.test $[image,entry,arg]$U@tcp-out",
         "1:8: warning: a site routine cannot be called: the rule always fails here, and "
         "the next one is tried; use a mapping table (${table,argument}) or the general "
         "database ($(key)) [unsupported-callout]\n"
         "1:8: warning: this rule never applies: its controls exclude each other, or it "
         "calls what cannot be called [rule-never-applies]\n"},
        {"a.test $]ldap:///x?y[$U@tcp-out",
         "1:8: warning: an LDAP directory cannot be called: the rule always fails here, "
         "and the next one is tried; use a mapping table (${table,argument}) or the "
         "general database ($(key)) [unsupported-callout]\n"
         "1:8: warning: this rule never applies: its controls exclude each other, or it "
         "calls what cannot be called [rule-never-applies]\n"},
        {"a.test $U%$D$,x@tcp-out", "1:13: warning: '$,' does nothing here: no directory "
                                    "is asked in rewriting [template-ignored]\n"},
        {"a.test $U%$D@tcp-out$..", "1:21: warning: '$.' does nothing here: no directory "
                                    "is asked in rewriting [template-ignored]\n"},
        {"a.test $U%$D@tcp-out$Ttag",
         "1:21: warning: the tag does not end in '|': rules for it are written without "
         "one, too [tag-without-bar]\n"},
        {"a.test $U%${t,$H}@tcp-out",
         "1:13: warning: there is no mapping table 't': the rule always fails "
         "[rule-unknown-table]\n"},
        {"a.test $U%$D@tcp-out$Qtcp_x",
         "1:23: warning: channel 'tcp_x' does not exist [unknown-channel]\n"},
        /* no form of the language */
        {"*x.test $U@tcp-out",
         "1:1: error: bad pattern '*x.test': '*' stands for one whole label, and only in "
         "front: *.dom, *.*.dom, * [pattern-bad]\n"},
        {"a.*.test $U@tcp-out", "1:1: error: bad pattern 'a.*.test': '*' stands for one "
                                "whole label, and only in "
                                "front: *.dom, *.*.dom, * [pattern-bad]\n"},
        {"[*.*.1.2] $U@tcp-out",
         "1:1: error: bad pattern '[*.*.1.2]': neither an address ([192.0.2.7], "
         "[IPv6:2001:db8::1]), nor the beginning of one ([192.0.]), nor [] or [*.*.*.*] "
         "[pattern-bad]\n"},
        {"|a.test $U@tcp-out", "1:1: error: bad pattern '|a.test': the tag before '|' is "
                               "empty, too long, or not printable ASCII [pattern-bad]\n"},
        {"t| $U@tcp-out", "1:1: error: bad pattern 't|': it is empty [pattern-bad]\n"},
        {"a.test $3004003?x",
         "1:8: error: the number before '?' is a status x.y.z as x*1000000 + y*1000 + z, "
         "and x is 4 or 5: 4004003 is 4.4.3 [template-number]\n"},
        {"a.test $2~$U@tcp-out", "1:8: error: only '$1~' exists [template-number]\n"},
        {"a.test $U@tcp-out$2M", "1:18: error: only '$1M' exists [template-number]\n"},
        {"a.test $V@tcp-out",
         "1:8: error: '$V' and '$Z' need a domain behind them [template-argument]\n"
         "1:8: error: the user is empty [template-empty]\n"},
        {"a.test $U%$(k@tcp-out",
         "1:11: error: the call-out has no closing ')' [template-callout]\n"},
        {"a.test $U%${t}@tcp-out", "1:11: error: a mapping call-out is written "
                                   "${table,argument} [template-callout]\n"},
        {"a.test $U%$($E)@tcp-out",
         "1:13: error: only substitutions may stand in the argument of a call-out, not "
         "'$E' [template-callout]\n"},
        {"a.test $E$F",
         "1:8: error: not of one of the forms A%B@C, A@C, A%B, A@B@C, A@B@C@D and $?text "
         "[template-form]\n"},
        {"a.test $U%$Y@tcp-out", "1:11: error: unknown sequence '$Y' in the template; a "
                                 "dollar sign itself is '$$' [template-unknown]\n"},
        {"a.test $U%$1L@tcp-out", "1:11: error: unknown sequence '$1L' in the template; "
                                  "a dollar sign itself is '$$' [template-unknown]\n"},
        {"a.test $U%$D@tcp-out$", "1:21: error: nothing stands behind '$'; a dollar sign "
                                  "itself is '$$' [template-dollar]\n"},
        {".a.test $U%$&x@tcp-out",
         "1:12: error: '$&' needs a digit behind it [template-number]\n"},
        {"a.test $2U%$D@tcp-out", "1:8: error: only $0U (without subaddress) and $1U "
                                  "(the subaddress) exist [template-number]\n"},
        {"a.test $99999999999H@tcp-out",
         "1:8: error: the number is too large [template-number]\n"},
        {"a.test $U%$D@tcp-out$M",
         "1:21: error: '$M' needs a channel name behind it [template-argument]\n"},
        {"a.test $U",
         "1:8: error: not of one of the forms A%B@C, A@C, A%B, A@B@C, A@B@C@D and $?text "
         "[template-form]\n"},
        {"a.test $U%a%b@c",
         "1:8: error: not of one of the forms A%B@C, A@C, A%B, A@B@C, A@B@C@D and $?text "
         "[template-form]\n"},
        {"a.test $U@b%c",
         "1:8: error: not of one of the forms A%B@C, A@C, A%B, A@B@C, A@B@C@D and $?text "
         "[template-form]\n"},
        {"a.test %$D@tcp-out", "1:8: error: the user is empty [template-empty]\n"},
        {"a.test $U%@tcp-out", "1:8: error: the domain is empty [template-empty]\n"},
        {"a.test $U%$D@$E", "1:8: error: the routing host is empty [template-empty]\n"},
        {"a.test $U@", "1:8: error: the routing host is empty [template-empty]\n"},
        {"a.test $U%", "1:8: error: the domain is empty [template-empty]\n"},
        {"a.test \001%$D@tcp-out", "1:8: error: only printable ASCII without "
                                   "blanks may stand here [template-character]\n"},
        {"a..test $U@tcp-out",
         "1:1: error: bad pattern 'a..test': not a host name, '.domain', '*.domain', "
         "'[literal]', '.', '$*', '$%' or '$!' [pattern-bad]\n"},
        {"[1.2.3.4 $U@tcp-out", "1:1: error: bad pattern '[1.2.3.4': the literal has no "
                                "closing ']' [pattern-bad]\n"},
        {"[1.2.3.256] $U@tcp-out",
         "1:1: error: bad pattern '[1.2.3.256]': neither an address ([192.0.2.7], "
         "[IPv6:2001:db8::1]), nor the beginning of one ([192.0.]), nor [] or [*.*.*.*] "
         "[pattern-bad]\n"},
        {"[1.2.3.4.] $U@tcp-out",
         "1:1: error: bad pattern '[1.2.3.4.]': neither an address ([192.0.2.7], "
         "[IPv6:2001:db8::1]), nor the beginning of one ([192.0.]), nor [] or [*.*.*.*] "
         "[pattern-bad]\n"},
        {"[10.0.0.0/8] $U@tcp-out",
         "1:1: error: bad pattern '[10.0.0.0/8]': neither an address ([192.0.2.7], "
         "[IPv6:2001:db8::1]), nor the beginning of one ([192.0.]), nor [] or [*.*.*.*] "
         "[pattern-bad]\n"},
        {"$x $U@tcp-out", "1:1: error: bad pattern '$x': '$' begins none of the patterns "
                          "$*, $% and $! [pattern-bad]\n"},
        /* every fault in one run */
        {"a..b $Y@$I", "1:1: error: bad pattern 'a..b': not a host name, '.domain', "
                       "'*.domain', '[literal]', '.', '$*', '$%' or '$!' [pattern-bad]\n"
                       "1:6: error: unknown sequence '$Y' in the template; a dollar sign "
                       "itself is '$$' [template-unknown]\n"
                       "1:9: error: unknown sequence '$I' in the template; a dollar sign "
                       "itself is '$$' [template-unknown]\n"},
        /* good syntax, questionable meaning */
        {"a.test $U%$D@tcp-uot", "1:14: warning: no channel has the host 'tcp-uot': mail "
                                 "for 'a.test' is refused; "
                                 "did you mean 'tcp-out'? [unknown-routing-host]\n"},
        {"a.test $U@elsewhere.example",
         "1:11: warning: no channel has the host 'elsewhere.example': mail for 'a.test' "
         "is refused [unknown-routing-host]\n"},
        {"a.test $U%$D@tcp-out$Mtcp_x",
         "1:23: warning: channel 'tcp_x' does not exist [unknown-channel]\n"},
        {"a.test $E$B$U%$D@tcp-out",
         "1:8: warning: this rule never applies: its controls exclude each other, or it "
         "calls what cannot be called [rule-never-applies]\n"},
        {"a.test $U%$&0@tcp-out",
         "1:8: warning: this rule never applies: 'a.test' matches a whole host, so there "
         "is no label left for '$&' or '$!' [rule-never-applies]\n"},
        {"[1.2.3.4] $U%[$L]@tcp-out",
         "1:11: warning: '$L' is always empty here: it stands for the part of a literal "
         "that '[1.2.3.4]' leaves over; '$D' is the host itself [empty-substitution]\n"},
        {"a.test $U%A.test", "1:1: warning: this rule leads to its own pattern again: "
                             "mail for 'a.test' is refused [rewrite-loop]\n"},
        {".a.test x%$H$D", "1:1: warning: this rule leads to its own pattern again: "
                           "mail for '.a.test' is refused [rewrite-loop]\n"},
        {"a.test $U%$D@tcp-out\nA.test $U%$D@tcp-two",
         "2:1: warning: this rule is never reached: an earlier rule for 'A.test' always "
         "applies [unreachable-rule]\n"},
        {"[IPv6:2001:db8::1] $U@tcp-out\n[IPv6:2001:0db8::0:1] $U@tcp-two",
         "2:1: warning: this rule is never reached: an earlier rule for "
         "'[IPv6:2001:db8::1]' always applies [unreachable-rule]\n"},
        {"a.test $E$U%$D@tcp-out\na.test $U%$D@tcp-two", ""},
        {".a.test $U%$&0@tcp-out\n.a.test $U%$D@tcp-two", ""},
        {"a.test $U%b.test", ""},
        {"[] $U%[$L]@tcp-two", ""},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char config[1024];
        snprintf(config, sizeof config, "%s\n%s", cases[i].rule, CHANNELS);
        struct fixture f = fixture_new(config, NULL);
        if (strcmp(fixture_messages(&f), cases[i].message) != 0) {
            fail_msg("%s:\n got %s expected %s", cases[i].rule, fixture_messages(&f),
                     cases[i].message);
        }
        fixture_free(&f);
    }
    (void)state;
}

static void trace_of_all_probes(void **state)
{
    static const char *const expect[] = {
        "a.b.test: no rule", "*.b.test: no rule",   ".b.test: failed: $R",
        ".b.test: repeat",   "hub.x.test: no rule", "*.x.test: no rule",
        ".x.test: no rule",  "*.*.test: no rule",   ".test: no rule",
        "*.*.*: no rule",    ".: applied",
    };
    struct fixture f = fixture_new(".b.test $R$U%$D@tcp-out\n"
                                   ".b.test $U%hub.x.test\n"
                                   ". $U%$H@tcp-two\n" CHANNELS,
                                   NULL);
    struct rewrite_context ctx = {NULL, ROUTE_FORWARD, ROUTE_ENVELOPE, NULL};
    struct address addr = fixture_address("u@a.b.test");
    struct route r;
    size_t n = 0;

    route_rewrite(f.s, &ctx, &addr, true, f.arena, &r);
    for (const struct route_step *step = r.steps; step; step = step->next) {
        str line = arena_printf(f.arena, "%.*s: %.*s", STR_ARG(step->probe),
                                STR_ARG(step->outcome));
        assert_true(n < sizeof expect / sizeof *expect);
        assert_string_equal(line.ptr, expect[n]);
        assert_int_equal(step->rule.source == 0, str_eq(step->outcome, STR("no rule")));
        n++;
    }
    assert_int_equal(n, sizeof expect / sizeof *expect);
    assert_int_equal(span_place(f.s->sources, r.rule).line, 3);
    route_rewrite(f.s, &ctx, &addr, false, f.arena, &r);
    assert_null(r.steps);
    fixture_free(&f);
    (void)state;
}

/* The number of rules must not matter: the same look-up with 10 and 100,000 rules. */
static void many_rules(void **state)
{
    enum { RULES = 100000 };
    char *config = malloc(RULES * 48 + 200), *end = config;

    assert_non_null(config);
    for (int i = 0; i < RULES; i++) {
        end += sprintf(end, "host%d.test $U%%n%d.test@tcp-two\n", i, i);
    }
    strcpy(end, ". $U%$H@tcp-out\n" CHANNELS);
    struct fixture f = fixture_new(config, NULL);
    free(config);
    assert_int_equal(f.s->rule_count, RULES + 1);
    for (int i = 0; i < RULES; i += 977) {
        char address[64], expect[64];
        snprintf(address, sizeof address, "u@host%d.test", i);
        snprintf(expect, sizeof expect, "u@n%d.test tcp_two", i);
        assert_string_equal(fixture_route(&f, "l", address), expect);
    }
    assert_string_equal(fixture_route(&f, "l", "u@host.test"), "u@host.test tcp_out");
    fixture_free(&f);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reference_example),   cmocka_unit_test(extraction_order),
        cmocka_unit_test(relay_hole_refused),  cmocka_unit_test(probe_order),
        cmocka_unit_test(substitutions),       cmocka_unit_test(direction_and_form),
        cmocka_unit_test(location_and_source), cmocka_unit_test(repeat_and_loops),
        cmocka_unit_test(proper_names),        cmocka_unit_test(bad_results),
        cmocka_unit_test(long_results),        cmocka_unit_test(load_errors),
        cmocka_unit_test(trace_of_all_probes), cmocka_unit_test(many_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
