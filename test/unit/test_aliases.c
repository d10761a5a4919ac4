/* Aliases and their expansion: addresses as people write them, look-ups, bounds. What
 * expansions come to is told by test/route/expansion. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>

#include "base/buf.h"
#include "tables/alias_item.h"
#include "tables/recipient.h"
#include "test/config/memory_loader.h"

enum { TEXT_MAX = 1 << 24 };

static const char SITE[] = "here.test $U%here.test@here.test\n"
                           "far.test $U%$D@tcp-far\n"
                           "\n"
                           "l\n"
                           "here.test\n"
                           "\n"
                           "tcp_far smtp\n"
                           "tcp-far\n"
                           "!== aliases\n";

struct fixture {
    struct arena *arena;
    struct buf text;
    struct snapshot *s;
};

static void begin(struct fixture *f)
{
    f->arena = arena_new();
    buf_init(&f->text, TEXT_MAX);
    buf_puts(&f->text, SITE);
}

static void load(struct fixture *f)
{
    struct memory_loader loader;
    struct diags *diags;
    bool unreadable;
    memory_loader_init(&loader, buf_slice(&f->text));
    struct snapshot_request request = {.path = STR(MEMORY_LOADER_MAIN),
                                       .loader = &loader.loader};
    f->s = snapshot_load(&request, f->arena, &diags, &unreadable);
    if (f->s == NULL) {
        fail_msg("%.*s", STR_ARG(diag_line(f->arena, diags, diags_first(diags))));
    }
}

static void end(struct fixture *f)
{
    snapshot_unref(&f->s);
    buf_free(&f->text);
    arena_free(&f->arena);
}

static enum recipient_verdict resolve(struct fixture *f, const char *to,
                                      struct recipient_answer *r)
{
    struct recipient_request q = {
        .snapshot = f->s, .source = f->s->channels[0], .trusted = true};
    assert_null(address_parse(str_from(to), &q.to));
    return recipient_resolve(&q, f->arena, r);
}

/* ---- addresses -----------------------------------------------------------------------
 */

struct written {
    const char *text, *address; /* NULL: none */
};

static void written_addresses(void **state)
{
    static const struct written cases[] = {
        {"ann", "ann"},
        {"ann@here.test", "ann@here.test"},
        {"  ann@here.test\t", "ann@here.test"},
        {"<ann@here.test>", "ann@here.test"},
        {"Ann Smith <ann@here.test>", "ann@here.test"},
        {"\"Smith, Ann\" <ann@here.test>", "ann@here.test"},
        {"\"<no@way>\" <ann@here.test>", "ann@here.test"},
        {"ann@here.test (Ann)", "ann@here.test"},
        {"(a (nested) \\) one) ann@here.test", "ann@here.test"},
        {"ann (x) @ (y) here.test", "ann@here.test"},
        {"Ann <ann@here.test> (x)", "ann@here.test"},
        {"<@a.test,@b.test:ann@here.test>", "@a.test,@b.test:ann@here.test"},
        {"\"a b\"@here.test", "\"a b\"@here.test"},
        {"\"a\\\"b\"@here.test", "\"a\\\"b\"@here.test"},
        {"ann@[192.0.2.1]", "ann@[192.0.2.1]"},
        {"", NULL},
        {"   ", NULL},
        {"()", NULL},
        {"<>", NULL},
        {"@here.test", NULL},
        {"ann@", NULL},
        {"ann smith", NULL},
        {"ann smith@here.test", NULL},
        {"Ann <ann@here.test", NULL},
        {"<ann@here.test> bob", NULL},
        {"ann@here..test", NULL},
        {"\"ann", NULL},
        {"(ann", NULL},
        {"\xc3\xa4nn@here.test", NULL},
    };
    struct arena *a = arena_new();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct address addr;
        const char *reason = alias_address_read(a, str_from(cases[i].text), &addr);
        str got = reason == NULL ? address_print(a, &addr) : STR("");
        if ((reason == NULL) != (cases[i].address != NULL) ||
            (reason == NULL && !str_eq(got, str_from(cases[i].address)))) {
            fail_msg("'%s': '%.*s' %s", cases[i].text, STR_ARG(got),
                     reason != NULL ? reason : "");
        }
    }
    arena_free(&a);
    (void)state;
}

static void items(void **state)
{
    static const struct {
        const char *text;
        enum alias_item_kind kind;
        const char *name, *value;
    } cases[] = {
        {"ann", ALIAS_ITEM_ADDRESS, "", "ann"},
        {"<ann>", ALIAS_ITEM_ADDRESS, "", "<ann>"},
        {":ann", ALIAS_ITEM_HIDDEN, "", "ann"},
        {"<list", ALIAS_ITEM_FILE, "", "list"},
        {"<\"a list\"", ALIAS_ITEM_FILE, "", "a list"},
        {"<", ALIAS_ITEM_FILE, "", ""},
        {"<LDAPS://x", ALIAS_ITEM_URL, "", "LDAPS://x"},
        {"[owner] ann", ALIAS_ITEM_PARAMETER, "owner", "ann"},
        {"[ OWNER ]\"ann\"", ALIAS_ITEM_PARAMETER, "OWNER", "ann"},
        {"[OR]", ALIAS_ITEM_PARAMETER, "OR", ""},
        {"[OR", ALIAS_ITEM_ADDRESS, "", "[OR"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct alias_item item;
        alias_item_read(str_from(cases[i].text), &item);
        assert_int_equal(item.kind, cases[i].kind);
        assert_true(str_eq(item.name, str_from(cases[i].name)));
        assert_true(str_eq(item.value, str_from(cases[i].value)));
    }
    (void)state;
}

/* ---- bounds --------------------------------------------------------------------------
 */

static void chain_of_a_thousand(void **state)
{
    struct fixture f;
    struct recipient_answer r;
    begin(&f);
    for (unsigned i = 0; i < 1000; i++) {
        buf_printf(&f.text, "c%u: c%u\n", i, i + 1);
    }
    buf_puts(&f.text, "!== option.dat\nMAX_ALIAS_LEVELS=1000\n");
    load(&f);
    assert_int_equal(resolve(&f, "c0@here.test", &r), RECIPIENT_TAKEN);
    assert_int_equal(r.leaf_count, 1);
    assert_int_equal(r.leaves[0].node->level, 1000);
    end(&f);
    begin(&f);
    for (unsigned i = 0; i < 1000; i++) {
        buf_printf(&f.text, "c%u: c%u\n", i, i + 1);
    }
    load(&f);
    assert_int_equal(resolve(&f, "c0@here.test", &r), RECIPIENT_ALIAS);
    assert_int_equal(r.reply.code, 550);
    assert_int_equal(r.expansion.count, ALIAS_LEVELS_DEFAULT + 1);
    assert_int_equal(resolve(&f, "c990@here.test", &r), RECIPIENT_TAKEN);
    end(&f);
    (void)state;
}

/* Each alias names the next ten times: ten to the tenth, if it were done as written. */
static void no_explosion(void **state)
{
    struct fixture f;
    struct recipient_answer r;
    begin(&f);
    for (unsigned i = 0; i < 9; i++) {
        buf_printf(&f.text, "d%u: d%u", i, i + 1);
        for (unsigned n = 0; n < 9; n++) {
            buf_printf(&f.text, ", d%u", i + 1);
        }
        buf_puts(&f.text, "\n");
    }
    load(&f);
    assert_int_equal(resolve(&f, "d0@here.test", &r), RECIPIENT_TAKEN);
    assert_int_equal(r.leaf_count, 1);
    assert_int_equal(r.expansion.count, 91);
    end(&f);
    (void)state;
}

static void put_list(struct fixture *f, const char *name, unsigned from, unsigned count)
{
    buf_printf(&f->text, "!== %s\n", name);
    for (unsigned i = from; i < from + count; i++) {
        buf_printf(&f->text, "m%u@far.test\n", i);
    }
}

static void many_members(void **state)
{
    struct fixture f;
    struct recipient_answer r;
    begin(&f);
    buf_puts(&f.text, "all: <one\nboth: all, more\nmore: <two\n");
    put_list(&f, "one", 0, EXPAND_MAX - 1);
    put_list(&f, "two", 0, 10);
    load(&f);
    assert_int_equal(resolve(&f, "all@here.test", &r), RECIPIENT_TAKEN);
    assert_int_equal(r.leaf_count, EXPAND_MAX - 1);
    assert_int_equal(resolve(&f, "both@here.test", &r), RECIPIENT_ALIAS);
    assert_true(r.expansion.too_many);
    assert_int_equal(r.reply.code, 550);
    assert_int_equal(r.reply.status[1], 2);
    assert_int_equal(r.expansion.count, EXPAND_MAX);
    end(&f);
    (void)state;
}

/* A list of lists: the inner one's sender, the least of the limits, the owner. */
static void nested_lists(void **state)
{
    struct fixture f;
    struct recipient_answer r;
    begin(&f);
    buf_puts(&f.text, "outer: <outer, [ENVELOPE_FROM] o, [BLOCKLIMIT] 5, [LINELIMIT] 50\n"
                      "inner: <inner, [ENVELOPE_FROM] i, [BLOCKLIMIT] 9, [LINELIMIT] 40\n"
                      "plain: dora@far.test\n"
                      "!== outer\nann@far.test\ninner\nplain\n"
                      "!== inner\nbob@far.test\nann@far.test\n");
    load(&f);
    assert_int_equal(resolve(&f, "outer@here.test", &r), RECIPIENT_TAKEN);
    assert_int_equal(r.leaf_count, 3);
    for (unsigned i = 0; i < r.leaf_count; i++) {
        const struct expand_node *n = r.leaves[i].node;
        bool inner = str_eq(n->route.address.local, STR("bob"));
        assert_true(str_eq(n->list->name, inner ? STR("inner") : STR("outer")));
        assert_true(str_eq(n->sender, inner ? STR("i@here.test") : STR("o@here.test")));
        assert_int_equal(n->block_limit, 5);
        assert_int_equal(n->line_limit, inner ? 40 : 50);
    }
    end(&f);
    (void)state;
}

/* What comes of it is asked of SEND_ACCESS; who is refused there is a bad member, and one
 * that is refused for now defers all. */
static void access_of_members(void **state)
{
    struct fixture f;
    struct recipient_answer r;
    begin(&f);
    buf_puts(&f.text, "two: ann@far.test, no@far.test\n"
                      "some: ann@far.test, later@far.test\n"
                      "!== mappings\n"
                      "SEND_ACCESS\n\n"
                      "  *|*|*|no@far.test $N5.7.1|not$ there\n"
                      "  *|*|*|later@far.test $X4.2.0|not$ now$N\n");
    load(&f);
    assert_int_equal(resolve(&f, "two@here.test", &r), RECIPIENT_TAKEN);
    assert_int_equal(r.leaf_count, 1);
    assert_int_equal(r.expansion.leaves, 1);
    assert_int_equal(r.expansion.bad, 1);
    assert_int_equal(resolve(&f, "some@here.test", &r), RECIPIENT_ACCESS);
    assert_int_equal(r.reply.status[0], 4);
    assert_int_equal(r.expansion.bad, 0);
    end(&f);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_addresses),   cmocka_unit_test(items),
        cmocka_unit_test(chain_of_a_thousand), cmocka_unit_test(no_explosion),
        cmocka_unit_test(many_members),        cmocka_unit_test(nested_lists),
        cmocka_unit_test(access_of_members),
    };
    return cmocka_run_group_tests_name("aliases", tests, NULL, NULL);
}
