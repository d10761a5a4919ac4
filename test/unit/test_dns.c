/* dns: real look-ups through libunbound against a name server in this process. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "router/dns.h"
#include "router/dns_answer.h"
#include "router/dns_hosts.h"
#include "test/unit/dns_fixture.h"

struct world {
    struct dns_fixture server;
    struct worker worker;
    struct log *log;
    struct dns *dns;
    struct nameserver nameserver;
    struct dns_servers servers;
};

/* A question and what came of it. */
struct asked {
    struct dns_query *query;
    struct dns_answer answer;
    unsigned calls;
    bool inside; /* the call that asks has not returned */
};

static int on_setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    *state = w;
    char reason[200];
    if (w == NULL || !dns_fixture_init(&w->server, "127.0.0.1") ||
        worker_init(&w->worker, NULL, 0) != 0) {
        return -1;
    }
    w->log = log_new(STDERR_FILENO, LOG_KEYVALUE);
    w->dns = dns_start(w->log, reason, sizeof reason);
    w->nameserver = (struct nameserver){STR("127.0.0.1"), w->server.port};
    w->servers = (struct dns_servers){.list = &w->nameserver, .count = 1};
    return w->dns != NULL ? 0 : -1;
}

static int on_teardown(void **state)
{
    struct world *w = *state;
    dns_stop(&w->dns);
    uv_run(&w->worker.loop, UV_RUN_NOWAIT); /* what was posted last */
    bool clean = worker_free(&w->worker);
    log_free(&w->log);
    dns_fixture_free(&w->server);
    free(w);
    return clean ? 0 : -1;
}

static void on_answer(struct worker *w, const struct dns_answer *answer, void *arg)
{
    struct asked *a = arg;
    assert_false(a->inside);
    a->answer = *answer;
    a->query = NULL;
    a->calls++;
    uv_stop(&w->loop);
}

static void wait_answer(struct world *w, struct asked *a)
{
    while (a->calls == 0) {
        uv_run(&w->worker.loop, UV_RUN_DEFAULT);
    }
    assert_int_equal(a->calls, 1);
}

static struct asked ask_mx(struct world *w, const char *name)
{
    struct asked a = {.inside = true};
    a.query = dns_mx(w->dns, &w->worker, &w->servers, str_from(name), on_answer, &a);
    a.inside = false;
    wait_answer(w, &a);
    return a;
}

static struct asked ask_addresses(struct world *w, const char *name)
{
    struct asked a = {.inside = true};
    a.query =
        dns_addresses(w->dns, &w->worker, &w->servers, str_from(name), on_answer, &a);
    a.inside = false;
    wait_answer(w, &a);
    return a;
}

static void print_addresses(const struct dns_answer *a, char *out, size_t size)
{
    size_t at = 0;
    out[0] = '\0';
    for (unsigned i = 0; i < a->address_count; i++) {
        char ip[INET6_ADDRSTRLEN];
        const void *bytes =
            a->address[i].ss_family == AF_INET
                ? (const void *)&((const struct sockaddr_in *)&a->address[i])->sin_addr
                : (const void *)&((const struct sockaddr_in6 *)&a->address[i])->sin6_addr;
        inet_ntop(a->address[i].ss_family, bytes, ip, sizeof ip);
        at += (size_t)snprintf(out + at, size - at, "%s%s", at > 0 ? " " : "", ip);
    }
}

static void test_mx_sorted(void **state)
{
    static const char *const names[] = {"order.test", "ORDER.Test", "order.test.",
                                        "alias.test"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct asked a = ask_mx(*state, names[i]);
        assert_int_equal(a.answer.status, DNS_OK);
        assert_int_equal(a.answer.mx_count, 3);
        assert_string_equal(a.answer.mx[0].name, "first.partner.test");
        assert_int_equal(a.answer.mx[0].preference, 5);
        assert_string_equal(a.answer.mx[1].name, "b.partner.test");
        assert_string_equal(a.answer.mx[2].name, "c.partner.test");
        assert_int_equal(a.answer.mx[2].preference, 20);
        assert_false(a.answer.secure);
    }
}

static void test_mx_equal_ones_shuffled(void **state)
{
    (void)state;
    unsigned first[3] = {0}, last = 0;
    for (int i = 0; i < 200; i++) {
        struct dns_mx mx[] = {{"z", 5},  {"a", 10}, {"b", 10},
                              {"c", 10}, {"x", 20}, {"y", 20}};
        dns_mx_shuffle(mx, 6);
        assert_string_equal(mx[0].name, "z");
        unsigned which = (unsigned)(mx[1].name[0] - 'a');
        assert_true(which < 3);
        first[which]++;
        assert_true(mx[3].preference == 10 && mx[4].preference == 20);
        last += mx[4].name[0] == 'y';
    }
    /* each about 67 of 200; 20 or less has a chance below 1 in 10^13 */
    assert_true(first[0] > 20 && first[1] > 20 && first[2] > 20);
    assert_true(last > 40 && last < 160);
    dns_mx_shuffle(NULL, 0);
}

/* The answer is shared by channels that shuffle and channels that do not. */
static void test_mx_equal_ones_as_received(void **state)
{
    for (int i = 0; i < 20; i++) {
        struct asked a = ask_mx(*state, "equal.test");
        assert_int_equal(a.answer.mx_count, 3);
        for (unsigned k = 0; k < 3; k++) {
            assert_int_equal(a.answer.mx[k].name[0], 'a' + (int)k);
        }
    }
}

static void test_names_of_addresses(void **state)
{
    struct world *w = *state;
    static const struct {
        const char *ip;
        enum dns_status status;
        const char *name;
    } cases[] = {
        {"127.0.0.10", DNS_OK, "client.test"},
        {"127.0.0.11", DNS_OK, "second.test"}, /* the first that is a host name */
        {"127.0.0.12", DNS_NONE, ""},
        {"127.0.0.13", DNS_NONE, ""},
        {"127.0.0.14", DNS_TEMPORARY, ""},
        {"127.0.0.15", DNS_TEMPORARY, ""}, /* silent */
        {"127.0.0.16", DNS_OK, "delegated.test"},
        {"192.168.0.7", DNS_OK, "inside.test"}, /* not blocked by the library */
        {"2001:db8::1", DNS_OK, "six.test"},
        {"2001:db8::2", DNS_NONE, ""},
        {"client.test", DNS_NONE, ""},
        {"", DNS_NONE, ""},
    };
    w->servers.purpose = DNS_FOR_CLIENT;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct asked a = {.inside = true};
        a.query = dns_reverse(w->dns, &w->worker, &w->servers, str_from(cases[i].ip),
                              on_answer, &a);
        a.inside = false;
        wait_answer(w, &a);
        if (a.answer.status != cases[i].status ||
            strcmp(a.answer.name, cases[i].name) != 0) {
            fail_msg("%s: status %d, '%s', '%s'", cases[i].ip, a.answer.status,
                     a.answer.name, a.answer.reason);
        }
    }
}

/* Questions about clients have a shorter time, and half of the places. */
static void test_clients_have_their_share(void **state)
{
    struct world *w = *state;
    dns_set_limits(w->dns, 60000, 4);
    struct asked a[3] = {0}, delivery = {0};
    w->servers.purpose = DNS_FOR_CLIENT;
    for (int i = 0; i < 3; i++) {
        a[i].query = dns_reverse(w->dns, &w->worker, &w->servers, STR("127.0.0.15"),
                                 on_answer, &a[i]);
    }
    wait_answer(w, &a[2]);
    assert_non_null(strstr(a[2].answer.reason, "too many open questions"));
    w->servers.purpose = DNS_FOR_DELIVERY;
    delivery.query =
        dns_mx(w->dns, &w->worker, &w->servers, STR("order.test"), on_answer, &delivery);
    wait_answer(w, &delivery);
    assert_int_equal(delivery.answer.status, DNS_OK);
    wait_answer(w, &a[0]); /* not in 60 s */
    wait_answer(w, &a[1]);
    assert_non_null(strstr(a[0].answer.reason, "no answer in time"));
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void test_hosts_file(void **state)
{
    (void)state;
    char path[64], seen[400], text[9000];
    snprintf(path, sizeof path, "/tmp/pointsman-hosts-%ld", (long)getpid());
    snprintf(text, sizeof text,
             "# comment good.test\n"
             "192.0.2.1 good.test  nick\t# 192.0.2.9 hidden.test\n"
             "\n  192.0.2.2\tGood.Test\r\n"
             "2001:db8::1 good.test\n"
             "192.0.2.300 wrong.test\n"
             "192.0.2.3\n"
             "192.0.2.4 %04500d beyond.test\n"
             "192.0.2.5 last.test",
             0);
    write_file(path, text);
    static const struct {
        const char *name;
        enum dns_status status;
        const char *addresses;
    } cases[] = {
        {"good.test", DNS_OK, "192.0.2.1 192.0.2.2 2001:db8::1"},
        {"nick", DNS_OK, "192.0.2.1"},
        {"last.test", DNS_OK, "192.0.2.5"},
        {"hidden.test", DNS_NONE, ""},
        {"wrong.test", DNS_NONE, ""},
        {"beyond.test", DNS_NONE, ""},
        {"192.0.2.3", DNS_NONE, ""},
        {"comment", DNS_NONE, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct dns_answer *a = calloc(1, sizeof *a);
        assert_non_null(a);
        dns_hosts_answer(path, cases[i].name, a);
        print_addresses(a, seen, sizeof seen);
        if (a->status != cases[i].status || strcmp(seen, cases[i].addresses) != 0) {
            fail_msg("%s: status %d, '%s'", cases[i].name, a->status, seen);
        }
        free(a);
    }
    unlink(path);
    struct dns_answer *a = calloc(1, sizeof *a);
    assert_non_null(a);
    dns_hosts_answer(path, "good.test", a);
    assert_int_equal(a->status, DNS_NONE);
    *a = (struct dns_answer){0};
    dns_hosts_answer("/tmp", "good.test", a);
    assert_int_equal(a->status, DNS_TEMPORARY);
    free(a);
}

/* No question leaves: the server knows the name, the file does not. */
static void test_hosts_only(void **state)
{
    struct world *w = *state;
    w->servers.hosts_only = true;
    struct asked a = ask_addresses(w, "host.test");
    assert_int_equal(a.answer.status, DNS_NONE);
    assert_non_null(strstr(a.answer.reason, "host.test is not in /etc/hosts"));
    a = ask_addresses(w, "[192.0.2.7]");
    assert_int_equal(a.answer.status, DNS_OK);
    assert_int_equal(atomic_load(&w->server.asked), 0);
}

static void test_mx_without_records(void **state)
{
    static const struct {
        const char *name;
        enum dns_status status;
        bool nxdomain;
        const char *reason;
    } cases[] = {
        {"null.test", DNS_NULL_MX, false, "null.test accepts no mail"},
        {"none.test", DNS_NONE, false, "none.test has no MX record"},
        {"host.test", DNS_NONE, false, "host.test has no MX record"},
        {"gone.test", DNS_NONE, true, "gone.test does not exist"},
        {"fail.test", DNS_TEMPORARY, false, "MX of fail.test: SERVFAIL"},
        {"refused.test", DNS_TEMPORARY, false, "MX of refused.test: "},
        {"useless.test", DNS_TEMPORARY, false, "useless.test names a usable host"},
        {"", DNS_NONE, true, "not a host name"},
        {"a..test", DNS_NONE, true, "not a host name"},
        {"a b.test", DNS_NONE, true, "not a host name"},
        {"a\nb.test", DNS_NONE, true, "'a?b.test' is not a host name"},
        {"a\\.test", DNS_NONE, true, "not a host name"},
        {"b\xc3\xbc.test", DNS_NONE, true, "'b??.test' is not a host name"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct asked a = ask_mx(*state, cases[i].name);
        if (a.answer.status != cases[i].status ||
            a.answer.nxdomain != cases[i].nxdomain ||
            strstr(a.answer.reason, cases[i].reason) == NULL) {
            fail_msg("%s: status %d, nxdomain %d, '%s'", cases[i].name, a.answer.status,
                     a.answer.nxdomain, a.answer.reason);
        }
        assert_int_equal(a.answer.mx_count, 0);
    }
}

static void test_mx_odd_ones_left_out(void **state)
{
    struct asked a = ask_mx(*state, "mixed.test");
    assert_int_equal(a.answer.status, DNS_OK);
    assert_int_equal(a.answer.mx_count, 1);
    assert_string_equal(a.answer.mx[0].name, "good.test");
}

static void test_mx_more_than_we_take(void **state)
{
    struct asked a = ask_mx(*state, "many.test");
    assert_int_equal(a.answer.status, DNS_OK);
    assert_int_equal(a.answer.mx_count, DNS_MX_MAX);
    /* the best ones are last in the reply */
    assert_string_equal(a.answer.mx[0].name, "m39.many.test");
    assert_string_equal(a.answer.mx[31].name, "m8.many.test");
}

static void test_addresses(void **state)
{
    static const struct {
        const char *name;
        enum dns_status status;
        bool nxdomain;
        const char *addresses;
    } cases[] = {
        {"v4.test", DNS_OK, false, "192.0.2.4"},
        {"v6.test", DNS_OK, false, "2001:db8::6"},
        {"half.test", DNS_OK, false, "192.0.2.5"},
        {"doubt.test", DNS_TEMPORARY, false, ""},
        {"fail.test", DNS_TEMPORARY, false, ""},
        {"none.test", DNS_NONE, false, ""},
        {"order.test", DNS_NONE, false, ""},
        {"gone.test", DNS_NONE, true, ""},
        {"localhost", DNS_OK, false, "::1 127.0.0.1"},
        {"192.0.2.77", DNS_OK, false, "192.0.2.77"},
        {"[192.0.2.77]", DNS_OK, false, "192.0.2.77"},
        {"[IPv6:2001:db8::7]", DNS_OK, false, "2001:db8::7"},
        {"2001:db8::7", DNS_OK, false, "2001:db8::7"},
        {"[192.0.2.777]", DNS_NONE, true, ""},
        {"[host.test]", DNS_NONE, true, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct asked a = ask_addresses(*state, cases[i].name);
        char seen[400];
        print_addresses(&a.answer, seen, sizeof seen);
        if (a.answer.status != cases[i].status ||
            a.answer.nxdomain != cases[i].nxdomain ||
            strcmp(seen, cases[i].addresses) != 0) {
            fail_msg("%s: status %d, nxdomain %d, '%s', '%s'", cases[i].name,
                     a.answer.status, a.answer.nxdomain, seen, a.answer.reason);
        }
    }
}

static void test_addresses_in_turn(void **state)
{
    static const char *const names[] = {"host.test", "nick.test"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct asked a = ask_addresses(*state, names[i]);
        assert_int_equal(a.answer.status, DNS_OK);
        assert_int_equal(a.answer.address_count, 4);
        assert_int_equal(a.answer.address[0].ss_family, AF_INET6);
        for (unsigned k = 1; k < 4; k++) {
            assert_int_equal(a.answer.address[k].ss_family, AF_INET);
        }
    }
}

static void test_timeout(void **state)
{
    struct world *w = *state;
    dns_set_limits(w->dns, 300, 100);
    uint64_t before_ms = uv_hrtime() / 1000000;
    struct asked a = ask_mx(w, "silent.test");
    uint64_t took_ms = uv_hrtime() / 1000000 - before_ms;
    assert_int_equal(a.answer.status, DNS_TEMPORARY);
    assert_non_null(strstr(a.answer.reason, "no answer in time"));
    assert_true(took_ms >= 250 && took_ms < 5000);
    /* the owner is well */
    assert_int_equal(ask_mx(w, "order.test").answer.status, DNS_OK);
}

static void test_too_many(void **state)
{
    struct world *w = *state;
    dns_set_limits(w->dns, 60000, 2);
    struct asked a = {0}, b = {0}, c = {0};
    a.query = dns_mx(w->dns, &w->worker, &w->servers, STR("silent.test"), on_answer, &a);
    b.query = dns_mx(w->dns, &w->worker, &w->servers, STR("silent.test"), on_answer, &b);
    c.query = dns_mx(w->dns, &w->worker, &w->servers, STR("silent.test"), on_answer, &c);
    wait_answer(w, &c);
    assert_int_equal(c.answer.status, DNS_TEMPORARY);
    assert_non_null(strstr(c.answer.reason, "too many open questions"));
    assert_int_equal(a.calls + b.calls, 0);
    /* those two are open when the owner stops: told, not forgotten */
    dns_stop(&w->dns);
    assert_null(w->dns);
    wait_answer(w, &a);
    wait_answer(w, &b);
    assert_non_null(strstr(a.answer.reason, "shutting down"));
    char reason[200];
    w->dns = dns_start(w->log, reason, sizeof reason);
    assert_non_null(w->dns);
}

/* Cancelled at every stage: asked, answered but not delivered, after the stop. */
static void test_cancel(void **state)
{
    struct world *w = *state;
    struct asked gone = {0};
    for (int i = 0; i < 300; i++) {
        const char *name = i % 3 == 0   ? "silent.test"
                           : i % 3 == 1 ? "equal.test"
                                        : "192.0.2.1";
        gone.query = dns_addresses(w->dns, &w->worker, &w->servers, str_from(name),
                                   on_answer, &gone);
        if (i % 2 == 0) {
            usleep(200);
        }
        dns_cancel(&gone.query);
        assert_null(gone.query);
        uv_run(&w->worker.loop, UV_RUN_NOWAIT);
    }
    struct asked late = {0};
    late.query =
        dns_mx(w->dns, &w->worker, &w->servers, STR("silent.test"), on_answer, &late);
    dns_stop(&w->dns);
    dns_cancel(&late.query);
    uv_run(&w->worker.loop, UV_RUN_NOWAIT);
    assert_int_equal(gone.calls + late.calls, 0);
    char reason[200];
    w->dns = dns_start(w->log, reason, sizeof reason);
    assert_non_null(w->dns);
}

static void test_server_lists_are_apart(void **state)
{
    struct world *w = *state;
    struct dns_fixture other;
    assert_true(dns_fixture_init(&other, "127.0.0.1"));
    assert_int_equal(ask_mx(w, "order.test").answer.status, DNS_OK);
    unsigned asked = atomic_load(&w->server.asked);
    assert_true(asked >= 1);
    assert_int_equal(ask_mx(w, "order.test").answer.status, DNS_OK);
    assert_int_equal(atomic_load(&w->server.asked), asked); /* from the cache */
    w->nameserver.port = other.port;
    assert_int_equal(ask_mx(w, "order.test").answer.status, DNS_OK);
    assert_true(atomic_load(&other.asked) >= 1);
    assert_int_equal(atomic_load(&w->server.asked), asked);
    dns_fixture_free(&other);
}

static void test_ipv6_server(void **state)
{
    struct world *w = *state;
    struct dns_fixture six;
    if (!dns_fixture_init(&six, "::1")) {
        print_message("# skipped: this machine has no ::1\n");
        skip();
    }
    w->nameserver = (struct nameserver){STR("::1"), six.port};
    assert_int_equal(ask_mx(w, "order.test").answer.status, DNS_OK);
    assert_true(atomic_load(&six.asked) >= 1);
    dns_fixture_free(&six);
}

static void test_server_that_is_not_there(void **state)
{
    struct world *w = *state;
    dns_set_limits(w->dns, 3000, 100);
    w->nameserver.port = 1;
    assert_int_equal(ask_mx(w, "order.test").answer.status, DNS_TEMPORARY);
}

static void test_second_server_helps(void **state)
{
    struct world *w = *state;
    struct nameserver two[] = {{STR("127.0.0.1"), 1}, w->nameserver};
    w->servers = (struct dns_servers){.list = two, .count = 2};
    assert_int_equal(ask_mx(w, "order.test").answer.status, DNS_OK);
}

static void test_bad_server(void **state)
{
    struct world *w = *state;
    w->nameserver.ip = STR("not-an-address");
    struct asked a = ask_mx(w, "order.test");
    assert_int_equal(a.answer.status, DNS_TEMPORARY);
    assert_non_null(strstr(a.answer.reason, "not-an-address"));
}

/* Nothing leaves this machine: the name is known without asking. */
static void test_system_servers(void **state)
{
    struct world *w = *state;
    w->servers = (struct dns_servers){0};
    struct asked a = ask_addresses(w, "localhost");
    assert_int_equal(a.answer.status, DNS_OK);
    assert_true(a.answer.address_count >= 1);
}

static void write_anchor(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

/* With an anchor, what is not signed as it should be is not believed. */
static void test_anchor(void **state)
{
    struct world *w = *state;
    char path[64];
    snprintf(path, sizeof path, "/tmp/pointsman-anchor-%ld", (long)getpid());
    w->servers.anchor_file = str_from(path);
    struct asked a = ask_mx(w, "order.test");
    assert_int_equal(a.answer.status, DNS_TEMPORARY);
    assert_non_null(strstr(a.answer.reason, path));
    assert_non_null(strstr(a.answer.reason, "No such file"));

    write_anchor(path, "nonsense here\n");
    a = ask_mx(w, "order.test");
    assert_int_equal(a.answer.status, DNS_TEMPORARY);

    write_anchor(path, ". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E88040"
                       "9BBC683457104237C7F8EC8D\n");
    a = ask_mx(w, "order.test");
    unlink(path);
    assert_int_equal(a.answer.status, DNS_TEMPORARY);
    assert_false(a.answer.secure);
    assert_int_equal(a.answer.mx_count, 0);
}

static void test_many_workers(void **state)
{
    struct world *w = *state;
    enum { QUESTIONS = 500 };
    struct asked *all = calloc(QUESTIONS, sizeof *all);
    assert_non_null(all);
    for (int i = 0; i < QUESTIONS; i++) {
        char name[40];
        snprintf(name, sizeof name, "x%d.order.test", i); /* not in the zone */
        all[i].query =
            dns_mx(w->dns, &w->worker, &w->servers, str_from(name), on_answer, &all[i]);
    }
    for (int i = 0; i < QUESTIONS; i++) {
        wait_answer(w, &all[i]);
        assert_int_equal(all[i].answer.status, DNS_NONE);
        assert_true(all[i].answer.nxdomain);
    }
    free(all);
}

/* --- what needs no server --- */

static void test_names(void **state)
{
    (void)state;
    char out[DNS_NAME_SIZE], label[65], longest[256];
    memset(label, 'x', 64);
    label[64] = '\0';
    assert_false(dns_name_normalise(str_from(label), out));
    assert_true(dns_name_normalise(str_n(label, 63), out));
    for (size_t i = 0; i < 254; i++) {
        longest[i] = i % 50 == 49 ? '.' : 'X';
    }
    assert_true(dns_name_normalise(str_n(longest, 253), out));
    assert_int_equal(strlen(out), 253);
    assert_int_equal(out[0], 'x');
    assert_false(dns_name_normalise(str_n(longest, 254), out));
    assert_false(dns_name_normalise(STR("."), out));
    assert_false(dns_name_normalise(STR(".a"), out));
    assert_false(dns_name_normalise(STR("a.."), out));
    assert_false(dns_name_normalise(STR("a\0b"), out));
    assert_true(dns_name_normalise(STR("_x-1.A"), out));
    assert_string_equal(out, "_x-1.a");
}

/* Records that no honest server sends. */
static void test_malformed_records(void **state)
{
    (void)state;
    static const str records[] = {
        STR(""),
        STR("\0"),
        STR("\0\x0a"),
        STR("\0\x0a\x05"
            "abc"),
        STR("\0\x0a\x03"
            "abc"),
        STR("\0\x0a\x03"
            "abc\0x"),
        STR("\0\x0a\xc0\x0c"),
        STR("\0\x0a\x01\0\0"),
        STR("\0\x0a\x02"
            "a.\0"),
        STR("\0\x0a\x03"
            "a\nb\0"),
    };
    for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
        const char *rdata[] = {records[i].ptr};
        const int len[] = {(int)records[i].len};
        struct dns_part part = {
            .status = DNS_OK, .rdata = rdata, .rdata_len = len, .count = 1};
        struct dns_answer *a = calloc(1, sizeof *a);
        assert_non_null(a);
        dns_answer_mx(a, "x.test", &part);
        assert_int_equal(a->status, DNS_TEMPORARY);
        assert_int_equal(a->mx_count, 0);
        struct dns_part none = {.status = DNS_NONE};
        *a = (struct dns_answer){0};
        dns_answer_addresses(a, "x.test", &part, &none);
        assert_int_equal(a->address_count, 0);
        *a = (struct dns_answer){0};
        dns_answer_name(a, "x.test", &part);
        assert_int_equal(a->status, DNS_NONE);
        assert_string_equal(a->name, "");
        free(a);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, on_setup, on_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_malformed_records),
        cmocka_unit_test(test_mx_equal_ones_shuffled),
        cmocka_unit_test(test_hosts_file),
        TEST(hosts_only),
        TEST(names_of_addresses),
        TEST(clients_have_their_share),
        TEST(mx_sorted),
        TEST(mx_equal_ones_as_received),
        TEST(mx_without_records),
        TEST(mx_odd_ones_left_out),
        TEST(mx_more_than_we_take),
        TEST(addresses),
        TEST(addresses_in_turn),
        TEST(timeout),
        TEST(too_many),
        TEST(cancel),
        TEST(server_lists_are_apart),
        TEST(ipv6_server),
        TEST(server_that_is_not_there),
        TEST(second_server_helps),
        TEST(bad_server),
        TEST(system_servers),
        TEST(anchor),
        TEST(many_workers),
    };
    return cmocka_run_group_tests_name("dns", tests, NULL, NULL);
}
