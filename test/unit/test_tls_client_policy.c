/* test_tls_client_policy: what TLS_CLIENT_POLICY makes of the policy of a channel: a row
 * for each table and question. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "tables/tls_audit.h"
#include "test/config/memory_loader.h"
#include "test/unit/chance.h"

#define SITE                                                                             \
    "!== pointsman.cnf\n. $U%$H@tcp-may\n\nl\nhere.test\n\n"                             \
    "tcp_may smtp maytlsclient\ntcp-may\n\n"                                             \
    "tcp_no smtp\ntcp-no\n\n"                                                            \
    "tcp_must smtp musttlsclient tlsverifyhost tlsprofile bank\ntcp-must\n\n"            \
    "tcp_implicit smtp tlsimplicitclient\ntcp-implicit\n\n"                              \
    "tcp_strict smtp maytlsclient notlsfallback\ntcp-strict\n"                           \
    "!== localdomains\nhere.test\n"                                                      \
    "!== general\nknown.test  $Ylevel=must,verify=ca\nbad.test  $Ylevel=most\n"          \
    "odd.test  $[x]\nlow.test  $Ylevel=no,lower\n"                                       \
    "!== tls.cnf\n[bank]\nca_file = bank.pem\n[other]\nca_file = other.pem\n"            \
    "!== mappings\nASKS\n\n  *  ${$0}\n\n"

struct row {
    const char *entries; /* of the table */
    const char *channel, *domain, *mx, *ip;
    const char *expected; /* see show() */
};

static const struct row rows[] = {
    /* nothing matches: what the channel says */
    {"  tcp_no|*|*|*|*|*  $Ylevel=must\n", "tcp_may", "a.test", "mx", "192.0.2.1",
     "* may no fallback"},
    {"  tcp_may|*.bank.test|*|*|*|*  $Yprofile=bank,level=must,verify=host,pinned\n",
     "tcp_may", "a.bank.test", "mx", "192.0.2.1", "bank:1 must:1 host:1 fallback pinned"},
    {"  tcp_may|bank.test|*|*|*|*  $Ylevel=must,verify=host\n", "tcp_may", "BANK.test",
     "", "", "* must:1 host:1 fallback"},
    /* first per field, of all that match */
    {"  *|*|*|*|*|*  $Yverify=ca\n  *|a.test|*|*|*|*  $Ylevel=must,verify=host\n",
     "tcp_may", "a.test", "mx", "192.0.2.1", "* must:2 ca:1 fallback"},
    {"  *|a.test|*|*|*|*  $Yverify=ca$E\n  *|*|*|*|*|*  $Ylevel=must\n", "tcp_may",
     "a.test", "mx", "192.0.2.1", "* may ca:1 fallback"},
    /* only up ... */
    {"  *|*|*|*|*|*  $Ylevel=may,verify=none,fallback=yes\n", "tcp_must", "a.test", "mx",
     "192.0.2.1", "bank must host fallback"},
    {"  *|*|*|*|*|*  $Yfallback=yes\n", "tcp_strict", "a.test", "mx", "192.0.2.1",
     "* may no -"},
    {"  *|*|*|*|*|*  $Yfallback=no\n", "tcp_may", "a.test", "mx", "192.0.2.1",
     "* may no -:1"},
    /* ... unless it says so */
    {"  *|*|*|*|*|*  $Ylevel=may,verify=none,lower\n", "tcp_must", "a.test", "mx",
     "192.0.2.1", "bank may:1 no:1 fallback"},
    {"  *|*|*|*|*|*  $Yfallback=yes,lower\n", "tcp_strict", "a.test", "mx", "192.0.2.1",
     "* may no fallback:1"},
    {"  *|*|*|*|*|*  $Ylevel=no,lower\n", "tcp_implicit", "a.test", "mx", "192.0.2.1",
     "* must no fallback"},
    {"  *|a.test|*|*|*|*  $Ylevel=may,lower\n  *|*|*|*|*|*  $Ylevel=must,pinned\n",
     "tcp_must", "a.test", "mx", "192.0.2.1", "bank may:1 host fallback"},
    {"  *|*|*|*|*|*  $Ylevel=must,pinned\n  *|a.test|*|*|*|*  $Ylevel=may,lower\n",
     "tcp_must", "a.test", "mx", "192.0.2.1", "bank must:1 host fallback pinned"},
    /* host and address raise */
    {"  *|*|*.mx.test|*|*|*  $Ylevel=must,verify=host\n", "tcp_may", "a.test",
     "x.mx.test", "192.0.2.1", "* must:1 host:1 fallback"},
    {"  *|*|*.mx.test|*|*|*  $Ylevel=must,verify=host\n", "tcp_may", "a.test", "", "",
     "* may no fallback"},
    {"  *|*|*|$(192.0.2.0/24)|*|*  $Ylevel=must\n", "tcp_may", "a.test", "mx",
     "192.0.2.1", "* must:1 no fallback"},
    {"  *|*|*|${2001:db8::/32}|*|*  $Ylevel=must\n", "tcp_may", "a.test", "mx",
     "2001:db8::1", "* must:1 no fallback"},
    {"  *|*|*|$(192.0.2.0/24)|*|*  $Ylevel=must\n", "tcp_may", "a.test", "mx",
     "198.51.100.1", "* may no fallback"},
    /* and take nothing from what the domain has: neither by being first, nor by ending */
    {"  *|*|evil|*|*|*  $Ylevel=may,verify=none$E\n"
     "  *|a.test|*|*|*|*  $Ylevel=must,verify=host\n",
     "tcp_may", "a.test", "evil", "192.0.2.1", "* must:2 host:2 fallback"},
    {"  *|*|evil|*|*|*  $Yprofile=other\n  *|a.test|*|*|*|*  $Ylevel=must,verify=host\n",
     "tcp_may", "a.test", "evil", "192.0.2.1", "* must:2 host:2 fallback"},
    {"  *|*|mx|*|*|*  $Yprofile=other,level=must,verify=host\n", "tcp_may", "a.test",
     "mx", "192.0.2.1", "other:1 must:1 host:1 fallback"},
    /* names cannot make fields */
    {"  *|a.test|*|*|none|none  $Ylevel=must\n", "tcp_may", "a.test|x", "mx", "192.0.2.1",
     "* may no fallback"},
    /* data */
    {"  *|*|*|*|*|*  ${$1}\n", "tcp_may", "known.test", "mx", "192.0.2.1",
     "* must:1 ca:1 fallback"},
    {"  *|*|*|*|*|*  ${$1}\n", "tcp_may", "unknown.test", "mx", "192.0.2.1",
     "* may no fallback"},
    {"  *|*|*|*|*|*  ${$1}\n", "tcp_must", "low.test", "mx", "192.0.2.1",
     "bank no:1 host fallback"},
    {"  *|*|*|*|*|*  ${$1}\n", "tcp_may", "bad.test", "mx", "192.0.2.1",
     "fault 1: 'most' is none of no, may, must"},
    {"  *|*|*|*|*|*  ${$1}\n", "tcp_may", "odd.test", "mx", "192.0.2.1",
     "fault -1: it has a sequence that is not supported"},
    {"  *|*|*|*|*|*  $Y$1\n", "tcp_may", "a.test", "mx", "192.0.2.1",
     "fault 1: 'a.test' is none of profile=, level=, verify=, fallback=, pinned, lower"},
    {"  *|*|*|*|*|*  level=$1\n", "tcp_may", "must", "mx", "192.0.2.1",
     "fault 1: it says something else than $Y"},
    {"  *|*|mx|*|*|*  ${$1}\n", "tcp_must", "low.test", "mx", "192.0.2.1",
     "fault 1: an entry for a host or address may not lower"},
    /* what is chosen by the MX does not lower, whatever it is */
    {"  *|*|*|*|*|*  ${$2}\n", "tcp_must", "a.test", "low.test", "192.0.2.1",
     "bank must host fallback"},
    /* a fault behind an entry that has it all is one */
    {"  *|*|*|*|*|*  $Ylevel=must\n  *|*|*|*|*|*  ${$1}\n", "tcp_may", "bad.test", "mx",
     "192.0.2.1", "fault 2: 'most' is none of no, may, must"},
    {"  *|*|*|*|*|*  $Y$|LOOP;$1|\n\nLOOP\n\n  *  $|LOOP;$0|$Y\n", "tcp_may", "a.test",
     "mx", "192.0.2.1", "fault -1: mapping tables call each other too deeply"},
    {"  *|*|*|*|*|*  $|LIST;$1|$Ylevel=must\n\nLIST\n\n  a.test  $Y\n", "tcp_may",
     "a.test", "mx", "192.0.2.1", "* must:1 no fallback"},
    {"  *|*|*|*|*|*  $|LIST;$1|$Ylevel=must\n\nLIST\n\n  b.test  $Y$E\n  a.test  $N\n",
     "tcp_may", "a.test", "mx", "192.0.2.1", "* may no fallback"},
};

/* The number of the entry, from 1, in front of which the mappings have two lines. */
static int entry_of(const struct snapshot *s, struct span at)
{
    const struct tls_client_table *t = s->tls_client;
    for (unsigned i = 0; i < t->count; i++) {
        if (t->entries[i].at.source == at.source &&
            t->entries[i].at.offset == at.offset) {
            return (int)i + 1;
        }
    }
    return -1;
}

static str put(struct arena *a, const struct snapshot *s, str so_far, str word,
               bool mapped, struct span at)
{
    str text = arena_printf(a, "%.*s%s%.*s", STR_ARG(so_far), so_far.len > 0 ? " " : "",
                            STR_ARG(word));
    return mapped ? arena_printf(a, "%.*s:%d", STR_ARG(text), entry_of(s, at)) : text;
}

/* "profile level verify fallback", each with the number of the entry it comes from. */
static str show(struct arena *a, const struct snapshot *s,
                const struct tls_client_answer *r)
{
    const struct tls_policy *p = &r->policy;
    if (r->fault.ptr != NULL) {
        return arena_printf(a, "fault %d: %.*s", entry_of(s, r->fault_at),
                            STR_ARG(r->fault));
    }
    str text =
        put(a, s, STR(""), p->profile->name, r->mapped[TLS_FIELD_PROFILE], p->profile_at);
    text = put(a, s, text, str_from(tls_level_name(p->level)), r->mapped[TLS_FIELD_LEVEL],
               p->level_at);
    text = put(a, s, text, str_from(tls_verify_name(p->verify)),
               r->mapped[TLS_FIELD_VERIFY], p->verify_at);
    text = put(a, s, text, p->fallback ? STR("fallback") : STR("-"),
               r->mapped[TLS_FIELD_FALLBACK], p->fallback_at);
    return r->pinned ? put(a, s, text, STR("pinned"), false, SPAN_NONE) : text;
}

static void check_row(const struct row *row)
{
    struct arena *a = arena_new();
    struct memory_loader memory;
    struct snapshot_request request = {.path = STR(MEMORY_LOADER_MAIN),
                                       .loader = &memory.loader};
    struct diags *diags;
    struct tls_client_answer r;
    bool unreadable;
    memory_loader_init(&memory,
                       arena_printf(a, "%sTLS_CLIENT_POLICY\n\n%s", SITE, row->entries));
    struct snapshot *s = snapshot_load(&request, a, &diags, &unreadable);
    assert_non_null(s);
    struct tls_client_query q = {.snapshot = s,
                                 .channel = snapshot_channel(s, str_from(row->channel)),
                                 .domain = str_from(row->domain),
                                 .mx = str_from(row->mx),
                                 .ip = str_from(row->ip)};
    bool good = tls_client_policy(&q, a, &r);
    str shown = show(a, s, &r);
    assert_int_equal(good, r.fault.ptr == NULL);
    if (!str_eq(shown, str_from(row->expected))) {
        print_error("%s%s %s: '%.*s', not '%s'\n", row->entries, row->channel,
                    row->domain, STR_ARG(shown), row->expected);
        fail();
    }
    snapshot_unref(&s);
    arena_free(&a);
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        check_row(&rows[i]);
    }
}

static void test_no_table(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    struct memory_loader memory;
    struct snapshot_request request = {.path = STR(MEMORY_LOADER_MAIN),
                                       .loader = &memory.loader};
    struct diags *diags;
    struct tls_client_answer r;
    bool unreadable;
    memory_loader_init(&memory, STR(SITE "OTHER\n\n  a b\n"));
    struct snapshot *s = snapshot_load(&request, a, &diags, &unreadable);
    assert_non_null(s);
    struct tls_client_query q = {.snapshot = s,
                                 .channel = snapshot_channel(s, STR("tcp_may")),
                                 .domain = STR("a.test"),
                                 .ip = STR("192.0.2.1")};
    assert_true(tls_client_policy(&q, a, &r));
    assert_int_equal(r.policy.level, TLS_LEVEL_MAY);
    assert_false(r.mapped[TLS_FIELD_LEVEL]);
    snapshot_unref(&s);
    arena_free(&a);
}

/* ---- the audit says no more than what holds ------------------------------------------
 */

static const char *const domains[] = {"a.test",     "b.test",   "x.a.test", "test",
                                      "known.test", "low.test", "far.away", "bad.test"};

static str random_table(struct arena *a)
{
    static const char *const channels[] = {"*", "tcp_*", "tcp_may", "tcp_must", "tcp_no"};
    static const char *const patterns[] = {
        "*", "a.test", "b.test", "*.a.test", "*.test", "*test", "%.test", "x*", "$_*"};
    static const char *const hosts[] = {"*", "*", "*", "mx", "$_*"};
    static const char *const says[] = {
        "$Ylevel=must",      "$Ylevel=may",          "$Yverify=host",
        "$Yverify=ca",       "$Ylevel=no",           "$Ylevel=must,verify=fp",
        "$?50?$Ylevel=must", "$Ylevel=must$E",       "$Yverify=host$E",
        "$Yfallback=no$E",   "$?50?$Yfallback=no$E", "${$1}"};
    static const char *const lower[] = {"$Ylevel=no,lower", "$Yverify=none,lower",
                                        "$Ylevel=may,verify=try,lower",
                                        "$?50?$Ylevel=no,lower"};
    str text = STR(SITE "TLS_CLIENT_POLICY\n\n");
    for (unsigned n = 1 + number(6); n > 0; n--) {
        const char *host = ONE_OF(hosts);
        bool may_lower = strcmp(host, "*") == 0 && number(3) == 0;
        text = arena_printf(a, "%.*s  %s|%s|%s|*|*|*  %s\n", STR_ARG(text),
                            ONE_OF(channels), ONE_OF(patterns), host,
                            may_lower ? ONE_OF(lower) : ONE_OF(says));
    }
    return text;
}

struct classes {
    const struct snapshot *s;
    const struct channel *channel;
    struct arena *arena;
    enum tls_outcome least; /* of all classes */
};

static void note_class(str class, void *arg)
{
    struct classes *c = arg;
    struct tls_weakest w;
    tls_weakest(c->s, c->channel, class, c->arena, &w);
    c->least = w.outcome < c->least ? w.outcome : c->least;
}

static void check_audit(const struct snapshot *s, const struct channel *c, str table,
                        struct arena *a)
{
    struct classes all = {s, c, a, TLS_OUTCOME_PINNED};
    tls_classes(s, c, a, note_class, &all);
    for (size_t i = 0; i < sizeof domains / sizeof *domains; i++) {
        struct tls_client_answer r;
        struct tls_weakest w;
        struct tls_client_query q = {.snapshot = s,
                                     .channel = c,
                                     .domain = str_from(domains[i]),
                                     .mx = number(2) ? STR("mx") : STR("other"),
                                     .ip = STR("192.0.2.1")};
        if (!tls_client_policy(&q, a, &r)) {
            continue; /* nothing is sent */
        }
        tls_weakest(s, c, q.domain, a, &w);
        enum tls_outcome got = tls_outcome_of(&r.policy);
        if (w.outcome > got || all.least > got) {
            print_error("%.*s%.*s %s: told %s and %s, got %s\n", STR_ARG(table),
                        STR_ARG(c->name), domains[i], tls_outcome_name(w.outcome),
                        tls_outcome_name(all.least), tls_outcome_name(got));
            fail();
        }
    }
}

static void test_audit_is_no_promise(void **state)
{
    (void)state;
    for (int n = 0; n < 400; n++) {
        struct arena *a = arena_new();
        struct memory_loader memory;
        struct snapshot_request request = {.path = STR(MEMORY_LOADER_MAIN),
                                           .loader = &memory.loader};
        struct diags *diags;
        bool unreadable;
        str table = random_table(a);
        memory_loader_init(&memory, table);
        struct snapshot *s = snapshot_load(&request, a, &diags, &unreadable);
        assert_non_null(s);
        for (unsigned i = 1; i < s->channel_count; i++) {
            check_audit(s, s->channels[i], table, a);
        }
        snapshot_unref(&s);
        arena_free(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_no_table),
        cmocka_unit_test(test_audit_is_no_promise),
    };
    return cmocka_run_group_tests_name("tls_client_policy", tests, NULL, NULL);
}
