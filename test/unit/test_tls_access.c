/* test_tls_access: which switch a handshake makes, whom the tables refuse, what they are
 * asked, and what can be told of their entries: a row for each handshake. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tables/leads.h"
#include "tables/tls_access.h"
#include "tables/trust.h"
#include "test/config/memory_loader.h"

#define SITE                                                                             \
    "!== pointsman.cnf\n. $U%$H@tcp-in\n\nl\nhere.test\n\n"                              \
    "tcp_in smtp maytlsserver maytlspeer tlspeerswitchchannel tcp_peer "                 \
    "tlsswitchchannel tcp_tls\ntcp-in\n\n"                                               \
    "tcp_none smtp maytlsserver\ntcp-none\n\n"                                           \
    "tcp_tls smtp tlsswitchchannel tcp_b\ntcp-tls\n\n"                                   \
    "tcp_peer smtp\ntcp-peer\n\ntcp_a smtp\ntcp-a\n\ntcp_b smtp\ntcp-b\n"                \
    "!== localdomains\nhere.test\n"                                                      \
    "!== dispatcher.cnf\n[SERVICE=SMTP]\nPORT=25\nPARAMETER=CHANNEL=tcp_in\n"            \
    "!== general\nknown $Stcp_a\nbad $Snowhere\n"                                        \
    "!== tls.cnf\n[*]\nserver_cert=a.pem\nclient_ca_file=ca.pem\n"                       \
    "!== mappings\nOTHER\n\n  a b\n\n"
#define ACCESS "TLS_ACCESS\n\n"
#define PEER   "TLS_PEER_ACCESS\n\n"

struct handshake {
    const char *version, *cipher, *group, *sni;
    const char *subject; /* NULL: the certificate does not verify */
    const char *spki;
};
static const struct handshake plain = {"TLSv1.3", "AES", "X25519", "", NULL, ""};
static const struct handshake verified = {"TLSv1.3", "AES",      "X25519",
                                          "",        "CN=relay", "sha256:ab"};

struct row {
    const char *entries, *from;
    const struct handshake *shown;
    const char *expected; /* see show() */
};
static const struct row rows[] = {
    {"", "tcp_none", &plain, "tcp_none none"},
    {"", "tcp_in", &plain, "tcp_tls tls"},
    {"", "tcp_in", &verified, "tcp_peer certificate"},
    {"", "tcp_tls", &plain, "tcp_b tls"},
    /* the first that names a channel */
    {ACCESS "  *  $Stcp_a\n\n" PEER "  *  $Stcp_b\n", "tcp_in", &verified,
     "tcp_a TLS_ACCESS"},
    {PEER "  *  $Stcp_b\n", "tcp_in", &verified, "tcp_b TLS_PEER_ACCESS"},
    {ACCESS "  *  $Y\n\n" PEER "  *  $STCP_B\n", "tcp_none", &plain,
     "tcp_b TLS_PEER_ACCESS"},
    {ACCESS "  *  $Stcp_in\n\n" PEER "  *  $Stcp_b\n", "tcp_in", &verified,
     "tcp_in TLS_ACCESS"},
    /* $B is for the last one only */
    {ACCESS "  *  $B\n", "tcp_in", &plain, "tcp_in none"},
    {ACCESS "  *  $B\n", "tcp_in", &verified, "tcp_peer certificate"},
    {PEER "  *  $B\n", "tcp_in", &plain, "tcp_in none"},
    {ACCESS "  *  $B\n\n" PEER "  *  $Stcp_a\n", "tcp_in", &plain,
     "tcp_a TLS_PEER_ACCESS"},
    {ACCESS "  *  $B$Stcp_a\n", "tcp_in", &plain, "tcp_a TLS_ACCESS"},
    /* refusals: the second table is asked whatever the first has switched to, but not
       behind a refusal */
    {ACCESS "  *  $N\n", "tcp_in", &plain, "421 4.7.0 TLS Negotiation failed."},
    {ACCESS "  *  $F\n", "tcp_in", &plain, "421 4.7.0 TLS Negotiation failed."},
    {ACCESS "  *  $NNo$ way\n", "tcp_in", &plain, "421 4.7.0 No way"},
    {ACCESS "  *  $X5.7.1|No$ way$N\n", "tcp_in", &plain, "554 5.7.1 No way"},
    {ACCESS "  *  $X4.7.7|Later$F\n", "tcp_in", &plain, "421 4.7.7 Later"},
    {ACCESS "  *  $N$<one$>|two|No\n", "tcp_in", &plain, "421 4.7.0 No"},
    {ACCESS "  *  $NNo|tcp_a$S\n", "tcp_in", &plain, "421 4.7.0 No"},
    {ACCESS "  *  $Stcp_a\n\n" PEER "  *  $NNo\n", "tcp_in", &plain, "421 4.7.0 No"},
    {ACCESS "  *  $NFirst\n\n" PEER "  *  $NSecond\n", "tcp_in", &plain,
     "421 4.7.0 First"},
    {ACCESS "  *  $<seen|tcp_a$S\n", "tcp_in", &plain, "tcp_a TLS_ACCESS"},
    /* what cannot be answered is refused for now, never passed over */
    {PEER "  *  $|LOOP;x|$Y\n\nLOOP\n\n  *  $|LOOP;x|$Y\n", "tcp_in", &plain,
     "421 4.3.5 access cannot be decided now, try again later"},
    {PEER "  *|*|*|*|*|*|*|*|*  ${$7}\n", "tcp_in",
     &(struct handshake){"TLSv1.3", "AES", "X25519", "bad", NULL, ""},
     "421 4.3.5 access cannot be decided now, try again later"},
    {PEER "  *|*|*|*|*|*|*|*|*  ${$7}\n", "tcp_in",
     &(struct handshake){"TLSv1.3", "AES", "X25519", "known", NULL, ""},
     "tcp_a TLS_PEER_ACCESS"},
    {PEER "  *|*|*|*|*|*|*|*|*  $S$7\n", "tcp_in",
     &(struct handshake){"TLSv1.3", "AES", "X25519", "l", NULL, ""},
     "421 4.3.5 access cannot be decided now, try again later"},
    /* the fields */
    {ACCESS "  TCP|192.0.2.1|25|198.51.100.7|1234|SMTP/TLSv1.3:AES|tcp_in|CN=relay|CN=ca|"
            "  $Stcp_a\n",
     "tcp_in", &verified, "tcp_a TLS_ACCESS"},
    {ACCESS "  TCP|192.0.2.1|25|198.51.100.7|1234|SMTP/TLSv1.3:AES|tcp_in|||  $Stcp_a\n",
     "tcp_in", &plain, "tcp_a TLS_ACCESS"},
    {PEER "  tcp_in|TLSv1.3|AES|X25519|Y|CN=relay|sha256:ab||198.51.100.7  $Stcp_a\n",
     "tcp_in", &verified, "tcp_a TLS_PEER_ACCESS"},
    {PEER "  *|*|*|*|*|*|*|*|$(198.51.100.0/24)  $Stcp_a\n", "tcp_in", &plain,
     "tcp_a TLS_PEER_ACCESS"},
    {PEER "  *|*|*|*|N||sha256:cd|mx.here.test|*  $Stcp_a\n", "tcp_in",
     &(struct handshake){"TLSv1.2", "AES", "", "mx.here.test", NULL, "sha256:cd"},
     "tcp_a TLS_PEER_ACCESS"},
    /* what the peer writes is one field */
    {PEER "  *|*|*|*|Y|*|sha256:cd|*|*  $Stcp_a\n", "tcp_in",
     &(struct handshake){"TLSv1.3", "AES", "X25519", "", "CN=x|sha256:cd|x|1",
                         "sha256:ab"},
     "tcp_peer certificate"},
    {PEER "  *|*|*|*|*|CN=x?sha256:cd?x$ $$Y|*|*|*  $Stcp_a\n", "tcp_in",
     &(struct handshake){"TLSv1.3", "AES", "X25519", "", "CN=x|sha256:cd|x $Y", ""},
     "tcp_a TLS_PEER_ACCESS"},
    {PEER "  *|*|*|*|*|CN=a?b??|*|*|*  $Stcp_a\n", "tcp_in",
     &(struct handshake){"TLSv1.3", "AES", "X25519", "", "CN=a\nb\xc3\xa9", ""},
     "tcp_a TLS_PEER_ACCESS"},
};

static struct snapshot *load(struct arena *a, const char *entries, const char *options)
{
    static struct memory_loader memory; /* borrowed by the snapshot's sources */
    struct snapshot_request request = {.path = STR(MEMORY_LOADER_MAIN),
                                       .loader = &memory.loader};
    struct diags *diags;
    bool unreadable;
    memory_loader_init(&memory, arena_printf(a, "%s%s%s", SITE, entries, options));
    return snapshot_load(&request, a, &diags, &unreadable);
}

static void ask(const struct snapshot *s, const char *from, const struct handshake *h,
                bool cut, struct arena *a, struct tls_access_answer *out)
{
    struct access_peer peer = {.server_ip = STR("192.0.2.1"),
                               .server_port = 25,
                               .client_ip = STR("198.51.100.7"),
                               .client_port = 1234,
                               .tls = true,
                               .tls_version = str_from(h->version),
                               .tls_cipher = str_from(h->cipher)};
    struct access_tls tls = {.group = str_from(h->group),
                             .sni = str_from(h->sni),
                             .verified = h->subject != NULL,
                             .subject = str_from(h->subject ? h->subject : "CN=anybody"),
                             .issuer = STR("CN=ca"),
                             .spki = str_from(h->spki),
                             .names_cut = cut};
    struct access_question q = {.snapshot = s,
                                .peer = &peer,
                                .source = snapshot_channel(s, str_from(from)),
                                .tls = &tls};
    tls_access_ask(&q, a, out);
}

/* "channel what-made-the-switch", or "code status text". */
static str show(struct arena *a, const struct tls_access_answer *r)
{
    const struct access_verdict *no = r->refusal;
    if (no != NULL) {
        assert_null(r->to);
        return arena_printf(a, "%u %u.%u.%u %.*s", no->code, no->status[0], no->status[1],
                            no->status[2], STR_ARG(no->text));
    }
    assert_true((r->by == TLS_SWITCH_NONE) == (r->at.source == 0));
    return arena_printf(a, "%.*s %s", STR_ARG(r->to->name), tls_switch_name(r->by));
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        /* what the peer writes stays one field without the option, too */
        static const char *const options[] = {"",
                                              "\n!== option.dat\nMAPPING_PARANOIA=0\n"};
        for (int n = 0; n < 2; n++) {
            struct arena *a = arena_new();
            struct tls_access_answer r;
            struct snapshot *s = load(a, rows[i].entries, options[n]);
            assert_non_null(s);
            ask(s, rows[i].from, rows[i].shown, false, a, &r);
            str shown = show(a, &r);
            if (!str_eq(shown, str_from(rows[i].expected))) {
                fail_msg("%s: '%.*s', not '%s'", rows[i].entries, STR_ARG(shown),
                         rows[i].expected);
            }
            snapshot_unref(&s);
            arena_free(&a);
        }
    }
}

/* Names longer than what is kept of them: refused for now, but only where somebody looks
 * at them. */
static void test_cut(void **state)
{
    static const struct {
        const char *entries;
        const struct handshake *shown;
        bool refused;
    } cases[] = {{"", &verified, false},
                 {PEER "  *  $Y\n", &verified, true},
                 {ACCESS "  *  $Y\n", &verified, true},
                 {PEER "  *  $Y\n", &plain, false}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct arena *a = arena_new();
        struct tls_access_answer r;
        struct snapshot *s = load(a, cases[i].entries, "");
        ask(s, "tcp_in", cases[i].shown, true, a, &r);
        assert_int_equal(r.refusal != NULL, cases[i].refused);
        assert_true(r.refusal == NULL || r.refusal->code == 421);
        snapshot_unref(&s);
        arena_free(&a);
    }
}

static void test_fallback(void **state)
{
    static const struct {
        const char *entries;
        bool no_fallback;
    } cases[] = {{ACCESS "  *  $N\n", false},
                 {ACCESS "  *  $F\n", true},
                 {ACCESS "  *  $F$N\n", true},
                 {ACCESS "  *  $|LOOP;x|\n\nLOOP\n\n  *  $|LOOP;x|$Y\n", true}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct arena *a = arena_new();
        struct tls_access_answer r;
        struct snapshot *s = load(a, cases[i].entries, "");
        ask(s, "tcp_in", &plain, false, a, &r);
        assert_non_null(r.refusal);
        assert_int_equal(r.refusal->no_fallback, cases[i].no_fallback);
        snapshot_unref(&s);
        arena_free(&a);
    }
}

/* ---- what is told of the entries -----------------------------------------------------
 */

struct found {
    struct arena *arena;
    str text; /* "target" or "?" of each entry */
};

static void note(const struct tls_access_entry *e, void *arg)
{
    struct found *f = arg;
    f->text =
        arena_printf(f->arena, "%.*s%s%.*s", STR_ARG(f->text), f->text.len > 0 ? " " : "",
                     STR_ARG(e->to ? e->to->name : STR("?")));
}

static void test_entries(void **state)
{
    static const struct {
        const char *entries, *from, *expected;
    } cases[] = {
        {ACCESS "  *  $Y\n\n" PEER "  *  $B\n", "tcp_in", ""},
        {ACCESS "  *  $Stcp_a\n\n" PEER "  *  $<x$Stcp_b|tcp_b\n", "tcp_in",
         "tcp_a tcp_b"},
        {PEER "  *  $N$Sno|tcp_b\n", "tcp_in", ""},
        {PEER "  tcp_in|*  $Stcp_a\n  tcp_n*  $Stcp_b\n", "tcp_in", "tcp_a"},
        {PEER "  tcp_in|*  $Stcp_a\n  tcp_n*  $Stcp_b\n", "tcp_none", "tcp_b"},
        {ACCESS "  *|*|*|*|*|*|tcp_none|*|*|*  $Stcp_a\n  *|*|*  $Stcp_b\n", "tcp_in",
         "tcp_b"},
        /* known when a client comes */
        {PEER "  *|*  $Stcp_$0\n  *  $C$S\n  *  ${x}\n  *  $Stcp_a$E\n", "tcp_in",
         "? ? ? tcp_a"},
        {PEER "  *  $:T$Stcp_a\n", "tcp_in", "tcp_a"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct arena *a = arena_new();
        struct snapshot *s = load(a, cases[i].entries, "");
        struct found f = {a, STR("")};
        assert_non_null(s);
        tls_access_entries(s, snapshot_channel(s, str_from(cases[i].from)), note, &f);
        if (!str_eq(f.text, str_from(cases[i].expected))) {
            fail_msg("%s: '%.*s'", cases[i].entries, STR_ARG(f.text));
        }
        snapshot_unref(&s);
        arena_free(&a);
    }
}

static void test_names_peers(void **state)
{
    static const struct {
        const char *pattern;
        bool names;
    } cases[] = {{"tcp_in|*|*|*|Y|CN=a|*|*|*", true},
                 {"*|*|*|*|*|*CN=a*|*|*|*", true},
                 {"*|*|*|*|*|*|sha256:*|*|*", true},
                 {"*|*|*|*|Y|*|*|*|*", false},
                 {"tcp_none|*|*|*|*|CN=a|*|*|*", false},
                 {"*|*|*|*|*|%*|**|*|*", false},
                 {"*CN=a*", false}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct arena *a = arena_new();
        struct snapshot *s =
            load(a, arena_printf(a, PEER "  %s  $Y\n", cases[i].pattern).ptr, "");
        assert_non_null(s);
        bool names = tls_access_names_peers(s, snapshot_channel(s, STR("tcp_in")));
        if (names != cases[i].names) {
            fail_msg("%s", cases[i].pattern);
        }
        /* the profile is everybody's who asks for certificates: tcp_in alone */
        assert_int_equal(s->tls_profiles[0]->peers_named, cases[i].names);
        snapshot_unref(&s);
        arena_free(&a);
    }
}

static const struct trust_way *way_to(const struct snapshot *s, const struct trust *t,
                                      const char *name)
{
    const struct trust_channel *c =
        &t->channels[snapshot_channel(s, str_from(name))->index];
    for (size_t i = 0; i < c->ways.n; i++) {
        if (c->ways.at[i].kind == TRUST_TABLE) {
            return &c->ways.at[i];
        }
    }
    return NULL;
}

static void test_trust(void **state)
{
    struct arena *a = arena_new();
    struct trust t;
    struct reach reach;
    struct leads leads;
    struct snapshot *s = load(
        a, PEER "  tcp_in|*  $Stcp_a\n  tcp_i*  $Stcp_a\n  tcp_none|*  $Stcp_b\n", "");
    (void)state;
    trust_find(s, a, &t);
    const struct trust_way *way = way_to(s, &t, "tcp_a");
    assert_non_null(way);
    assert_int_equal(way->reasons.n, 2);
    assert_false(way->trusted);
    assert_true(way->stranger);
    assert_null(way_to(s, &t, "tcp_b")); /* nobody comes to tcp_none */
    reach_sources(s, a, &reach);
    leads_find(s, &reach, a, &leads);
    assert_int_not_equal(leads.session[snapshot_channel(s, STR("tcp_a"))->index].source,
                         0);
    assert_false(leads.computed);
    snapshot_unref(&s);
    s = load(a, PEER "  tcp_in|*  $S$0\n", "");
    trust_find(s, a, &t);
    assert_non_null(way_to(s, &t, "tcp_b"));
    assert_null(way_to(s, &t, "l"));
    snapshot_unref(&s);
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_fallback),    cmocka_unit_test(test_entries),
        cmocka_unit_test(test_names_peers), cmocka_unit_test(test_trust),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
