/* Tests of snapshot_load() and the look-ups; what configurations mean and what is said
 * about bad ones is test/config. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/buf.h"
#include "tables/reach.h"
#include "tables/snapshot.h"
#include "test/config/memory_loader.h"

#define TEXT(lit) ((str){lit, sizeof(lit) - 1})

struct fixture {
    struct arena *arena;
    struct diags *diags;
    struct snapshot *snapshot;
    bool unreadable;
};

static void load(struct fixture *f, str text)
{
    struct memory_loader m;
    struct snapshot_request req = {.path = STR(MEMORY_LOADER_MAIN), .loader = &m.loader};
    f->arena = arena_new();
    memory_loader_init(&m, text);
    f->snapshot = snapshot_load(&req, f->arena, &f->diags, &f->unreadable);
}

static void unload(struct fixture *f)
{
    snapshot_unref(&f->snapshot);
    assert_null(f->snapshot);
    arena_free(&f->arena);
}

#define CHANNELS                                                                         \
    "[10.] $E$R$U%[10.$L]@tcp-inner\n"                                                   \
    "[11.] $F$U%[11.$L]@tcp-far\n"                                                       \
    ". $U%$H@tcp-far\n"                                                                  \
    "\n"                                                                                 \
    "l\nhere.test\n\n"                                                                   \
    "tcp_local smtp switchchannel\nin.here.test gw.here.test\n\n"                        \
    "tcp_inner smtp\ntcp-inner\ninner.test p.inner.test\n\n"                             \
    "tcp_far smtp musttls\ntcp-far\n\n"                                                  \
    "tcp_shy smtp noswitchchannel maytls\n[10.9.9.9]\n"

static void finds_names(void **state)
{
    struct fixture f;
    (void)state;
    load(&f, TEXT(CHANNELS "!== localdomains\nhere.test\n.corp.test\n[10.0.0.1]\n"));
    struct snapshot *s = f.snapshot;
    assert_non_null(s);
    assert_int_equal(s->channel_count, 5);
    assert_true(str_eq(s->local_host, STR("here.test")));
    assert_ptr_equal(snapshot_channel(s, STR("TCP_Local")), s->channels[1]);
    assert_null(snapshot_channel(s, STR("tcp_loca")));
    const struct host_entry *h = snapshot_host(s, STR("INNER.test"));
    assert_ptr_equal(h->channel, s->channels[2]);
    assert_true(str_eq(h->proper_name, STR("p.inner.test")));
    assert_null(snapshot_host(s, STR("gw.here.test"))); /* an alias is no key */
    assert_true(str_eq(channel_local_name(s, s->channels[1]), STR("gw.here.test")));
    assert_true(str_eq(channel_local_name(s, s->channels[2]), STR("here.test")));
    assert_true(s->channels[0]->final);
    assert_false(s->channels[1]->final);
    str where = snapshot_where(f.arena, s, s->channels[1]->span);
    assert_true(str_eq(where, STR("pointsman.cnf:8")));
    unload(&f);
}

static void knows_local_domains(void **state)
{
    static const struct {
        const char *domain;
        bool local;
    } cases[] = {
        {"here.test", true},   {"HERE.TEST", true},      {"a.here.test", false},
        {"corp.test", false},  {"a.corp.test", true},    {"a.b.CORP.test", true},
        {"acorp.test", false}, {"[10.0.0.1]", true},     {"[10.0.0.2]", false},
        {".corp.test", true},  {"test", false},          {"", false},
        {"here.test.", false}, {"x.here.test.y", false},
    };
    struct fixture f;
    (void)state;
    load(&f, TEXT(CHANNELS "!== localdomains\nhere.test\n.corp.test\n[10.0.0.1]\n"));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (snapshot_is_local_domain(f.snapshot, str_from(cases[i].domain)) !=
            cases[i].local) {
            fail_msg("%s", cases[i].domain);
        }
    }
    unload(&f);
}

/* Only a rule that can apply to a client's address leads an IP switch somewhere, and
 * "." never does. */
static void knows_where_sessions_begin(void **state)
{
    struct fixture f;
    struct reach reach;
    struct span why;
    (void)state;
    load(&f, TEXT(CHANNELS "!== dispatcher.cnf\n[SERVICE=SMTP]\nPORT=25\n"
                           "PARAMETER=CHANNEL=tcp_local\n"));
    assert_non_null(f.snapshot);
    reach_sources(f.snapshot, f.arena, &reach);
    assert_null(reach.plain[0]);
    assert_non_null(reach.plain[1]);
    assert_non_null(reach.plain[2]);
    assert_null(reach.plain[3]);
    assert_null(reach.plain[4]);
    assert_null(reach.implicit_tls[1]);
    assert_false(reach_offers_tls(&reach, f.snapshot->channels[1], &why));
    unload(&f);
}

/* Which pool holds for a channel: the one it names, else the usual one of the dialect,
 * with the limit of its section or of the file. */
static void finds_pools(void **state)
{
    static const char FILES[] = "\nl\nhere.test\n\ntcp_a smtp pool big\na.test\n\n"
                                "tcp_b smtp queue nowhere\nb.test\n"
                                "!== job_controller.cnf\nJOB_LIMIT=5\n[POOL=FIRST]\n"
                                "JOB_LIMIT=7\n[QUEUE=Default]\n[POOL=BIG]\n"
                                "JOB_LIMIT=16%40\n";
    static const struct {
        const char *option, *usual;
        unsigned limit;
    } cases[] = {{"pmdf", "Default", 5}, {"imta", "FIRST", 7}};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct fixture f;
        struct buf text;
        buf_init(&text, 1000);
        buf_printf(&text, "%s!== option.dat\nDIALECT=%s\n", FILES, cases[i].option);
        load(&f, buf_slice(&text));
        assert_non_null(f.snapshot);
        const struct pool *l = f.snapshot->channels[0]->pool;
        const struct pool *a = f.snapshot->channels[1]->pool;
        assert_true(str_eq(l->name, str_from(cases[i].usual)));
        assert_int_equal(l->job_limit, cases[i].limit);
        assert_true(str_eq(a->name, STR("BIG")));
        assert_int_equal(a->job_limit, 64);
        assert_ptr_equal(f.snapshot->channels[2]->pool, l); /* with a warning */
        buf_free(&text);
        unload(&f);
    }
    struct fixture f;
    load(&f, TEXT("\nl pool x\nhere.test\n"));
    assert_null(f.snapshot->channels[0]->pool);
    unload(&f);
}

static void needs_a_certificate(void **state)
{
    struct fixture f;
    struct reach reach;
    struct span why;
    (void)state;
    load(&f, TEXT(CHANNELS "!== dispatcher.cnf\n[SERVICE=SMTPS]\nTLS_PORT=465\n"
                           "PARAMETER=CHANNEL=tcp_local\n"
                           "!== server-pub.pem\nx\n"));
    assert_non_null(f.snapshot);
    reach_sources(f.snapshot, f.arena, &reach);
    assert_true(reach_offers_tls(&reach, f.snapshot->channels[1], &why));
    str where = snapshot_where(f.arena, f.snapshot, why);
    assert_true(str_eq(where, STR("dispatcher.cnf:2")));
    /* the pair is taken when either file is there */
    const struct tls_profile *all = f.snapshot->tls_profiles[0];
    assert_true(str_eq(all->settings[TLS_OPTION_server_key].items->text,
                       STR("/memory/server-priv.pem")));
    unload(&f);
}

static void counts_references(void **state)
{
    struct fixture f;
    (void)state;
    load(&f, TEXT(CHANNELS));
    struct snapshot *second = snapshot_ref(f.snapshot);
    struct snapshot *none = NULL;
    snapshot_unref(&f.snapshot);
    assert_null(f.snapshot);
    assert_int_equal(second->channel_count, 5);
    snapshot_unref(&second);
    snapshot_unref(&none);
    unload(&f);
}

/* The messages can be shown when the snapshot and its texts are gone. */
static void messages_outlive_the_snapshot(void **state)
{
    struct fixture f;
    struct buf out;
    (void)state;
    load(&f, TEXT(CHANNELS "\ntcp_x frobnicate smtp\nx.test\n"));
    assert_non_null(f.snapshot);
    snapshot_unref(&f.snapshot);
    buf_init(&out, 1 << 16);
    diags_render(f.diags, false, &out);
    assert_int_equal(diags_warnings(f.diags), 1);
    assert_non_null(memmem(out.data, out.len, "tcp_x frobnicate smtp", 21));
    buf_free(&out);
    unload(&f);
}

static void reports_what_cannot_be_read(void **state)
{
    struct fixture f;
    (void)state;
    load(&f, TEXT("!== option.dat\n"));
    assert_null(f.snapshot);
    assert_true(f.unreadable);
    unload(&f);
    load(&f, TEXT("nonsense\n"));
    assert_null(f.snapshot);
    assert_false(f.unreadable);
    unload(&f);
}

/* Every fault of a file of rubbish is told, in a time that grows no faster than the file:
 * to look for what was meant has a budget. */
static void tells_all_of_much_rubbish(void **state)
{
    enum { LINES = 200, WORDS = 500 };
    struct fixture f;
    struct buf text;
    (void)state;
    buf_init(&text, 1 << 24);
    for (unsigned i = 0; i < LINES; i++) {
        buf_printf(&text, "only-a-pattern-%u\n", i);
    }
    buf_puts(&text, CHANNELS);
    for (unsigned i = 0; i < LINES; i++) {
        buf_printf(&text, "\ntcp_%u", i);
        for (unsigned n = 0; n < WORDS; n++) {
            buf_puts(&text, " qqqq");
        }
        buf_printf(&text, " tlsswitchchannel tcp_none%u\nh%u\n", i, i);
    }
    load(&f, buf_slice(&text));
    assert_null(f.snapshot);
    assert_int_equal(diags_warnings(f.diags), LINES * WORDS);
    assert_int_equal(diags_errors(f.diags), 2 * LINES);
    buf_free(&text);
    unload(&f);
}

static void limits_includes(void **state)
{
    struct fixture f;
    struct buf text;
    (void)state;
    buf_init(&text, 1 << 20);
    buf_puts(&text, CHANNELS "\n");
    for (unsigned i = 0; i < 110; i++) {
        buf_puts(&text, "<inc\n");
    }
    buf_puts(&text, "!== inc\n");
    for (unsigned i = 0; i < 110; i++) {
        buf_puts(&text, "<deep\n");
    }
    buf_puts(&text, "!== deep\n! nothing\n");
    load(&f, buf_slice(&text));
    assert_null(f.snapshot);
    assert_string_equal(diags_first(f.diags)->slug, "include-count");
    assert_int_equal(diags_errors(f.diags), 1);
    buf_free(&text);
    unload(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_names),
        cmocka_unit_test(knows_local_domains),
        cmocka_unit_test(knows_where_sessions_begin),
        cmocka_unit_test(finds_pools),
        cmocka_unit_test(needs_a_certificate),
        cmocka_unit_test(counts_references),
        cmocka_unit_test(messages_outlive_the_snapshot),
        cmocka_unit_test(reports_what_cannot_be_read),
        cmocka_unit_test(tells_all_of_much_rubbish),
        cmocka_unit_test(limits_includes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
