/* Tests of the rule table: building and finding, and that no bytes whatsoever, once
 * verified, make a look-up or a template read outside or go on for ever (which the
 * sanitizers see). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "tables/rewrite.h"
#include "test/unit/route_fixture.h"

static const char CONFIG[] = "a.test       $U%$D@tcp-out\n"
                             "A.test       $E$U%$D@tcp-two\n"
                             ".b.test      $U%$H$D@tcp-out\n"
                             "*.c.test     $U%$&0.x@tcp-out\n"
                             "tag|a.test   $U%tagged.test@tcp-two\n"
                             "t.test       $U%a.test$Ttag|\n"
                             "v.test       $V$U$\\%$D@$(key$H)tcp-out\n"
                             "m.test       $U%${TABLE,$U|$D}@tcp-out$Ml$1~$?no\n"
                             "[10.]        $U%[10.$L]@tcp-out\n"
                             "$*           $B$F$U%$H@tcp-out\n"
                             ".            $U%$H@tcp-out\n"
                             "\n"
                             "l\nhere.test\n"
                             "\n"
                             "tcp_out\ntcp-out\n"
                             "\n"
                             "tcp_two\ntcp-two\n";

static const char *const ADDRESSES[] = {"u@a.test",     "u@x.b.test",  "u@y.c.test",
                                        "u@t.test",     "u@v.test",    "u@m.test",
                                        "u@[10.1.2.3]", "u@here.test", "u@z.test"};

/* ---- building and finding ------------------------------------------------------- */

static void keys_are_case_blind_and_chained(void **state)
{
    struct fixture f = fixture_new(CONFIG, NULL);
    const struct rule_table *t = f.s->rules;
    uint32_t first = rule_table_find(t, STR(""), STR("A.TEST"));
    (void)state;
    assert_int_equal(t->rule_count, 11);
    assert_int_equal(first, 1);
    assert_int_equal(rule_table_at(t, 1)->next_equal, 2);
    assert_int_equal(rule_table_at(t, 2)->next_equal, 0);
    assert_int_equal(rule_table_find(t, STR("tag|"), STR("a.test")), 5);
    assert_int_equal(rule_table_find(t, STR("tag|a"), STR(".test")), 5);
    assert_int_equal(rule_table_find(t, STR("no|"), STR("a.test")), 0);
    assert_int_equal(rule_table_find(t, STR(""), STR("")), 0);
    assert_true(str_eq(rule_tag(t, rule_table_at(t, 5)), STR("tag|")));
    assert_true(str_eq(rule_pattern(t, rule_table_at(t, 5)), STR("a.test")));
    fixture_free(&f);
}

static void equal_templates_are_kept_once(void **state)
{
    struct fixture f = fixture_new("a.test $U%$D@tcp-out\nb.test $U%$D@tcp-out\n"
                                   "c.test $U%$D@tcp-OUT\n\nl\nhere.test\n\n"
                                   "tcp_out\ntcp-out\n",
                                   NULL);
    const struct rule_table *t = f.s->rules;
    (void)state;
    assert_int_equal(t->template_count, 2); /* case is kept in templates */
    assert_int_equal(t->rules[0].template, t->rules[1].template);
    fixture_free(&f);
}

static void an_empty_table(void **state)
{
    struct rule_table none = {0};
    const char *reason = NULL;
    (void)state;
    assert_true(rule_table_verify(&none, 0, &reason));
    assert_int_equal(rule_table_find(&none, STR(""), STR("a.test")), 0);
}

/* ---- any bytes ------------------------------------------------------------------ */

/* A copy whose arrays end where their memory ends. */
struct copy {
    struct rule_table table;
    char *parts[5];
    size_t sizes[5];
};

static void *copy_part(struct copy *c, int i, const void *from, size_t size)
{
    c->parts[i] = malloc(size > 0 ? size : 1);
    c->sizes[i] = size;
    assert_non_null(c->parts[i]);
    memcpy(c->parts[i], from, size);
    return c->parts[i];
}

static void copy_begin(struct copy *c, const struct rule_table *t)
{
    c->table = *t;
    c->table.rules = copy_part(c, 0, t->rules, t->rule_count * sizeof *t->rules);
    c->table.templates =
        copy_part(c, 1, t->templates, t->template_count * sizeof *t->templates);
    c->table.ops = copy_part(c, 2, t->ops, t->op_count * sizeof *t->ops);
    c->table.slots = copy_part(c, 3, t->slots, t->slot_count * sizeof *t->slots);
    c->table.strings = copy_part(c, 4, t->strings, t->strings_len);
}

static void copy_end(struct copy *c)
{
    for (int i = 0; i < 5; i++) {
        free(c->parts[i]);
    }
}

/* Routes by the table; what comes out does not matter, only that it ends. */
static void use(struct fixture *f, const struct rule_table *t)
{
    const struct rule_table *good = f->s->rules;
    struct arena_mark mark = arena_mark(f->arena);
    f->s->rules = t;
    for (size_t i = 0; i < sizeof ADDRESSES / sizeof *ADDRESSES; i++) {
        for (int way = 0; way < 4; way++) {
            struct address addr = fixture_address(ADDRESSES[i]);
            struct rewrite_context ctx = {NULL, way & 1 ? ROUTE_FORWARD : ROUTE_BACKWARD,
                                          way & 2 ? ROUTE_ENVELOPE : ROUTE_HEADER, NULL};
            struct route r;
            route_rewrite(f->s, &ctx, &addr, true, f->arena, &r);
        }
    }
    f->s->rules = good;
    arena_reset(f->arena, mark);
}

/* Verified or not: what is, is used. */
static bool try(struct fixture *f, const struct rule_table *t)
{
    const char *reason = NULL;
    bool good = rule_table_verify(t, sources_count(f->s->sources), &reason);
    if (good) {
        use(f, t);
    } else {
        assert_non_null(reason);
    }
    return good;
}

static void every_byte(void **state)
{
    static const unsigned char values[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
    struct fixture f = fixture_new(CONFIG, NULL);
    struct copy c;
    unsigned refused = 0;
    (void)state;
    copy_begin(&c, f.s->rules);
    assert_true(try(&f, &c.table));
    for (int part = 0; part < 5; part++) {
        for (size_t i = 0; i < c.sizes[part]; i++) {
            char before = c.parts[part][i];
            for (size_t v = 0; v < sizeof values; v++) {
                c.parts[part][i] = (char)values[v];
                refused += !try(&f, &c.table);
            }
            c.parts[part][i] = before;
        }
    }
    assert_true(refused > 100);
    copy_end(&c);
    fixture_free(&f);
}

/* Several bytes at once, by a generator that is always the same. */
static void many_bytes(void **state)
{
    struct fixture f = fixture_new(CONFIG, NULL);
    uint64_t seed = 20261121;
    (void)state;
    for (int round = 0; round < 3000; round++) {
        struct copy c;
        copy_begin(&c, f.s->rules);
        for (int n = 0; n < 1 + round % 4; n++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            int part = (int)(seed >> 60) % 5;
            c.parts[part][(seed >> 20) % c.sizes[part]] = (char)(seed >> 40);
        }
        try(&f, &c.table);
        copy_end(&c);
    }
    fixture_free(&f);
}

static void wrong_counts(void **state)
{
    struct fixture f = fixture_new(CONFIG, NULL);
    struct rule_table t = *f.s->rules;
    (void)state;
    t.strings_len /= 2;
    assert_false(try(&f, &t));
    t = *f.s->rules;
    t.op_count--;
    assert_false(try(&f, &t));
    t = *f.s->rules;
    t.template_count--;
    assert_false(try(&f, &t));
    t = *f.s->rules;
    t.rule_count--;
    assert_false(try(&f, &t));
    t = *f.s->rules;
    t.slot_count = 3; /* no power of two */
    assert_false(try(&f, &t));
    fixture_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_case_blind_and_chained),
        cmocka_unit_test(equal_templates_are_kept_once),
        cmocka_unit_test(an_empty_table),
        cmocka_unit_test(every_byte),
        cmocka_unit_test(many_bytes),
        cmocka_unit_test(wrong_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
